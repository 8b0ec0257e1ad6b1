"""NATS: what stands behind an acknowledgement, and objects bigger than a message."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from typing import Any

import pytest

from data.remotes import RemoteTrouble
from data.remotes.jetstream import Answer
from data.remotes.nats import Nats
from tests.remotes import servers
from tests.remotes.conftest import Place


@pytest.fixture
def remote(nats: Place) -> Iterator[Nats]:
    with closing(Nats(*nats)) as remote:
        yield remote


def asked(url: str, subject: str, data: bytes, headers: dict[str, str] | None = None) -> dict[str, Any]:
    """One request by somebody else."""
    import nats

    async def ask() -> bytes:
        client = await nats.connect(url)
        try:
            return bytes((await client.request(subject, data, timeout=30, headers=headers)).data)
        finally:
            await client.close()

    answer: dict[str, Any] = json.loads(asyncio.run(ask()))
    return answer


def test_a_server_that_syncs_now_and_then_is_a_transport(nats: Place) -> None:
    with closing(Nats(*nats)) as remote:
        found = remote.probe()
    assert found.durable == "transport; replicas: 1; synced now and then"
    assert any("before its disk does" in warning for warning in found.warnings)
    assert found.locked == "messages cannot be deleted"


def test_without_its_monitor_nobody_knows(nats: Place) -> None:
    with closing(Nats(nats[0], {})) as remote:
        found = remote.probe()
    assert "nobody says" in found.durable
    assert any("before its disk does" in warning for warning in found.warnings)


def test_a_server_that_always_syncs_is_not_warned_of() -> None:
    with servers.nats(sync_always=True) as (url, monitor), closing(Nats(url, {"monitor": monitor})) as remote:
        found = remote.probe()
        assert found.warnings == ()
        assert "synced always" in found.durable


def test_messages_cannot_be_deleted_or_purged(nats: Place, remote: Nats, case: str) -> None:
    remote.put(f"{case}/a", b"x")
    server = nats[0].rpartition("/")[0]
    for method, request in (("MSG.DELETE", {"seq": 1}), ("PURGE", {})):
        answer = asked(server, f"$JS.API.STREAM.{method}.evidence", json.dumps(request).encode())
        assert answer["error"]["code"] >= 400, answer
    assert remote.get(f"{case}/a") == b"x"


def test_nobody_replaces_an_object_even_without_our_headers(nats: Place, remote: Nats, case: str) -> None:
    remote.put(f"{case}/a", b"x")
    answer = asked(nats[0].rpartition("/")[0], f"evidence.o.{case}.a", b"forged")
    assert answer["error"]["err_code"] == 10077
    assert remote.get(f"{case}/a") == b"x"


def test_a_stream_of_somebody_else_is_used_and_warned_of(nats: Place) -> None:
    server = nats[0].rpartition("/")[0]
    name = f"loose-{os.urandom(4).hex()}"
    config = {
        "name": name,
        "subjects": [f"{name}.>"],
        "storage": "memory",
        "max_age": 10**12,
        "retention": "limits",
    }
    assert "error" not in asked(server, f"$JS.API.STREAM.CREATE.{name}", json.dumps(config).encode())
    with closing(Nats(f"{server}/{name}", {})) as remote:
        found = remote.probe()
        assert found.create == "atomic", "our headers alone make it so"
        said = " ".join(found.warnings)
        assert all(word in said for word in ("in memory", "limit of age", "deny_delete"))


def test_a_part_that_is_another_is_noticed(nats: Place, remote: Nats, case: str) -> None:
    data = os.urandom(2_500_000)
    server = nats[0].rpartition("/")[0]
    size = 1024 * 1024 - 4096
    remote.put(f"{case}/first", b"")  # makes the stream
    # Somebody was faster, with other bytes.
    asked(server, f"evidence.p.{sha256(data[size : 2 * size]).hexdigest()}", b"forged")
    remote.put(f"{case}/a", data)
    with pytest.raises(RemoteTrouble, match="a part of"):
        remote.get(f"{case}/a")


def test_listings_longer_than_an_answer(
    nats: Place, remote: Nats, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{case}/{i:03}" for i in range(30)]
    for name in names:
        remote.put(name, b"")
    whole = remote._server.info

    async def some(subjects: str = "", offset: int = 0) -> Answer:
        answer = await whole(subjects)
        every = sorted(answer.state.subjects or {})
        answer.total, answer.state.subjects = len(every), dict.fromkeys(every[offset : offset + 7], 1)
        return answer

    monkeypatch.setattr(remote._server, "info", some)
    assert list(remote.list(f"{case}/")) == names
    assert list(remote.list(f"{case}/", names[12])) == names[13:]


def test_a_stream_that_was_deleted_is_made_anew_at_the_next_try(nats: Place, case: str) -> None:
    server, name = nats[0].rpartition("/")[0], f"gone{case[-8:].lower()}"
    with closing(Nats(f"{server}/{name}", {})) as remote:
        remote.put(f"{case}/a", b"x")
        assert "error" not in asked(server, f"$JS.API.STREAM.DELETE.{name}", b"")
        with pytest.raises(RemoteTrouble, match="stream not found"):
            list(remote.list(f"{case}/"))
        assert list(remote.list(f"{case}/")) == []
        assert remote.put(f"{case}/a", b"x")
        assert remote.get(f"{case}/a") == b"x"


def test_without_jetstream_it_is_said() -> None:
    with servers.nats(jetstream=False) as (url, _), closing(Nats(url, {"timeout": "2"})) as remote:
        with pytest.raises(RemoteTrouble) as caught:
            remote.put("case/a", b"x")
        assert "JetStream" in str(caught.value)
