"""Triage without a screen: forms, severity, tags, who must be told, who leads, handovers, who may do what."""

from __future__ import annotations

import asyncio
import sys
import textwrap
from argparse import Namespace
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console.cli import exits
from console.cli.context import Context
from console.cli.record import give_back, in_room, said
from console.cli.trouble import complain
from console.refusal import Refused
from console.shown import visible
from data.clock import iso

if TYPE_CHECKING:
    from console.forms import Filled
    from console.room import Room
    from playbooks.guidance import Form, Question

WIDTH = 80
BOX = {"open": "[ ]", "done": "[x]", "not_applicable": "[-]", "waived": "[w]"}


def form(options: Namespace) -> int:
    """`warroom form`."""
    context = Context(options)
    if not options.name:
        _list_forms(context)
        return exits.OK
    given = _answers(options.answer)
    asks = sys.stdin.isatty() and not (given or options.decide or options.accept or options.json)

    async def now() -> Filled:
        from console import forms

        async with context.desk() as desk:
            state = await context.incident(desk)
            # Whoever takes minutes to answer goes on in the incident in which they began.
            options.incident = state.case
            document = await asyncio.to_thread(forms.form, options.name)
            return await asyncio.to_thread(forms.fill, document, state, given)

    async def record(document: Form) -> None:
        from console import forms

        async with context.room() as room:
            filled = await asyncio.to_thread(forms.fill, document, room.incident, given)
            decided, recorded = options.decide, ""
            if options.accept:
                if filled.proposal is None:
                    raise Refused(f"{document.id} proposes nothing.", "--decide says what you decide.")
                decided = filled.proposal.proposes
            if given or decided:
                event, filled = await forms.answer(
                    room, document, given, decided=decided, reason=options.reason
                )
                recorded = event.short
            _say_form(context, filled, room, decided, recorded)

    filled = asyncio.run(now())
    if asks:
        # Not within asyncio: there Ctrl+C would not end a question.
        given.update(_ask(filled))
    asyncio.run(record(filled.form))
    return exits.OK


def suggest(options: Namespace) -> int:
    """`warroom severity suggest`."""
    context = Context(options)

    async def run() -> None:
        from console import severity

        async with context.desk() as desk:
            state = await context.incident(desk)
            found = await asyncio.to_thread(severity.suggest, state, _answers(options.answer))
        proposal = found.proposal
        lines = [f"{state.code} is {state.label}; suggested: {found.label} (severity {found.severity})"]
        lines.append(f"  rule {proposal.rule}: {proposal.reason}")
        lines += [f"  with it: {each}" for each in proposal.also]
        lines += [
            f"  taken from the record: {name} = {found.filled.answers[name]} ({why})"
            for name, why in found.filled.derived.items()
        ]
        if found.filled.open:
            lines.append(f"  not known: {', '.join(question.id for question in found.filled.open)}")
        lines.append("  Nothing is changed. `warroom form severity` answers the questions and decides.")
        value = {
            "incident": state.code, "severity": found.severity, "label": found.label, "rule": proposal.rule,
            "reason": proposal.reason, "also": list(proposal.also), "answers": found.filled.answers,
            "derived": found.filled.derived, "unknown": [question.id for question in found.filled.open],
        }  # fmt: skip
        context.say("\n".join(lines), value)

    asyncio.run(run())
    return exits.OK


