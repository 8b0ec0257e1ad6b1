"""What the gateways for MCP and A2A have in common: something registered there is deactivated, and activated again.

HTTP API of ContextForge (mcp-context-forge) 1.0, its betas since January 2026 included: POST .../{id}/state?activate=false,
GET .../{id}. Where its paths begin with /v1, that is a part of the address that is configured.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

from console.containment.actuator import Answer, Call, Declined, Reading
from console.containment.actuators.api import Api, Watched, segment, within
from console.containment.actuators.client import Request, field

_ID = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Options(Watched, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`url`: of the gateway, with /v1 where it has it. A target is an id or a name there."""


class Registered(Api):
    """One kind of thing that is registered at the gateway; see the modules that name it."""

    path: ClassVar[str]
    """Where it is found, such as `gateways`."""
    thing: ClassVar[str]
    """What people call it."""

    def requests(self, call: Call) -> list[Request]:
        """Return what is sent when the target is an id; the id of a name is looked up first."""
        return [self._change(call, call.target)]

    async def apply(self, call: Call) -> Answer:
        """Change its state."""
        async with within(call):
            await self.client.send(call, self._change(call, await self._id(call)), (200,))
        return Answer(False, "The gateway took it.")

    async def read(self, call: Call) -> Reading:
        """Read whether it is enabled, and see what it still offers."""
        found = await self._id(call)
        reply = await self.client.send(
            call, Request("GET", f"{self.url}/{self.path}/{segment(found)}"), (200,)
        )
        match field(reply.value, "enabled"):
            case True:
                return Reading("running", f"The gateway has the {self.thing} enabled.")
            case False:
                return await self.offered(call, found)
            case _:
                return Reading("unknown", f"The answer does not say whether the {self.thing} is enabled.")

    async def offered(self, call: Call, id: str) -> Reading:
        """Return what a disabled one comes to."""
        return Reading("stopped", f"The gateway has the {self.thing} disabled.")

    def _change(self, call: Call, id: str) -> Request:
        activate = "true" if self.lifts(call) else "false"
        return Request("POST", f"{self.url}/{self.path}/{segment(id)}/state?activate={activate}")

    async def _id(self, call: Call) -> str:
        if _ID.fullmatch(call.target):
            return call.target
        request = Request("GET", f"{self.url}/{self.path}?include_inactive=true&limit=0")
        rows = listed((await self.client.send(call, request, (200,))).value)
        found = [row["id"] for row in rows or [] if row.get("name") == call.target]
        if len(found) != 1 or not isinstance(found[0], str):
            count = "no" if not found else "more than one"
            raise Declined(f"The gateway knows {count} {self.thing} called {call.target[:80]!r}.")
        return found[0]


def listed(value: Any) -> list[dict[str, Any]] | None:
    """Return the rows of a list, which comes bare or as a page; None: it is none."""
    if isinstance(value, dict):
        pages = [each for each in value.values() if isinstance(each, list)]
        value = pages[0] if len(pages) == 1 else None
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        return None
    return value
