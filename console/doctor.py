"""What works on this machine and in this home, what does not, and what to do about it. Changes nothing."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from console.config import Config, Window
from console.evidence import window
from console.evidence.window import reach
from console.readiness.answers import NAME as READINESS
from console.watching import status
from data import lock, log
from data.clock import iso, parse_iso
from data.home import Home
from data.trouble import StoreTrouble, explain
from playbooks.duration import say

if TYPE_CHECKING:
    from console.warden.protocol import Standing

State = Literal["ok", "note", "BROKEN"]
MIB = 1 << 20
HOUR = 3_600_000_000_000
FULL, SCARCE = 64 * MIB, 1024 * MIB
LOOKED_INTO = 256 * MIB
"""A record up to this size is looked into, which takes a second at most; `verify` reads any."""
STALE_SECONDS = 30
"""A running watcher rewrites its status about once a second."""


class Finding(NamedTuple):
    """One thing that was looked at: `text` says what was found, `fix` what to do when it is not well."""

    about: str
    state: State
    text: str
    fix: str = ""


def examine(config: Config, path: Path, mode: str | None, now: int) -> Iterator[Finding]:
    """Yield everything that can be said.

    Args:
        config: the configuration in force.
        path: the home directory.
        mode: what the home is for, None when there is none, `unreadable` when that cannot be told.
        now: ns UTC, by which documents of the runbook are due for review.
    """
    yield Finding("program", "ok", f"Python {sys.version.split()[0]}, SQLite {sqlite3.sqlite_version}")
    yield from _sqlite()
    yield from _configuration(config)
    yield from _runbook(config.profile, now)
    yield from _authority(config)
    yield from _terminal()
    home = None
    if mode is None:
        yield Finding("home", "note", f"{path} does not exist yet; the first incident or console makes it")
    else:
        try:
            home = Home.open(path, "drill" if mode == "drill" else "live")
        except StoreTrouble as trouble:
            yield Finding("home", "BROKEN", f"{trouble.what} {trouble.meaning}", trouble.next_step)
    yield from _disk(path)
    if home is not None:
        yield from _home(home)
        yield from _cases(home)
        yield from _watcher(home)
        yield from _window(config.window, home)
    if mode is None or (home is not None and home.mode == "live"):
        yield from _warden(config, path)
        yield from _readiness(config, home, now)


def _sqlite() -> Iterator[Finding]:
    db = sqlite3.connect(":memory:")
    try:
        db.execute("CREATE VIRTUAL TABLE probe USING fts5(text)")
    except sqlite3.OperationalError:
        yield Finding(
            "search", "BROKEN", "this SQLite has no full-text search", "Use a Python whose SQLite has FTS5."
        )
    finally:
        db.close()


def _configuration(config: Config) -> Iterator[Finding]:
    for problem in config.problems:
        where = f"{problem.file}:{problem.line}" if problem.line else problem.file
        yield Finding("configuration", "BROKEN", f"{where}: {problem.what}", problem.fix)
    if not config.problems:
        yield Finding("configuration", "ok", config.path or "no file; defaults are in force")
    if not config.agent:
        yield Finding(
            "inventory",
            "note",
            "no agent is declared, so the authorisation tripwire is blind",
            "`warroom init agents inventory` asks for them, and offers what the watcher saw.",
        )


def _runbook(profile: str, now: int) -> Iterator[Finding]:
    from playbooks import load
    from playbooks.library import KINDS, in_force

    library = in_force()
    try:
        entries = [entry for kind in KINDS for entry in library.entries(kind)]
        load.checklist(profile)
        load.severity_scale(profile)
    except load.PlaybookTrouble as trouble:
        yield Finding("runbook", "BROKEN", str(trouble.problems[0]), "Mend the document.")
        return
    broken = {problem.file: problem for problem in reversed(library.problems)}
    for problem in broken.values():
        yield Finding("runbook", "BROKEN", f"{problem}; it is not in force", problem.fix)
    documents = [entry.document for entry in entries if entry.document.status != "retired"]
    today = iso(now, 0)[:10]
    yield from _baselines(today)
    late = [each for each in documents if each.review_due().isoformat() < today]
    for each in late:
        due = f"was to be reviewed by {each.review_due()}" if each.reviewed else "names no day of review"
        text = f"`{each.title}` {due}; its owner is {each.owner}"
        yield Finding("runbook", "note", text, "Review it and set its `last_review`.")
    if not late:
        first = min(each.review_due() for each in documents)
        own = sum(entry.own for entry in entries)
        yours = f", {own} of them yours" if own else ""
        yield Finding(
            "runbook", "ok", f"{len(documents)} documents{yours}; the next review is due by {first}"
        )


def _authority(config: Config) -> Iterator[Finding]:
    """Whether enough people hold each halt: one who sleeps must not be the only one (S003-KS-3, X-13)."""
    from console import authority
    from playbooks.load import PlaybookTrouble

    try:
        known = authority.standing(config.authority)
    except (PlaybookTrouble, KeyError):
        return  # said already: the runbook is broken
    for name in authority.unknown(known):
        yield Finding(
            "authority",
            "BROKEN",
            f"[authority] names `{name}`, which is no authority; nobody gets anything by it",
            "`warroom who-can` lists the authorities.",
        )
    few = authority.gaps(known, ("halt",))
    for gap in few:
        yield Finding(
            "authority",
            "note",
            str(gap),
            f"Name more: `warroom init halt-holders`, or [authority] {gap.authority.id}.",
        )
    others = [gap.authority.id for gap in authority.gaps(known) if gap not in few]
    if others:
        yield Finding(
            "authority",
            "note",
            f"{len(others)} other authorities have fewer holders by name than they should: {', '.join(others)}",
            "Name them under [authority]; until then a refusal can only name a title.",
        )
    if not few and not others:
        yield Finding("authority", "ok", f"{len(known.authorities)} authorities have their holders")


def _readiness(config: Config, home: Home | None, now: int) -> Iterator[Finding]:
    """Every no and every unknown by its name, and what has to be answered again."""
    from console.readiness.standing import standing
    from playbooks.load import PlaybookTrouble

    try:
        rows = asyncio.run(standing(config, home, now))
    except PlaybookTrouble:
        return  # said already: the runbook is broken
    except StoreTrouble as trouble:
        yield Finding("readiness", "BROKEN", f"{trouble.what} {trouble.meaning}", trouble.next_step)
        return
    for row in rows:
        if row.stale:
            answer = "`warroom readiness answer` takes the answer."
            yield Finding("readiness", "note", f"overdue: {row.id} ({row.because})", answer)
    for word, fix in (
        ("no", "`warroom readiness` says what to do about each; --owner names who does it."),
        ("unknown", "`warroom readiness answer QUESTION yes|no` answers one."),
    ):
        named = [
            f"{row.id} (owner {row.owner or 'NOBODY'})"
            if word == "no" and (row.unowned or row.owner)
            else row.id
            for row in rows
            if row.answer == word
        ]
        if named:
            yield Finding("readiness", "note", f"{word}: {', '.join(named)}", fix)
    if not any(row.gap for row in rows):
        yield Finding("readiness", "ok", f"{len(rows)} questions are answered yes")


def _warden(config: Config, path: Path) -> Iterator[Finding]:
    from console.containment.actuator import Declined, Unreachable
    from console.refusal import Refused
    from console.warden.client import Warden

    async def ask(warden: Warden) -> Standing:
        try:
            return await warden.report()
        finally:
            await warden.close()

    mend = "Start it again (warroom warden run): agents with a guard stop after one lease without it."
    try:
        warden = Warden.configured(config, str(path))
        if warden is None:
            return
        found = asyncio.run(ask(warden))
    except Refused as refused:
        yield Finding("warden", "BROKEN", refused.what, refused.next_step)
        return
    except (Unreachable, Declined) as error:
        yield Finding("warden", "BROKEN", str(error), mend)
        return
    for sentence in found.trouble:
        yield Finding("warden", "note", sentence)
    leaking = sorted({each.agent for each in found.guards if each.state == "leaking"})
    if leaking:
        yield Finding(
            "warden", "BROKEN", f"halted, and acting: {', '.join(leaking[:20])}", "Stop them by another way."
        )
    longer = sorted({each.agent for each in found.guards if each.longer})
    also = f"; longer leases: {', '.join(longer[:20])}" if longer else ""
    halts = f"{len(found.halts)} halts in force" if found.halts else "nothing is halted"
    yield Finding("warden", "ok", f"{len(found.guards)} guards, {halts}, epoch {found.epoch}{also}")


def _baselines(today: str) -> Iterator[Finding]:
    from playbooks import load
    from playbooks.guidance import Baselines

    for each in load.only(Baselines).baselines:
        if each.recheck_by.isoformat() < today:
            text = f"overdue: {each.item} was to be looked at again by {each.recheck_by}"
            yield Finding("baselines", "note", text, f"Read {each.source}, then set its dates.")


def _terminal() -> Iterator[Finding]:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        yield Finding("terminal", "note", "none here; the console needs one, every other command does not")
        return
    size = shutil.get_terminal_size()
    term = os.environ.get("TERM", "")
    around = [
        name for name, mark in (("tmux", "TMUX"), ("screen", "STY"), ("ssh", "SSH_TTY")) if mark in os.environ
    ]
    inside = f", inside {' and '.join(around)}" if around else ""
    text = f"{term or 'TERM is not set'}, {size.columns}x{size.lines}{inside}"
    if term in ("", "dumb"):
        yield Finding(
            "terminal", "BROKEN", text, "Set TERM to what your terminal is, such as xterm-256color."
        )
    elif size.columns < 40 or size.lines < 10:
        yield Finding(
            "terminal", "note", text, "The console shows its panes from 40x10 on; 80x24 is comfortable."
        )
    else:
        yield Finding("terminal", "ok", text)
    encoding = (sys.stderr.encoding or "").lower().replace("-", "")
    if encoding != "utf8":
        yield Finding(
            "encoding", "note", f"{sys.stderr.encoding}", "Use a UTF-8 locale, such as LANG=C.UTF-8."
        )


def _disk(path: Path) -> Iterator[Finding]:
    while not path.exists() and path != path.parent:
        path = path.parent
    try:
        free = shutil.disk_usage(path).free
    except OSError as error:
        yield Finding("disk", "BROKEN", f"{path} cannot be looked at ({error.strerror})", "Check the mount.")
        return
    text = f"{free // MIB:,} MiB free under {path}"
    if free < FULL:
        yield Finding("disk", "BROKEN", text, "Free space now: nothing can be recorded on a full disk.")
    elif free < SCARCE:
        yield Finding("disk", "note", text, "Free space soon.")
    else:
        yield Finding("disk", "ok", text)


def _home(home: Home) -> Iterator[Finding]:
    drill = "for DRILLS only" if home.mode == "drill" else "for real incidents"
    yield Finding("home", "ok", f"{home.path}, {drill}; its time is {iso(home.clock.now(), 0)}")
    if home.former:
        yield Finding(
            "identity",
            "BROKEN",
            "identity.pem is gone; the next entry makes a new key, which is on no roster",
            f"To go on as {home.former[:8]}, put the old identity.pem back into {home.path}.",
        )
    for path in (home.path, home.path / "home.json", home.watch_dir / "token"):
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
        except OSError:
            continue
        if mode & 0o077:
            yield Finding(
                "permissions",
                "BROKEN",
                f"others can get at {path} (mode {mode:o})",
                f"chmod go= {path}",
            )
    if not os.access(home.path, os.W_OK | os.X_OK):
        yield Finding(
            "permissions",
            "BROKEN",
            f"{home.path} cannot be written",
            "Correct its owner, or name another with --home.",
        )


def _cases(home: Home) -> Iterator[Finding]:
    cases = home.cases()
    yield Finding(
        "record",
        "ok",
        f"{len(cases)} {'incident' if len(cases) == 1 else 'incidents'}; only `warroom verify --all` checks every byte",
    )
    records = [(f"INC-{case[:4].upper()}", home.case_dir(case)) for case in cases]
    for case, trouble in home.lost().items():
        yield Finding("record", "BROKEN", f"INC-{case[:4].upper()}: {trouble.what}", trouble.next_step)
    if (home.watch_dir / log.NAME).exists():
        records.append(("the watcher's record", home.watch_dir))
    if (answers := home.path / READINESS / log.NAME).exists():
        records.append(("the record of readiness", answers.parent))
    for name, directory in records:
        try:
            yield from _look_into(name, directory / log.NAME)
        except StoreTrouble as trouble:
            yield Finding("record", "BROKEN", f"{name}: {trouble.what} {trouble.meaning}", trouble.next_step)
            continue
        holder = lock.holder(directory / lock.NAME)
        if holder is not None:
            yield Finding("record", "ok", f"{name} is written by process {holder.pid}")
        waiting = _waiting(directory)
        if waiting and holder is None:
            yield Finding(
                "record",
                "note",
                f"{waiting} entries wait for {name} in {directory / 'handoff'}; they are safe",
                f"Open it, or run `warroom show --incident {name}`: the next writer takes them in.",
            )


def _look_into(name: str, path: Path) -> Iterator[Finding]:
    """Look at the structure of a log.

    Raises:
        StoreTrouble: it is damaged, or no log.
    """
    db = log.connect(path)
    try:
        if path.stat().st_size > LOOKED_INTO:
            size = f"{path.stat().st_size // MIB:,} MiB"
            yield Finding("record", "ok", f"{name} has {size} and was not looked into; `warroom verify` does")
            return
        (said,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if said != "ok":
            yield Finding(
                "record",
                "BROKEN",
                f"{name}: {path.name} is damaged; some of what it holds may not be readable",
                f"Copy {path.parent} to a safe place first, then run `warroom verify --all`.",
            )
    except (sqlite3.Error, OSError) as error:
        raise explain(error, path) from error
    finally:
        db.close()


def _waiting(directory: Path) -> int:
    try:
        return sum(
            not entry.name.startswith(".") and entry.is_file() for entry in (directory / "handoff").iterdir()
        )
    except OSError:
        return 0


def _mute(directory: Path) -> str:
    """Why nothing can be written into a directory; empty if nothing speaks against it."""
    if not os.access(directory, os.W_OK | os.X_OK):
        return f"{directory} cannot be written"
    try:
        short = shutil.disk_usage(directory).free < FULL
    except OSError as error:
        return f"{directory} cannot be looked at ({error.strerror})"
    return "its disk is full" if short else ""


_MUTE_FIX = "Free space, or mend what keeps its directory from being written, then look again."


def _window(settings: Window, home: Home) -> Iterator[Finding]:
    """How far back the telemetry goes that evidence can still be captured from."""
    bounds = f"it holds at most {settings.max_mib:,} MiB and {say(settings.keep)}"
    directory = home.watch_dir / window.NAME
    since = reach(directory)
    if not settings.enabled:
        yield Finding(
            "window",
            "note",
            "no telemetry is kept: window.enabled is false"
            + (f"; what an earlier watcher kept begins at {since}" if since else ""),
            "Evidence can then be captured only from what is attached by hand; see docs/capture.md.",
        )
        return
    if not since:
        yield Finding("window", "ok", f"no telemetry is kept yet; {bounds}")
        return
    back = home.clock.now() - parse_iso(since)
    size = sum(_size(each.path) for each in window.segments(directory))
    unit = HOUR if back >= 2 * HOUR else HOUR // 60
    reaches = f", for {say(back - back % unit)}" if back >= unit else ""
    text = f"telemetry is kept since {since}{reaches}, {size / MIB:,.1f} MiB; {bounds}"
    if back < settings.keep and size > settings.max_mib * MIB // 2:
        text += "; soon the size, not the age, decides what goes"
        yield Finding("window", "note", text, "Raise window.max_mib, or preserve what is needed now.")
        return
    yield Finding("window", "ok", text)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # it was compressed or let go of meanwhile


def _watcher(home: Home) -> Iterator[Finding]:
    holder = status.running(home.watch_dir)
    said = status.read(home.watch_dir)
    if holder is None:
        last = f"; the last one was seen at {iso(said.at, 0)}" if said else ""
        yield Finding(
            "watcher",
            "note",
            f"none runs, nobody watches the agents{last}",
            "The console starts one while it is open; a service manager keeps `warroom watch` running.",
        )
        return
    if said is None or said.pid != holder.pid:
        yield Finding(
            "watcher", "note", f"process {holder.pid} runs and has not said anything yet", "Look again soon."
        )
        return
    age = (home.clock.now() - said.at) // 1_000_000_000
    if home.mode == "live" and age > STALE_SECONDS:
        # It says how it is by writing a file: where that cannot be, its silence means nothing.
        mute = _mute(home.watch_dir)
        yield Finding(
            "watcher",
            "BROKEN",
            f"process {holder.pid} runs but has said nothing for {age:,} s" + (f": {mute}" if mute else ""),
            f"Leave it running, it watches on. {_MUTE_FIX}"
            if mute
            else f"It hangs: end it (kill {holder.pid}); the next one continues where it was.",
        )
        return
    states = ", ".join(f"{count:,} {name}" for name, count in sorted(said.agents.items())) or "none yet"
    where = ", ".join(said.addresses) or "no OTLP"
    yield Finding(
        "watcher", "ok", f"process {holder.pid} since {iso(said.started_at, 0)}; {where}; agents: {states}"
    )
    for blind in said.blind:
        remedy = (
            "`warroom init agents inventory` declares the agents."
            if "inventory" in blind
            else "docs/sources.md: cost."
        )
        yield Finding("tripwires", "note", f"blind: {blind}", remedy)
    for trouble in said.trouble:
        yield Finding("watcher", "note", trouble)
    if not said.senders:
        yield Finding("senders", "note", "nobody has sent anything yet", "docs/sources.md says how to send.")
    for sender in said.senders[:50]:
        refused = sum(sender.refused.values())
        counts = {
            "refused": refused,
            "late": sender.late,
            "duplicate": sender.duplicate,
            "skewed": sender.skewed,
            "of unknown cost": sender.unknown_cost,
            "without an agent": sender.unattributed,
            "attributed by guess": sender.provisional,
        }
        rest = "".join(f", {count:,} {name}" for name, count in counts.items() if count)
        seen = iso(sender.last_seen, 0) if sender.last_seen else "never"
        text = f"{sender.kind} {sender.name}: {sender.accepted:,} accepted{rest}; last seen {seen}"
        why = "; ".join(f"{reason}: {count:,}" for reason, count in sender.refused.items())
        yield Finding(
            "senders", "note" if refused else "ok", text, f"Refused because: {why}." if refused else ""
        )
