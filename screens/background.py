"""Work that must not make the keyboard wait."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, cast

from textual.dom import DOMNode


def background(
    node: DOMNode,
    work: Callable[..., Awaitable[object]],
    *args: object,
    group: str = "default",
    latest: bool = False,
) -> None:
    """Run `work(*args)` beside the messages of `node`, and end with it.

    The function is handed over rather than its coroutine: a node that goes away before the work begins leaves
    no coroutine behind that nobody awaited. `latest`: what still runs in `group` is cancelled first.
    """
    node.run_worker(cast(Any, partial(work, *args)), group=group, exclusive=latest)
