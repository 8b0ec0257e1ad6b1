"""The warden's door: what it answers, what it turns away, and what it does when the disk does not."""

import asyncio
import json
import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from console.containment.actuator import Declined
from console.warden.client import Warden
from console.warden.epochs import Epochs
from console.warden.leases import DOMAIN, Signer
from console.warden.server import Server
from console.warden.settings import Limits
from console.warden.streams import Streams
from data import durable
from data.clock import ManualClock
from tests.warden.conftest import Daemon, soon, standing, until

ORDER = "00000000000000d1"
GUARD = "0" * 31 + "1"
ASK = {
    "agent": "refunds",
    "guard": GUARD,
    "nonce": "a" * 32,
    "tools": ["refund", "mail"],
    "queues": ["payouts"],
}
CONTEXT = {"targetingKey": "refunds", "tool": "refund"}


async def post(url: str, body: Any, headers: dict[str, str] | None = None) -> tuple[int, Any, Any]:
    """Return status, headers and JSON of an answer, with a client that knows nothing of ours."""
    async with aiohttp.ClientSession() as session:
        data = body if isinstance(body, bytes) else json.dumps(body)
        sent = {"Content-Type": "application/json; charset=utf-8", **(headers or {})}
        async with session.post(url, data=data, headers=sent) as answer:
            raw = await answer.read()
            return answer.status, answer.headers, json.loads(raw) if raw else None


def opened(daemon: Daemon, answer: Any) -> dict[str, Any]:
    """Check a signature as docs/warden.md has it, and return what was signed."""
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(daemon.key))
    key.verify(bytes.fromhex(answer["signature"]), DOMAIN + answer["signed"].encode())
    said = json.loads(answer["signed"])
    assert isinstance(said, dict)
    return said


async def test_a_lease_says_for_whom_with_what_and_for_how_long(daemon: Daemon, warden: Warden) -> None:
    epoch = await warden.raise_epoch("tool", "refund", ORDER, "")
    status, _, answer = await post(f"{daemon.url}/lease", ASK)
    assert status == 200
    assert opened(daemon, answer) == {
        "kind": "lease",
        **{name: ASK[name] for name in ("agent", "guard", "nonce", "queues")},
        "epoch": epoch,
        "valid_ms": 1000,
        "tools": ["mail"],
    }
    halted = await warden.raise_epoch(
        "agent", "refunds", "00000000000000d2", "words for people, not for agents"
    )
    _, _, answer = await post(f"{daemon.url}/lease", ASK)
    assert opened(daemon, answer) == {"kind": "halt", "scope": "agent", "subject": "refunds", "epoch": halted}


