"""An MCP server behind a gateway: it is disabled there, and none of its tools is offered any more.

ContextForge; its API is described in `contextforge.py`. Calls that do not go through the gateway are not stopped.
"""

from __future__ import annotations

from console.containment.actuator import Call, Reading
from console.containment.actuators import contextforge
from console.containment.actuators.client import Request

Options = contextforge.Options


class Actuator(contextforge.Registered):
    """See `Options`."""

    path = "gateways"
    thing = "MCP server"

    async def offered(self, call: Call, id: str) -> Reading:
        """See that no tool of it is offered."""
        reply = await self.client.send(call, Request("GET", f"{self.url}/tools?gateway_id={id}"), (200,))
        tools = contextforge.listed(reply.value)
        if tools is None:
            return Reading("unknown", "The gateway does not say which tools it offers.")
        if tools:
            return Reading(
                "running", f"The MCP server is disabled, and {len(tools)} of its tools are offered."
            )
        return Reading("stopped", "The gateway has the MCP server disabled, and offers none of its tools.")
