"""Running steps: for real, with programs and a server of the test."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import sys
from pathlib import Path

import pytest

from console.refusal import Refused
from console.room import Room
from console.runner import processes
from console.runner.output import HEAD, TAIL, Progress
from console.runner.player import Player, Settings
from console.runner.refusal import Hindered
from data.blobs import Blobs
from data.verify import verify
from tests.runner.conftest import Server, book, command, shell, step, until


def output(room: Room, run_id: str) -> list[str]:
    """What is kept of a run, one text for each output."""
    run = room.incident.plays.runs[run_id]
    return [Blobs(room.case.directory).read(ref).decode() for ref in run.refs]


def standing(player: Player, name: str) -> str:
    """How far a step is."""
    return player.step(name)[1].standing


def alive(pid: int) -> bool:
    try:
        said = Path(f"/proc/{pid}/stat").read_bytes()
    except FileNotFoundError:
        return False
    return said[said.rfind(b")") + 2 : said.rfind(b")") + 3] not in b"ZX"


async def pid_in(file: Path) -> int:
    """The number that a program of the test writes down once it is ready."""
    await until(lambda: file.exists() and file.read_text().endswith("\n"))
    return int(await asyncio.to_thread(file.read_text))


@pytest.mark.req("S000-PD-2", "S002-SN-16")
async def test_a_command_runs_for_real_and_what_it_said_is_an_exhibit(player: Player, room: Room) -> None:
    values = ({"name": "who", "ask": "Who?"},)
    await player.open(
        book(
            command("hello", sys.executable, "-c", "import sys; print('hello', sys.argv[1])", "{who}"),
            values=values,
        )
    )
    with pytest.raises(Hindered) as hindered:
        await player.run("hello", real=True)
    assert [each.code for each in hindered.value.refusals] == ["values"]
    assert "who is not filled in" in str(hindered.value)
    await player.fill("who", "ana; rm -rf $HOME")
    run = await player.run("hello", real=True)
    assert (run.outcome, run.exit, run.dry) == ("done", 0, False)
    assert output(room, run.id) == ["hello ana; rm -rf $HOME\n"]
    assert run.what[-1] == "ana; rm -rf $HOME", "the record says exactly what ran"
    (exhibit,) = room.incident.exhibits
    assert (exhibit.refs, exhibit.body.exit) == (run.refs, 0)
    assert exhibit.body.command == run.what
    assert room.incident.plays.opened["test"].steps["hello"].standing == "done"
    assert verify(room.case.directory).damage == []


@pytest.mark.req("S002-SN-16")
async def test_a_dry_run_is_the_default_and_runs_the_dry_command_or_nothing(
    player: Player, room: Room, server: Server, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    await player.open(
        book(
            command("touch", "touch", str(mark)),
            command("echo", "touch", str(mark), dry=("echo", "would touch")),
            step("call", http={"method": "POST", "url": server.url}),
        )
    )
    shown = await player.run("touch")
    assert (shown.dry, shown.outcome, shown.refs) == (True, "done", ())
    rehearsed = await player.run("echo")
    assert output(room, rehearsed.id) == ["would touch\n"]
    called = await player.run("call")
    assert called.what[0] == f"POST {server.url}"
    assert not mark.exists()
    assert server.taken == []
    play = room.incident.plays.opened["test"]
    assert [state.standing for state in play.steps.values()] == ["open", "open", "open"]
    assert play.steps["echo"].rehearsed is not None


@pytest.mark.req("S002-SN-5", "S002-SN-6")
async def test_a_flag_is_flipped_over_http_once_with_a_secret_that_is_never_recorded(
    player: Player, room: Room, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLAG_TOKEN", "s3cr3t-of-the-test")
    flip = step(
        "flip",
        http={
            "method": "PATCH",
            "url": "{base}/flags/{flag}",
            "headers": {"Authorization": "Bearer env:FLAG_TOKEN"},
            "body": '{"enabled": false, "why": "{why}"}',
        },
    )
    values = tuple({"name": name, "ask": name} for name in ("base", "flag", "why"))
    await player.open(book(flip, values=values))
    await player.fill("base", server.url)
    await player.fill("flag", "orchestrator.autonomy/../x")
    await player.fill("why", 'it "loops"\\')
    run = await player.run("flip", real=True)
    assert (run.outcome, run.status) == ("done", 200)
    (taken,) = server.taken
    assert (taken.method, taken.path) == ("PATCH", "/flags/orchestrator.autonomy%2F..%2Fx")
    assert json.loads(taken.body) == {"enabled": False, "why": 'it "loops"\\'}
    assert taken.headers["Authorization"] == "Bearer s3cr3t-of-the-test"
    assert taken.headers["Idempotency-Key"] == run.id
    assert taken.headers["Content-Type"] == "application/json"
    assert output(room, run.id) == ['{"ok":true}']
    log = b"".join(path.read_bytes() for path in room.case.directory.glob("log.db*"))
    assert b"s3cr3t-of-the-test" not in log
    assert b"env:FLAG_TOKEN" in log


async def test_a_variable_that_is_not_set_is_said_before_anything_is_sent(
    player: Player, room: Room, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FLAG_TOKEN", raising=False)
    await player.open(
        book(step("flip", http={"method": "POST", "url": server.url, "headers": {"X-Key": "env:FLAG_TOKEN"}}))
    )
    with pytest.raises(Refused, match="FLAG_TOKEN"):
        await player.run("flip", real=True)
    assert server.taken == []
    assert room.incident.plays.runs == {}


@pytest.mark.req("S002-SN-3", "S002-SN-4")
async def test_a_kubectl_like_program_finds_its_configuration_and_nothing_else_of_the_environment(
    player: Player, room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = tmp_path / "cluster.json"
    cluster.write_text('{"replicas": 3, "revision": "bad"}')
    kubectl = tmp_path / "bin" / "kubectl"
    kubectl.parent.mkdir()
    kubectl.write_text(
        f"#!{sys.executable}\n"
        "import json, os, sys\n"
        "path = os.environ['KUBECONFIG']\n"
        "state = json.load(open(path))\n"
        "print(sorted(set(os.environ) - {'LC_CTYPE'}), os.listdir('.'), sys.stdin.read())\n"
        "if '--dry-run=server' in sys.argv: sys.exit(print('would', sys.argv[1:]))\n"
        "if sys.argv[1:3] == ['rollout', 'undo']: state['revision'] = 'good'\n"
        "if sys.argv[1] == 'scale': state['replicas'] = int(sys.argv[-1].partition('=')[2])\n"
        "json.dump(state, open(path, 'w'))\n"
    )
    kubectl.chmod(kubectl.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{kubectl.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("KUBECONFIG", str(cluster))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not for kubectl")
    player.settings = Settings(("KUBECONFIG",))
    undo = ("kubectl", "rollout", "undo", "deployment/{name}")
    scale = ("kubectl", "scale", "deployment/{name}", "--replicas=0")
    await player.open(
        book(
            command("undo", *undo, dry=(*undo, "--dry-run=server")),
            command("scale", *scale, dry=(*scale[:-1], "--replicas=0", "--dry-run=server")),
            values=({"name": "name", "ask": "Which?"},),
        )
    )
    await player.fill("name", "checkout")
    dry = await player.run("undo")
    assert dry.outcome == "done"
    assert json.loads(cluster.read_text())["revision"] == "bad"
    undone = await player.run("undo", real=True)
    scaled = await player.run("scale", real=True)
    assert (undone.outcome, scaled.outcome) == ("done", "done")
    assert json.loads(cluster.read_text()) == {"replicas": 0, "revision": "good"}
    (said,) = output(room, undone.id)
    seen = said.partition("]")[0]
    assert "KUBECONFIG" in seen
    assert "WARROOM_RUN" in seen
    assert "AWS_SECRET_ACCESS_KEY" not in seen
    assert said.rstrip().endswith("[]"), "an empty directory and no input"


async def test_what_a_program_says_by_its_exit_decides(player: Player) -> None:
    await player.open(
        book(
            shell("bad", "echo no >&2; exit 3"),
            command("gone", "/no/such/program"),
            shell("sig", "kill -9 $$"),
        )
    )
    run = await player.run("bad", real=True)
    assert (run.outcome, run.exit) == ("failed", 3)
    assert output(player.room, run.id) == ["no\n"]
    assert standing(player, "bad") == "failed"
    with pytest.raises(Refused, match="no program"):
        await player.run("gone", real=True)
    killed = await player.run("sig", real=True)
    assert (killed.outcome, killed.exit) == ("failed", -9)
    assert "signal 9" in killed.note
    again = await player.run("bad", real=True)
    assert again.attempt == 2, "a failure that is known may be tried again"


async def test_a_hundred_megabytes_are_counted_and_the_ends_kept(player: Player, room: Room) -> None:
    script = (
        "import sys; w = sys.stdout.buffer.write; w(b'first\\n'); "
        "[w(b'x' * 1023 + b'\\n') for _ in range(100 * 1024)]; w(b'last\\n')"
    )
    await player.open(book(command("flood", sys.executable, "-c", script)))
    told: list[Progress] = []
    run = await player.run("flood", real=True, tell=told.append)
    assert (run.outcome, run.exit) == ("done", 0)
    (kept,) = output(room, run.id)
    assert kept.startswith("first\n")
    assert kept.endswith("last\n")
    assert len(kept) < HEAD + TAIL + 100
    assert "of its output are not kept" in run.note
    shown = sum(len(each.lines) + each.skipped for each in told)
    assert told[-1].total == 100 * 1024 * 1024 + len("first\nlast\n")
    assert shown >= 100 * 1024


async def test_a_line_that_never_ends_and_bytes_that_are_no_text_are_handed_on_in_pieces(
    player: Player,
) -> None:
    script = "import sys; sys.stdout.buffer.write(b'\\xff\\x1b[2J' + b'y' * 100_000)"
    await player.open(book(command("odd", sys.executable, "-c", script)))
    told: list[Progress] = []
    run = await player.run("odd", real=True, tell=told.append)
    assert run.outcome == "done"
    assert max(len(line) for each in told for line in each.lines) <= 4096


@pytest.mark.req("S000-PD-2")
async def test_stopping_ends_a_program_that_ignores_it_with_all_that_it_started(
    player: Player, room: Room, tmp_path: Path
) -> None:
    # One ignores the request, one left the session, one forgot the mark of the run, one closed its outputs.
    script = (
        "import os, signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"place = {str(tmp_path)!r}\n"
        "sleep = 'import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); '\n"
        "def start(name, **more):\n"
        "    write = f'open({place + chr(47) + name!r}, chr(119)).write(str(os.getpid()) + chr(10)); time.sleep(600)'\n"
        "    subprocess.Popen([sys.executable, '-c', sleep + write], **more)\n"
        "start('session', start_new_session=True)\n"
        "start('unmarked', env={'PATH': os.environ['PATH']})\n"
        "start('closed', stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n"
        "os.close(1)\n"
        "open(place + '/leader', 'w').write(str(os.getpid()) + chr(10))\n"
        "time.sleep(600)\n"
    )
    await player.open(book(command("stubborn", sys.executable, "-c", script)))
    going = asyncio.ensure_future(player.run("stubborn", real=True))
    pids = [await pid_in(tmp_path / name) for name in ("leader", "session", "unmarked", "closed")]
    assert all(map(alive, pids))
    run = player.run_named()
    assert standing(player, "stubborn") == "running"
    with pytest.raises(Hindered, match="runs already"):
        await player.run("stubborn", real=True)
    await player.stop(run, "wrong cluster")
    ended = await going
    assert [pid for pid in pids if alive(pid)] == []
    assert processes.members(run.id) == set()
    assert ended.outcome == "cancelled"
    assert "wrong cluster" in ended.note
    assert standing(player, "stubborn") == "unclear"


async def test_what_a_program_leaves_behind_is_ended_and_said(player: Player, tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    await player.open(book(shell("fork", f"(setsid sleep 600 & echo $! > {mark}); echo done")))
    run = await player.run("fork", real=True)
    assert (run.outcome, run.exit) == ("done", 0)
    assert "left" in run.note
    assert processes.members(run.id) == set()
    assert not alive(int(mark.read_text()))


async def test_its_time_over_a_program_is_ended_and_nobody_knows_its_effect(player: Player) -> None:
    await player.open(book(shell("slow", "echo begun; sleep 600", timeout="1 s")))
    run = await player.run("slow", real=True)
    assert run.outcome == "timed_out"
    assert output(player.room, run.id) == ["begun\n"]
    assert processes.members(run.id) == set()
    with pytest.raises(Hindered) as hindered:
        await player.run("slow", real=True)
    assert [each.code for each in hindered.value.refusals] == ["unclear"]


async def test_a_cancelled_console_ends_the_program_and_records_it_first(
    player: Player, tmp_path: Path
) -> None:
    mark = tmp_path / "pid"
    await player.open(book(shell("long", f"echo $$ > {mark}; sleep 600")))
    going = asyncio.ensure_future(player.run("long", real=True))
    pid = await pid_in(mark)
    going.cancel()
    with pytest.raises(asyncio.CancelledError):
        await going
    assert not alive(pid)
    (run,) = player.plays.runs.values()
    assert run.outcome == "cancelled"


@pytest.mark.parametrize(
    ("answer", "outcome", "after"),
    [
        ((404, {}, b"no"), "failed", "failed"),
        ((302, {"Location": "http://127.0.0.1:1/elsewhere"}, b""), "failed", "failed"),
        ((503, {}, b"busy"), "unknown", "unclear"),
    ],
)
async def test_another_answer_than_expected_is_no_success(
    player: Player, server: Server, answer: tuple[int, dict[str, str], bytes], outcome: str, after: str
) -> None:
    server.answer = answer
    await player.open(book(step("call", http={"method": "POST", "url": server.url})))
    run = await player.run("call", real=True)
    assert (run.outcome, run.status) == (outcome, answer[0])
    assert standing(player, "call") == after
    assert len(server.taken) == 1, "no redirect is followed, and nothing is repeated"


async def test_a_request_that_hangs_or_finds_nobody(player: Player, server: Server) -> None:
    server.hangs = True
    await player.open(
        book(
            step("hang", http={"method": "POST", "url": server.url}, timeout="1 s"),
            step("nobody", http={"method": "POST", "url": "http://127.0.0.1:1/"}),
        )
    )
    hung = await player.run("hang", real=True)
    assert hung.outcome == "timed_out"
    assert standing(player, "hang") == "unclear"
    nobody = await player.run("nobody", real=True)
    assert nobody.outcome == "failed", "what was never sent had no effect"


async def test_a_long_answer_is_bounded(player: Player, server: Server) -> None:
    server.answer = (200, {}, b"z" * (3 * 1024 * 1024))
    await player.open(book(step("call", http={"method": "GET", "url": server.url})))
    run = await player.run("call", real=True)
    assert run.outcome == "done"
    assert sum(ref.size for ref in run.refs) < HEAD + TAIL + 100
    assert "bytes of the answer are not kept" in run.note


async def test_a_wait_counts_from_its_start_and_ends_by_its_check(player: Player, tmp_path: Path) -> None:
    mark = tmp_path / "ready"
    await player.open(
        book(
            step(
                "until",
                wait={"until": "it is there", "every": "1 s", "check": {"argv": ["test", "-e", str(mark)]}},
            ),
            step("least", wait={"until": "an hour passed", "least": "60 min"}),
        )
    )
    begun = await player.run("until", real=True)
    assert begun.running
    going = asyncio.ensure_future(player.attend(begun.id))
    mark.touch()
    assert (await going).outcome == "done"
    assert standing(player, "until") == "done"
    least = await player.run("least", real=True)
    assert least.running
    assert await player.lost() == [], "a wait goes on without anybody"
    with pytest.raises(Refused, match="at least"):
        await player.mark("least", "done")
    await player.mark("least", "waived", "stable on every graph")
    assert standing(player, "least") == "waived"
    assert not player.plays.runs[least.id].running


@pytest.mark.parametrize("asks", ["command", "http"])
async def test_a_wait_goes_on_when_whoever_attends_it_leaves_in_the_middle_of_a_look(
    player: Player, server: Server, tmp_path: Path, asks: str
) -> None:
    mark = tmp_path / "pid"
    server.hangs = True
    checks: dict[str, dict[str, object]] = {
        "command": {"argv": ["/bin/sh", "-c", f"echo $$ > {mark}; sleep 600"]},
        "http": {"method": "GET", "url": server.url},
    }
    await player.open(book(step("until", wait={"until": "it is there", "check": checks[asks]})))
    begun = await player.run("until", real=True)
    going = asyncio.ensure_future(player.attend(begun.id))
    pid = await pid_in(mark) if asks == "command" else 0
    await until(lambda: bool(server.taken) or bool(pid))
    going.cancel()
    with pytest.raises(asyncio.CancelledError):
        await going
    assert player.plays.runs[begun.id].running
    assert not pid or not alive(pid), "what it asked with is ended"


async def test_verbs_of_the_record_are_done_and_others_are_not_pretended(player: Player, room: Room) -> None:
    await player.open(
        book(
            step("freeze", action={"verb": "freeze_changes", "args": {"reason": "outage"}}),
            step("halt", action={"verb": "disable_mcp_server", "args": {"server": "crm"}}),
        )
    )
    assert (await player.run("freeze", real=True)).outcome == "done"
    assert [each.reason for each in room.incident.plays.freezes.values()] == ["outage"]
    with pytest.raises(Hindered, match="No actuator is configured for disable_mcp_server"):
        await player.run("halt", real=True)
    assert standing(player, "halt") == "open"
    await player.mark("halt", "done", evidence="screenshot of the console")
    assert standing(player, "halt") == "done"
