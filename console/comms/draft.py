"""Drafting: from a template and the state of the incident to a text, with a visible gap for each missing fact.

Nothing is invented. A fact comes from the record or from a person; where neither has it the text says so, and
`Draft.gaps` names it with the way to supply it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from console.events import Lack
from console.refusal import Refused
from data.clock import iso

if TYPE_CHECKING:
    from console.incident import Incident
    from playbooks.guidance import Cadence, Template
    from playbooks.response import Value

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
LONGEST = 2000
"""Characters of a fact that a person supplies."""
SHOWN = 5
"""Ids that a text lists; the others are counted."""
PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]{0,39})\}")
_LABEL = re.compile(r"^([^{}\n:]{1,100}): *\{([a-z][a-z0-9_]{0,39})\}", re.MULTILINE)
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]")

KEPT = frozenset(
    {
        "workflow", "services", "symptom", "feature", "status_link", "contact", "runbook", "dashboards",
        "on_call", "channel", "short_name",
    }
)  # fmt: skip
"""Facts that do not age within an incident: said once, they hold for later messages too."""

SUPPLY = {
    "impact": 'warroom impact "…"',
    "scope": 'warroom scope "…"',
    "contained": 'warroom contain "…"',
    "commander": "warroom assign ic NAME",
    "decision_owner": "warroom assign ic NAME",
    "scribe": "warroom assign scribe NAME",
    "next_update": "warroom updates 30min",
    "channel": "warroom updates 30min --channel NAME",
    "trace_ids": "warroom preserve --trace ID",
    "hypotheses": 'warroom note "?…"',
    "investigating": 'warroom note "?…"',
    "actions": 'warroom note ">…"',
    "started": "warroom moment action --at TIME",
    "ended": "warroom moment recovered --at TIME",
    "since": "warroom moment recovered --at TIME",
    "runbook": "warroom play open ID",
}
"""How a missing fact gets onto the record, so that every later message has it too."""


class Heard(NamedTuple):
    """What the timeline says, which the state of the incident does not hold.

    Attributes:
        doubts: hypotheses and questions that stand, the newest last.
        actions: what was done, each with its time, the newest last.
    """

    doubts: Sequence[str] = ()
    actions: Sequence[str] = ()


NOTHING = Heard()


class Gap(NamedTuple):
    """A fact that nobody supplied, and how to."""

    name: str
    ask: str
    supply: str
    needed: bool


class Draft(NamedTuple):
    """A drafted message.

    Attributes:
        promises: when it says that the next one comes, ns UTC; None: it does not say.
        needs: the facts without which it must not go out.
        given: facts that a person supplied.
    """

    subject: str
    body: str
    promises: int | None
    gaps: tuple[Gap, ...]
    needs: tuple[Lack, ...]
    given: Mapping[str, str]


def draft(
    template: Template,
    incident: Incident,
    now: int,
    cadence: Sequence[Cadence] = (),
    heard: Heard = NOTHING,
    given: Mapping[str, str] | None = None,
    links: Mapping[str, str] | None = None,
) -> Draft:
    """Return what `template` says now.

    Args:
        template: the message.
        incident: whose state it reports.
        now: ns UTC.
        cadence: how often updates go out by severity, for incidents whose own rhythm nobody set.
        heard: what the timeline says.
        given: facts that a person supplied; they win over the record.
        links: addresses of the organisation by name, such as `status-page`.

    Raises:
        Refused: a fact was given that the template does not ask for, or that does not fit.
    """
    given = dict(given or {})
    asked = {value.name: value for value in template.values}
    for name, text in given.items():
        _check(template, asked.get(name), name, text)
    promises = _promise(template, incident, now, cadence) if "next_update" in asked else None
    if "next_update" in given:
        promises = moment_of(given["next_update"], now)
        if promises is None:
            raise Refused(
                f"next_update={given['next_update']} is no time.", "As in next_update=14:30 (UTC) or +30min."
            )
        given["next_update"] = clock(promises, now)
    known = facts(template, incident, now, promises, heard, links or {})
    known |= {name: text for name, text in said_before(incident).items() if name in asked}
    known |= given
    gaps = tuple(
        Gap(name, value.ask, supply(name), name in template.needs)
        for name, value in asked.items()
        if not known.get(name)
    )
    labels = {name: label for label, name in _LABEL.findall(template.body)}
    needs = tuple(
        Lack(name, asked[name].ask if name in asked else name, labels.get(name, ""))
        for name in template.needs
    )

    def put(found: re.Match[str]) -> str:
        name = found[1]
        if known.get(name):
            return known[name]
        return missing(name) if name in template.needs else "not known yet"

    # Once over the template: what a fact says is never taken for a place to fill.
    return Draft(
        PLACEHOLDER.sub(put, template.subject)[:500], PLACEHOLDER.sub(put, template.body), promises, gaps,
        needs, given,
    )  # fmt: skip


def missing(name: str) -> str:
    """What stands in the text where a fact is missing."""
    return f"[missing: {name}]"


def supply(name: str) -> str:
    """How to supply a fact."""
    here = f'--set {name}="…"'
    return f"{here}, or {SUPPLY[name]}" if name in SUPPLY else here


def said_before(incident: Incident) -> dict[str, str]:
    """What people said for earlier messages of this incident and still holds."""
    said: dict[str, str] = {}
    for message in incident.messages.drafted.values():
        said |= {name: text for name, text in message.given.items() if name in KEPT}
    return said


def clock(at: int, now: int) -> str:
    """A time of day in UTC, with its date where that is another day's."""
    text = iso(at, 0)
    return f"{text[11:16]} UTC" if at // DAY == now // DAY else f"{text[:10]} {text[11:16]} UTC"