def tag(options: Namespace) -> int:
    """`warroom tag`."""
    if options.tags:
        pairs = [_tag(each) for each in options.tags]

        async def run(room: Room) -> None:
            for axis, name in pairs:
                if options.remove:
                    await room.untag(name, axis, options.reason)
                else:
                    await room.tag(name, axis, options.reason)

        done = "no longer tagged" if options.remove else "tagged"
        return in_room(options, run, f"{done} {', '.join(options.tags)}")
    context = Context(options)
    if options.list:
        from console import tagging

        for axis, tags in tagging.axes().items():
            for name, title in tags.items():
                context.say(f"{axis}:{name:<34} {title}", {"axis": axis, "tag": name, "title": title})
        return exits.OK

    async def show() -> None:
        from console import tagging

        async with context.desk() as desk:
            state = await context.incident(desk)
            proposed = await asyncio.to_thread(tagging.proposals, state) if state.open else []
        for axis, tags in state.triage.tags.items():
            for name, why in tags.items():
                reason = f": {why.reason}" if why.reason else ""
                context.say(
                    f"{axis}:{name}  by {visible(why.by, 64)} {iso(why.at, 0)}{reason}",
                    {
                        "axis": axis,
                        "tag": name,
                        "by": why.by,
                        "at": iso(why.at, 9),
                        "reason": why.reason,
                        "proposed": False,
                    },
                )
        for each in proposed:
            context.say(
                f"{each.axis}:{each.tag}  proposed, {each.reason}. Confirm: warroom tag {each.axis}:{each.tag}",
                {"axis": each.axis, "tag": each.tag, "reason": each.reason, "proposed": True},
            )
        if not state.triage.tags and not proposed:
            context.say(
                f"{state.code} has no tags, and nothing speaks for one. `warroom tag --list` shows all."
            )

    asyncio.run(show())
    return exits.OK


def escalate(options: Namespace) -> int:
    """`warroom escalate`."""
    how = " ".join(options.words)
    if options.who and options.waive:
        return in_room(
            options, lambda room: room.waive_telling(options.who, how), f"{options.who} need not be told"
        )
    if options.who:
        return in_room(
            options,
            lambda room: room.tell(options.who, how, options.person, options.reason),
            f"told {options.who}",
        )
    context = Context(options)

    async def show() -> None:
        from console import routing

        async with context.desk() as desk:
            state = await context.incident(desk)
            now = desk.clock.now()
        found, limits = routing.escalations(state), routing.limits(state)
        for each in found:
            people = routing.people(each.who, state, context.config.contacts)
            named = f" ({', '.join(people)})" if people else ""
            lines = [
                f"{_standing(each, now):<22} {each.who}{named}: {each.title}"
                + ("" if each.page else ", need not be woken")
            ]
            lines += [f"    because {reason}" for reason in each.reasons]
            context.say("\n".join(lines), {
                "who": each.who, "title": each.title, "people": list(people), "page": each.page,
                "reasons": list(each.reasons), "since": iso(each.since, 9), "outstanding": each.outstanding and state.open,
                "outstanding_seconds": (now - each.since) // 10**9 if each.outstanding else None,
                **_said(each),
            })  # fmt: skip
        for limit in limits:
            clock = limit.clock
            due = "without delay" if limit.due is None else f"by {iso(limit.due, 0)}"
            context.say(
                f"{_standing(limit, now):<22} {clock.id}: {clock.regime} {clock.article}, {clock.tell} {due}"
                f"\n    from {clock.starts}, known since {iso(limit.since, 0)}; legal and privacy say whether it applies",
                {"who": clock.id, "clock": True, "regime": clock.regime, "article": clock.article, "tell": clock.tell,
                 "since": iso(limit.since, 9), "due": iso(limit.due, 9) if limit.due is not None else None,
                 "outstanding": limit.outstanding and state.open, **_said(limit)},
            )  # fmt: skip
        if state.triage.led is not None and not state.roles.get("security"):
            complain("security leads, and nobody is security lead: warroom assign security NAME.")
        if not found:
            context.say(
                f"{state.code} keeps no routing table; the next command that writes in it brings one."
            )

    asyncio.run(show())
    return exits.OK


def lead(options: Namespace) -> int:
    """`warroom lead`."""
    reason = " ".join(options.reason)
    if options.leader == "security":
        return in_room(
            options, lambda room: room.lead_by_security(reason), "security leads, for responders only"
        )
    return in_room(options, lambda room: room.lead_by_commander(reason), "the commander leads again")


