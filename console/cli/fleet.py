"""`warroom fleet`: small real agents to practise on, and the undoing of what they did."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from argparse import Namespace
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

from console.cli import exits
from console.cli.context import Context
from console.cli.trouble import complain
from console.fleet import plan as plans
from console.fleet import tally, yard
from console.fleet.plan import BEHAVIOURS, Behaviour, Plan
from console.fleet.systems import EFFECT_ID, SYSTEMS
from console.fleet.undo import carry_out, gone
from console.refusal import Refused

LOG = "fleet.log"
"""What a detached fleet says."""
PATIENCE = 60.0
"""Seconds that a detached fleet gets to start, and to end."""
STEP = 0.05


def run(options: Namespace) -> int:
    """`warroom fleet`."""
    context = Context(options)
    root = Path(options.dir).expanduser().absolute()
    if options.words and options.action in ("start", "status", "stop"):
        raise Refused(f"`fleet {options.action}` takes no further words.", "As in: warroom fleet undo 2 ID.")
    match options.action:
        case "start":
            return _start(context, root)
        case "stop":
            return _stop(context, root)
        case "status":
            return _status(context, root)
        case _:
            return _undo(context, root)


def _start(context: Context, root: Path) -> int:
    options = context.options
    plan = _planned(options)
    if sys.platform == "win32":
        raise Refused("A fleet needs processes that fork.", "Start it on Linux or macOS.")
    if yard.running(root):
        raise Refused(
            f"A fleet runs in {root} already.", "End it with `warroom fleet stop`, or name another --dir."
        )
    if root.exists() and not (root / plans.FILE).exists() and any(root.iterdir()):
        raise Refused(
            f"{root} is not empty.", "Name a new directory with --dir; a fleet writes a lot into it."
        )
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    _home(root, plan)
    (root / yard.READY).unlink(missing_ok=True)
    plan.save(root)
    context.say(f"WARROOM_CONFIG={root / 'config.toml'} warroom   shows this fleet")
    command = [sys.executable, "-m", "console.fleet", str(root)]
    return _detached(root, command) if options.detach else _become(command)


def _home(root: Path, plan: Plan) -> None:
    """Make the directory the home of a drill when it is to be one; it stays what it was made as."""
    kept = root / "home.json"
    if plan.drill:
        from data.home import Home

        Home.open(root, "drill")
    elif kept.exists():
        raise Refused(f"{root} is the home of a drill.", "Say --drill, or name another --dir.")


def _become(command: list[str]) -> NoReturn:
    """Go on as the fleet's parent: small, because all agents begin as a copy of it."""
    sys.stdout.flush()
    os.execv(command[0], command)  # noqa: S606 - no shell, and our own interpreter


def _detached(root: Path, command: list[str]) -> int:
    with (root / LOG).open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    ends = time.monotonic() + PATIENCE
    while not (root / yard.READY).exists():
        if process.poll() is not None or time.monotonic() > ends:
            said = (root / LOG).read_text("utf-8", "replace").strip()[-500:]
            raise Refused(f"The fleet did not start: {said or 'it took too long'}.", f"See {root / LOG}.")
        time.sleep(STEP)
    complain((root / yard.READY).read_text())
    return exits.OK


def _stop(context: Context, root: Path) -> int:
    pid = _running(root)
    os.kill(pid, signal.SIGTERM)
    ends = time.monotonic() + PATIENCE
    while yard.running(root):
        if time.monotonic() > ends:
            raise Refused(f"The fleet does not end (process {pid}).", f"Kill it: kill -9 {pid}.")
        time.sleep(STEP)
    context.say("the fleet has ended", {"stopped": pid})
    return exits.OK


