"""Any system with an HTTP API: a request that stops, one that lets go on, and one that looks, each a template."""

from __future__ import annotations

import re
from typing import Literal

from msgspec import Struct

from console.containment.actuator import Answer, Call, Declined, Reading
from console.containment.actuators import catalogue
from console.containment.actuators.canary import Canary, Filler, Headers, Probe
from console.containment.actuators.client import Client, planning
from console.containment.actuators.options import Access, Setting, Statuses, Text, Url
from console.refusal import Refused


class Sent(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request. A header may end in `env:NAME`, which stands for that variable of the environment.

    `expect`: the answers that mean that it was taken. `effective`: they also mean that it has happened by then.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    url: Url
    headers: Headers = {}
    body: Text = ""
    expect: Statuses = (200, 201, 202, 204)
    effective: bool = False


class Options(Access, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """See docs/actuators.md."""

    stop: Sent | None = None
    restore: Sent | None = None
    probe: Probe | None = None


class Actuator:
    """See `Options`."""

    def __init__(self, options: Options, setting: Setting) -> None:
        stop, restore, probe = options.stop, options.restore, options.probe
        self._client = Client(options, setting)
        if stop is None and restore is None:
            raise Refused("The option `stop` is missing.", "Say what is sent: [points.options.stop].")
        # The secret is that of the system which is told to stop: no other host gets it.
        told = next(_origin(each.url) for each in (stop, restore) if each is not None)
        self._sent: dict[bool, tuple[Sent, Filler]] = {}
        for lifts, name, sent in ((False, "stop", stop), (True, "restore", restore)):
            if sent is not None:
                self._sent[lifts] = (
                    sent,
                    Filler(
                        name,
                        sent.method,
                        sent.url,
                        sent.headers,
                        sent.body,
                        self._client,
                        setting,
                        secured=_origin(sent.url) == told,
                    ),
                )
        if stop and probe and (stop.method, stop.url, stop.body) == (probe.method, probe.url, probe.body):
            raise Refused("The option `probe` repeats what is told.", "Look from elsewhere.")
        self._canary = (
            Canary("probe", probe, self._client, setting, secured=_origin(probe.url) == told)
            if probe is not None
            else None
        )
        self._lifting = catalogue.lifting()
        self.verbs = (catalogue.stopping() if stop else frozenset()) | (
            self._lifting if restore else frozenset()
        )

    @planning
    def plan(self, call: Call) -> str:
        """Return the request, with secrets by their names."""
        filler = self._for(call)[1]
        return self._client.plan(filler.planned(call), secured=filler.secured)

    async def apply(self, call: Call) -> Answer:
        """Send the request."""
        sent, filler = self._for(call)
        reply = await self._client.send(call, filler.request(call), sent.expect, secured=filler.secured)
        return Answer(sent.effective, f"It answered {reply.status}{self._client.said(reply)}"[:300])

    async def probe(self, call: Call) -> Reading:
        """Send the probe, and compare its answer with how those of a stopped and a running system look."""
        if self._canary is None:
            return Reading("unknown", "No probe is configured.")
        return await self._canary.look(call)

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.close()

    def _for(self, call: Call) -> tuple[Sent, Filler]:
        if call.verb not in self.verbs:
            raise Declined(f"Nothing is configured for {call.verb}.")
        return self._sent[call.verb in self._lifting]


def _origin(url: str) -> str:
    """Scheme, host and port of a template."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{re.split('[/?]', rest, maxsplit=1)[0]}".lower()
