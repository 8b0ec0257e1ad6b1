"""`warroom verify`: is the record whole and unaltered?"""

from __future__ import annotations

import asyncio
from argparse import Namespace
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from console.cli import exits
from console.cli.context import Context
from console.cli.progress import Progress
from console.plain import many, visible
from console.refusal import Refused
from console.timeline import trust
from data.record import Checkpoint
from data.rows import Damage
from data.verify import Verdict, verify

if TYPE_CHECKING:
    from data.against import Elsewhere

LISTED = 20
"""Differences that are printed: a copy that is a week behind lacks many events, and one cause is behind them all."""


def run(options: Namespace) -> int:
    """`warroom verify`."""
    context = Context(options)
    if options.against:
        return _against(context)
    if options.bundle:
        return exits.OK if check_bundle(context, Path(options.bundle)) else exits.FAILED
    sound = _complete(context)
    for name, directory in asyncio.run(_records(context)):
        sound = check(context, name, directory) and sound
    return exits.OK if sound else exits.FAILED


def _complete(context: Context) -> bool:
    """Say which of the incidents that are meant have no record any more; return whether none has."""
    wanted = _wanted(context)
    lost = {
        case: trouble
        for case, trouble in context.home().lost().items()
        if context.options.all or (wanted and case.startswith(wanted))
    }
    for case, trouble in lost.items():
        name = f"INC-{case[:4].upper()}"
        context.say(
            f"{name}: NOT HERE. {trouble}",
            {"record": name, "sound": False, "events": 0, "note": str(trouble)},
        )
    return not lost


def _wanted(context: Context) -> str:
    return str(context.options.incident or "").upper().removeprefix("INC-").lower()


def check_bundle(context: Context, path: Path) -> bool:
    """Check a bundle, print what is proven and what is not, and return whether it is sound."""
    from data.bundle import check as check_file

    found = check_file(path)
    value = {
        "bundle": str(path),
        "sound": found.sound,
        "case": found.case,
        "exporter": found.exporter,
        "policy": found.policy,
        "events": found.events,
        "blobs": found.blobs,
        "erased": found.erased,
        "withheld": found.withheld,
        "withheld_blobs": found.withheld_blobs,
        "problems": found.problems,
    }
    if found.sound:
        proven, unproven = "\n  ".join(found.proven()), "\n  ".join(found.unproven())
        text = f"{path}: sound. What this proves:\n  {proven}\nWhat it does not prove:\n  {unproven}"
    else:
        text = f"{path}: NOT SOUND, {many(len(found.problems), 'finding')}"
        text += "".join(f"\n  {visible(problem, 400)}" for problem in found.problems)
    context.say(text, value)
    return found.sound


async def _records(context: Context) -> list[tuple[str, Path]]:
    """The records to check: name and directory. Read without the desk, which a damaged record could stop."""
    home = context.home()
    if context.options.all:
        records = [(f"INC-{case[:4].upper()}", home.case_dir(case)) for case in home.cases()]
        if (home.watch_dir / "log.db").exists():
            records.append(("watch", home.watch_dir))
        if (home.path / "readiness" / "log.db").exists():
            records.append(("readiness", home.path / "readiness"))
        if (home.path / "proving" / "log.db").exists():
            records.append(("proving", home.path / "proving"))
        return records
    wanted = _wanted(context)
    fits = [case for case in home.cases() if wanted and case.startswith(wanted)]
    if not fits and wanted and any(case.startswith(wanted) for case in home.lost()):
        return []
    if len(fits) == 1:
        return [(f"INC-{fits[0][:4].upper()}", home.case_dir(fits[0]))]
    async with context.desk() as desk:
        state = await context.incident(desk)
        return [(state.code, desk.home.case_dir(state.case))]


def check(context: Context, name: str, directory: Path) -> bool:
    """Check one record, print the verdict, and return whether it is sound."""
    verdict = verify(directory, trust=trust)
    text, value = _verdict(name, directory, verdict)
    context.say(text, value)
    return verdict.sound


