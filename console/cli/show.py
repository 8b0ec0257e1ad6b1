"""Commands that read the state: `show`, `incidents`, `alerts`. They take no lock and write nothing."""

from __future__ import annotations

import asyncio
from argparse import Namespace
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from console.cli import exits
from console.cli.context import Context
from console.routing import headline, outstanding
from console.shown import visible
from data.clock import iso

if TYPE_CHECKING:
    from console.alerts import Alert
    from console.events import AlertFacts
    from console.incident import Incident
    from console.rollback.state import Rollback

SECOND = 1_000_000_000
BOX = {"open": "[ ]", "done": "[x]", "not_applicable": "[-]", "waived": "[w]"}


def show(options: Namespace) -> int:
    """`warroom show`."""
    context = Context(options)

    async def run() -> None:
        async with context.desk() as desk:
            state = await context.incident(desk)
            now = desk.clock.now()
            context.say("\n".join(lines(state, now)), as_json(state, now))

    asyncio.run(run())
    return exits.OK


def incidents(options: Namespace) -> int:
    """`warroom incidents`."""
    context = Context(options)

    async def run() -> None:
        async with context.desk() as desk:
            now = desk.clock.now()
            listed = [state for state in await desk.incidents() if options.all or state.open]
            for state in listed:
                over = "open" if state.open else "closed"
                contained = "contained" if state.contained_at else "NOT CONTAINED"
                context.say(
                    f"{state.code}  {state.label:<6}  {over:<6}  {iso(state.declared_at, 0)}  "
                    f"{contained:<13}  {one_line(state.title, 80)}",
                    {key: value for key, value in as_json(state, now).items() if key in BRIEF},
                )
            context.say_unreadable(desk)
            if not listed:
                context.say("No open incidents." if not options.all else "No incidents.")

    asyncio.run(run())
    return exits.OK


def alerts(options: Namespace) -> int:
    """`warroom alerts`."""
    context = Context(options)

    async def run() -> None:
        async with context.desk() as desk:
            if desk.board_trouble is not None:
                raise desk.board_trouble
            now = desk.clock.now()
            if options.alert:
                one = desk.alert(options.alert)
                context.say("\n".join(detail(one, now)), alert_json(one, now))
                return
            shown = [a for a in desk.board.newest() if options.all or a.state(now) != "ended" or a.asks(now)]
            for alert in shown:
                context.say(_alert_line(alert, now), alert_json(alert, now))
            if not shown:
                context.say(
                    "No alerts." if options.all else "No alert is open. `--all` lists those that are over."
                )

    asyncio.run(run())
    return exits.OK


BRIEF = ("incident", "case", "mode", "severity", "label", "title", "open", "declared_at", "contained_at")


def one_line(text: str, limit: int) -> str:
    """Foreign text for the inside of a line."""
    return visible(text, limit)


def since(at: int, now: int) -> str:
    """How long ago a time is, both in ns UTC; another console's clock may be ahead of ours."""
    return f"{ago(now - at)} ago" if now >= at else f"{ago(at - now)} AHEAD of this console's clock"


def ago(ns: int) -> str:
    """A span as `1d 02:03:04`, with its sign when it is negative."""
    seconds = abs(ns) // SECOND
    days, rest = divmod(seconds, 86_400)
    clock = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return ("-" if ns < 0 else "") + (f"{days}d {clock}" if days else clock)


