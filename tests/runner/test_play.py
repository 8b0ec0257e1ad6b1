"""`warroom play`, as a person at a shell uses it."""

from __future__ import annotations

import asyncio
import signal
import subprocess

import pytest

from tests.cli.conftest import Warroom
from tests.runner.conftest import Server, book, command, shell, step
from tests.runner.test_crash import prepared
from tests.runner.test_run import alive, pid_in

VALUES = ({"name": "who", "ask": "Who is it?", "pattern": "[a-z]+", "example": "ana"},)


@pytest.fixture
def quick(warroom: Warroom) -> Warroom:
    """An incident with an open playbook that has a step of every kind."""
    options = [{"id": "back", "text": "Roll back", "then": "wait"}, {"id": "stay", "text": "Stay"}]
    playbook = book(
        command("hello", "echo", "hello", "{who}", dry=("echo", "would greet", "{who}"), expect="a greeting"),
        shell("escape", "printf '\\033[2J\\007red\\n'"),
        command(
            "purge", "true", destroys_evidence=True, snapshot="hello", approval=[2], approvers=["security"]
        ),
        step("choose", decision={"question": "Back or stay?", "options": options}),
        step("hand"),
        step("wait", wait={"until": "it is calm"}),
        shell("bad", "echo no; exit 4"),
        step("freeze", action={"verb": "freeze_changes", "args": {"reason": "outage"}}),
        values=VALUES,
    )
    asyncio.run(prepared(warroom.home, playbook))
    return warroom


def announce_at_once(warroom: Warroom) -> None:
    """What runs by itself is announced hardly before it does."""
    config = warroom.folder / "config" / "warroom" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('[runner]\nannounce = "1 s"\n')


@pytest.mark.req("S002-SN-16")
def test_a_step_is_filled_in_shown_rehearsed_and_run(quick: Warroom) -> None:
    missing = quick.within("play", "run", "hello")
    assert (missing.code, missing.out) == (3, "")
    assert "who is not filled in" in missing.err
    assert "Who is it?" in missing.err
    wrong = quick.within("play", "fill", "who", "Ana;ls")
    assert wrong.code == 3
    assert "As in ana" in wrong.err
    quick.quick("play", "fill", "who", "ana")
    shown = quick.quick("play", "show", "hello").out
    assert "echo hello ana" in shown
    assert "echo 'would greet' ana" in shown
    assert "expect: a greeting" in shown
    dry = quick.quick("play", "run", "hello").out
    assert "DRY RUN: hello" in dry
    assert "| would greet ana" in dry
    assert "for real: warroom play run hello --for-real" in dry
    real = quick.quick("play", "run", "--for-real", "hello")
    assert "| hello ana" in real.out
    assert "done, exit 0" in real.out
    assert "next: escape" in real.out
    assert "hello: run" in quick.quick("evidence").out
    again = quick.within("play", "run", "hello", "--for-real")
    assert again.code == 3
    assert "done already" in again.err
    assert "FOR REAL" not in again.out


def test_escape_sequences_of_a_program_reach_no_terminal(quick: Warroom) -> None:
    done = quick.quick("play", "run", "escape", "--for-real")
    assert "\x1b" not in done.out
    assert "\x07" not in done.out
    assert "␛[2J␇red" in done.out


def test_everything_in_the_way_is_said_at_once_with_who_can(quick: Warroom) -> None:
    done = quick.within("play", "run", "purge", "--for-real")
    assert done.code == 3
    lines = done.err.splitlines()
    assert [("copy" in line, "--confirm" in line, "approval" in line) for line in lines] == [
        (True, False, False),
        (False, True, False),
        (False, False, True),
    ]
    (value,) = quick.quick("play", "show", "purge", "--json").values
    assert [each["code"] for each in value["in_the_way"]] == ["snapshot", "confirm", "approval"]


def test_what_a_program_answers_is_the_exit_code(quick: Warroom) -> None:
    done = quick.within("play", "run", "bad", "--for-real")
    assert done.code == 1
    assert "failed, exit 4" in done.out
    (value,) = quick.within("play", "run", "bad", "--for-real", "--json").values
    assert (value["outcome"], value["exit"], value["dry"]) == ("failed", 4, False)


def test_people_decide_tick_skip_and_wait(quick: Warroom) -> None:
    assert quick.within("play", "decide", "choose", "back").code == 3
    decided = quick.quick("play", "decide", "choose", "back", "--reason", "the last revision was good")
    assert "choose: back" in decided.out
    waiting = quick.quick("play", "run", "wait", "--for-real")
    assert "play tick wait" in waiting.out
    assert "running" in quick.quick("play", "show").out
    assert "cancelled" in quick.quick("play", "stop", "--reason", "too early").out
    assert "failed" in quick.quick("play", "show", "wait").out
    quick.quick("play", "run", "wait", "--for-real")
    quick.quick("play", "tick", "wait", "--evidence", "dashboard")
    assert quick.within("play", "skip", "hand").code == 3
    quick.quick("play", "skip", "hand", "--waive", "--reason", "nobody is there")
    quick.quick("play", "run", "freeze", "--for-real")
    shown = quick.quick("play", "show").out
    assert "CHANGES FROZEN: outage" in shown
    assert "[~] hand" in shown
    assert "[x] wait" in shown
    quick.quick("play", "lift", "--reason", "calm")
    quick.quick("play", "tick", "hand", "--open")
    assert "[ ] hand" in quick.quick("play", "show").out
    quick.quick("play", "close", "--reason", "over")
    assert "no playbook is open" in quick.within("play", "run", "hello").err.lower()