WRONG: dict[str, Any] = {
    "no JSON": b"{",
    "not UTF-8": b'{"agent":"\xff"}',
    "deep": b"[" * 60_000,
    "no agent": {**ASK, "agent": ""},
    "a long name": {**ASK, "agent": "x" * 129},
    "a name that is a command for a terminal": {**ASK, "agent": "\x1b]0;x\x07"},
    "a tool of several lines": {**ASK, "tools": ["a\nb"]},
    "many tools": {**ASK, "tools": [f"t{number}" for number in range(257)]},
    "a short nonce": {**ASK, "nonce": "a"},
    "a guard with a path": {**ASK, "guard": "../../etc/passwd"},
    "an epoch of nowhere": {**ASK, "epoch": -1},
    "more than is understood": {**ASK, "valid_ms": 10**9},
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A warden for tests that leave it as it was."""
    made = Daemon(tmp_path_factory.mktemp("shared")).start()
    yield made
    made.stop()


@pytest.mark.parametrize("body", WRONG.values(), ids=WRONG)
async def test_what_agents_send_is_bounded_and_checked(shared: Daemon, body: Any) -> None:
    status, _, answer = await post(f"{shared.url}/lease", body)
    assert status == 400
    assert "signed" not in answer


@pytest.mark.parametrize(
    ("path", "body", "headers", "status"),
    [
        ("/lease", b"x" * 70_000, {}, 413),
        ("/lease", ASK, {"Origin": "http://evil.example"}, 403),
        ("/halt", {"scope": "all", "order": ORDER}, {}, 401),
        ("/halt", {"scope": "all", "order": ORDER}, {"Authorization": "Bearer wrong"}, 401),
        ("/nowhere", {}, {}, 404),
        ("/ack", {"agent": "stranger", "guard": GUARD, "epoch": 1}, {}, 404),
    ],
)
async def test_the_door_turns_away(
    shared: Daemon, path: str, body: Any, headers: dict[str, str], status: int
) -> None:
    assert (await post(shared.url + path, body, headers))[0] == status
    warden = shared.client()
    assert (await warden.report()).halts == []
    await warden.close()


@pytest.mark.parametrize(
    "order",
    [
        {"scope": "all", "subject": "refunds"},
        {"scope": "agent", "subject": ""},
        {"scope": "agent", "subject": "x" * 129},
        {"scope": "everything", "subject": ""},
        {"scope": "all", "subject": "", "order": "x"},
    ],
)
async def test_an_order_that_makes_no_sense_halts_nothing(shared: Daemon, order: dict[str, str]) -> None:
    headers = {"Authorization": f"Bearer {shared.token}"}
    assert (await post(f"{shared.url}/halt", {"order": ORDER, **order}, headers))[0] == 400


# OpenFeature: the requests and answers of OFREP 0.3 (open-feature/protocol, service/openapi.yaml).


async def test_an_openfeature_client_reads_the_flag(daemon: Daemon, warden: Warden) -> None:
    one = f"{daemon.url}/ofrep/v1/evaluate/flags/may-run"
    status, _, answer = await post(one, {"context": CONTEXT})
    assert status == 200
    metadata = answer.pop("metadata")
    assert answer == {"key": "may-run", "value": True, "variant": "run", "reason": "TARGETING_MATCH"}
    assert all(isinstance(value, (bool, str, int)) for value in metadata.values())
    epoch = await warden.raise_epoch("tool", "refund", ORDER, "")
    _, _, answer = await post(one, {"context": CONTEXT})
    assert (answer["value"], answer["variant"], answer["metadata"]) == (
        False,
        "halted",
        {"epoch": epoch, "scope": "tool"},
    )
    assert (await post(one, {"context": {"targetingKey": "refunds"}}))[2]["value"] is True
    assert (await post(one, {"context": {"targetingKey": "refunds", "queue": "payouts"}}))[2]["value"] is True
    await warden.raise_epoch("all", "", "00000000000000d2", "")
    assert (await post(one, {"context": {"targetingKey": "refunds"}}))[2]["value"] is False


OFREP_ERRORS: dict[str, tuple[str, Any, int, str]] = {
    "another flag": ("dark-mode", {"context": CONTEXT}, 404, "FLAG_NOT_FOUND"),
    "nobody named": ("may-run", {"context": {}}, 400, "TARGETING_KEY_MISSING"),
    "no context": ("may-run", {}, 400, "TARGETING_KEY_MISSING"),
    "an odd context": ("may-run", {"context": "refunds"}, 400, "INVALID_CONTEXT"),
    "an odd name": ("may-run", {"context": {"targetingKey": ["refunds"]}}, 400, "INVALID_CONTEXT"),
    "no JSON": ("may-run", b"{", 400, "PARSE_ERROR"),
    "no object": ("may-run", [], 400, "PARSE_ERROR"),
}


@pytest.mark.parametrize(("flag", "body", "status", "code"), OFREP_ERRORS.values(), ids=OFREP_ERRORS)
async def test_what_a_flag_is_not_known_for_is_an_error_so_that_the_safe_default_counts(
    shared: Daemon, flag: str, body: Any, status: int, code: str
) -> None:
    got, _, answer = await post(f"{shared.url}/ofrep/v1/evaluate/flags/{flag}", body)
    assert (got, answer["key"], answer["errorCode"]) == (status, flag, code)
    assert "value" not in answer


async def test_all_flags_at_once_with_an_entity_tag(daemon: Daemon, warden: Warden) -> None:
    url = f"{daemon.url}/ofrep/v1/evaluate/flags"
    status, headers, answer = await post(url, {"context": CONTEXT})
    assert (status, [flag["value"] for flag in answer["flags"]]) == (200, [True])
    tag = headers["ETag"]
    assert (await post(url, {"context": CONTEXT}, {"If-None-Match": tag}))[0] == 304
    assert (await post(url, {"context": {"targetingKey": "search"}}, {"If-None-Match": tag}))[0] == 200
    await warden.raise_epoch("agent", "refunds", ORDER, "")
    status, _, answer = await post(url, {"context": CONTEXT}, {"If-None-Match": tag})
    assert (status, answer["flags"][0]["value"]) == (200, False)
    assert (await post(url, {"context": {}}))[2]["errorCode"] == "TARGETING_KEY_MISSING"


async def test_flagd_reads_the_same_from_a_file(tmp_path: Path) -> None:
    daemon = Daemon(
        tmp_path, f'lease = "1 s"\nagents = ["refunds", "support-*"]\nflags = "{tmp_path}/flagd.json"'
    ).start()
    warden = daemon.client()

    def runs(agent: str, tool: str = "", queue: str = "") -> bool:
        flag = json.loads((tmp_path / "flagd.json").read_text())["flags"]["may-run"]
        assert (flag["state"], flag["variants"][flag["defaultVariant"]]) == ("ENABLED", False)
        context = {"targetingKey": agent, "tool": tool, "queue": queue}
        found = flag["variants"][
            logic(flag["targeting"], {name: value for name, value in context.items() if value})
        ]
        assert isinstance(found, bool)
        return found

    until(lambda: (tmp_path / "flagd.json").exists())
    assert [runs(name) for name in ("refunds", "support-7", "stranger", "")] == [True, True, False, False]
    tool = await warden.raise_epoch("tool", "refund", ORDER, "")
    until(lambda: not runs("refunds", "refund"))
    assert runs("refunds", "mail")
    every = await warden.raise_epoch("all", "", "00000000000000d2", "")
    until(lambda: not runs("refunds"))
    await warden.resume("agent", "support-7", every, "")
    until(lambda: runs("support-7"))
    assert not runs("support-7", "refund")
    assert not runs("support-8")
    await warden.resume("all", "", every, "")
    await warden.resume("tool", "refund", tool, "")
    until(lambda: runs("refunds", "refund"))
    assert stat.S_IMODE((tmp_path / "flagd.json").stat().st_mode) == 0o644
    _, _, answer = await post(
        f"{daemon.url}/ofrep/v1/evaluate/flags/may-run", {"context": {"targetingKey": "stranger"}}
    )
    assert (answer["value"], answer["reason"]) == (False, "DEFAULT")
    assert (await post(f"{daemon.url}/lease", {**ASK, "agent": "stranger"}))[0] == 403
    await warden.close()
    daemon.stop()


def logic(rule: Any, context: dict[str, Any]) -> Any:
    """JsonLogic, as much of it as a flag of ours has; written from its documentation (jsonlogic.com, flagd.dev)."""
    if not isinstance(rule, dict):
        return rule
    ((name, given),) = rule.items()
    if name == "if":
        return logic(given[1] if logic(given[0], context) else given[2], context)
    if name == "var":
        key, default = given if isinstance(given, list) else (given, None)
        return context.get(key, default)
    if name == "in":
        return logic(given[0], context) in given[1]
    values = [logic(each, context) for each in (given if isinstance(given, list) else [given])]
    deeds: dict[str, Callable[[], Any]] = {
        "and": lambda: all(values),
        "or": lambda: any(values),
        "!": lambda: not values[0],
        "!!": lambda: bool(values[0]),
        "==": lambda: values[0] == values[1],
        "starts_with": lambda: values[0].startswith(values[1]),
    }
    return deeds[name]()


async def test_a_longer_lease_is_given_to_whom_the_configuration_names_and_is_shown(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, 'lease = "1 s"\nlonger = {digest = "90 s"}').start()
    warden = daemon.client()
    for agent, valid in (("digest", 90_000), ("refunds", 1000)):
        _, _, answer = await post(f"{daemon.url}/lease", {**ASK, "agent": agent})
        assert opened(daemon, answer)["valid_ms"] == valid
    epoch = await warden.raise_epoch("all", "", ORDER, "")
    digest, _ = await warden.standing()
    assert (digest.agent, digest.longer, digest.valid_ms) == ("digest", True, 90_000)
    refunds = await standing(warden, lambda each: each.state == "lease_expired", "refunds")
    assert (refunds.epoch, refunds.longer) == (epoch, False)
    assert (await standing(warden, lambda each: each.state == "unreachable", "digest")).lease_ms > 60_000
    shown = daemon.cli().stdout
    assert "HALTED all" in shown
    assert "LONGER LEASE of 90 s" in shown
    assert "UNREACHABLE" in shown
    await warden.close()
    daemon.stop()


async def test_a_disk_that_takes_nothing_stops_no_halt_but_every_resume_and_is_said(
    daemon: Daemon, warden: Warden
) -> None:
    epoch = await warden.raise_epoch("tool", "refund", ORDER, "")
    kept = (daemon.place / "epochs.json").read_bytes()
    # A directory in place of the file: it cannot be replaced, whoever asks.
    (daemon.place / "epochs.json").rename(daemon.place / "aside")
    (daemon.place / "epochs.json").mkdir()
    (daemon.place / "epochs.json" / "full").touch()
    with pytest.raises(Declined, match="nothing was resumed"):
        await warden.resume("tool", "refund", epoch, "")
    higher = await warden.raise_epoch("all", "", "00000000000000d2", "")
    assert higher > epoch
    assert "restart would forget" in warden.trouble
    assert opened(daemon, (await post(f"{daemon.url}/lease", ASK))[2])["kind"] == "halt"
    assert any("The disk takes nothing" in said for said in (await warden.report()).trouble)
    (daemon.place / "epochs.json" / "full").unlink()
    (daemon.place / "epochs.json").rmdir()
    until(lambda: (daemon.place / "epochs.json").is_file())
    daemon.kill()
    assert (daemon.place / "epochs.json").read_bytes() != kept
    daemon.start()
    assert [word.epoch for word in (await warden.report()).halts] == [epoch, higher]


async def test_a_disk_that_hangs_holds_a_halt_up_for_moments_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this process, because no disk can be made to hang on demand."""
    epochs = Epochs.open(tmp_path / "epochs.json", new=True)
    signer, _ = Signer.open(tmp_path)
    clock = ManualClock(1_764_000_000_000_000_000)
    server = Server(
        epochs, signer, Limits(), tmp_path / "flags.json", ("control" * 4, ""), clock, lambda line: None
    )
    runner = web.ServerRunner(web.Server(server.handle, access_log=None))
    await runner.setup()
    await web.SockSite(runner, listening := socket.create_server(("127.0.0.1", 0))).start()
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    warden = Warden(url, "control" * 4)
    hangs, write = threading.Event(), durable.replace

    def hang(target: Path, data: bytes) -> None:
        hangs.wait(30)
        write(target, data)

    monkeypatch.setattr("console.warden.epochs.durable.replace", hang)
    monkeypatch.setattr("console.warden.server.PATIENCE", 0.5)
    try:
        halting = asyncio.create_task(warden.raise_epoch("all", "", ORDER, ""))
        # From the first moment nobody gets a lease, and nobody hears of an epoch that is not on the disk.
        while (got := await post(f"{url}/lease", ASK))[0] == 200 and "lease" in got[2]["signed"]:
            assert not halting.done()
        assert got[0] == 503 or halting.done()
        epoch = await halting
        assert "restart would forget" in warden.trouble
        assert json.loads((await post(f"{url}/lease", ASK))[2]["signed"])["epoch"] == epoch
        hangs.set()
        await server.again()
        assert (await warden.report()).trouble == []
        assert [word.epoch for word in Epochs.open(tmp_path / "epochs.json").in_force] == [epoch]
    finally:
        hangs.set()
        await warden.close()
        await runner.cleanup()


async def test_after_a_loss_it_begins_with_everything_halted(daemon: Daemon, warden: Warden) -> None:
    before = await warden.raise_epoch("agent", "refunds", ORDER, "")
    daemon.stop()
    (daemon.place / "epochs.json").unlink()
    refused = daemon.cli("run")
    assert refused.returncode == 3
    assert "--after-loss" in refused.stderr
    daemon.start("--after-loss")
    (word,) = (await warden.report()).halts
    assert (word.scope, word.epoch > before) == ("all", True)
    daemon.stop()
    daemon.start()
    assert [each.epoch for each in (await warden.report()).halts] == [word.epoch]


async def test_secrets_are_their_owners_alone_and_what_guards_need_is_for_all(daemon: Daemon) -> None:
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in daemon.place.iterdir()}
    assert {modes[name] for name in ("key.pem", "token", "epochs.json")} == {0o600}
    assert {modes[name] for name in ("key.pub", "address")} == {0o644}
    daemon.stop()
    for name in ("key.pem", "token"):
        (daemon.place / name).chmod(0o640)
        refused = daemon.cli("run")
        assert (refused.returncode, "chmod 600" in refused.stderr) == (3, True)
        (daemon.place / name).chmod(0o600)