def _status(context: Context, root: Path) -> int:
    pid, plan = _running(root), Plan.load(root)
    counters = tally.Tally(root / tally.FILE)
    rows = [counters[row] for row in range(counters.rows)]
    counts: dict[str, int] = {state: sum(row.state == state for row in rows) for state in tally.STATES}
    calls = sum(row.calls for row in rows)
    said = ", ".join(
        f"{count} {'not here yet' if state == 'absent' else state}"
        for state, count in counts.items()
        if count
    )
    context.say(
        f"process {pid}: {len(rows)} agents ({said}), {calls:,} tool calls so far",
        {"pid": pid, "agents": len(rows), "calls": calls, **counts},
    )
    for agent, row in zip(plan.agents, rows, strict=False):
        odd = "" if agent.behaviour == "obey" else f", {agent.behaviour}"
        line = f"  {agent.name}  {row.state}, {row.calls} calls{odd}{', rogue' if agent.rogue else ''}"
        if context.options.json or odd or agent.rogue or row.state != "running":
            context.say(line, {**asdict(agent), "pid": row.pid, "state": row.state, "calls": row.calls})
    return exits.OK


def _undo(context: Context, root: Path) -> int:
    """Undo one effect, or with `check` only look what is left of it. Works whether the fleet runs or not."""
    words = context.options.words
    if len(words) != 2 or words[0] not in map(str, SYSTEMS):
        raise Refused(
            "Which effect?",
            "Its class from 1 to 7 and its id, as in: warroom fleet undo 2 refunds-005.1a2.17.",
        )
    if not (root / plans.FILE).exists():
        raise Refused(f"There is no fleet in {root}.", "Name its directory with --dir.")
    number, effect = int(words[0]), words[1]
    if not EFFECT_ID.fullmatch(effect):
        raise Refused(
            "That is not the id of an effect.", "It is the id of its action, or its idempotency key."
        )
    left = carry_out(root, number, effect, undo=context.options.action == "undo")
    seen = f"; seen by {', '.join(left.seen)}" if left.seen else ""
    context.say(f"{effect}: {left.state}: {left.note}{seen}", {"id": effect, "class": number, **asdict(left)})
    return exits.OK if gone(left) else exits.FAILED


def _running(root: Path) -> int:
    pid = yard.running(root)
    if not pid:
        raise Refused(f"No fleet runs in {root}.", "Name its directory with --dir.")
    return pid


def _planned(options: Namespace) -> Plan:
    count = options.agents
    behaviours: dict[Behaviour, int] = {
        name: share(getattr(options, name), count) for name in BEHAVIOURS if name != "obey"
    }
    try:
        crew = plans.crew(count, behaviours, share(options.rogue, count), options.seed)
    except ValueError:
        raise Refused(
            f"More agents would misbehave than there are ({count}).", "Ask for fewer, or for more --agents."
        ) from None
    url, key = _warden(options.warden)
    return Plan(
        warden=url,
        warden_key=key,
        warden_directory=str(Path(options.warden).expanduser().absolute()) if url else "",
        agents=crew,
        rate=options.rate,
        seed=options.seed,
        rogue_after=options.rogue_after,
        queue_wait=options.queue_wait,
        direct=options.ports,
        drill=options.drill,
    )


def _warden(named: str) -> tuple[str, str]:
    """Return address and public key of the warden that keeps its files in a directory."""
    if not named:
        return "", ""
    from console.warden.leases import PUBLIC
    from console.warden.settings import ADDRESS

    place = Path(named).expanduser()
    try:
        return (place / ADDRESS).read_text("ascii").strip(), (place / PUBLIC).read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        raise Refused(
            f"No warden keeps its files in {place}.", "Start one (warroom warden run) and name its directory."
        ) from None


def share(text: str, count: int) -> int:
    """Return how many of `count` agents `text` means: a number, or a share such as `5%`, rounded up."""
    digits = text.removesuffix("%")
    if not digits.isascii() or not digits.isdigit() or len(digits) > 6:
        raise Refused(f"{text} is no number of agents.", "As in 3, or 5% for a share of all.")
    return -(-int(digits) * count // 100) if text.endswith("%") else int(digits)
