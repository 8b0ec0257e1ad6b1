"""Programs as actuators: real processes that stop a thing that is a file, fail, hang, flood and leave others behind."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from console.containment.actuator import Declined, Unreachable
from console.refusal import Refused
from tests.actuators.conftest import Make, call
from tests.runner.test_run import alive

FLAG = ["sh", "-c", '[ "$1" = on ] && rm -f "$2" || touch "$2"', "flag"]


def options(place: Path, **more: object) -> dict[str, object]:
    flag = f"{place}/{{target}}"
    return {
        "stop": [*FLAG, "off", flag],
        "restore": [*FLAG, "on", flag],
        "probe": ["test", "-e", flag],
        **more,
    }


async def test_it_stops_looks_and_lets_go_on(tmp_path: Path, made: Make) -> None:
    actuator = made("command", options(tmp_path, effective=True))
    assert (await actuator.probe(call())).observed == "running"
    for _ in range(2):
        assert (await actuator.apply(call())).effective
        assert (await actuator.probe(call())).observed == "stopped"
    await actuator.apply(call("restore_agent"))
    assert (await actuator.probe(call("restore_agent"))).observed == "running"


async def test_the_dry_run_is_a_line_for_a_shell(tmp_path: Path, made: Make) -> None:
    argv = ["echo", "stop", "{target}", "--why={reason}"]
    plan = made("command", {"stop": argv}).plan(call(target="a b"))
    assert plan == "echo stop 'a b' '--why=double refunds'"


async def test_what_it_says_when_it_fails_is_handed_on(made: Make) -> None:
    with pytest.raises(Declined, match=r"ended with 3.*no such agent"):
        await made("command", {"stop": ["sh", "-c", "echo no such agent >&2; exit 3"]}).apply(
            call(timeout=60)
        )
    with pytest.raises(Unreachable, match="signal 9"):
        await made("command", {"stop": ["sh", "-c", "kill -9 $$"]}).apply(call(timeout=60))


async def test_one_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path, made: Make) -> None:
    pid = tmp_path / "pid"
    script = f"trap '' TERM; sleep 300 & echo $! > {pid}; wait; sleep 300"
    began = time.monotonic()
    with pytest.raises(Unreachable, match="did not end within 1 s"):
        await made("command", {"stop": ["sh", "-c", script]}).apply(call(timeout=1.0))
    assert time.monotonic() - began < 30
    assert not alive(int(pid.read_text()))


async def test_ending_one_target_ends_no_other(tmp_path: Path, made: Make) -> None:
    script = 'if [ "$1" = slow ]; then sleep 300; else sleep 1.5; fi'
    actuator = made("command", {"stop": ["sh", "-c", script, "x", "{target}"]})
    slow = asyncio.create_task(actuator.apply(call(target="slow", timeout=0.3)))
    await actuator.apply(call(target="other", timeout=60))
    with pytest.raises(Unreachable):
        await slow


async def test_a_cancelled_call_leaves_no_process(tmp_path: Path, made: Make) -> None:
    pid = tmp_path / "pid"
    actuator = made("command", {"stop": ["sh", "-c", f"echo $$ > {pid}.new; mv {pid}.new {pid}; sleep 300"]})
    task = asyncio.create_task(actuator.apply(call(timeout=60)))
    while not pid.exists():  # noqa: ASYNC110 - another process makes it
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not alive(int(pid.read_text()))


async def test_what_it_prints_has_a_bound(made: Make) -> None:
    answer = await made("command", {"stop": ["sh", "-c", "head -c 20000000 /dev/zero | tr '\\0' x"]}).apply(
        call(timeout=60)
    )
    assert len(answer.note) < 600


async def test_it_sees_no_secret_that_nobody_named(made: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_HIDDEN", "hidden-value")
    monkeypatch.setenv("TEST_SHOWN", "shown-value")
    answer = await made("command", {"stop": ["env"], "environment": ["TEST_SHOWN"]}).apply(call(timeout=60))
    assert "hidden-value" not in answer.note
    out = await made(
        "command", {"stop": ["sh", "-c", "echo =$TEST_SHOWN="], "environment": ["TEST_SHOWN"]}
    ).apply(call(timeout=60))
    assert "=shown-value=" in out.note


@pytest.mark.parametrize(("code", "seen"), [(0, "stopped"), (1, "running"), (2, "unknown"), (127, "unknown")])
async def test_how_the_probe_ends_is_what_it_saw(code: int, seen: str, made: Make) -> None:
    actuator = made("command", {"stop": ["true"], "probe": ["sh", "-c", f"exit {code}"]})
    assert (await actuator.probe(call(timeout=60))).observed == seen


async def test_a_probe_that_hangs_saw_nothing(made: Make) -> None:
    actuator = made("command", {"stop": ["true"], "probe": ["sleep", "300"]})
    assert (await actuator.probe(call(timeout=0.3))).observed == "unknown"
    assert (await made("command", {"stop": ["true"]}).probe(call())).observed == "unknown"


PRINT = [sys.executable, "-c", "import sys; print(ascii(sys.argv[1:]))"]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    target=st.sampled_from(
        ["$(id)", "`id`", "a; b", "a b", "'\"", "*", "-rf", "", "\n", "{agent}", "é", "a\0b"]
    )
    | st.text(max_size=20),
    reason=st.text(max_size=20),
)
async def test_a_value_is_one_argument_or_none(made: Make, target: str, reason: str) -> None:
    what = call(target=target, reason=reason, timeout=60)
    actuator = made("command", {"stop": [*PRINT, "{target}", "--agent={agent}", "{reason}"]})
    try:
        plan = actuator.plan(what)
        answer = await actuator.apply(what)
    except Declined:
        assert target.startswith("-") or "\0" in target
        return
    assert plan
    assert answer.note.startswith(ascii([target, "--agent=refunds"])[:-1][:190])


@pytest.mark.parametrize(
    ("stop", "words"),
    [
        (["{target}"], "choose the program"),
        (["sh", "-c", "stop {target}"], "middle of a script"),
        (["sh", "-c", "{target}"], "script out of a place"),
        (["sudo", "/bin/bash", "-lc", "{reason}"], "script out of a place"),
        (["python3", "-c", "{reason}"], "script out of a place"),
        (["ssh", "host", "stop", "{target}"], "script out of a place"),
        (["env", "{target}"], "script out of a place"),
        (["./stop.sh", "{target}"], "whole path"),
        (["no-such-program-here", "{target}"], "no program"),
        (["echo", "{tagret}"], "tagret"),
        ([], "stop"),
        ("echo {target}", "stop"),
    ],
)
def test_a_mistake_is_said_before_anything_runs(stop: object, words: str, made: Make) -> None:
    with pytest.raises(Refused, match=words):
        made("command", {"stop": stop})


def test_exit_codes_mean_one_thing(made: Make) -> None:
    with pytest.raises(Refused, match="share the exit code 0"):
        made("command", {"stop": ["true"], "running": [0, 1]})
