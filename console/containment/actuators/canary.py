"""A request that looks: sent to somebody other than the system that was told, it says what an answer means.

Used by `http` as its probe, and by the other systems with an HTTP API as their canary.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Annotated, Literal

from msgspec import Meta, Struct
from msgspec.structs import asdict

from console import secret
from console.containment.actuator import Call, Declined, Reading
from console.containment.actuators import template
from console.containment.actuators.client import Client, Reply, Request, field, observing
from console.containment.actuators.options import Key, Line, Setting, Status, Text, Url
from console.containment.actuators.template import Template
from console.refusal import Refused

_ENV = re.compile(r"(?:^|(?<= ))env:([A-Za-z_][A-Za-z0-9_]{0,99})$")
_NAME = re.compile(r"[A-Za-z0-9-]{1,100}")

Headers = Annotated[dict[str, Line], Meta(max_length=50)]
Needle = Annotated[str, Meta(min_length=1, max_length=500)]


class Looks(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an answer looks: its status, a text that it contains, and a field of its JSON with its value.

    `field` is a path of dots such as `status.replicas`; `equals` its value, as it would be written in JSON or without quotes.
    """

    status: Annotated[tuple[Status, ...], Meta(max_length=20)] = ()
    contains: Needle | None = None
    field: Key | None = None
    equals: Line | None = None