def test_what_is_for_people_fits_80_columns(quick: Warroom) -> None:
    quick.quick("play", "fill", "who", "ana")
    for words in (["show"], ["show", "purge"], ["show", "choose"], ["list"]):
        lines = quick.quick("play", *words).lines
        assert [line for line in lines if len(line) > 80] == []


def test_the_library_is_listed_and_opened(warroom: Warroom) -> None:
    listed = warroom.quick("play", "list")
    assert "production-outage" in listed.out, "also where there is no incident"
    warroom.quick("declare", "checkout is down")
    opened = warroom.quick("play", "open", "production-out", "--reason", "5xx")
    assert "production-outage" in opened.out
    values = warroom.quick("play", "show", "--json").values
    assert {each["section"] for each in values} == {"triage", "mitigation", "recovery", "comms", "post"}
    refused = warroom.within("play", "open", "no-such-thing")
    assert refused.code == 3
    assert "play list" in refused.err
    assert "production-outage" in warroom.quick("log").out


def test_of_several_open_playbooks_each_says_what_is_next(quick: Warroom) -> None:
    quick.quick("play", "open", "production-outage")
    shown = quick.quick("play").out
    assert "test: 0 of 8 steps done" in shown
    assert "next: hello" in shown
    assert "production-outage: 0 of" in shown
    assert "hello" in quick.quick("play", "show", "test").out


def test_values_of_the_organisation_come_from_the_configuration_and_it_is_said(quick: Warroom) -> None:
    config = quick.folder / "config" / "warroom" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('[playbooks.values]\nwho = "kim"\n')
    assert "who = kim (from the configuration)" in quick.quick("play", "show").out
    assert "| hello kim" in quick.quick("play", "run", "hello", "--for-real").out
    quick.quick("play", "fill", "who", "ana")
    assert "who = ana (filled in)" in quick.quick("play", "show").out


async def test_stop_from_another_shell(warroom: Warroom) -> None:
    mark = warroom.folder / "pid"
    await prepared(
        warroom.home, book(shell("act", f"trap '' TERM; echo $$ > {mark}; while :; do sleep 1; done"))
    )
    console = await asyncio.create_subprocess_exec(
        *warroom.command, "play", "run", "act", "--for-real",
        env=warroom.environment, cwd=warroom.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    pid = await pid_in(mark)
    stopped = await asyncio.to_thread(warroom.ok, "play", "stop", "--reason", "the wrong cluster")
    assert "cancelled" in stopped.out, "it is said once it is so"
    assert not alive(pid)
    out, _ = await console.communicate()
    assert console.returncode == 1
    assert b"cancelled" in out
    assert b"the wrong cluster" in out
    assert not alive(pid)


@pytest.mark.parametrize("words", [("run", "act", "--for-real"), ("auto",)], ids=["run", "auto"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_ends_the_program_first_however_often_it_comes(
    warroom: Warroom, number: signal.Signals, words: tuple[str, ...]
) -> None:
    mark = warroom.folder / "pid"
    script = f"trap '' TERM; echo $$ > {mark}; while :; do sleep 1; done"
    await prepared(warroom.home, book(shell("act", script, automatic=True)))
    if words == ("auto",):
        announce_at_once(warroom)
        await asyncio.to_thread(warroom.ok, "play", "grant", "act", "--for", "1h", "--reason", "night")
    console = await asyncio.create_subprocess_exec(
        *warroom.command, "play", *words,
        env=warroom.environment, cwd=warroom.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    pid = await pid_in(mark)
    saying = asyncio.ensure_future(console.communicate())
    while not saying.done():
        console.send_signal(number)
        await asyncio.wait([saying], timeout=0.5)
        if not alive(pid):
            break
    _, err = await saying
    assert not alive(pid)
    assert console.returncode == 130
    assert b"cancelled" in err
    assert b"Traceback" not in err
    (value,) = (await asyncio.to_thread(warroom.ok, "play", "show", "act", "--json")).values
    assert (value["standing"], value["runs"][0]["outcome"]) == ("unclear", "cancelled")


async def test_granted_steps_run_by_themselves_from_a_shell(warroom: Warroom, server: Server) -> None:
    flip = step("flip", http={"method": "POST", "url": f"{server.url}/off"}, automatic=True)
    await prepared(warroom.home, book(flip))
    announce_at_once(warroom)
    refused = await asyncio.to_thread(warroom, "play", "grant", "flip", "--reason", "night")
    assert refused.code == 3
    assert "--for 1h" in refused.err
    await asyncio.to_thread(warroom.ok, "play", "grant", "flip", "--for", "1h", "--reason", "night")
    shown = await asyncio.to_thread(warroom.ok, "play", "show")
    assert "MAY RUN BY ITSELF" in shown.out
    automatic = await asyncio.create_subprocess_exec(
        *warroom.command, "play", "auto",
        env=warroom.environment, cwd=warroom.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    log = ""
    while "done, 200" not in log:
        log = (await asyncio.to_thread(warroom.ok, "log")).out
    await asyncio.to_thread(warroom.ok, "play", "withdraw")
    await automatic.communicate()
    assert automatic.returncode == 0
    assert [taken.path for taken in server.taken] == ["/off"]
    assert "will run by itself" in log
    assert "RUNS BY ITSELF" in log
