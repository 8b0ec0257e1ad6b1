"""LiteLLM Proxy: blocks a virtual key, a team or a customer, and unblocks it, on every instance.

Management API of LiteLLM 1.60 and later: POST /key/block, /team/block, /customer/block and their opposites. An instance
that was not told itself goes on from its cache, for 60 s by default: so each is told, and each is asked by a call
that must be denied, because of the block and nothing else.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Coroutine, Sized
from hashlib import sha256
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from console import secret
from console.containment.actuator import Answer, Call, Declined, Reading, Unreachable
from console.containment.actuators.api import Api, Watched, base, within
from console.containment.actuators.client import Reply, Request, field
from console.containment.actuators.options import Line, Setting, Url, Variable
from console.refusal import Refused

_HASH = re.compile(r"[0-9a-f]{64}")
_DENIED = re.compile(r"\bblocked\b", re.IGNORECASE)

Keys = Annotated[dict[str, Variable], Meta(max_length=1000)]

T = TypeVar("T")


class Options(Watched, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`instances`: the address of every one. `by`: what a target is the name of.

    `keys`: target to the variable that holds a key of it, by which the probe calls; `key`: the same for all targets.
    `model`: what a call of a customer asks for, with one token.
    """

    url: Url = ""
    instances: Annotated[tuple[Url, ...], Meta(min_length=1, max_length=100)]
    by: Literal["key", "team", "customer"] = "key"
    keys: Keys = msgspec.field(default_factory=dict)
    key: Variable | None = None
    model: Line = ""


class Actuator(Api):
    """See `Options`."""

    def __init__(self, options: Options, setting: Setting) -> None:
        super().__init__(msgspec.structs.replace(options, url=options.url or options.instances[0]), setting)
        self._options, self._setting = options, setting
        self._instances = [base("instances", each) for each in options.instances]
        for each in self._instances:
            self.client.check(each)
        for variable in (*options.keys.values(), *filter(None, [options.key])):
            secret.of_environment(variable, "probe of LiteLLM", setting.secrets)
        if options.by == "customer" and not options.model:
            raise Refused("The option `model` is missing.", "A call of a customer names a model.")

    def requests(self, call: Call) -> list[Request]:
        """Return the request for each instance."""
        verb = "unblock" if self.lifts(call) else "block"
        match self._options.by:
            case "key":
                body: dict[str, Any] = {"key": self._hash(call.target)}
            case "team":
                body = {"team_id": call.target}
            case _:
                body = {"user_ids": [call.target]}
        headers = {"Content-Type": "application/json", "litellm-changed-by": f"warroom order {call.order}"}
        path = f"/{self._options.by}/{verb}"
        return [Request("POST", each + path, headers, json.dumps(body)) for each in self._instances]

    async def apply(self, call: Call) -> Answer:
        """Tell every instance at once."""
        async with within(call):
            told = await _all([self.client.send(call, each) for each in self.requests(call)])
        # First what may be different the next time.
        if later := [each for each in told if isinstance(each, Unreachable)]:
            raise Unreachable(f"{later[0]}{_of(later, told)}", max(each.after for each in later))
        if never := [each for each in told if isinstance(each, Declined)]:
            raise Declined(f"{never[0]}{_of(never, told)}")
        return Answer(False, f"{len(told)} instances took it.")

    async def read(self, call: Call) -> Reading:
        """Call every instance in the name of the target: every one must deny it."""
        key = self._key(call.target)
        if not key:
            return Reading(
                "unknown", f"There is no key of {call.target[:80]} to call with: set it in `keys`."
            )
        seen = await _all([self._tried(call, each, key) for each in self._instances])
        readings = [Reading("unknown", str(each)) if isinstance(each, Exception) else each for each in seen]
        for observed in ("running", "unknown"):
            if found := [each for each in readings if each.observed == observed]:
                return Reading(found[0].observed, f"{found[0].note}{_of(found, readings)}")
        return Reading("stopped", f"{len(readings)} of {len(readings)} instances deny a call as blocked.")

    async def _tried(self, call: Call, instance: str, key: str) -> Reading:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        if self._options.by == "customer":
            said = {"role": "user", "content": "ping"}
            body = {"model": self._options.model, "messages": [said], "max_tokens": 1, "user": call.target}
            request = Request("POST", f"{instance}/v1/chat/completions", headers, json.dumps(body))
        else:
            request = Request("GET", f"{instance}/v1/models", headers)
        reply = await self.client.ask(call, request, secured=False)
        host = urlsplit(instance).netloc
        if reply.status == 200 and isinstance(reply.value, dict):
            return Reading("running", f"{host} lets a call through.")
        if reply.status in (400, 401, 403) and self._blocked(reply):
            return Reading("stopped", f"{host} denies a call as blocked.")
        # A key that is not known, or a budget that is used up, is denied as well.
        return Reading("unknown", f"{host} answered {reply.status}, and not because of a block.")

    def _blocked(self, reply: Reply) -> bool:
        message = field(reply.value, "error.message") or field(reply.value, "detail.error")
        return isinstance(message, str) and _DENIED.search(message[:2000]) is not None

    def _hash(self, target: str) -> str:
        """What LiteLLM knows a key by: so that no key has to be sent."""
        if _HASH.fullmatch(target):
            return target
        key = self._key(target)
        if not key:
            raise Declined(f"{target[:80]!r} is no hash of a key, and `keys` does not name it.")
        return sha256(key.encode()).hexdigest()

    def _key(self, target: str) -> str:
        variable = self._options.keys.get(target) or self._options.key
        try:
            return secret.of_environment(variable, "probe", self._setting.secrets) if variable else ""
        except Refused as refused:
            raise Declined(str(refused)) from None


def _of(some: Sized, every: Sized) -> str:
    return f" ({len(some)} of {len(every)} instances)" if len(every) > 1 else ""


async def _all(work: list[Coroutine[Any, Any, T]]) -> list[T | Unreachable | Declined]:
    """Do everything at once, and return what came of each."""

    async def one(each: Coroutine[Any, Any, T]) -> T | Unreachable | Declined:
        try:
            return await each
        except (Unreachable, Declined) as error:
            return error

    return list(await asyncio.gather(*(one(each) for each in work)))
