"""Secrets: from the environment, or from a file that only its owner reads. Never from the configuration itself."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from console.refusal import Refused

LONGEST = 4096
"""Bytes of a secret: tokens of service accounts have about a thousand."""


def of_environment(variable: str, where: str, environment: Mapping[str, str]) -> str:
    """Return the secret that a variable holds; `where` says whose it is, such as `sender chat`.

    Raises:
        Refused: it is not set, or not one line of ASCII.
    """
    text = environment.get(variable, "")
    if not text:
        raise Refused(
            f"The {where} needs {variable}, which the environment does not hold.",
            f"Set {variable}, and start again.",
        )
    return _printable(text, where)


def of_file(path: Path, where: str) -> str:
    """Return the secret that a file holds.

    Raises:
        Refused: it cannot be read, others can read it, or it is not one line of ASCII.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise Refused(f"The token_file of {where} cannot be read ({error.strerror}): {path}.") from None
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode) or found.st_mode & 0o077 or found.st_uid not in (0, os.geteuid()):
            raise Refused(f"Others can read or change {path}.", f"As in: chmod 600 {path}.")
        return _printable(os.read(handle, LONGEST + 1).decode("utf-8", "replace"), where)
    finally:
        os.close(handle)


def _printable(text: str, where: str) -> str:
    text = text.strip()
    if not text or len(text) > LONGEST or not (text.isascii() and text.isprintable()):
        raise Refused(f"The secret of {where} is not one line of ASCII.", "Put it there once more.")
    return text
