"""A queue of actions that wait, behind programs of your own: held, let go, listed and decided."""

from __future__ import annotations

import json
from dataclasses import replace

from console import shown
from console.containment.actuator import Answer, Call, Declined, Unreachable
from console.containment.actuators import command, template
from console.containment.actuators.command import Argv
from console.containment.actuators.options import Setting
from console.containment.actuators.queue import Fields, held
from console.events import HeldAction, HeldWord
from console.runner import run


class Options(command.Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """As of `command`, and three programs more: `list`, which prints JSON, `release` and `drop`.

    In the latter two {target} is the id of an action, {workflow} the queue, and {order} the same for every attempt.
    """

    list: Argv
    release: Argv
    drop: Argv
    fields: Fields = Fields()


class Actuator(command.Actuator):
    """See `Options`."""

    def __init__(self, options: Options, setting: Setting) -> None:
        super().__init__(options, setting)
        self._fields = options.fields
        for name, argv in (("list", options.list), ("release", options.release), ("drop", options.drop)):
            self._templates[name] = template.argv(name, argv)
            run.program(argv[0])

    async def queued(self, call: Call) -> list[HeldAction]:
        """Return what is held."""
        ended = await self._ended("list", call)
        printed = next((content for name, content in ended.outputs if name == "stdout"), b"")
        try:
            return held(json.loads(printed), self._fields)
        except (ValueError, RecursionError):
            raise Declined(f"What `list` printed is not JSON, or too long. {ended.note}".strip()) from None

    async def decide(self, call: Call, action: str, word: HeldWord) -> Answer:
        """Release or drop one action."""
        await self._ended(word, replace(call, target=action, args={**call.args, "workflow": call.target}))
        return Answer(True, "The program ended well.")

    async def _ended(self, which: str, call: Call) -> run.Ended:
        ended = await self._run(which, call)
        if ended.outcome == "done":
            return ended
        printed = b" ".join(content[:2000] for _, content in ended.outputs).decode("utf-8", "replace")
        said = shown.visible(" ".join(printed.split()), 200)
        if ended.outcome == "failed":
            why = f"The program ended with {ended.exit}." if ended.exit is not None else ended.note
            raise Declined(f"{why} {said}".strip())
        raise Unreachable(f"{ended.note} {said}".strip())