def handover(options: Namespace) -> int:
    """`warroom handover`."""
    context = Context(options)
    role, given = options.assigned, _given(options.summary) if options.summary else ""

    async def made() -> str:
        from console import handover as making

        async with context.room() as room:
            options.incident = room.case.id
            recent = await making.recent(room, role)
            return making.summary(room.incident, role, room.clock.now(), recent)

    async def record(text: str) -> None:
        async with context.room() as room:
            event = await room.hand_over(role, options.person, text, options.reason)
            context.say(
                f"{room.code} saved {iso(room.saved_at, 0)}  {visible(options.person, 64)} is {role} {event.short}",
                {"incident": room.code, "recorded": True, "id": event.short, "role": role,
                 "person": options.person, "summary": text},
            )  # fmt: skip

    text = given or asyncio.run(made())
    if options.edit:
        text = _edited(text)
    typed = bool(given) or options.edit
    try:
        if not options.json and (options.edit or not given):
            context.say(text)
        if not (options.yes or given or _agreed(f"Hand {role} over to {options.person}?")):
            complain("nothing is handed over yet: --yes records this summary, --edit changes it first.")
            if options.json:
                context.say("", {"recorded": False, "role": role, "person": options.person, "summary": text})
            elif options.edit:
                give_back(text)
            return exits.OK
        asyncio.run(record(text))
    except BaseException:
        if typed:
            give_back(text)
        raise
    return exits.OK


def who_can(options: Namespace) -> int:
    """`warroom who-can`."""
    context = Context(options)

    async def run() -> None:
        from console import authority

        known = await asyncio.to_thread(authority.standing, context.config.authority)
        for each in authority.unknown(known):
            complain(f"[authority] names {each}, which is no authority; nobody gets anything by it.")
        if not options.verb:
            for one in known.authorities.values():
                people = ", ".join(known.people.get(one.id, ())) or "nobody named"
                context.say(
                    f"{one.id:<26} {one.title} ({people})",
                    {
                        "authority": one.id,
                        "title": one.title,
                        "kind": one.kind,
                        "people": list(known.people.get(one.id, ())),
                    },
                )
            for move in known.moves.values():
                context.say(
                    f"{move.verb:<26} {move.title}"
                    + (f" [{', '.join(move.authority)}]" if move.authority else ""),
                    {"verb": move.verb, "title": move.title, "authorities": list(move.authority)},
                )
            return
        state = None
        try:
            async with context.desk() as desk:
                state = await context.incident(desk)
        except Refused:
            # Who holds what is true without an incident too; a named one has to be there.
            if options.incident:
                raise
        who = authority.who_can(" ".join(options.verb), state, known)
        actor = who.may(context.actor)
        you = {True: "you can", False: "you can not", None: "nobody can tell whether you can"}[actor]
        needed = f" needs {' or '.join(who.authorities)}" if who.authorities else ""
        where = f"in {state.code}" if state is not None else "standing"
        context.say(
            f"{who.title}{needed}; {where}: {who} As {visible(context.actor, 64)}, {you}.",
            {"verb": who.verb, "title": who.title, "authorities": list(who.authorities), "people": list(who.people),
             "holders": [{"person": each.person, "why": each.why} for each in who.holders], "you": actor},
        )  # fmt: skip

    asyncio.run(run())
    return exits.OK