def _verdict(name: str, directory: Path, verdict: Verdict) -> tuple[str, dict[str, Any]]:
    strands = [{"rep": s.rep, "inc": s.inc, "seq": s.seq, "last": s.last} for s in verdict.strands]
    value: dict[str, Any] = {
        "record": name,
        "sound": verdict.sound,
        "events": verdict.events,
        "blobs": verdict.blobs,
        "erased": verdict.erased,
        "withheld": verdict.withheld,
        "missing": verdict.missing,
        "missing_blobs": verdict.missing_blobs,
        "strands": strands,
        "damage": [_damage(each) for each in verdict.damage],
        "note": verdict.note,
    }
    if not verdict.sound:
        text = f"{name}: DAMAGED, {many(len(verdict.damage), 'place')} in {many(verdict.events, 'event')}"
        text += "".join(f"\n  {_place(each)}" for each in verdict.damage)
        text += (
            "\n  Nothing was changed. Keep this directory as it is, and work on a copy; what the damage does"
            " not touch can still be read with `warroom log` and `warroom export`."
        )
        return text, value
    from data.against import root

    text = f"{name}: sound, {many(verdict.events, 'event')}, {many(verdict.blobs, 'blob')}"
    text += f", {verdict.erased:,} erased" if verdict.erased else ""
    text += f", {verdict.withheld:,} withheld from this copy" if verdict.withheld else ""
    text += f", {verdict.missing:,} that others saw not here yet" if verdict.missing else ""
    text += f", {many(verdict.missing_blobs, 'blob')} of others not here yet" if verdict.missing_blobs else ""
    text += "".join(
        f"\n  strand {s.rep[:8]}.{s.inc} ends at {s.seq:,} with {s.last}" for s in verdict.strands
    )
    if (made := root(directory, trust)) is not None:
        value["root"] = made._asdict()
        text += (
            f"\n  root, for paper or to read aloud: {made.words}"
            f"\n    It stands for {many(made.covers, 'event')}; `warroom verify --against` checks it later."
        )
    return f"{text}\n  {verdict.note}", value


def _damage(each: Damage) -> dict[str, Any]:
    return {"kind": each.kind, "n": each.n, "rep": each.rep, "what": each.what}


def _place(each: Damage) -> str:
    where = f"event {each.n}" if each.n else "the file"
    where += f" of {each.rep[:8]}" if each.rep else ""
    return f"{each.kind}: {where}: {visible(each.what, 400)}"


class _Source(NamedTuple):
    """What a record is held against.

    Attributes:
        name: What to call it.
        case: Its case; "" when it may hold any.
        read: Gives what it holds of a case (id, directory here); None = nothing.
        fetch: How to get from there what is missing here.
    """

    name: str
    case: str
    read: Callable[[str, Path], Elsewhere | None]
    fetch: str


def _against(context: Context) -> int:
    """Check one record, and hold it against what lies elsewhere."""
    from data.against import covered

    options = context.options
    if options.bundle or options.all:
        raise Refused(
            "One record at a time is held against something else.",
            "As in: warroom verify --incident INC-ABCD --against incident.tar.",
        )
    source = _source(context, options.against)
    if source.case and not options.incident:
        options.incident = source.case
        if source.case not in context.home().cases():
            raise Refused(
                f"{source.name} is about INC-{source.case[:4].upper()}, which is not here.",
                f"{source.fetch or 'Name another home with --home'}; or hold another record against it.",
            )
    ((name, directory),) = asyncio.run(_records(context))
    if source.case not in ("", directory.name):
        raise Refused(
            f"{source.name} is about INC-{source.case[:4].upper()}, and not about {name}.",
            "Two incidents have nothing to be compared by.",
        )
    held = source.read(directory.name, directory)
    if held is None:
        verdict = verify(directory, trust=trust)
        text, value = _verdict(name, directory, verdict)
        what = (
            f"{name} DOES NOT AGREE with {source.name}: no event here has this root. The record was rewritten"
            " or cut off before it, it has not all come here yet, or the root is that of another incident."
        )
        against = {"source": source.name, "agrees": False, "covers": 0, "differences": [], "bad": []}
        context.say(f"{what}\n{text}", {**value, "against": against})
        return exits.FAILED
    if not held.vouched and not held.seen:
        raise Refused(f"{source.name} holds nothing of {name}, so nothing could be compared.", *held.bad[:1])
    verdict = verify(directory, [Checkpoint(tuple(sorted(held.heads)))], trust, held.seen)
    differ = [each for each in verdict.damage if not each.n and each.kind in ("witness", "cut")]
    verdict.damage = [each for each in verdict.damage if each not in differ]
    text, value = _verdict(name, directory, verdict)
    covers = covered(directory, held.vouched)
    against = {
        "source": source.name,
        "agrees": not differ,
        "covers": covers,
        "differences": [_damage(each) for each in differ],
        "bad": list(held.bad),
    }
    said = _told(name, source, differ, covers, verdict.events)
    said += "".join(f"\n  left out there: {visible(each, 300)}" for each in held.bad[:10])
    context.say(f"{said}\n{text}", {**value, "against": against})
    return exits.OK if verdict.sound and not differ else exits.FAILED