def lines(state: Incident, now: int) -> Iterator[str]:
    """The state of an incident as lines of text, `now` in ns UTC."""
    over = "" if state.open else f"  CLOSED {iso(state.closed_at, 0)}"
    mode = "  DRILL" if state.mode == "drill" else ""
    yield f"{state.code}  {state.label}{mode}{over}  {one_line(state.title, 200)}"
    roles = " · ".join(
        f"{one_line(role, 64)} {', '.join(one_line(person, 64) for person in people)}"
        for role, people in state.roles.items()
    )
    yield f"  roles       {roles or 'nobody'}"
    if state.triage.led is not None:
        yield f"  SECURITY LEADS, for responders only: {one_line(state.triage.led.body.reason, 200)}"
    tags = " ".join(f"{axis}:{tag}" for axis, tags in state.triage.tags.items() for tag in tags)
    if tags:
        yield f"  tags        {one_line(tags, 400)}"
    if telling := headline(state, now):
        yield f"  escalation  {telling}; `warroom escalate` lists them"
    if state.clocks:
        apart = ago(max(state.clocks.values()))
        yield f"  CLOCKS      of consoles are {apart} apart; the order is what each had seen, times are as each claims"
    by = one_line(state.declared_by, 64)
    yield f"  declared    {iso(state.declared_at, 0)} by {by}, {since(state.declared_at, now)}"
    if state.scope:
        yield f"  scope       {one_line(state.scope, 400)}"
    if state.impact:
        yield f"  impact      {one_line(state.impact, 400)}"
    if "action" in state.stamps:
        yield f"  action      {iso(state.stamps['action'].at, 0)}, {since(state.stamps['action'].at, now)}"
    if state.contained_at is None:
        yield "  contained   NOT CONFIRMED; the rollback clocks wait for it"
    else:
        how = one_line(state.contained_how, 200)
        yield f"  contained   {iso(state.contained_at, 0)}, {since(state.contained_at, now)}: {how}"
    if state.next_update_due is not None:
        left = state.next_update_due - now
        when = f"in {ago(left)}" if left >= 0 else f"LATE by {ago(-left)}"
        yield f"  update      due {iso(state.next_update_due, 0)}, {when}"
    if state.messages.outstanding or state.messages.unknown:
        lost = (
            f"; of {state.messages.unknown} NOBODY KNOWS whether it went out"
            if state.messages.unknown
            else ""
        )
        yield f"  outbox      {state.messages.outstanding} on their way{lost} (warroom message list)"
    yield ""
    open_alerts = [facts for name, facts in state.alerts.items() if name not in state.ended]
    yield f"Alerts  {len(state.alerts)}, {len(open_alerts)} not over"
    for facts in sorted(state.alerts.values(), key=lambda facts: facts.opened_at, reverse=True)[:20]:
        yield f"  {_alert_state(state, facts):<12}  {facts.id}  {one_line(facts.sentence, 240)}"
    if len(state.alerts) > 20:
        yield f"  … and {len(state.alerts) - 20} older ones; `warroom alerts --all` lists every alert"
    yield ""
    yield f"Checklist  {state.checked} of {len(state.checklist)}"
    for check in state.checklist.values():
        by = f"  {one_line(check.by, 40)} {iso(check.at, 0)}" if check.state != "open" else ""
        claimed = (
            f"  taken by {one_line(check.claimed, 40)}" if check.claimed and check.state == "open" else ""
        )
        due = state.due_at(check)
        late = "  OVERDUE" if check.state == "open" and due is not None and due < now and state.open else ""
        yield f"  {BOX[check.state]} {check.item.id:<22} {one_line(check.item.text, 120)}{by}{claimed}{late}"
    yield ""
    cleared = sum(row.finished for row in state.rollback.values())
    yield f"Rollback  {cleared} of {len(state.rollback)} classes finished"
    for row in state.rollback.values():
        yield _rollback_line(state, row, now)


def _rollback_line(state: Incident, row: Rollback, now: int) -> str:
    effects = "" if row.effects is None else f"  {row.effects:,} effects"
    clocks = []
    for budget in row.running():
        ends = state.deadline(budget)
        if ends is None:
            clocks.append(f"{budget.id} {ago(budget.seconds * SECOND)} from containment")
        elif ends >= now:
            clocks.append(f"{budget.id} {ago(ends - now)} left")
        else:
            clocks.append(f"{budget.id} LATE by {ago(now - ends)}")
    running = f"  {', '.join(clocks)}" if clocks else ""
    note = f"  {one_line(row.note, 120)}" if row.note else ""
    return f"  {row.action_class.id:<20} {row.state:<11}{effects}{running}{note}"


def _alert_state(state: Incident, facts: AlertFacts) -> str:
    if facts.id in state.ended:
        return "ended"
    if facts.id in state.acknowledged:
        return "acknowledged"
    return "PAGES" if facts.pages else "open"


