"""What there is to read about a message, a template and a sender, and which key takes away what is in the way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from screens.times import SECOND, clock, day_hms, stamp
from screens.widgets.messages import ON_ITS_WAY, word
from screens.widgets.sheet import Para
from screens.widgets.strips import Piece

if TYPE_CHECKING:
    from console.comms.check import Finding
    from console.comms.messenger import Obstacle
    from console.comms.state import Delivery, Message
    from console.config import Sender
    from console.incident import Incident
    from playbooks.guidance import Template

NEXT: dict[str, str] = {
    "TO APPROVE": "Y approves exactly these words.",
    "APPROVED": "> chooses the senders, and sends it.",
    "READY": "> chooses the senders, and sends it.",
    "FAILED": "> sends it again.",
    "UNKNOWN": "Look whether it came, then u says so; it is never repeated by itself.",
    "TRIES AGAIN": "It goes on by itself; - takes it back.",
}
"""What to do about a message, by how it stands."""


def promise(incident: Incident, now: int) -> list[Piece]:
    """Return the clock of the next update, by the same promise as the header's."""
    due = incident.next_update_due
    rhythm = f"every {incident.cadence // 60} min" if incident.cadence else "no rhythm is set: :cadence 30"
    channel = [(f"on {incident.channel}", "quiet", 3)] if incident.channel else []
    if due is None:
        words = ("No next update is promised", "high", 0)
        return [words, (":next 14:30 promises one", "quiet", 1), (rhythm, "quiet", 2), *channel]
    late = due < now
    left = f"UPDATE OVERDUE {clock(now - due)}" if late else f"update in {clock(due - now)}"
    at = f"promised for {day_hms(due // SECOND * SECOND, now)} UTC"
    return [(left, "crit" if late else "strong", 0), (at, "", 1), (rhythm, "quiet", 2), *channel]


MEND = "= supplies facts, c changes the words, w lets one of these stand with a reason."


def mend(finding: Finding) -> str:
    """Return what is wrong and, where the keys that mend a message do not say it, what to do about it."""
    if finding.code.startswith("missing:") or finding.code in ("empty", "promise"):
        return finding.what
    return str(finding)


def hindrance(obstacle: Obstacle, finding: Finding | None) -> str:
    """Return what keeps a message from a sender, in keys. `finding`: where it is one of the check."""
    if finding is not None:
        return f"{mend(finding)} {MEND}"
    fix = {
        "approval": f"Y approves. {obstacle.fix.partition('`. ')[2]}",
        "unknown": "Look there, then u says what became of it.",
        "queued": "It goes on by itself.",
        "trying": "It goes on by itself.",
        "retry": "It goes on by itself; - takes it back.",
        "cancelled": "N drafts a new one.",
    }
    return f"{obstacle.what} {fix.get(obstacle.code, obstacle.fix)}".strip()


def in_the_way(found: Sequence[Finding], message: Message, traces: Sequence[str]) -> list[Para]:
    """Return what stands in the way of words as they are typed, and which traces are on the record."""
    labels = {f"missing:{need.name}": need.label for need in message.needs if need.label}
    waived, paras = message.waived, []
    for each in found:
        reason = waived.get(each.code) if each.waivable else None
        if reason is not None:
            paras.append(Para(f"{each.what} May stand: {reason}", "waived", "quiet"))
        else:
            fix = each.fix
            if each.code in labels:
                fix = f"It belongs behind “{labels[each.code]}:”, on that line."
            elif each.code.startswith("missing:") or each.code == "empty":
                fix = "Write it here."
            elif each.code == "promise":
                fix = "= sets another time."
            paras.append(Para(f"{each.what} {fix}", "in the way", "high"))
    if not any(para.tone == "high" for para in paras):
        paras.insert(0, Para("Nothing is in the way of these words.", "check", "ok"))
    return [*paras, Para(", ".join(traces) or "none is on the record", "trace ids", "quiet")]


def about_message(
    message: Message, found: Sequence[Finding], left: Sequence[Finding], now: int, *, unsaved: bool
) -> list[Para]:
    """Return everything about a message. `left`: those of `found` that nobody waived."""
    what, tone = word(message, left)
    paras = [
        Para(message.subject or message.title, "subject", "strong"),
        Para(f"{what}. {NEXT.get(what, '')}".strip(), "state", tone),
    ]
    if unsaved:
        paras.append(Para("Words were typed here and not saved: c goes on with them.", "NOT SAVED", "high"))
    gone = bool(message.deliveries) and not left
    if not gone:
        paras += [Para(mend(each), "in the way", "high") for each in left]
        if left:
            paras.append(Para(MEND, ""))
    paras += [Para(_delivery(each, now), f"→ {each.sender}", ON_ITS_WAY[each.state][1])
              for each in message.deliveries.values()]  # fmt: skip
    paras += [Para(""), Para(message.body, "text"), Para("")]
    if message.promises is not None:
        paras.append(Para(f"the next one for {day_hms(message.promises, now)} UTC", "promises"))
    if (approval := message.approved) is not None:
        paras.append(Para(f"{approval.by}, {approval.role}, {day_hms(approval.at, now)}Z", "approved by"))
    elif message.approvals:
        paras.append(Para("an earlier text was approved; this one was not", "approval", "high"))
    standing = {each.code for each in left}
    paras += [
        Para(f"{each.what} {message.waived[each.code]}", "may stand")
        for each in found
        if each.code not in standing
    ]
    if message.cancelled is not None:
        paras.append(Para(message.cancelled or "no reason was given", "taken back", "quiet"))
    drafted = f"{message.template} for {message.audience}, by {message.by}, {stamp(message.at)}"
    return [*paras, Para(drafted, "drafted", "quiet"), Para(message.id[:8], "id", "quiet")]


def _delivery(delivery: Delivery, now: int) -> str:
    what = ON_ITS_WAY[delivery.state][0]
    when = f"{day_hms(delivery.done_at or delivery.at, now)}Z, by {delivery.by}"
    again = (
        f" Again at {day_hms(delivery.again, now)}Z." if delivery.state == "retry" and delivery.again else ""
    )
    todo = f" {NEXT[what]}" if delivery.state in ("refused", "unknown") else ""
    why = f". {delivery.reason}" if delivery.reason else ""
    return f"{what} {when}{why}{again}{todo}"


def about_template(template: Template) -> list[Para]:
    """Return what a template says and asks for."""
    paras = [
        Para(template.title, "template", "strong"),
        Para(f"for {template.audience}; Enter drafts it from the record", "drafts"),
        Para(""),
        Para(template.subject, "subject"),
        Para(template.body, "text"),
        Para(""),
    ]
    for value in template.values:
        need = "must be there" if value.name in template.needs else "if it is known"
        paras.append(Para(f"{value.name}: {value.ask} ({need})", "asks for", "quiet"))
    return [*paras, Para(template.id, "id", "quiet")]


def about_sender(sender: Sender) -> list[Para]:
    """Return what the configuration says about a sender; never its secret."""
    on = sender.publish or sender.type == "file"
    state = "on" if on else "OFF: set publish = true in its [[sender]] section of the configuration"
    return [
        Para(sender.name, "sender", "strong"),
        Para(sender.type, "type"),
        Para(state, "publish", "" if on else "high"),
        Para(", ".join(sender.readers), "for"),
        Para(", ".join(sender.contacts) or "nobody is named", "wakes")
        if "page" in sender.readers
        else Para(""),
        Para("warroom sender test says whether it can be reached; nothing is sent.", "", "quiet"),
    ]
