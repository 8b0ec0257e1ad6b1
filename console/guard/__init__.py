"""The reference guard: an enforcement point that acts only under a fresh lease of a warden.

It stands alone: the standard library and `cryptography`, nothing else of this project. `guard.py` is the guard, with
its decorator; `asgi.py` and `mcp.py` are two forms of it. docs/warden.md says what a port to another language keeps.
"""

from console.guard.guard import Guard, Halted

__all__ = ["Guard", "Halted"]
