"""An agent of another party behind a gateway: it is blocked there, and can be called no more.

ContextForge; its API is described in `contextforge.py`. Calls that do not go through the gateway are not stopped, nor
those that the other party makes elsewhere.
"""

from __future__ import annotations

from console.containment.actuators import contextforge

Options = contextforge.Options


class Actuator(contextforge.Registered):
    """See `Options`."""

    path = "a2a"
    thing = "A2A agent"
