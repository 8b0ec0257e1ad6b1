"""The watcher as its operators have it: a process, real clients, kills, restarts, rotated files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from console.watching import status
from data.clock import SystemClock
from tests.telemetry.otlp_bodies import as_json, span
from tests.watch.process import Watching, board, kinds, until

SECOND = 1_000_000_000
HOUR = 3600 * SECOND
INVENTORY = '[[agent]]\nname = "support"\ntools = ["search"]\nowner = "kim"\n'


def now() -> int:
    """The machine's time, which the watchers of these tests go by."""
    return SystemClock().now()


def post(
    watching: Watching, body: bytes, path: str = "/v1/traces", **headers: str
) -> tuple[int, dict[str, Any]]:
    """Send a JSON body as a sender that knows the token would, and return status and answer."""
    said = watching.ready()
    request = urllib.request.Request(said.addresses[0] + path, body, method="POST")
    request.add_header("Content-Type", "application/json")
    request.add_header("Authorization", f"Bearer {watching.token()}")
    for name, value in headers.items():
        request.add_header(name.replace("_", "-"), value)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def tool_call(tool: str, at: int, number: int, **attributes: Any) -> dict[str, Any]:
    """One tool call of the agent `support`, as OTLP JSON."""
    return span(
        {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": tool, "gen_ai.agent.name": "support"}
        | attributes,
        trace=f"{number + 1:032x}",
        span_id=f"{number + 1:016x}",
        end=at,
    )


def line(at: int, number: int, **fields: Any) -> str:
    """One action as a line of JSON."""
    action = {"at": at, "agent": "support", "id": f"a{number}", "kind": "tool", "tool": "search"}
    return json.dumps(action | fields) + "\n"


@pytest.mark.req("S003-TW-5")
async def test_a_real_exporter_reaches_the_record(tmp_path: Path) -> None:
    with Watching(tmp_path / "home", config=INVENTORY) as watching:
        said = watching.ready()
        exporter = OTLPSpanExporter(
            endpoint=said.addresses[0] + "/v1/traces",
            headers={"authorization": f"Bearer {watching.token()}"},
            compression=Compression.Gzip,
        )
        provider = TracerProvider(resource=Resource({"service.name": "shop"}), shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(exporter))
        tracer = provider.get_tracer("test")
        agent = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "support"}
        with tracer.start_as_current_span("invoke_agent support", attributes=agent):
            tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "drop_table"}
            with tracer.start_as_current_span("execute_tool drop_table", attributes=tool):
                pass
        assert provider.force_flush()
        provider.shutdown()
        until(lambda: watching.accepted() == 1, "the call was taken")
        watching.end()
    (alert,) = (await board(tmp_path / "home")).alerts.values()
    assert (alert.facts.rule, alert.facts.agent, alert.facts.subject) == (
        "authorisation",
        "support",
        "drop_table",
    )
    assert alert.facts.route == ("security",)
    assert await kinds(tmp_path / "home") == [
        "watch.founded",
        "watch.started",
        "alert.opened",
        "watch.stopped",
    ]


async def test_killed_at_any_moment_it_loses_and_doubles_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    start = now()
    sent = 0
    for _ in range(4):
        with Watching(home, config=INVENTORY) as watching:
            for _ in range(5):
                calls = [tool_call(f"tool-{sent}", start + sent, sent)]
                answer, _ = post(watching, as_json(calls, service_name="shop"))
                assert answer == 200
                sent += 1
            watching.kill()  # right behind the answer: snapshot and record may not have happened yet
    with Watching(home, config=INVENTORY) as watching:
        answer, _ = post(watching, as_json([tool_call("tool-0", start, 0)], service_name="shop"))
        assert answer == 200
        until(lambda: watching.accepted() == 1, "the repeat was taken")
        duplicates = until(watching.status, "status").senders
        assert sum(sender.duplicate for sender in duplicates) == 1
        watching.end()
    found = await kinds(home)
    assert found.count("alert.opened") == 20
    subjects = sorted(alert.facts.subject for alert in (await board(home)).alerts.values())
    assert subjects == sorted(f"tool-{n}" for n in range(20))


