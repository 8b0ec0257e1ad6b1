"""`warroom readiness`: which questions are answered, what is missing, and who closes the gap."""

from __future__ import annotations

import asyncio
from argparse import Namespace
from collections.abc import Iterator

from console.cli import exits
from console.cli.context import Context, kept_mode
from console.cli.trouble import complain
from console.readiness.standing import UNOWNED, Row, answer, find, standing, summary
from console.refusal import Refused
from data.clock import SystemClock
from data.home import Home

ORDER = ("no", "unknown", "yes")


def run(options: Namespace) -> int:
    """`warroom readiness`."""
    context = Context(options)
    if options.action == "answer":
        return _answer(context)
    home = _home(context)
    now = home.clock.now() if home is not None else SystemClock().now()
    rows = asyncio.run(standing(context.config, home, now))
    if options.json:
        for row in rows:
            context.say("", row.value)
        return exits.OK
    for line in told(rows, everything=options.list):
        context.say(line)
    return exits.OK


def told(rows: list[Row], *, everything: bool) -> Iterator[str]:
    """The lines for people: every no and every unknown by name; what is answered yes, only on request."""
    yield f"{summary(rows)}."
    if any(row.unowned for row in rows):
        yield UNOWNED
    shown = [row for row in rows if everything or row.gap]
    for review in dict.fromkeys(row.review for row in shown):
        yield f"\n{review}"
        asked = [row for row in shown if row.review == review]
        for row in sorted(asked, key=lambda row: ORDER.index(row.answer)):
            yield from about(row)
    if not everything and len(shown) < len(rows):
        yield "\n`warroom readiness --list` also shows what is answered yes."
    if any(row.gap for row in rows):
        yield '`warroom readiness answer QUESTION yes|no|unknown --note "…" --owner NAME` answers one.'


def about(row: Row) -> Iterator[str]:
    """What is known of one question, in lines."""
    word = row.answer.upper() if row.answer == "no" else row.answer
    yield f"  {word:<8}{row.id}"
    yield f"{'':10}{row.text}"
    yield f"{'':10}{row.because}."
    if row.gap:
        yield f"{'':10}-> {row.remedy}"
    if row.unowned or (row.gap and row.owner):
        yield f"{'':10}owner: {row.owner or 'NOBODY'}"


def _home(context: Context) -> Home | None:
    """The home if there is one: reading makes none."""
    return context.home() if kept_mode(context.directory) is not None else None


def _answer(context: Context) -> int:
    options = context.options
    if not options.question or not options.answer:
        raise Refused(
            "Which question, and what is the answer?",
            'As in: warroom readiness answer health/feedback no --owner ana --note "evals are planned".',
        )
    home = context.home(create=True)

    async def run() -> Row:
        row = find(await standing(context.config, home, home.clock.now()), options.question)
        await answer(
            home,
            row,
            options.answer,
            actor=context.actor,
            role=context.role,
            note=options.note,
            owner=options.owner,
        )
        return find(await standing(context.config, home, home.clock.now()), row.id)

    row = asyncio.run(run())
    context.say("\n".join(about(row)), row.value)
    if row.unowned:
        complain(f"nobody owns this gap. {UNOWNED} --owner NAME names an owner.")
    return exits.OK


def contacts(options: Namespace) -> int:
    """`warroom contacts`."""
    from console.readiness.fill_ins import known
    from playbooks.library import in_force

    context = Context(options)
    found = known(context.config, in_force())
    for title, held in found:
        context.say(title)
        for name, value in held:
            context.say(f"  {name}: {value}", {"section": title, "name": name, "value": value})
    if not found:
        context.say("Nothing is filled in yet: `warroom init` asks for it.")
    return exits.OK
