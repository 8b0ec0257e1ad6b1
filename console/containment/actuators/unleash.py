"""Unleash: disables a feature flag in one environment, and enables it again.

Admin API of Unleash 5 and later; the state of the flag in the environment is read back. SDKs ask every 15 s
unless they are set otherwise, and one that is cut off goes on with what it had.
"""

from __future__ import annotations

from typing import Literal

from console.containment.actuator import Call, Declined, Reading
from console.containment.actuators import template
from console.containment.actuators.api import Api, Watched, segment
from console.containment.actuators.client import Request, field
from console.containment.actuators.options import Key, Line, Setting


class Options(Watched, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`flag`: its name, with places. `stopped`: how the flag is when what hangs on it stands still."""

    project: Key = "default"
    environment: Key
    flag: Line = "{target}"
    stopped: Literal["off", "on"] = "off"


class Actuator(Api):
    """See `Options`."""

    def __init__(self, options: Options, setting: Setting) -> None:
        super().__init__(options, setting, scheme="")
        self._options = options
        self._flag = template.line("flag", options.flag)

    def requests(self, call: Call) -> list[Request]:
        """Return the request that disables or enables."""
        on = (self._options.stopped == "on") is not self.lifts(call)
        return [Request("POST", f"{self._address(call)}/{'on' if on else 'off'}")]

    async def read(self, call: Call) -> Reading:
        """Read the flag in its environment."""
        name = self._options.environment
        reply = await self.client.send(call, Request("GET", self._address(call)), (200,))
        on = field(reply.value, "enabled")
        if not isinstance(on, bool) or field(reply.value, "name") not in (name, None):
            return Reading("unknown", f"The answer does not say how the flag is in {name}.")
        state = "on" if on else "off"
        observed: Literal["stopped", "running"] = "stopped" if state == self._options.stopped else "running"
        return Reading(observed, f"Unleash has the flag {state} in {name}.")

    def _address(self, call: Call) -> str:
        flag = self._flag.fill(template.values(call))
        if "/" in flag:
            raise Declined(f"{flag[:100]!r} is no name of a flag.")
        part = f"projects/{self._options.project}/features/{segment(flag)}"
        return f"{self.url}/api/admin/{part}/environments/{self._options.environment}"