def moment_of(text: str, now: int) -> int | None:
    """Return a time that a person typed: `14:30`, `+30min`, `2026-11-21T14:30Z`; ns UTC, None: it is none."""
    from data.clock import parse_iso
    from playbooks import duration

    text = text.strip().removesuffix("UTC").strip()
    try:
        if text.startswith("+"):
            return now + duration.parse(text[1:])
        if found := re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", text):
            at = now - now % DAY + (int(found[1]) * 3600 + int(found[2]) * 60) * SECOND
            # A time of day that has passed is tomorrow's: nobody promises what is over.
            return at if at > now else at + DAY
        if re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d", text):
            text = f"{text}Z"
        return parse_iso(text)
    except ValueError:
        return None


def facts(
    template: Template,
    incident: Incident,
    now: int,
    promises: int | None,
    heard: Heard,
    links: Mapping[str, str],
) -> dict[str, str]:
    """Return what the record says, by the names that templates ask for; what it does not say is left out."""
    agents = sorted({facts.agent for facts in incident.alerts.values()})
    tenants = {facts.tenant for facts in incident.alerts.values()}
    begun = _stamp(incident, "action", "signal") or incident.declared_at
    over = _stamp(incident, "resolved", "recovered")
    known_since = _stamp(incident, "signal", "trigger") or incident.declared_at
    plays = [f"{play.document.title} ({play.id})" for play in incident.plays.opened.values() if play.open]
    commander = ", ".join(incident.roles.get("ic", ()))
    known = {
        "incident": incident.code if incident.case else "",
        "title": incident.title,
        "label": incident.label,
        "severity": incident.label,
        "commander": commander,
        "decision_owner": commander,
        "scribe": ", ".join(incident.roles.get("scribe", ())),
        "now": clock(now, now),
        "date": iso(incident.declared_at, 0)[:10].replace("-", "") if incident.declared_at else "",
        "short_name": _short(incident.title),
        "workflow": _agents(agents),
        "tenant": next(iter(tenants)) if len(tenants) == 1 else "",
        "scope": incident.scope,
        "impact": incident.impact,
        "contained": f"{incident.contained_how} (since {clock(incident.contained_at, now)})"
        if incident.contained_at is not None
        else "",
        "investigating": "; ".join(heard.doubts[-3:]),
        "hypotheses": "; ".join(heard.doubts[-SHOWN:]),
        "actions": "; ".join(heard.actions[-SHOWN:]),
        "next_update": clock(promises, now) if promises is not None else "",
        "started": iso(begun, 0) if begun else "",
        "ended": iso(over, 0) if over else "",
        "since": (clock(over, now) if over else "")
        if template.state == "resolved"
        else (clock(known_since, now) if known_since else ""),
        "channel": incident.channel,
        "runbook": ", ".join(plays),
        "latest_status": _latest(incident),
        "notified": _notified(incident, now),
    }
    if template.audience != "customers":
        # Whose run a trace is, nobody here can tell: one customer must not get another's.
        known["trace_ids"] = _listed(trace_ids(incident))
    if template.audience in ("status-page", "customers", "regulator"):
        # What responders write to each other was not written for those.
        known |= {"impact": "", "contained": "", "scope": ""}
    for value in template.values:
        known[value.name] = known.get(value.name) or links.get(value.name.replace("_", "-"), "")
    return {name: text[:LONGEST] for name, text in known.items() if text}


def trace_ids(incident: Incident) -> list[str]:
    """The traces of the affected runs that are on the record: what was asked for and what is kept."""
    known = [each for request in incident.requests.values() for each in request.body.ids]
    for exhibit in incident.exhibits:
        known += [*exhibit.body.ids, *exhibit.body.fields]
    return list(dict.fromkeys(each.value for each in known if each.name == "trace_id" and each.value))


def _promise(template: Template, incident: Incident, now: int, cadence: Sequence[Cadence]) -> int | None:
    if template.next_update:
        return now + template.next_update * SECOND
    every = incident.cadence or next(
        (each.every for each in cadence if each.severity == incident.severity), 0
    )
    return now + every * SECOND if every else None


def _check(template: Template, value: Value | None, name: str, text: str) -> None:
    if value is None:
        names = ", ".join(each.name for each in template.values) or "nothing"
        raise Refused(f"{template.id} asks for no {name}.", f"It asks for: {names}.")
    if not text.strip() or len(text) > LONGEST or _CONTROL.search(text):
        raise Refused(f"{name} is 1 to {LONGEST} printable characters.", value.ask)
    if value.pattern and not value.accepts(text):
        raise Refused(
            f"That is no {name}: it does not match {value.pattern}.",
            f"As in {value.example}." if value.example else value.ask,
        )


def _stamp(incident: Incident, *names: str) -> int:
    return next((incident.stamps[name].at for name in names if name in incident.stamps), 0)


def _short(title: str) -> str:
    return "-".join(re.findall(r"[a-z0-9]+", title.lower())[:3])


def _agents(names: Sequence[str]) -> str:
    return f"agent{'' if len(names) == 1 else 's'} {_listed(names)}" if names else ""


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _latest(incident: Incident) -> str:
    sent = [
        (delivery.done_at, message.subject)
        for message, delivery in incident.messages.deliveries()
        if delivery.state == "sent" and message.audience in ("internal", "status-page")
    ]
    return max(sent)[1] if sent else ""


def _notified(incident: Incident, now: int) -> str:
    sent = [
        f"{message.audience} at {clock(delivery.done_at, now)} ({message.title})"
        for message, delivery in incident.messages.deliveries()
        if delivery.state == "sent" and message.audience in ("customers", "regulator", "status-page")
    ]
    return "; ".join(sent[-SHOWN:])
