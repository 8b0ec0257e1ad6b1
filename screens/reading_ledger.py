"""What there is to read about an effect of the ledger, about an audit, and about what a reversal came to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from console.events import instant
from screens.times import stamp
from screens.widgets.ledger import LedgerRow, word
from screens.widgets.rollback import at_risk
from screens.widgets.sheet import Para

if TYPE_CHECKING:
    from console.events import Effect, Result
    from console.incident import Incident
    from console.rollback.ledger import Ledger, Mark

HAPPENED = {
    "done": "yes",
    "none": "no: the call had no effect",
    "unknown": "NOBODY KNOWS: the request left, and no answer came",
}
OUTCOMES: dict[str, tuple[str, str]] = {"done": ("done", "ok"), "failed": ("FAILED", "crit")}


def about_effect(incident: Incident, effect: str) -> list[Para]:
    """Return everything about an effect; what its telemetry says is an agent's words."""
    ledger = incident.ledger
    row, mark = ledger.rows[effect], ledger.marks.get(effect)
    said, tone = word(ledger, effect)
    row_class = incident.rollback.get(ledger.class_of(effect))
    paras = [Para(row.what, "", agent=True), Para(said, "state", tone)]
    paras += _doubt(row, mark, unclear=ledger.unclear(effect))
    if mark is not None:
        paras.append(Para(f"{mark.by} {stamp(mark.at)}", "moved by"))
        paras += _labelled(
            (mark.note, "note"),
            (mark.substitute, "instead"),
            (mark.evidence, "shown by"),
            (mark.seen, "seen"),
        )
    name = row_class.action_class.name if row_class is not None else "no class: # puts it into one"
    paras.append(Para(name, "class", "" if row_class is not None else "high"))
    paras += [
        Para(stamp(instant(row.at) or 0), "at"),
        Para(HAPPENED[row.state], "happened", "high" if row.state == "unknown" else ""),
        Para(row.reversible, "reversible", "high" if row.reversible == "no" else ""),
    ]
    told = [
        ("agent", row.agent), ("key", row.key), ("target", row.target), ("amount", row.amount), ("tool", row.tool),
        ("principal", row.principal), ("approval", row.approval), ("trace", row.trace), ("action", row.action),
        ("tenant", row.tenant if row.tenant != "default" else ""),
    ]  # fmt: skip
    lines = [f"{label:<9}  {' '.join(text.splitlines())}" for label, text in told if text]
    paras.append(Para("\n".join(lines), "as its telemetry says", agent=True))
    if effect in ledger.downstream:
        paras.append(Para("found downstream of others", "follows"))
    if row_class is not None:
        steps = (
            row_class.action_class.substitute if row.reversible == "no" else row_class.action_class.procedure
        )
        label = "instead" if row.reversible == "no" else "procedure"
        paras += [Para(f"{number}. {step}", label) for number, step in enumerate(steps, 1)]
        paras += [Para(step, "verify by") for step in row_class.action_class.verification]
    paras.append(Para(effect, "id", "quiet"))
    return paras


def doubt(ledger: Ledger, effect: str) -> str:
    """Return what nobody knows about an effect, and under which key the other side has it; "" when all is known."""
    if not ledger.unclear(effect):
        return ""
    row, mark = ledger.rows[effect], ledger.marks.get(effect)
    reversal = mark is not None and mark.doubt
    what = (
        "a reversal was begun, and nobody knows whether it took effect"
        if reversal
        else "nobody knows whether it happened"
    )
    return f"{what}; {f'its idempotency key is {row.key}' if row.key else 'it has no idempotency key'}"


def _doubt(row: Effect, mark: Mark | None, *, unclear: bool) -> list[Para]:
    if not unclear:
        return []
    what = "it happened" if mark is None or not mark.doubt else "its reversal took effect"
    return [
        Para(
            f"Nobody knows whether {what}: u says what you saw. Until then it is not reversed.",
            "look first",
            "high",
        )
    ]


def _labelled(*pairs: tuple[str, str]) -> list[Para]:
    return [Para(text, label) for text, label in pairs if text]


def about_outcome(
    ledger: Ledger, results: tuple[Result, ...], skipped: Mapping[str, str], *, real: bool
) -> list[Para]:
    """Return what a reversal, a dry run or a check came to, what did not go well first."""
    paras = [Para(f"{effect[:8]}: {why}", "not begun", "high") for effect, why in skipped.items()]
    for each in sorted(results, key=lambda each: each.outcome == "done"):
        said, tone = OUTCOMES.get(each.outcome, ("UNKNOWN", "crit"))
        row = ledger.rows.get(each.effect)
        said = "would be done" if each.outcome == "done" and not real else said
        paras.append(
            Para(
                f"{said}: {row.target or row.what if row is not None else each.effect}", each.effect[:8], tone
            )
        )
        if each.note:
            paras.append(Para(each.note, "", agent=True))
    return paras


def about_audit(incident: Incident, row: LedgerRow, now: int) -> list[Para]:
    """Return everything about an audit at `now` (ns UTC)."""
    from console.rollback.tracker import summary

    standing, known = summary(incident, row.action_class, now), incident.rollback.get(row.action_class)
    clock = (
        next((each for each in standing.clocks if each.id == row.id), None) if standing is not None else None
    )
    if standing is None or known is None or clock is None:
        return []
    audit = known.audits.get(row.id)
    state, tone = ("open: c closes it with what shows that it is complete", "high")
    if clock.level in ("met", "met late"):
        state, tone = f"closed {stamp(known.met[row.id])}", "ok"
    elif not clock.open:
        state, tone = "opens by itself once every effect of the class is undone; c opens it now", "quiet"
    paras = [Para(clock.name, "audit", "strong"), Para(standing.name, "class"), Para(state, "state", tone)]
    said, tone = at_risk(clock, now)
    if clock.level not in ("met", "met late"):
        until = f" (until {stamp(clock.deadline)})" if clock.deadline is not None else ""
        paras.append(Para(f"{said.removesuffix(clock.name).strip()}{until}", "clock", tone))
    if audit is not None:
        by = f"{audit.by} {stamp(audit.closed_at)}" if audit.closed_at else ""
        paras += _labelled((by, "closed by"), (audit.evidence, "shown by"), (audit.note, "note"))
    paras.append(Para("What it finds extends the incident: n names the agents.", "finding", "quiet"))
    return paras
