"""The messages of the open incident as the screens see them: what can be drafted, and what the check says of each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from console.refusal import Refused

if TYPE_CHECKING:
    from console.comms.check import Finding
    from console.comms.messenger import Messenger
    from console.comms.state import Message
    from console.room import Room
    from playbooks.guidance import Template

KEPT = 200
"""Messages whose findings are remembered; more are looked at anew."""

ORDER = ("internal", "status-page", "support", "channel", "executives", "customers", "regulator")
"""Audiences, the one first whose messages are drafted most."""


class Correspondence:
    """What this console knows about messages.

    Args:
        made: makes the messenger of an incident; None = nobody configured any.

    Attributes:
        templates: what can be drafted; None while nobody has read it.
    """

    def __init__(self, made: Callable[[Room], Messenger] | None = None) -> None:
        self._made = made
        self._messenger: Messenger | None = None
        self.templates: Sequence[Template] | None = None
        self._vague: Sequence[str] = ()
        self._judged: dict[object, list[Finding]] = {}

    def messenger(self, room: Room) -> Messenger:
        """Return what works on the messages of `room`."""
        if self._messenger is None or self._messenger.room is not room:
            self._messenger = self._new(room)
            self._judged.clear()
        return self._messenger

    def _new(self, room: Room) -> Messenger:
        if self._made is not None:
            return self._made(room)
        from console.comms.messenger import Messenger
        from console.config import Config

        return Messenger(room, Config())

    async def read(self) -> None:
        """Read the templates and the phrases that say nothing, once.

        Raises:
            PlaybookTrouble: a document is broken.
        """
        if self.templates is None:
            from console.comms import messenger

            self._vague = await asyncio.to_thread(messenger.vague_phrases)
            found = await asyncio.to_thread(messenger.templates)
            self.templates = sorted(found, key=lambda each: ORDER.index(each.audience))
            self._judged.clear()

    def template(self, name: str) -> Template:
        """Return a template by its id.

        Raises:
            Refused: there is none.
        """
        found = next((each for each in self.templates or () if each.id == name), None)
        if found is None:
            raise Refused(f"There is no template {name}.", "7 lists them.")
        return found

    def judge(self, room: Room, message: Message) -> list[Finding]:
        """Return everything that is wrong with a message as it is; looked at anew only when that can have changed."""
        over = message.promises is not None and message.promises <= room.clock.now()
        key = (message.id, message.digest, over)
        if key not in self._judged:
            if len(self._judged) >= KEPT:
                self._judged.clear()
            self._judged[key] = self.messenger(room).judge(message, self._vague)
        return self._judged[key]

    def standing(self, room: Room, message: Message) -> list[Finding]:
        """Return what keeps a message from going out: the findings that nobody waived."""
        from console.comms.check import standing

        return standing(message, self.judge(room, message))