def checklist(options: Namespace) -> int:
    """`warroom checklist`."""
    if options.action == "profile":
        if not options.profile:
            raise Refused("Which profile?", "As in: warroom checklist profile s001-10min.")
        return in_room(
            options, lambda room: room.adopt_profile(options.profile), f"checklist of {options.profile}"
        )
    context = Context(options)

    async def run() -> None:
        async with context.desk() as desk:
            state = await context.incident(desk)
            now = desk.clock.now()
        late = {check.item.id for check in state.overdue(now)}
        context.say(
            f"# {state.code} {state.label}: checklist {state.checklist_version}, {state.checked} of {len(state.checklist)}, "
            f"{len(late)} overdue, at {iso(now, 0)}"
        )
        for check in state.checklist.values():
            item, due = check.item, state.due_at(check)
            when = "" if due is None else f" due {iso(due, 0)[11:]}"
            over = " **OVERDUE**" if item.id in late else ""
            taken = (
                f" taken by {visible(check.claimed, 40)}" if check.claimed and check.state == "open" else ""
            )
            by = f" {visible(check.by, 40)} {iso(check.at, 0)[11:]}" if check.state != "open" else ""
            shows = (
                f" ({visible(check.evidence or check.reason, 60)})" if check.evidence or check.reason else ""
            )
            asks = " evidence!" if item.evidence and check.state == "open" else ""
            lines = [f"- {BOX[check.state]} {item.id} [{item.role}]{when}{over}{asks}{taken}{by}{shows}"]
            if options.action == "show" or check.state == "open":
                lines.append(f"      {visible(item.text, 160)}")
            if options.action == "show":
                lines.append(f"      {' '.join(item.sources)}")
            context.say("\n".join(lines), {
                "id": item.id, "text": item.text, "role": item.role, "state": check.state, "by": check.by,
                "reason": check.reason, "evidence": check.evidence, "needs_evidence": item.evidence, "claimed": check.claimed,
                "due": None if due is None else iso(due, 9), "overdue": item.id in late, "sources": list(item.sources),
            })  # fmt: skip

    asyncio.run(run())
    return exits.OK


def _list_forms(context: Context) -> None:
    from console.forms import every

    for each in every():
        context.say(
            f"{each.id:<24} {each.title} ({len(each.questions)} questions)",
            {"form": each.id, "title": each.title, "questions": [question.id for question in each.questions]},
        )


def _wrapped(text: str, indent: str = "") -> str:
    return textwrap.fill(text, WIDTH, initial_indent=indent, subsequent_indent=indent or "  ")


def _say_form(context: Context, filled: Filled, room: Room, decided: str, recorded: str) -> None:
    from console.forms import SEVERITY

    proposal, document = filled.proposal, filled.form
    lines = [f"{document.id}: {document.title}"]
    for question in document.questions:
        lines.append(f"  {question.id} = {visible(filled.answers.get(question.id, 'unknown'), 200)}")
        if question.id not in filled.answers:
            lines.append(_wrapped(f"{question.text} ({_takes(question)})", "      "))
    if proposal is not None:
        lines.append(_wrapped(f"proposes {proposal.proposes}, rule {proposal.rule}: {proposal.reason}"))
        lines += [f"  and {each}" for each in proposal.also]
        if document.id != SEVERITY:  # a second severity would say nothing
            lines += [
                _wrapped(f"then perhaps {rule.proposes}: {rule.reason}", "  ") for rule in proposal.further
            ]
        if proposal.counted_as_no:
            lines.append(_wrapped(f"not known, counted as no: {', '.join(proposal.counted_as_no)}", "  "))
    if decided:
        lines.append(f"decided: {decided}")
    elif proposal is not None:
        lines.append(
            "Nobody has decided. `--accept` takes what is proposed, `--decide WHAT --reason WHY` another."
        )
    if recorded:
        lines.append(f"{room.code} saved {iso(room.saved_at, 0)}  form {document.id} {recorded}")
    value: dict[str, Any] = {
        "incident": room.code, "form": document.id, "answers": filled.answers,
        "open": [question.id for question in filled.open], "proposal": proposal.proposes if proposal else "",
        "rule": proposal.rule if proposal else "", "because": proposal.reason if proposal else "",
        "also": list(proposal.also) if proposal else [], "decided": decided, "recorded": recorded,
    }  # fmt: skip
    context.say("\n".join(lines), value)


