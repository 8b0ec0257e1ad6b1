"""What can go wrong with a remote, in words for the person who is on call, and without secrets."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping

from data.remotes import Absent, RemoteTrouble

KEPT = "Nothing is lost: what is not shared yet stays here, and goes out once the remote answers."
LENGTH = 160

_PLAIN = frozenset({"account", "ca", "cert", "endpoint", "monitor", "region", "replicas", "timeout", "user"})
_SECRET = re.compile("secret|password|token|key|credential", re.IGNORECASE)
_IN_ADDRESS = re.compile(r"(?<=//)[^/\s@]*@|\?[^\s\"')]*")


def secrets(options: Mapping[str, str]) -> tuple[str, ...]:
    """The values that no message may hold, longest first: those of options, and of the usual environment."""
    values = {value for key, value in options.items() if key not in _PLAIN}
    values |= {value for key, value in os.environ.items() if _SECRET.search(key)}
    return tuple(sorted((value for value in values if len(value) >= 4), key=len, reverse=True))


def reason(error: BaseException, hidden: Iterable[str] = ()) -> str:
    """The first line of what a library said, short, printable, and without secrets."""
    text = str(error).strip() or type(error).__name__
    for secret in hidden:
        text = text.replace(secret, "***")
    lines = text.splitlines()
    text = _IN_ADDRESS.sub("***", lines[0] if lines else "")
    text = "".join(each if each.isprintable() else "·" for each in text)
    return text if len(text) <= LENGTH else text[: LENGTH - 1] + "…"


def unreachable(url: str, why: str) -> RemoteTrouble:
    """It does not answer, or answers that it cannot now."""
    return RemoteTrouble(
        f"{url} could not be reached ({why}).",
        KEPT,
        "Check the network and the service; it is tried again by itself.",
    )


def slow(url: str, seconds: float) -> RemoteTrouble:
    """It did not answer in time."""
    return RemoteTrouble(
        f"{url} did not answer within {seconds:.0f} seconds.",
        KEPT,
        "Check the network and the service; it is tried again by itself.",
    )


def denied(url: str, why: str, hint: str) -> RemoteTrouble:
    """It answers, and does not let us."""
    return RemoteTrouble(f"{url} refused the request ({why}).", KEPT, hint, passing=False)


def nonsense(url: str, what: str) -> RemoteTrouble:
    """It answered something that no such remote answers."""
    return RemoteTrouble(
        f"{url} answered what makes no sense: {what}.",
        "Nothing of it was taken over.",
        "Check that the address is that of the remote, and who runs it.",
        passing=False,
    )


def absent(url: str, name: str) -> Absent:
    """There is no such object."""
    return Absent(
        f"{url} holds no {name}.",
        "Either it was never there, or the remote lost it.",
        "If this console or another still has it, it is sent again by itself.",
    )


def broken(url: str, name: str, why: str) -> RemoteTrouble:
    """It has the object and cannot read it; the others may be well."""
    return RemoteTrouble(
        f"{url} cannot read {name} ({why}).",
        "Its other objects are not touched by that.",
        "If this console or another has what it held, it is sent again by itself; check the medium.",
        passing=False,
    )


def too_big(url: str, name: str, bound: int) -> RemoteTrouble:
    """An object has more bytes than it may have."""
    return nonsense(url, f"{name} has more than the {bound} bytes allowed")


def too_many(url: str) -> RemoteTrouble:
    """A listing has no end."""
    return nonsense(url, "its listing does not end")


def misconfigured(url: str, what: str, hint: str) -> RemoteTrouble:
    """The address or an option cannot be what was meant."""
    return RemoteTrouble(
        f"{url} cannot be used: {what}.", "Nothing is shared through it.", hint, passing=False
    )


def not_installed(kind: str, extra: str) -> RemoteTrouble:
    """The library that speaks to this kind of remote is not there."""
    return RemoteTrouble(
        f"A library that {kind} needs is not installed.",
        "Nothing is shared through it.",
        f"Run: pip install 'warroom[{extra}]'",
        passing=False,
    )