def detail(alert: Alert, now: int) -> Iterator[str]:
    """One alert with its times and the actions behind it, as lines of text."""
    from console.alerts import measured

    facts = alert.facts
    yield _alert_line(alert, now)
    yield f"  rule        {facts.rule}, version {facts.version}" + (
        f", {facts.reason}" if facts.reason else ""
    )
    yield f"  agent       {one_line(facts.agent, 200)} of tenant {one_line(facts.tenant, 200)}"
    yield f"  opened      {facts.opened_at}, last {facts.last_at}"
    yield f"  received    {facts.received_at}, detected {facts.detected_at}"
    yield f"  paged       {facts.paged_at or 'nobody'}"
    if measure := measured(facts):
        yield f"  measured    {measure}"
    if alert.silenced_until is not None:
        yield f"  silenced    by {one_line(alert.silenced_by, 64)}: {one_line(alert.silenced_reason, 200)}"
    yield f"  actions     {facts.count:,}" + ("; some of them:" if facts.count > len(facts.sample) else ":")
    for action in facts.sample:
        cost = "" if action.cost is None else f"  {action.cost / 1e9:.4f} USD"
        name, known = one_line(action.name, 120), one_line(action.id, 120)
        yield f"    {action.at}  {action.kind:<8} {name}{cost}  {action.side_effect}  {known}"


def _alert_line(alert: Alert, now: int) -> str:
    asks = alert.state(now)
    word = "PAGES" if asks == "firing" and alert.facts.pages else asks
    by = f" by {one_line(alert.acknowledged_by, 40)}" if alert.acknowledged_at else ""
    return f"{alert.id}  {word + by:<12}  {one_line(alert.facts.sentence, 400)}"


def alert_json(alert: Alert, now: int) -> dict[str, Any]:
    """An alert as plain values: what the tripwire saw, and what people did."""
    import msgspec

    facts: dict[str, Any] = msgspec.to_builtins(alert.facts)
    return facts | {
        "state": alert.state(now),
        "acknowledged_by": alert.acknowledged_by,
        "acknowledged_at": iso(alert.acknowledged_at, 9) if alert.acknowledged_at else "",
        "silenced_by": alert.silenced_by,
        "silenced_reason": alert.silenced_reason,
    }


def as_json(state: Incident, now: int) -> dict[str, Any]:
    """An incident as plain values; times are ISO 8601 UTC, null = not yet."""
    import msgspec

    def when(ns: int | None) -> str | None:
        return iso(ns, 9) if ns else None

    return {
        "incident": state.code,
        "case": state.case,
        "mode": state.mode,
        "severity": state.severity,
        "label": state.label,
        "title": state.title,
        "open": state.open,
        "now": iso(now, 9),
        "declared_at": when(state.declared_at),
        "declared_by": state.declared_by,
        "closed_at": when(state.closed_at),
        "contained_at": when(state.contained_at),
        "contained_how": state.contained_how,
        "scope": state.scope,
        "impact": state.impact,
        "next_update_due": when(state.next_update_due),
        "messages_on_their_way": state.messages.outstanding,
        "messages_unknown": state.messages.unknown,
        "roles": state.roles,
        "lead": state.lead,
        "security_led": state.triage.led is not None,
        "tags": {axis: list(tags) for axis, tags in state.triage.tags.items()},
        "to_tell": [each.who for each in outstanding(state)],
        "chain": {name: iso(stamp.at, 9) for name, stamp in state.stamps.items()},
        "alerts": [msgspec.to_builtins(facts) for facts in state.alerts.values()],
        "checklist": [
            {
                "id": check.item.id,
                "text": check.item.text,
                "state": check.state,
                "by": check.by,
                "at": when(check.at),
                "reason": check.reason,
                "evidence": check.evidence,
                "claimed": check.claimed,
                "due": when(state.due_at(check)),
                "sources": list(check.item.sources),
            }
            for check in state.checklist.values()
        ],
        "rollback": [
            {
                "id": row.action_class.id,
                "state": row.state,
                "effects": row.effects,
                "note": row.note,
                "by": row.by,
                "at": when(row.at),
                "clocks": [
                    {
                        "id": budget.id,
                        "due": when(state.deadline(budget)),
                        "met": when(row.met.get(budget.id)),
                    }
                    for budget in row.action_class.budgets
                ],
            }
            for row in state.rollback.values()
        ],
    }