class Probe(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request that changes nothing, and what its answers mean. An answer like neither says nothing.

    Or with `counter`: a field with a number, such as calls made, that must not move for `flat_seconds`.
    """

    method: Literal["GET", "HEAD", "POST"] = "GET"
    url: Url
    headers: Headers = {}
    body: Text = ""
    stopped: Looks | None = None
    running: Looks | None = None
    counter: Key | None = None
    flat_seconds: Annotated[float, Meta(ge=0.1, le=20)] = 1.0


class Filler:
    """The template of a request.

    Args:
        option: what it is called in the configuration.
        method: of HTTP.
        url: a template, as `headers` and `body` are.
        headers: may end in `env:NAME`.
        body: JSON, or a form by its Content-Type.
        client: sends it.
        setting: where the secrets of the headers are.
        secured: whether the secret of the client goes along.

    Raises:
        Refused: a part is wrong, or a secret of it is not there.
    """

    def __init__(
        self,
        option: str,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: str,
        client: Client,
        setting: Setting,
        *,
        secured: bool = True,
    ) -> None:
        self._method, self._client, self._setting, self.secured = method, client, setting, secured
        texts, self._secrets = dict(headers), dict[str, str]()
        for name, text in headers.items():
            if not _NAME.fullmatch(name):
                raise Refused(f"The option `{option}.headers` has a name that no header has: {name[:80]}.")
            # From the configuration only: a value must not be able to ask for a variable of the environment.
            if (found := _ENV.search(text)) is not None:
                secret.of_environment(found[1], f"header {name} of `{option}`", setting.secrets)
                self._secrets[name] = found[1]
        kind = {name.lower(): text for name, text in headers.items()}.get("content-type", "")
        if body and not kind:
            texts["Content-Type"] = kind = "application/json"
        self._url = template.address(f"{option}.url", url)
        client.check(url, secured=self._guarded)
        self._headers: dict[str, Template] = {
            name: template.header(f"{option}.headers", text) for name, text in texts.items()
        }
        self._body = template.body(f"{option}.body", body, kind)

    @property
    def _guarded(self) -> bool:
        return bool(self._secrets) or (self.secured and self._client.secured)

    def planned(self, call: Call) -> Request:
        """Return the request with the names of secrets (raises Declined)."""
        known = template.values(call)
        headers = {name: each.fill(known) for name, each in self._headers.items()}
        return Request(self._method, self._url.fill(known), headers, self._body.fill(known))

    def request(self, call: Call) -> Request:
        """Return the request as it is sent (raises Declined)."""
        request = self.planned(call)
        headers = dict(request.headers)
        try:
            for name, variable in self._secrets.items():
                value = secret.of_environment(variable, "actuator", self._setting.secrets)
                headers[name] = headers[name].removesuffix(f"env:{variable}") + value
            self._client.check(request.url, secured=self._guarded)
        except Refused as refused:
            raise Declined(str(refused)) from None
        return request._replace(headers=headers)


class Canary:
    """Sends a probe, and says what its answer means.

    Args:
        option: what it is called in the configuration.
        probe: what is asked.
        client: sends it.
        setting: where the secrets of the headers are.
        secured: whether the secret of the system goes along: only to that system itself.
    """

    def __init__(
        self, option: str, probe: Probe, client: Client, setting: Setting, *, secured: bool = True
    ) -> None:
        _check(option, probe)
        self._probe, self._client = probe, client
        self._filler = Filler(
            option, probe.method, probe.url, probe.headers, probe.body, client, setting, secured=secured
        )

    @observing
    async def look(self, call: Call) -> Reading:
        """Ask, and compare the answer with how those of a stopped and a running system look."""
        probe = self._probe
        if probe.counter:
            return await self._counted(call, probe.counter)
        reply = await self._ask(call)
        if probe.stopped is not None and (why := _looks(reply, probe.stopped)):
            return Reading("stopped", why)
        if probe.running is not None and (why := _looks(reply, probe.running)):
            return Reading("running", why)
        cut = "more than is read" if reply.cut else "neither what stopped nor what running looks like"
        return Reading(
            "unknown", f"The probe answered {reply.status}, and {cut}{self._client.said(reply)}"[:300]
        )

    async def _ask(self, call: Call) -> Reply:
        return await self._client.ask(call, self._filler.request(call), secured=self._filler.secured)

    async def _counted(self, call: Call, counter: str) -> Reading:
        flat = self._probe.flat_seconds
        pause = min(flat, call.timeout / 2)
        first = _number(await self._ask(call), counter)
        await asyncio.sleep(pause)
        second = _number(await self._ask(call), counter)
        if first is None or second is None:
            return Reading("unknown", f"The answer has no number {counter}.")
        if first != second:
            return Reading("running", f"{counter} went from {first:g} to {second:g} within {pause:g} s.")
        if pause < flat:
            return Reading(
                "unknown", f"{counter} stood at {second:g}, but there were only {pause:g} s to look."
            )
        return Reading("stopped", f"{counter} stood at {second:g} for {pause:g} s.")


def both(first: Reading, second: Reading) -> Reading:
    """Return what two observations come to: stopped when both saw it, running when one of them saw that."""
    for observed in ("running", "unknown"):
        if (found := next((each for each in (first, second) if each.observed == observed), None)) is not None:
            return found
    return Reading("stopped", f"{first.note} {second.note}")


def _check(option: str, probe: Probe) -> None:
    if probe.counter is None and probe.stopped is None:
        raise Refused(
            f"The option `{option}` does not say how an answer looks when it has stopped.",
            'As in stopped = { field = "state", equals = "halted" }.',
        )
    for name, looks in (("stopped", probe.stopped), ("running", probe.running)):
        if looks is None:
            continue
        if not any(value for value in asdict(looks).values()):
            raise Refused(
                f"The option `{option}.{name}` fits every answer.", "Name a status, a text or a field."
            )
        if (looks.field is None) != (looks.equals is None):
            raise Refused(f"The option `{option}.{name}` needs `field` and `equals` together.")
    if probe.stopped is not None and probe.stopped == probe.running:
        raise Refused(f"The options `{option}.stopped` and `{option}.running` are the same.")


def _looks(reply: Reply, looks: Looks) -> str:
    """Say why an answer looks so; empty: it does not."""
    wanted = looks.status or range(200, 300)
    if reply.status not in wanted:
        return ""
    why = [f"The probe answered {reply.status}"]
    if looks.contains is not None:
        if reply.cut or looks.contains not in reply.text:
            return ""
        why.append(f'with "{looks.contains}"')
    if looks.field is not None:
        value = field(reply.value, looks.field)
        written = value if isinstance(value, str) else _written(value)
        if written != looks.equals:
            return ""
        why.append(f"with {looks.field} = {looks.equals}")
    return " ".join(why)[:300]


def _written(value: object) -> str:
    match value:
        case True:
            return "true"
        case False:
            return "false"
        case None:
            return "null"
        case int() | float():
            return f"{value}"
        case _:
            return ""


def _number(reply: Reply, path: str) -> float | None:
    value = field(reply.value, path) if 200 <= reply.status < 300 else None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