def _told(name: str, source: _Source, differ: list[Damage], covers: int, events: int) -> str:
    if not differ:
        newer = f"; it knows nothing of the other {events - covers:,}" if events > covers else ""
        return f"{name} agrees with {source.name}, which vouches for {covers:,} of its {many(events, 'event')}{newer}"
    text = (
        f"{name} DOES NOT AGREE with {source.name}, {many(len(differ), 'place')} in {many(events, 'event')}"
    )
    text += "".join(f"\n  {each.kind}: {visible(each.what, 400)}" for each in differ[:LISTED])
    text += f"\n  and {len(differ) - LISTED:,} more" if len(differ) > LISTED else ""
    kinds = {each.kind for each in differ}
    if "cut" in kinds:
        text += (
            "\n  cut: less is here than was seen there. It may not have come here yet"
            + (f" ({source.fetch}, and check again)" if source.fetch else "")
            + "; if it was here before, it was cut off, taken out, or an older copy was put back."
        )
    if "witness" in kinds:
        text += (
            "\n  witness: another history was seen there than the one that is here. One of the two was rewritten"
            " with that console's key, or two copies of its home wrote in its name. Keep both as they are, and"
            " hold each against a third copy."
        )
    return text


def _source(context: Context, what: str) -> _Source:
    """Find out what is meant: a remote by name, a path, the address of a remote, or a root."""
    from data import against

    setting = next((each for each in context.config.remote if each.name == what), None)
    if setting is not None:
        return _remote(what, setting.url, setting.options)
    path = Path(what)
    if path.exists():
        return _path(path)
    if what.startswith("dir:") or "://" in what:
        return _remote(what, what, {})
    try:
        start = against.digest(what)
    except ValueError as wrong:
        raise Refused(f"This is no root: {wrong}.", "Have it read aloud again, word by word.") from None
    if start is not None:
        return _Source("this root", "", lambda _, directory: against.behind(directory, start, trust), "")
    raise Refused(
        f"There is no remote, no file and no directory {visible(what, 200)}.",
        "Name a bundle, a home, a case directory or a remote, or give the twelve words or the hash of a root.",
    )


def _remote(name: str, url: str, options: dict[str, str]) -> _Source:
    from data.against import counting, in_remote

    def read(case: str, here: Path) -> Elsewhere:
        from data.remotes.opening import open_remote

        with (
            closing(open_remote(url, options)) as remote,
            Progress(f"reading {visible(name, 60)}") as progress,
        ):
            return in_remote(remote, case, counting(here, trust), progress.show)

    return _Source(name, "", read, "`warroom sync` brings it")


def _path(path: Path) -> _Source:
    from data import against
    from data.log import NAME

    path = path.parent if path.name == NAME else path
    if (path / "home.json").exists() or (path / "cases").is_dir():

        def read(case: str, here: Path) -> Elsewhere | None:
            there = path / "cases" / case
            if there.resolve() == here.resolve():
                raise Refused("That is the home of this very record.", "Hold it against another copy.")
            return against.in_directory(there, trust)[1] if there.is_dir() else against.Elsewhere(frozenset())

        return _Source(str(path), "", read, "")
    if (path / NAME).exists():
        case, held = against.in_directory(path, trust)
        return _Source(str(path), case, lambda *_: held, "")
    case, held = against.in_bundle(path)
    return _Source(str(path), case, lambda *_: held, f"`warroom import {path}` brings it")