@pytest.mark.req("S003-TW-1")
async def test_baselines_survive_kills_and_restarts(tmp_path: Path) -> None:
    home, file = tmp_path / "home", tmp_path / "actions.jsonl"
    this_hour = now() // HOUR * HOUR
    past = [line(this_hour - hour * HOUR, hour, cost=2 * SECOND, kind="model") for hour in range(1, 21)]
    file.write_text("".join(reversed(past)))
    with Watching(home, "--jsonl", str(file)) as watching:
        watching.ready()
        until(lambda: watching.accepted() == 20, "the history was read")
        watching.end()  # leaves a snapshot
    with Watching(home, "--jsonl", str(file)) as watching:
        watching.ready()
        with file.open("a") as more:
            more.write(line(this_hour + 1, 900, cost=3 * SECOND, kind="model"))
        until(lambda: watching.accepted() == 1, "only what is new was read")
        watching.kill()  # leaves only the snapshot before that line
    with Watching(home, "--jsonl", str(file)) as watching:
        watching.ready()
        with file.open("a") as more:
            more.write(line(this_hour + 2, 901, cost=SECOND + 1, kind="model"))
        until(lambda: watching.accepted() == 2, "the lines after the snapshot were read again")
        watching.end()
    (alert,) = (await board(home)).alerts.values()
    assert (alert.facts.rule, alert.facts.value, alert.facts.limit) == (
        "cost-rate",
        4 * SECOND + 1,
        4 * SECOND,
    )


def test_a_second_watcher_is_told_who_runs(tmp_path: Path) -> None:
    with Watching(tmp_path / "home") as first:
        first.ready()
        with Watching(tmp_path / "home") as second:
            said = second.errors()
            assert second.process.returncode == 1
        assert f"process {first.process.pid}" in said
        assert "Traceback" not in said
        holder = status.running(tmp_path / "home" / "watch")
        assert holder is not None
        assert holder.pid == first.process.pid
        first.end()
    assert status.running(tmp_path / "home" / "watch") is None


def test_a_drill_takes_nothing_from_real_agents(tmp_path: Path) -> None:
    real = tmp_path / "real.jsonl"
    real.write_text("")
    with Watching(tmp_path / "home", "--drill", config=f'[[source]]\npath = "{real}"\n') as watching:
        said = watching.ready()
        assert (said.addresses, said.port) == ([], 0)
        assert said.senders == []
        watching.end()


async def test_a_child_ends_with_its_parent(tmp_path: Path) -> None:
    with Watching(tmp_path / "home", child=True) as watching:
        watching.ready()
        os.close(watching.parent_end)
        watching.parent_end = -1
        assert watching.process.wait(60) == 0
    assert (await kinds(tmp_path / "home"))[-1] == "watch.stopped"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signals_end_it_in_good_order(tmp_path: Path, number: signal.Signals) -> None:
    with Watching(tmp_path / "home") as watching:
        watching.ready()
        watching.process.send_signal(number)
        assert watching.process.wait(60) == 0
        assert "Traceback" not in watching.errors()
    assert (await kinds(tmp_path / "home"))[-1] == "watch.stopped"
    said = status.read(tmp_path / "home" / "watch")
    assert said is not None
    assert said.addresses == []


def test_the_port_survives_a_restart(tmp_path: Path) -> None:
    with Watching(tmp_path / "home") as watching:
        port = watching.ready().port
        watching.kill()
    with Watching(tmp_path / "home") as watching:
        assert watching.ready().port == port


def test_a_taken_port_is_said_and_another_one_used(tmp_path: Path) -> None:
    with Watching(tmp_path / "one") as first:
        port = first.ready().port
        second = Watching(tmp_path / "two")
        second.config.write_text(f"[intake]\nport = {port}\n")
        with second:
            said = second.ready()
            assert said.port not in (0, port)
            assert any(f"ort {port} is taken" in sentence for sentence in said.trouble)
            assert f"ort {port} is taken" in second.end()


