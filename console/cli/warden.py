"""`warroom warden`: the daemon that gives agents leave to act, and a look at who has it."""

from __future__ import annotations

import asyncio
from argparse import Namespace
from typing import TYPE_CHECKING

import msgspec

from console.cli import exits
from console.cli.context import Context
from console.cli.trouble import complain
from console.refusal import Refused
from data.clock import iso

if TYPE_CHECKING:
    from console.warden.protocol import GuardStanding, Standing

STATES = {
    "running": "may act",
    "lapsed": "no lease",
    "requested": "halt requested",
    "acked": "says it stopped",
    "verified": "stopped, verified",
    "lease_expired": "stopped, its lease is over",
    "unreachable": "UNREACHABLE",
    "leaking": "LEAKING: it acts although it is halted",
}


def run(options: Namespace) -> int:
    """`warroom warden`."""
    context = Context(options)
    if options.after_loss and options.action != "run":
        raise Refused("--after-loss belongs to `warroom warden run`.")
    match options.action:
        case "run":
            return _run(context)
        case "key":
            return _key(context)
        case _:
            return asyncio.run(_status(context))


def _run(context: Context) -> int:
    from console.warden.daemon import run as serve
    from console.warden.settings import directory

    for problem in context.config.problems:
        complain(str(problem))
    place = directory(context.config, context.options.home or "")
    serve(context.config, place, after_loss=context.options.after_loss, say=complain)
    return exits.OK


def _key(context: Context) -> int:
    from console.warden.leases import PUBLIC
    from console.warden.settings import directory

    path = directory(context.config, context.options.home or "") / PUBLIC
    try:
        key = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        raise Refused(
            f"{path} cannot be read.", "`warroom warden run` makes it, on the machine of the warden."
        ) from None
    context.say(key, {"key": key})
    return exits.OK


async def _status(context: Context) -> int:
    from console.containment.actuator import Declined, Unreachable
    from console.warden.client import Warden

    warden = Warden.configured(context.config, context.options.home or "")
    warden = warden or Warden.here(context.config, context.options.home or "")
    if warden is None:
        raise Refused("No warden is configured.", "Set `warden.url`, or start one: warroom warden run.")
    try:
        found = await warden.report()
    except (Unreachable, Declined) as error:
        raise Refused(
            f"{str(error)[:1].upper()}{str(error)[1:]}.", "Agents with a guard stop when their lease is over."
        ) from None
    finally:
        await warden.close()
    _show(context, found)
    return exits.OK


def _show(context: Context, found: Standing) -> None:
    for sentence in found.trouble:
        complain(sentence)
    if context.options.json:
        for guard in found.guards:
            context.say("", msgspec.to_builtins(guard))
        return
    if not found.halts:
        context.say(f"nothing is halted; epoch {found.epoch}")
    for word in found.halts:
        what = f"{word.scope} {word.subject}".strip()
        since = f", since {iso(word.at, 0)}" if word.at else ""
        context.say(f"HALTED {what}, epoch {word.epoch}{since}: {word.reason or 'no reason given'}")
    for guard in found.guards:
        context.say(_line(guard))


def _line(guard: GuardStanding) -> str:
    what = f"{guard.scope} {guard.subject}".strip()
    parts = [guard.agent, guard.guard[:8], STATES[guard.state] + (f" ({what})" if what else "")]
    if guard.lease_ms:
        parts.append(f"lease {guard.lease_ms / 1000:.1f} s")
    if guard.longer:
        parts.append(f"LONGER LEASE of {guard.valid_ms / 1000:g} s")
    if not guard.stream:
        parts.append("no stream")
    return " · ".join(parts)
