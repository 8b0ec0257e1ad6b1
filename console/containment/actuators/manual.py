"""A step that a person does: two lines that say how. Its stopwatch runs from the order until somebody confirms it.

It proves nothing by itself. What the person says stands on the record as theirs, with what shows it (`move.answered`).
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from console.containment.actuator import Answer, Call, Declined, Reading
from console.containment.actuators import catalogue, template
from console.containment.actuators.client import planning
from console.containment.actuators.options import Setting
from console.refusal import Refused

Steps = Annotated[str, Meta(min_length=1, max_length=500)]


class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`stop` and `restore`: what somebody does, in at most two lines, with places such as {target}."""

    stop: Steps
    restore: Steps | None = None


class Actuator:
    """See `Options`."""

    def __init__(self, options: Options, setting: Setting) -> None:
        self._lifting = catalogue.lifting()
        self._stop = _two_lines("stop", options.stop)
        self._restore = _two_lines("restore", options.restore) if options.restore else None
        self.verbs = catalogue.stopping() | (self._lifting if self._restore else frozenset())

    @planning
    def plan(self, call: Call) -> str:
        """Return what is to be done."""
        return self._steps(call)

    async def apply(self, call: Call) -> Answer:
        """Say that it waits for a person."""
        steps = " ".join(self._steps(call).splitlines())
        return Answer(False, f"By hand, and somebody confirms it: {steps}"[:500])

    async def probe(self, call: Call) -> Reading:
        """See nothing: only a person can."""
        return Reading("unknown", "Only a person can see it.")

    async def close(self) -> None:
        """There is nothing to let go of."""

    def _steps(self, call: Call) -> str:
        steps = self._restore if call.verb in self._lifting else self._stop
        if steps is None:
            raise Declined(f"Nothing is configured for {call.verb}.")
        known = template.values(call)
        return "\n".join(each.fill(known) for each in steps)


def _two_lines(option: str, text: str) -> tuple[template.Template, ...]:
    lines = [line.strip() for line in text.strip().splitlines()]
    if len(lines) > 2:
        raise Refused(f"The option `{option}` has {len(lines)} lines.", "Two are read in a hurry.")
    return tuple(template.line(option, line) for line in lines)