async def test_refusals_are_counted_kept_and_on_the_record_once(tmp_path: Path) -> None:
    home, file = tmp_path / "home", tmp_path / "actions.jsonl"
    file.write_text(line(now(), 1) + "nonsense\n" * 50 + line(now() // SECOND, 2) + line(now(), 3))
    with Watching(home, "--jsonl", str(file)) as watching:
        watching.ready()
        until(lambda: watching.accepted() == 2, "the good lines were taken")
        assert post(watching, b"{", Authorization="Bearer wrong")[0] == 401
        assert post(watching, b"{")[0] == 400
        chat = tool_call("x", now(), 6, **{"gen_ai.operation.name": "chat"})
        assert post(watching, as_json([chat], service_name="costless"))[0] == 200
        bad = tool_call("search", now(), 7) | {"endTimeUnixNano": "0"}
        good = tool_call("search", now(), 8)
        code, answer = post(watching, as_json([bad, good], service_name="shop"))
        assert (code, answer["partialSuccess"]["rejectedSpans"]) == (200, "1")
        assert "no end time" in answer["partialSuccess"]["errorMessage"]

        def counted() -> dict[str, dict[str, int]] | None:
            said = watching.status()
            refused = {s.name: s.refused for s in said.senders if s.refused} if said else {}
            return refused if len(refused) == 3 else None

        refused = until(counted, "all refusals were counted")
        said = watching.status()
        assert said is not None
        assert "cost-rate: costless sent 1 model calls without their cost" in said.blind
        assert sum(refused[str(file)].values()) == 51
        assert any("looks like seconds" in reason for reason in refused[str(file)])
        assert sorted(refused["(at the door)"]) == ["no valid token", "undecodable body"]
        assert sum(refused["shop"].values()) == 1
        watching.end()
    found = await kinds(home)
    assert found.count("intake.refused") == 5  # one for each kind, not one for each record
    assert (home / "watch" / "refused.db").stat().st_mode & 0o777 == 0o600
    assert (home / "watch" / "token").stat().st_mode & 0o777 == 0o600


async def test_a_file_that_rotates_under_load_loses_nothing(tmp_path: Path) -> None:
    home, file = tmp_path / "home", tmp_path / "actions.jsonl"
    total, per_file = 1_500, 250
    with Watching(home, "--jsonl", str(file)) as watching:
        watching.ready()
        at = now()
        for first in range(0, total, per_file):
            with file.open("a") as writer:
                for number in range(first, first + per_file):
                    text = line(at + number, number, tool="search")
                    writer.write(text[:20])
                    writer.flush()
                    writer.write(text[20:])
                    if number == first:
                        writer.flush()
                        # The file is open now; what follows is written, and renamed, behind its back.
                        until(partial(_took, watching, first + 1), "the file was opened")
            file.rename(tmp_path / f"actions.{first}.jsonl")
        until(lambda: watching.accepted() >= total, "every line was read")
        watching.end()
    said = status.read(home / "watch")
    assert said is not None
    (sender,) = [sender for sender in said.senders if sender.kind == "jsonl"]
    assert (sender.accepted, sender.refused, sender.duplicate) == (total, {}, 0)


def _took(watching: Watching, count: int) -> bool:
    return watching.accepted() >= count


async def test_standard_input_is_a_source_and_survives_a_kill(tmp_path: Path) -> None:
    home = tmp_path / "home"
    program = (
        "import sys; from pathlib import Path; from console.config import load\n"
        "from console.watch import run; from data.home import Home\n"
        "run(Home.open(Path(sys.argv[1])), load(Path(sys.argv[2])), stdin=True)"
    )
    watching = Watching(home, config=INVENTORY)
    watching.process = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", program, str(home), str(watching.config)],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert watching.process.stdin is not None
    watching.ready()
    watching.process.stdin.write(line(now(), 1, tool="drop_table"))
    watching.process.stdin.flush()
    until(lambda: watching.accepted() == 1, "the line was taken")
    watching.kill()
    watching.errors()
    with Watching(home, config=INVENTORY) as again:
        assert any("1 actions accepted" in sentence for sentence in again.ready().trouble)
        again.end()
    assert [alert.facts.subject for alert in (await board(home)).alerts.values()] == ["drop_table"]


async def test_damaged_baselines_are_put_aside_and_said(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with Watching(home) as watching:
        watching.ready()
        watching.end()
    (home / "watch" / "baselines.db").write_bytes(b"not a database" * 1000)
    (home / "watch" / "refused.db").write_bytes(b"not a database" * 1000)
    with Watching(home) as watching:
        said = watching.ready()
        assert any("baselines" in sentence.lower() for sentence in said.trouble)
        watching.end()
    assert (home / "watch" / "baselines.damaged").exists()
