"""LaunchDarkly: turns a flag off in one environment, and on again.

REST API v2, version 20240415: a semantic patch of the flag (`turnFlagOff`, `turnFlagOn`); the flag is read back.
What SDKs serve follows by their streams within seconds; one that is cut off serves what it had.
"""

from __future__ import annotations

import json
from typing import Literal

from console.containment.actuator import Call, Declined, Reading
from console.containment.actuators import template
from console.containment.actuators.api import Api, Watched, segment
from console.containment.actuators.client import Request, field
from console.containment.actuators.options import Key, Line, Setting, Url

VERSION = "20240415"


class Options(Watched, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`flag`: its key, with places. `stopped`: how the flag is when what hangs on it stands still."""

    url: Url = "https://app.launchdarkly.com"
    project: Key
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
        """Return the semantic patch."""
        on = (self._options.stopped == "on") is not self.lifts(call)
        patch = {
            "environmentKey": self._options.environment,
            "comment": f"{call.verb}, order {call.order}: {template.values(call)['reason']}",
            "instructions": [{"kind": "turnFlagOn" if on else "turnFlagOff"}],
        }
        kind = "application/json; domain-model=launchdarkly.semanticpatch"
        # Without this a change that is planned for later would keep the flag as it is.
        address = f"{self._address(call)}?ignoreConflicts=true"
        return [
            Request("PATCH", address, {"Content-Type": kind, "LD-API-Version": VERSION}, json.dumps(patch))
        ]

    async def read(self, call: Call) -> Reading:
        """Read the flag."""
        name = self._options.environment
        reply = await self.client.send(
            call, Request("GET", f"{self._address(call)}?env={name}", {"LD-API-Version": VERSION}), (200,)
        )
        environments = field(reply.value, "environments")
        found = environments.get(name) if isinstance(environments, dict) else None
        on = found.get("on") if isinstance(found, dict) else None
        if not isinstance(on, bool):
            return Reading("unknown", f"The answer does not say how the flag is in {name}.")
        state = "on" if on else "off"
        observed: Literal["stopped", "running"] = "stopped" if state == self._options.stopped else "running"
        return Reading(observed, f"LaunchDarkly has the flag {state} in {name}.")

    def _address(self, call: Call) -> str:
        flag = self._flag.fill(template.values(call))
        if "/" in flag:
            raise Declined(f"{flag[:100]!r} is no key of a flag.")
        return f"{self.url}/api/v2/flags/{self._options.project}/{segment(flag)}"
