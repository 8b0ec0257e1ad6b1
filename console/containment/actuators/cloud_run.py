"""Cloud Run: no instances of a service, or all its traffic to one revision; and back.

Cloud Run Admin API v2: PATCH of a service with an update mask (`scaling`, `traffic`), which answers with an operation;
the service is read back until it has settled. Requests under way are finished by the instances that have them.
"""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Literal

from msgspec import Meta

from console.containment.actuator import Call, Declined, Reading
from console.containment.actuators.api import Api, Watched
from console.containment.actuators.client import Request, field
from console.containment.actuators.options import Key, Setting, Url
from console.refusal import Refused

_NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_LATEST = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST"
_REVISION = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION"


class Options(Watched, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`how`: no instances, or traffic to `revision`. `instances`: how many it gets back; unset: it scales by itself.

    A verb that names a `version` goes to that revision instead.
    """

    url: Url = "https://run.googleapis.com"
    project: Key
    location: Key
    how: Literal["scale", "traffic"] = "scale"
    revision: Annotated[str, Meta(max_length=63, pattern="^([a-z]([a-z0-9-]*[a-z0-9])?)?$")] = ""
    instances: Annotated[int, Meta(ge=1, le=1000)] | None = None


class Actuator(Api):
    """See `Options`."""

    patience = 5.0

    def __init__(self, options: Options, setting: Setting) -> None:
        super().__init__(options, setting)
        self._options = options
        if options.how == "scale" and options.revision:
            raise Refused("The option `revision` is for traffic.", 'As in how = "traffic".')
        if options.how == "traffic" and options.instances:
            raise Refused("The option `instances` is for scaling.", 'As in how = "scale".')

    def requests(self, call: Call) -> list[Request]:
        """Return the patch."""
        body: dict[str, object]
        if self._options.how == "traffic":
            mask, body = "traffic", {"traffic": [self._traffic(call)]}
        else:
            # Both by name: what else is set of its scaling stays.
            mask, body = "scaling.scalingMode,scaling.manualInstanceCount", {"scaling": self._scaling(call)}
        headers = {"Content-Type": "application/json"}
        return [Request("PATCH", f"{self._address(call)}?updateMask={mask}", headers, json.dumps(body))]

    async def read(self, call: Call) -> Reading:
        """Read the service back."""
        reply = await self.client.send(call, Request("GET", self._address(call)), (200,))
        found = reply.value
        if not isinstance(found, dict):
            return Reading("unknown", "The answer is no service.")
        settled = (
            found.get("reconciling") in (None, False)
            and str(found.get("generation")) == str(found.get("observedGeneration"))
            and field(found, "terminalCondition.state") == "CONDITION_SUCCEEDED"
        )
        wanted = self._served(call, found) if self._options.how == "traffic" else _stopped(found)
        if wanted is None:
            return Reading("unknown", "The answer does not say how the service is.")
        if not wanted[0]:
            return Reading("running", wanted[1])
        if not settled:
            return Reading("unknown", f"{wanted[1]} The service has not settled yet.")
        return Reading("stopped", wanted[1])

    def _scaling(self, call: Call) -> dict[str, object]:
        if not self.lifts(call):
            return {"scalingMode": "MANUAL", "manualInstanceCount": 0}
        if self._options.instances is None:
            return {"scalingMode": "AUTOMATIC"}
        return {"scalingMode": "MANUAL", "manualInstanceCount": self._options.instances}

    def _traffic(self, call: Call) -> dict[str, object]:
        if self.lifts(call) and not call.args.get("version"):
            return {"type": _LATEST, "percent": 100}
        return {"type": _REVISION, "revision": self._revision(call), "percent": 100}

    def _revision(self, call: Call) -> str:
        name = call.args.get("version") or self._options.revision
        if not _NAME.fullmatch(name):
            raise Declined(f"{name[:80]!r} is no revision: set `revision`, or give a version with the verb.")
        return name

    def _served(self, call: Call, found: dict[str, Any]) -> tuple[bool, str] | None:
        """Whether the revision that stops gets all the traffic, as far as the service says."""
        shares = found.get("trafficStatuses")
        if not isinstance(shares, list) or not all(isinstance(each, dict) for each in shares):
            return None
        name = self._revision(call)
        others = [each for each in shares if each.get("revision") != name and each.get("percent")]
        if others or not any(each.get("revision") == name and each.get("percent") == 100 for each in shares):
            return False, f"Other revisions than {name} get traffic."
        return True, f"All traffic goes to {name}."

    def _address(self, call: Call) -> str:
        if not _NAME.fullmatch(call.target):
            raise Declined(f"{call.target[:80]!r} is no name of a service.")
        place = f"projects/{self._options.project}/locations/{self._options.location}"
        return f"{self.url}/v2/{place}/services/{call.target}"


def _stopped(found: dict[str, Any]) -> tuple[bool, str] | None:
    """Whether a service is to have no instances."""
    scaling = found.get("scaling", {})
    if not isinstance(scaling, dict):
        return None
    if scaling.get("scalingMode") == "MANUAL" and not scaling.get("manualInstanceCount"):
        return True, "The service is to have no instances."
    return False, "The service may have instances."