async def test_beyond_loopback_guards_show_a_token(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, 'lease = "1 s"\nhost = "0.0.0.0"').start()
    assert (await post(f"{daemon.url}/lease", ASK))[0] == 401
    token = (daemon.place / "guard-token").read_text().strip()
    assert (await post(f"{daemon.url}/lease", ASK, {"Authorization": f"Bearer {token}"}))[0] == 200
    assert (
        await post(
            f"{daemon.url}/ofrep/v1/evaluate/flags/may-run", {"context": CONTEXT}, {"X-API-Key": token}
        )
    )[0] == 200
    assert (
        await post(
            f"{daemon.url}/halt", {"scope": "all", "order": ORDER}, {"Authorization": f"Bearer {token}"}
        )
    )[0] == 401
    daemon.stop()


@pytest.mark.req("S003-KS-6")
async def test_a_stream_tells_each_agent_what_concerns_it_in_order(daemon: Daemon, warden: Warden) -> None:
    first = await warden.raise_epoch("tool", "refund", ORDER, "")
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{daemon.url}/stream", params={"agent": "refunds", "guard": GUARD}) as stream,
    ):

        async def told() -> tuple[str, str, int]:
            async with asyncio.timeout(10):
                while not (line := (await stream.content.readline()).strip()):
                    assert not stream.content.at_eof()
            said = opened(daemon, json.loads(line))
            return said["kind"], said["scope"], said["epoch"]

        assert await told() == ("halt", "tool", first)
        await warden.raise_epoch("agent", "search", "00000000000000d2", "")
        third = await warden.raise_epoch("agent", "refunds", "00000000000000d3", "")
        fourth = await warden.resume("agent", "refunds", third, "")
        assert [await told() for _ in range(2)] == [("halt", "agent", third), ("resume", "agent", fourth)]
        assert (await standing(warden, lambda each: each.stream)).guard == GUARD
    await standing(warden, lambda each: not each.stream)


