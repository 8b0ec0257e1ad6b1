"""A queue of actions that wait, behind an HTTP API: it is held and let go on as any system, listed, and decided."""

from __future__ import annotations

from dataclasses import replace

from console.containment.actuator import Answer, Call, Declined
from console.containment.actuators import http
from console.containment.actuators.canary import Filler
from console.containment.actuators.client import Client, Reply
from console.containment.actuators.http import Sent
from console.containment.actuators.options import Setting
from console.containment.actuators.queue import Fields, Listing, held
from console.events import HeldAction, HeldWord


class Options(http.Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """As of `http`, and three requests more: `list`, `release` and `drop`.

    In the latter two {target} is the id of an action, and {workflow} the queue. `fields`: where things stand in the list.
    """

    list: Listing
    release: Sent
    drop: Sent
    fields: Fields = Fields()


class Actuator(http.Actuator):
    """See `Options`."""

    def __init__(self, options: Options, setting: Setting) -> None:
        super().__init__(options, setting)
        self._options, self._setting = options, setting
        self._asks = {
            name: Filler(name, sent.method, sent.url, sent.headers, sent.body, self._client, setting)
            for name, sent in (("list", options.list), ("release", options.release), ("drop", options.drop))
        }

    async def queued(self, call: Call) -> list[HeldAction]:
        """Return what is held."""
        reply = await self._ask("list", call, self._options.list.expect)
        if reply.cut:
            raise Declined("The list is longer than what is read of it.")
        return held(reply.value, self._options.fields)

    async def decide(self, call: Call, action: str, word: HeldWord) -> Answer:
        """Release or drop one action."""
        sent = self._options.release if word == "release" else self._options.drop
        # The order of the call makes a repeat harmless: it goes out as the idempotency key.
        call = replace(call, target=action, args={**call.args, "workflow": call.target})
        reply = await self._ask(word, call, sent.expect)
        return Answer(sent.effective, f"It answered {reply.status}.")

    async def _ask(self, which: str, call: Call, took: tuple[int, ...]) -> Reply:
        # With a client of its own: a halt has its connections for itself, on another loop.
        client = Client(self._options, self._setting)
        try:
            return await client.send(call, self._asks[which].request(call), took)
        finally:
            await client.close()
