# ruff: noqa: ASYNC240 - small files of the test itself
"""A file of flags: whole at every moment, what was there comes back, and OFREP says what is served."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from console.containment.actuator import Declined, Unreachable
from console.refusal import Refused
from tests.actuators.conftest import Make, Seen, Site, Start, call, said

SWITCH = {"variants": {"on": True, "off": False}}
RULE = {"if": [{"==": [{"var": "tier"}, "gold"]}, "on", "off"]}
FLAGS: dict[str, Any] = {
    "$schema": "https://flagd.dev/schema/v0/flags.json",
    "flags": {
        "refunds": {"state": "ENABLED", "defaultVariant": "on", **SWITCH},
        "billing": {
            "state": "DISABLED", "defaultVariant": "on", "targeting": RULE, "metadata": {"team": "pay"}, **SWITCH,
        },
        "odd": {"state": "ENABLED", "variants": {"a": 1}, "defaultVariant": "a"},
    },
}  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "flags.json"
    path.write_text(json.dumps(FLAGS))
    path.chmod(0o640)
    return path


def flag(file: Path, name: str) -> Any:
    return json.loads(file.read_text())["flags"][name]


class Flagd(Site):
    """OFREP over the file, as flagd serves it: it sees a change late when it is told to."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file, self.stale = file, ""

    async def answer(self, request: Seen) -> web.Response:
        assert request.value["context"]["targetingKey"] == "refunds"
        name = request.path.removeprefix("/ofrep/v1/evaluate/flags/")
        flags = json.loads(self.stale or self.file.read_text())["flags"]
        if name not in flags:
            return said({"key": name, "errorCode": "FLAG_NOT_FOUND"}, 404)
        one = flags[name]
        if one["state"] == "DISABLED":
            return said({"key": name, "reason": "DISABLED"})
        variant = "on" if one.get("targeting") else one["defaultVariant"]
        value = one["variants"][variant]
        return said({"key": name, "value": value, "variant": variant, "reason": "STATIC"})


@pytest.mark.parametrize("name", ["refunds", "billing"])
async def test_the_flag_serves_what_stops_and_then_what_it_served_before(
    name: str, file: Path, made: Make
) -> None:
    actuator = made("flag-file", {"path": "flags.json"})
    what = call(target=name)
    for _ in range(2):  # a repeat does not take what was changed for what was there before
        await actuator.apply(what)
        now = flag(file, name)
        assert (now["state"], now["defaultVariant"]) == ("ENABLED", "off")
        assert "targeting" not in now
    assert now["metadata"]["warroom.order"] == "00112233445566aa"
    reading = await actuator.probe(what)
    assert reading.observed == "stopped"
    assert "no process was asked" in reading.note
    await actuator.apply(call("restore_agent", target=name))
    assert json.loads(file.read_text()) == FLAGS
    assert file.stat().st_mode & 0o777 == 0o640
    assert {each.name for each in file.parent.iterdir()} == {"flags.json", ".flags.json.lock"}


async def test_what_a_running_process_serves_is_what_counts(
    file: Path, start: Start[Flagd], made: Make
) -> None:
    flagd = await start(Flagd(file))
    actuator = made("flag-file", {"path": "flags.json", "ofrep": flagd.url})
    assert (await actuator.probe(call())).observed == "running"
    flagd.stale = file.read_text()
    await actuator.apply(call())
    assert (await actuator.probe(call())).observed == "running"
    flagd.stale = ""
    reading = await actuator.probe(call())
    assert reading.observed == "stopped"
    assert "OFREP" in reading.note
    assert (await actuator.probe(call(target="none"))).observed == "unknown"
    # Of a disabled flag the caller decides by its own default, which nobody here knows.
    assert (await actuator.probe(call(target="billing"))).observed == "unknown"
    await flagd.close()
    assert (await actuator.probe(call())).observed == "unknown"


async def test_many_at_once_lose_nothing_and_readers_never_see_half(tmp_path: Path, made: Make) -> None:
    names = [f"agent-{number}" for number in range(40)]
    one = {"state": "ENABLED", "defaultVariant": "on", **SWITCH}
    file = tmp_path / "flags.json"
    file.write_text(json.dumps({"flags": dict.fromkeys(names, one)}))
    actuators = [made("flag-file", {"path": "flags.json"}) for _ in range(4)]
    done = asyncio.gather(
        *(actuators[at % 4].apply(call(target=name, timeout=60)) for at, name in enumerate(names))
    )
    while not done.done():
        assert len(json.loads(file.read_text())["flags"]) == 40
        await asyncio.sleep(0)
    await done
    assert all(each["defaultVariant"] == "off" for each in json.loads(file.read_text())["flags"].values())


async def test_what_cannot_be_written_is_left_as_it_is(file: Path, made: Make) -> None:
    actuator = made("flag-file", {"path": "flags.json"})
    before = file.read_bytes()
    for name, words in (("none", "no flag none"), ("odd", "no variant off")):
        with pytest.raises(Declined, match=words):
            await actuator.apply(call(target=name))
    assert file.read_bytes() == before
    for text in ("", "[]", '{"flags": []}', "{", "[" * 100_000, '{"flags": {"refunds": 1}}'):
        file.write_text(text)
        with pytest.raises(Declined):
            await actuator.apply(call())
        assert file.read_text() == text
        assert (await actuator.probe(call())).observed == "unknown"
    file.unlink()
    with pytest.raises((Declined, Unreachable)):
        await actuator.apply(call())
    assert (await actuator.probe(call())).observed == "unknown"
    os.mkfifo(file)
    with pytest.raises((Declined, Unreachable)):
        await actuator.apply(call())


async def test_somebody_who_holds_the_file_is_not_waited_for_longer_than_the_call(
    file: Path, made: Make
) -> None:
    with (file.parent / ".flags.json.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(Unreachable):
            await made("flag-file", {"path": "flags.json"}).apply(call(timeout=0.3))
    assert flag(file, "refunds")["defaultVariant"] == "on"


async def test_a_link_stays_a_link(file: Path, made: Make) -> None:
    link = file.parent / "linked.json"
    link.symlink_to(file)
    await made("flag-file", {"path": "linked.json"}).apply(call())
    assert link.is_symlink()
    assert flag(file, "refunds")["defaultVariant"] == "off"


def test_the_dry_run_says_what_would_be_written(file: Path, made: Make) -> None:
    plan = made("flag-file", {"path": "flags.json", "flag": "{target}"}).plan(call())
    assert "flag refunds serves 'off' to everybody" in plan
    assert json.loads(file.read_text()) == FLAGS


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"path": "flags.yaml"}, "YAML"),
        ({"stopped": "on"}, "same variant"),
        ({"ofrep": "flagd"}, "`ofrep` is no address"),
        ({"path": ""}, "`path`"),
    ],
)
def test_a_mistake_is_said(change: dict[str, object], words: str, made: Make) -> None:
    with pytest.raises(Refused, match=words):
        made("flag-file", {"path": "flags.json"} | change)