async def test_a_stream_that_reads_nothing_holds_nobody_up() -> None:
    streams = Streams(most=2)

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return await streams.hold(request, request.query["agent"], lambda: b"first\n")

    runner = web.ServerRunner(web.Server(answer, access_log=None))
    await runner.setup()
    site = web.SockSite(runner, listening := socket.create_server(("127.0.0.1", 0)))
    await site.start()
    watching = asyncio.create_task(streams.watch())
    port = listening.getsockname()[1]
    _, deaf = await asyncio.open_connection("127.0.0.1", port, limit=1)
    deaf.write(b"GET /?agent=deaf HTTP/1.1\r\nHost: x\r\n\r\n")
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/?agent=other") as stream,
    ):
        assert await stream.content.readline() == b"first\n"
        await soon(lambda: streams.full)
        for _ in range(400):
            streams.tell(b"x" * 60_000 + b"\n", "deaf")
            await asyncio.sleep(0)
        streams.tell(b"last\n")
        assert await stream.content.readline() == b"last\n"
        await soon(lambda: not streams.full)
        streams.close()
        assert await stream.content.read() == b""
    watching.cancel()
    deaf.transport.abort()
    await runner.cleanup()


async def test_one_warden_for_one_directory(daemon: Daemon) -> None:
    second = daemon.cli("run")
    assert second.returncode == 3
    assert "runs on" in second.stderr
    assert daemon.stop() == 0


