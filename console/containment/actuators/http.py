"""Any system with an HTTP API: a request that stops, one that lets go on, and one that looks, each a template."""

from __future__ import annotations

import asyncio
import re
from typing import Annotated, Literal, NamedTuple

from msgspec import Meta, Struct
from msgspec.structs import asdict

from console import secret
from console.containment.actuator import Answer, Call, Declined, Reading
from console.containment.actuators import catalogue, template
from console.containment.actuators.client import Client, Reply, Request, field, observing
from console.containment.actuators.options import Access, Key, Line, Setting, Status, Statuses, Text, Url
from console.containment.actuators.template import Template, Values
from console.refusal import Refused

_ENV = re.compile(r"(?:^|(?<= ))env:([A-Za-z_][A-Za-z0-9_]{0,99})$")
_NAME = re.compile(r"[A-Za-z0-9-]{1,100}")

Headers = Annotated[dict[str, Line], Meta(max_length=50)]
Needle = Annotated[str, Meta(min_length=1, max_length=500)]


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


class Options(Access, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """See docs/actuators.md."""

    stop: Sent | None = None
    restore: Sent | None = None
    probe: Probe | None = None


class _Template(NamedTuple):
    method: str
    url: Template
    headers: dict[str, Template]
    secrets: dict[str, str]
    body: Template

    def fill(self, known: Values) -> Request:
        headers = {name: each.fill(known) for name, each in self.headers.items()}
        return Request(self.method, self.url.fill(known), headers, self.body.fill(known))


class Actuator:
    """See `Options`."""

    def __init__(self, options: Options, setting: Setting) -> None:
        self._options, self._setting = options, setting
        self._client = Client(options, setting)
        if options.stop is None and options.restore is None:
            raise Refused("The option `stop` is missing.", "Say what is sent: [points.options.stop].")
        self._templates = {
            name: self._compiled(name, sent)
            for name, sent in (("stop", options.stop), ("restore", options.restore), ("probe", options.probe))
            if sent is not None
        }
        self._lifting = catalogue.lifting()
        self.verbs = (catalogue.stopping() if options.stop else frozenset()) | (
            self._lifting if options.restore else frozenset()
        )
        if options.probe is not None:
            _check(options.probe, options)

    def plan(self, call: Call) -> str:
        """Return the request, with secrets by their names."""
        which = self._which(call)
        return self._client.plan(call, self._templates[which].fill(template.values(call)))

    async def apply(self, call: Call) -> Answer:
        """Send the request."""
        which = self._which(call)
        sent = self._options.stop if which == "stop" else self._options.restore
        assert sent is not None  # noqa: S101 - `_which` gives those that are set
        reply = await self._client.send(call, self._request(which, call), sent.expect)
        return Answer(sent.effective, f"It answered {reply.status}{self._client.said(reply)}"[:300])

    @observing
    async def probe(self, call: Call) -> Reading:
        """Send the probe, and compare its answer with how those of a stopped and a running system look."""
        probe = self._options.probe
        if probe is None:
            return Reading("unknown", "No probe is configured.")
        if probe.counter:
            return await self._counted(call, probe, probe.counter)
        reply = await self._client.ask(call, self._request("probe", call))
        if probe.stopped is not None and (why := _looks(reply, probe.stopped)):
            return Reading("stopped", why)
        if probe.running is not None and (why := _looks(reply, probe.running)):
            return Reading("running", why)
        cut = "more than is read" if reply.cut else "neither what stopped nor what running looks like"
        return Reading(
            "unknown", f"The probe answered {reply.status}, and {cut}{self._client.said(reply)}"[:300]
        )

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.close()

    async def _counted(self, call: Call, probe: Probe, counter: str) -> Reading:
        request = self._request("probe", call)
        pause = min(probe.flat_seconds, call.timeout / 2)
        first = _number(await self._client.send(call, request, (200,)), counter)
        await asyncio.sleep(pause)
        second = _number(await self._client.send(call, request, (200,)), counter)
        if first is None or second is None:
            return Reading("unknown", f"The answer has no number {counter}.")
        if first == second and pause >= probe.flat_seconds:
            return Reading("stopped", f"{counter} stood at {second:g} for {pause:g} s.")
        if first == second:
            return Reading(
                "unknown", f"{counter} stood at {second:g}, but there were only {pause:g} s to look."
            )
        return Reading("running", f"{counter} went from {first:g} to {second:g} within {pause:g} s.")

    def _which(self, call: Call) -> str:
        if call.verb not in self.verbs:
            raise Declined(f"Nothing is configured for {call.verb}.")
        return "restore" if call.verb in self._lifting else "stop"

    def _request(self, which: str, call: Call) -> Request:
        made = self._templates[which]
        request = made.fill(template.values(call))
        headers = dict(request.headers)
        try:
            for name, variable in made.secrets.items():
                value = secret.of_environment(variable, "actuator", self._setting.secrets)
                headers[name] = headers[name].removesuffix(f"env:{variable}") + value
            self._client.check(request.url, secured=bool(made.secrets))
        except Refused as refused:
            raise Declined(str(refused)) from None
        return request._replace(headers=headers)

    def _compiled(self, which: str, sent: Sent | Probe) -> _Template:
        headers, secrets = dict(sent.headers), {}
        for name, text in sent.headers.items():
            if not _NAME.fullmatch(name):
                raise Refused(f"The option `{which}.headers` has a name that no header has: {name[:80]}.")
            # From the configuration only: a value must not be able to ask for a variable of the environment.
            if (found := _ENV.search(text)) is not None:
                secret.of_environment(found[1], f"header {name} of `{which}`", self._setting.secrets)
                secrets[name] = found[1]
        names = {name.lower(): text for name, text in headers.items()}
        kind = names.get("content-type", "")
        if sent.body and not kind:
            headers["Content-Type"] = kind = "application/json"
        url = template.address(f"{which}.url", sent.url)
        self._client.check(sent.url, secured=bool(secrets))
        return _Template(
            sent.method,
            url,
            {name: template.header(f"{which}.headers", text) for name, text in headers.items()},
            secrets,
            template.body(f"{which}.body", sent.body, kind),
        )


def _check(probe: Probe, options: Options) -> None:
    stop = options.stop
    if probe.counter is None and probe.stopped is None:
        raise Refused(
            "The option `probe` does not say how an answer looks when it has stopped.",
            'As in stopped = { field = "state", equals = "halted" }.',
        )
    for name, looks in (("stopped", probe.stopped), ("running", probe.running)):
        if looks is None:
            continue
        if not any(value for value in asdict(looks).values()):
            raise Refused(
                f"The option `probe.{name}` fits every answer.", "Name a status, a text or a field."
            )
        if (looks.field is None) != (looks.equals is None):
            raise Refused(f"The option `probe.{name}` needs `field` and `equals` together.")
    if probe.stopped is not None and probe.stopped == probe.running:
        raise Refused("The options `probe.stopped` and `probe.running` are the same.")
    if stop is not None and (stop.method, stop.url, stop.body) == (probe.method, probe.url, probe.body):
        raise Refused("The option `probe` repeats what is told.", "Look from elsewhere.")


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
    value = field(reply.value, path)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
