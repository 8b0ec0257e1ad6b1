"""LiteLLM: several instances over one database, each with a cache of its own that outlives a block by another."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from aiohttp import web

from console.containment.actuator import Declined, Unreachable
from console.refusal import Refused
from tests.actuators.conftest import (
    ENVIRONMENT,
    SECRET,
    TROUBLES,
    Make,
    Seen,
    Site,
    Start,
    call,
    said,
    survives,
)

KEY = ENVIRONMENT["TEST_KEY"]
HASH = sha256(KEY.encode()).hexdigest()


def denied(message: str, status: int = 401) -> web.Response:
    error = {
        "message": f"Authentication Error, {message}",
        "type": "auth_error",
        "param": "None",
        "code": str(status),
    }
    return said({"error": error}, status)


class Database:
    def __init__(self) -> None:
        self.blocked: set[str] = set()
        self.changed_by: list[str] = []


class Instance(Site):
    """One instance: what it once let in it keeps in its cache until it is told of a change itself."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self.database = database
        self.cached = {f"key {HASH}", "team search", "customer ana"}
        self.deaf = False

    async def answer(self, request: Seen) -> web.Response:
        secret = request.headers.get("Authorization", "").removeprefix("Bearer ")
        kind, _, verb = request.path.strip("/").partition("/")
        if kind in ("key", "team", "customer"):
            if secret != SECRET:
                return denied("Only proxy admin can be used to block keys", 403)
            assert SECRET not in request.body.decode()
            assert KEY not in request.body.decode()
            body = request.value
            names = {"key": [body.get("key")], "team": [body.get("team_id")]}.get(kind) or body["user_ids"]
            return self._change(kind, verb, names, request)
        if secret != KEY:
            return denied("Invalid proxy server token passed. key=x, not found in db.")
        if self._stops(f"key {HASH}"):
            return denied("Key is blocked. Update via `/key/unblock` if you're an admin.")
        if self._stops("team search"):
            return denied("Team=search is blocked. Update via `/team/unblock` if you're an admin.")
        if request.path == "/v1/models":
            return said({"data": [{"id": "small"}]})
        assert request.path == "/v1/chat/completions"
        assert request.value["max_tokens"] == 1
        if self._stops(f"customer {request.value['user']}"):
            return said(
                {
                    "detail": {
                        "error": f"User blocked from making LLM API Calls. User={request.value['user']}"
                    }
                },
                400,
            )
        return said({"choices": []})

    def _change(self, kind: str, verb: str, names: list[str], request: Seen) -> web.Response:
        if self.deaf:
            return said({"blocked": True})
        self.database.changed_by.append(request.headers["litellm-changed-by"])
        for name in names:
            if kind == "key" and name != HASH:
                return denied("Key not found in db", 404)
            entry = f"{kind} {name}"
            (self.database.blocked.add if verb == "block" else self.database.blocked.discard)(entry)
            self.cached.discard(entry)
        return said({"blocked": verb == "block"})

    def _stops(self, entry: str) -> bool:
        return entry in self.database.blocked and entry not in self.cached


@pytest.fixture
async def instances(start: Start[Instance]) -> list[Instance]:
    database = Database()
    return [await start(Instance(database)) for _ in range(3)]


TARGETS = {"key": "refunds", "team": "search", "customer": "ana"}


def options(instances: list[Instance], by: str = "key", **more: object) -> dict[str, object]:
    return {
        "instances": [each.url for each in instances],
        "token_env": "TEST_TOKEN",
        "by": by,
        "keys": {TARGETS[by]: "TEST_KEY"},
        "model": "small",
        **more,
    }


