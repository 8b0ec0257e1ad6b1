"""A program of your own: it stops, lets go on, or looks. Its arguments are templates, and there is no shell.

It runs as steps of playbooks do: in a group of its own, with no input, an empty directory and hardly any environment.
"""

from __future__ import annotations

import asyncio
import shlex
from secrets import token_hex
from typing import Annotated

from msgspec import Meta, Struct

from console import shown
from console.containment.actuator import Answer, Call, Declined, Reading, Unreachable
from console.containment.actuators import catalogue, template
from console.containment.actuators.client import observing, planning
from console.containment.actuators.options import Line, Setting, Variable
from console.containment.actuators.template import Template, idempotency_key
from console.refusal import Refused
from console.runner import run
from console.runner.output import Progress

GRACE = 0.3
"""Seconds that a program is given to finish once its time is over."""

Argv = Annotated[tuple[Line, ...], Meta(min_length=1, max_length=100)]
Exits = Annotated[tuple[Annotated[int, Meta(ge=0, le=255)], ...], Meta(max_length=20)]


class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`stop`, `restore` and `probe` are programs with their arguments.

    `effective`: when `stop` has ended well, it has stopped. `stopped` and `running`: how the probe ends then.
    `environment`: further variables that the programs see. `seconds`: how long one of them may take.
    """

    stop: Argv | None = None
    restore: Argv | None = None
    probe: Argv | None = None
    effective: bool = False
    stopped: Exits = (0,)
    running: Exits = (1,)
    environment: Annotated[tuple[Variable, ...], Meta(max_length=100)] = ()
    seconds: Annotated[float, Meta(ge=0.1, le=20)] = 5.0


class Actuator:
    """See `Options`."""

    def __init__(self, options: Options, setting: Setting) -> None:
        self._options = options
        self.patience = options.seconds
        if options.stop is None and options.restore is None:
            raise Refused("The option `stop` is missing.", 'As in stop = ["systemctl", "stop", "{target}"].')
        if both := {*options.stopped} & {*options.running}:
            raise Refused(f"The options `stopped` and `running` share the exit code {both.pop()}.")
        self._templates: dict[str, tuple[Template, ...]] = {}
        for name, argv in (("stop", options.stop), ("restore", options.restore), ("probe", options.probe)):
            if argv is not None:
                self._templates[name] = template.argv(name, argv)
                run.program(argv[0])
        self._lifting = catalogue.lifting()
        self.verbs = (catalogue.stopping() if options.stop else frozenset()) | (
            self._lifting if options.restore else frozenset()
        )

    @planning
    def plan(self, call: Call) -> str:
        """Return the command, as a shell would be given it."""
        return shown.masked(shlex.join(self._argv(self._which(call), call)))

    async def apply(self, call: Call) -> Answer:
        """Run the program."""
        ended = await self._run(self._which(call), call)
        match ended.outcome:
            case "done":
                return Answer(self._options.effective, _said(ended))
            case "failed" if ended.exit is not None and ended.exit > 0:
                raise Declined(f"The program ended with {ended.exit}. {_said(ended)}".strip())
            case "failed" if ended.exit is None:
                raise Declined(ended.note)
            case _:
                raise Unreachable(f"{ended.note} {_said(ended)}".strip())

    @observing
    async def probe(self, call: Call) -> Reading:
        """Run the probe; how it ends says what it saw."""
        if self._options.probe is None:
            return Reading("unknown", "No probe is configured.")
        ended = await self._run("probe", call)
        why = f"The probe ended with {ended.exit}. {_said(ended)}".strip()
        if ended.exit is not None and ended.exit in self._options.stopped:
            return Reading("stopped", why)
        if ended.exit is not None and ended.exit in self._options.running:
            return Reading("running", why)
        return Reading("unknown", why if ended.exit is not None else ended.note)

    async def close(self) -> None:
        """There is nothing to let go of: every program has ended with its call."""

    def _which(self, call: Call) -> str:
        if call.verb not in self.verbs:
            raise Declined(f"Nothing is configured for {call.verb}.")
        return "restore" if call.verb in self._lifting else "stop"

    def _argv(self, which: str, call: Call) -> list[str]:
        known = template.values(call)
        return [each.fill(known) for each in self._templates[which]]

    async def _run(self, which: str, call: Call) -> run.Ended:
        # Each attempt has its own name: ending one must not end those of other targets.
        name = f"{idempotency_key(call)}-{token_hex(4)}"
        ended = await run.command(
            self._argv(which, call),
            name,
            call.timeout,
            _unheard,
            names=self._options.environment,
            grace=GRACE,
        )
        if ended.outcome == "cancelled":
            raise asyncio.CancelledError
        return ended


def _unheard(_: Progress) -> None:
    """Nobody watches line by line."""


def _said(ended: run.Ended) -> str:
    text = b" ".join(content[:2000] for _, content in ended.outputs).decode("utf-8", "replace")
    return shown.visible(" ".join(text.split()), 200)
