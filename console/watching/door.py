"""Where the watcher listens for OTLP, and the token that senders must show there."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path

from console.config import Intake as Settings
from console.refusal import Refused
from console.telemetry.intake import Intake, Limits, Refuse, Sink
from console.watching import status
from data.durable import publish, write_temporary

TOKEN = "token"  # noqa: S105 - the name of the file


async def listen(
    directory: Path, settings: Settings, sink: Sink, refuse: Refuse, note: Callable[[str], None]
) -> Intake | None:
    """Listen for OTLP.

    Args:
        directory: the home's watch directory.
        settings: port, paths and the largest body.
        sink: takes bodies.
        refuse: counts what is turned away.
        note: told what people must know, such as that it is another port than they configured.

    Returns:
        the server, or None where nothing can be listened on.

    Raises:
        Refused: the token is unusable.
    """
    most = settings.max_mib * 2**20
    intake = Intake(
        sink,
        refuse,
        token(directory),
        paths={path: "logs" if path.endswith("/logs") else "traces" for path in settings.paths},
        limits=Limits(body=most, in_flight=3 * most),
    )
    before = status.read(directory)
    try:
        # The port of last time comes second: a sender that was told about it should find it again.
        wanted = dict.fromkeys((settings.port, before.port if before else 0))
        await intake.start([*(port for port in wanted if port), 0])
    except OSError as error:
        note(f"OTLP is not taken in: 127.0.0.1 cannot be listened on ({error.strerror})")
        return None
    if settings.port and intake.port != settings.port:
        where = " and ".join(intake.addresses)
        note(f"port {settings.port} is taken: OTLP is taken in at {where} instead; tell the senders")
    return intake


def token(directory: Path) -> str:
    """Return the token of the intake, made at the first start; only its owner can read it.

    Raises:
        Refused: there is one, and it is unusable.
    """
    path = directory / TOKEN
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        made = secrets.token_urlsafe(32)
        publish(write_temporary(directory, made.encode() + b"\n"), path)
        return token(directory)
    with os.fdopen(handle, "rb") as file:
        os.fchmod(handle, 0o600)
        held = file.read(1024).decode("ascii", "replace").strip()
    if len(held) < 16:
        raise Refused(
            f"{path} holds no usable token.",
            "Delete it: the watcher makes a new one, which senders must be given.",
        )
    return held