@pytest.mark.parametrize(
    "setting", ['lease = "10 ms"', 'lease = "2 h"', 'longer = {digest = "1 s"}', 'longer = {digest = "1 d"}']
)
def test_a_lease_out_of_its_bounds_is_refused_in_words(tmp_path: Path, setting: str) -> None:
    daemon = Daemon(tmp_path, setting)
    daemon.configure()
    done = daemon.cli("run")
    assert done.returncode == 3
    assert "`warden." in done.stderr
    assert not (daemon.place / "key.pem").exists()


def test_without_a_warden_the_status_says_what_to_do(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "WARROOM_HOME": str(tmp_path),
        "WARROOM_CONFIG": str(tmp_path / "config.toml"),
    }
    (tmp_path / "config.toml").write_text("")
    done = subprocess.run(
        [sys.executable, "-m", "console.cli", "warden"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, "warden run" in done.stderr) == (3, True)


def test_doctor_says_whether_the_warden_is_there(daemon: Daemon) -> None:
    def found() -> list[str]:
        return [
            line
            for line in daemon.cli(command="doctor").stdout.splitlines()
            if line[8:].startswith("warden ")
        ]

    (line,) = found()
    assert line.startswith("ok")
    assert "nothing is halted" in line
    daemon.kill()
    (line,) = found()
    assert line.startswith("BROKEN")
    (daemon.place / "token").chmod(0o644)
    (line,) = found()
    assert "Others can read" in line


def test_the_check_of_the_configuration_finds_a_lease_that_cannot_be(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, 'lease = "2 h"')
    daemon.configure()
    done = daemon.cli("check", command="config")
    assert (done.returncode, "`warden.lease` is 7200 s" in done.stdout) == (1, True), done