@pytest.mark.parametrize("by", TARGETS)
async def test_every_instance_is_told_and_every_one_must_deny(
    by: str, instances: list[Instance], made: Make
) -> None:
    actuator = made("litellm", options(instances, by))
    what = call(target=TARGETS[by])
    assert (await actuator.probe(what)).observed == "running"
    for _ in range(2):
        assert not (await actuator.apply(what)).effective
    reading = await actuator.probe(what)
    assert reading.observed == "stopped"
    assert "3 of 3" in reading.note
    assert set(instances[0].database.changed_by) == {"warroom order 00112233445566aa"}
    await actuator.apply(call("restore_agent", target=TARGETS[by]))
    assert (await actuator.probe(what)).observed == "running"


async def test_one_instance_that_goes_on_from_its_cache_is_seen(
    instances: list[Instance], made: Make
) -> None:
    actuator = made("litellm", options(instances))
    instances[1].deaf = True
    await actuator.apply(call())
    reading = await actuator.probe(call())
    assert reading.observed == "running"
    assert str(instances[1].port) in reading.note
    assert "1 of 3" in reading.note


async def test_one_instance_that_cannot_be_reached_is_named_and_the_others_are_told(
    instances: list[Instance], made: Make
) -> None:
    await instances[2].close()
    actuator = made("litellm", options(instances))
    with pytest.raises(Unreachable, match=str(instances[2].port)):
        await actuator.apply(call())
    assert instances[0].database.blocked
    reading = await actuator.probe(call())
    assert reading.observed == "unknown"
    assert str(instances[2].port) in reading.note


async def test_a_key_that_is_denied_for_another_reason_proves_nothing(
    instances: list[Instance], made: Make
) -> None:
    actuator = made("litellm", options(instances), TEST_KEY="sk-of-somebody-else")
    reading = await actuator.probe(call())
    assert reading.observed == "unknown"
    assert "not because of a block" in reading.note


async def test_a_key_may_be_named_by_its_hash_and_then_nobody_can_try_it(
    instances: list[Instance], made: Make
) -> None:
    actuator = made("litellm", options(instances))
    await actuator.apply(call(target=HASH))
    assert instances[0].database.blocked == {f"key {HASH}"}
    assert (await actuator.probe(call(target=HASH))).observed == "unknown"
    with pytest.raises(Declined, match="no hash of a key"):
        await actuator.apply(call(target="unheard"))


async def test_the_dry_run_names_every_instance_and_no_secret(instances: list[Instance], made: Make) -> None:
    plan = made("litellm", options(instances)).plan(call())
    for each in instances:
        assert f"POST {each.url}/key/block" in plan
        assert not each.seen
    for secret in (SECRET, KEY):
        assert secret not in plan


async def test_a_wrong_token_is_said(instances: list[Instance], made: Make) -> None:
    actuator = made("litellm", options(instances), TEST_TOKEN="another-0123456789")
    with pytest.raises(Declined, match="check the secret"):
        await actuator.apply(call())
    assert not instances[0].database.blocked


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_whatever_one_does_is_said_in_time(trouble: str, instances: list[Instance], made: Make) -> None:
    timeout = 0.5 if trouble in ("hangs", "drips") else 5.0
    # The others are told and deny: one alone keeps the whole from being proven.
    instances[0].database.blocked.add(f"key {HASH}")
    for each in instances:
        each.cached.clear()
    await survives(trouble, instances[1], made("litellm", options(instances)), call(timeout=timeout))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"instances": []}, "`instances`"),
        ({"instances": ["litellm"]}, "no address"),
        ({"instances": ["http://litellm:4000"]}, "in the clear"),
        ({"by": "user"}, "`by`"),
        ({"keys": {"a": "TEST_NONE"}}, "TEST_NONE"),
        ({"by": "customer", "model": ""}, "`model` is missing"),
        ({"token_env": None}, "`token_env` is missing"),
    ],
)
def test_a_mistake_is_said(change: dict[str, Any], words: str, made: Make) -> None:
    known = {"instances": ["https://litellm.example.com"], "token_env": "TEST_TOKEN"}
    with pytest.raises(Refused, match=words):
        made("litellm", known | change)