def _ask(filled: Filled) -> dict[str, str]:
    """Ask the questions one by one; what was answered before the person left counts."""
    answers: dict[str, str] = {}
    print(f"{filled.form.title} Enter keeps what is there, ? is unknown, Ctrl+D ends.", file=sys.stderr)
    short = {"y": "yes", "n": "no", "u": "unknown"}
    for question in filled.form.questions:
        now = filled.answers.get(question.id, "unknown")
        while True:
            try:
                prompt = f"{_wrapped(question.text)}\n{_wrapped(f'({_takes(question)})', '  ')}\n"
                text = input(f"{prompt}  [{visible(now, 60)}] ").strip()
            except (EOFError, KeyboardInterrupt):
                print(file=sys.stderr)
                return answers
            if text == "?":
                text = "unknown"
            elif question.answer == "yes-no":
                text = short.get(text.lower(), text.lower())
            elif question.choices and text.isdigit() and 0 < int(text) <= len(question.choices):
                text = question.choices[int(text) - 1] if text not in question.choices else text
            if not text or question.allows(text):
                break
            print("  That is no answer to this.", file=sys.stderr)
        if text:
            answers[question.id] = text
    return answers


def _takes(question: Question) -> str:
    if question.choices:
        numbered = (f"{n} {each}" if each != str(n) else each for n, each in enumerate(question.choices, 1))
        return ", ".join(numbered) + ", unknown"
    return {"yes-no": "yes, no, unknown", "number": "a number or unknown"}.get(
        question.answer, "words, or unknown"
    )


def _answers(given: Iterable[str]) -> dict[str, str]:
    answers: dict[str, str] = {}
    for each in given:
        name, found, text = each.partition("=")
        if not found or not text.strip():
            raise Refused(f"`{visible(each, 60)}` is no answer.", "As in: --answer harm=no.")
        answers[name.strip()] = text.strip()
    return answers


def _tag(text: str) -> tuple[str, str]:
    axis, found, name = text.rpartition(":")
    return (axis, name) if found else ("", text)


def _standing(each: Any, now: int) -> str:
    from console.routing import minutes

    if each.told is not None:
        return f"[x] {iso(each.told.at, 0)[11:]} {visible(each.told.by, 12)}"
    if each.waived is not None:
        return "[-] need not be"
    if getattr(each, "due", None) is not None:
        left = each.due - now
        return f"[ ] {minutes(left)} left" if left >= 0 else f"[ ] LATE by {minutes(-left)}"
    return f"[ ] for {minutes(now - each.since)}"


def _said(each: Any) -> dict[str, Any]:
    told, waived = each.told, each.waived
    return {
        "told": None if told is None else {"by": told.by, "at": iso(told.at, 9), "how": told.body.how, "person": told.body.person},
        "waived": None if waived is None else {"by": waived.by, "at": iso(waived.at, 9), "reason": waived.reason},
    }  # fmt: skip


def _given(name: str) -> str:
    try:
        text = (
            said(sys.stdin.buffer.read(1 << 16)) if name == "-" else said(Path(name).read_bytes()[: 1 << 16])
        )
    except OSError as error:
        raise Refused(
            f"{name} cannot be read: {error.strerror}.", "Name another file, or - for stdin."
        ) from None
    if not text.strip():
        raise Refused("The summary is empty.", "Leave --summary out to have one made.")
    return text


def _edited(text: str) -> str:
    import os
    import shlex
    import subprocess
    import tempfile

    editor = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    with tempfile.NamedTemporaryFile("w+", suffix=".txt", prefix="handover-", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        try:
            subprocess.run([*editor, file.name], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise Refused(
                f"The editor {editor[0]} did not do: {error}.", "Set $EDITOR, or use --summary FILE."
            ) from None
        # By its name: editors put a new file in the place of the old one.
        return said(Path(file.name).read_bytes())


def _agreed(question: str) -> bool:
    if not sys.stdin.isatty() or not sys.stderr.isatty():
        return False
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
