"""Stored files to their end: the answer of `watch --until-end`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from console.config import Config, load
from console.refusal import Refused
from console.telemetry.jsonl import Refusal
from console.watching.replay import Summary, watch_until_end
from data.clock import iso
from data.home import Home
from tests.watch.process import Watching, board

SECOND = 1_000_000_000
HOUR = 3600 * SECOND
H = 1_795_000_000 // 3600 * HOUR
USD = 1_000_000_000


def write(path: Path, *actions: dict[str, Any]) -> Path:
    """Write actions of the agent `a` as JSONL."""
    path.write_text(
        "".join(json.dumps({"agent": "a", "kind": "model"} | action) + "\n" for action in actions)
    )
    return path


def history(agent: str = "a") -> list[dict[str, Any]]:
    """A week of 10 USD an hour."""
    return [{"at": H - n * HOUR, "agent": agent, "cost": 10 * USD} for n in range(168, 0, -1)]


def replay(
    *paths: Path, config: Config | None = None, home: Home | None = None
) -> tuple[Summary, list[dict[str, Any]]]:
    """Return the summary and the alerts."""
    found: list[dict[str, Any]] = []
    return watch_until_end(home, paths, config or Config(), found.append), found


@pytest.mark.req("S003-TW-1")
def test_an_alert_is_one_line_in_its_final_state(tmp_path: Path) -> None:
    spike = [{"at": H + m * 60 * SECOND, "cost": 7 * USD, "id": f"s{m}"} for m in (10, 20, 30, 40)]
    later = {"at": H + 10 * HOUR, "cost": USD}
    summary, (alert,) = replay(write(tmp_path / "a.jsonl", *history(), *spike, later))
    assert summary == (173, 0, 0, 0, 1, {"authorisation": "no inventory"})
    assert json.loads(json.dumps(alert)) == alert
    assert {key: alert[key] for key in ("rule", "tenant", "agent", "subject")} == {
        "rule": "cost-rate",
        "tenant": "default",
        "agent": "a",
        "subject": "",
    }
    assert alert["opened_at"] == iso(H + 1800 * SECOND, 9)
    assert alert["last_at"] == iso(H + 2400 * SECOND, 9)
    assert (alert["value"], alert["limit"], alert["peak"]) == (21 * USD, 20 * USD, 28 * USD)
    assert alert["actions"][-4:] == ["s10", "s20", "s30", "s40"]


def test_alerts_come_in_the_order_in_which_they_opened(tmp_path: Path) -> None:
    spikes: list[dict[str, Any]] = []
    for day in range(6):
        for n, agent in enumerate("abc"):
            spikes.append({"at": H + day * 24 * HOUR + n * SECOND, "agent": agent, "cost": 90 * USD})
            # This one is still open when later ones have opened and closed.
            spikes += [
                {"at": H + day * 24 * HOUR + n * SECOND + m * HOUR // 2, "agent": agent, "cost": 90 * USD}
                for m in range(1, 4 - n)
            ]
    past = sorted([*history("a"), *history("b"), *history("c")], key=lambda action: action["at"])
    spikes.sort(key=lambda action: action["at"])
    summary, found = replay(write(tmp_path / "a.jsonl", *past, *spikes))
    assert [alert["opened_at"] for alert in found] == sorted(alert["opened_at"] for alert in found)
    assert summary.alerts == len(found) == len({alert["id"] for alert in found}) >= 9


def test_several_files_are_one_story(tmp_path: Path) -> None:
    spike = [{"at": H + m * 60 * SECOND, "cost": 7 * USD, "id": f"s{m}"} for m in (10, 20, 30)]
    together = replay(write(tmp_path / "all.jsonl", *history(), *spike))
    past = history()
    files = [
        write(tmp_path / "odd.jsonl", *past[::2], *spike[::2]),
        write(tmp_path / "even.jsonl", *past[1::2], *spike[1::2]),
    ]
    assert replay(*files) == together
    assert together[0].alerts == 1


def test_bad_lines_are_reported_and_cost_nothing_else(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", *history(), {"at": H + 1, "cost": 21 * USD})
    path.write_bytes(b'{"at": 5}\n\xff\xfe\n' + path.read_bytes() + b'{"at": 17')
    refused: list[Refusal] = []
    found: list[dict[str, Any]] = []
    summary = watch_until_end(None, [path], Config(), found.append, refused.append)
    assert (summary.refused, summary.alerts, len(refused)) == (3, 1, 3)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.integers(1, 170), st.integers(24 * HOUR + 90 * 60 * SECOND, 400 * 24 * HOUR)), max_size=5
    )
)
def test_actions_dated_far_ahead_change_nothing_and_are_shown(
    tmp_path: Path, glitches: list[tuple[int, int]]
) -> None:
    """Each is put behind a line of the story, dated so far ahead of it."""
    story = [*history(), *({"at": H + m * 60 * SECOND, "cost": 7 * USD, "id": f"s{m}"} for m in (10, 20, 30))]
    before = replay(write(tmp_path / "a.jsonl", *story))
    spoilt = []
    for number, action in enumerate(story, 1):
        spoilt.append(action)
        ahead = [after for place, after in glitches if place == number]
        spoilt += [{"at": action["at"] + after, "cost": USD, "id": f"{number} {after}"} for after in ahead]
    refused: list[Refusal] = []
    found: list[dict[str, Any]] = []
    summary = watch_until_end(
        None, [write(tmp_path / "b.jsonl", *spoilt)], Config(), found.append, refused.append
    )
    assert found == before[1]
    assert len(found) == 1
    assert (summary.actions, summary.refused) == (before[0].actions, len(glitches))
    assert all("more than a day ahead" in refusal.reason for refusal in refused)


def test_an_agent_that_was_silent_for_long_is_read_on(tmp_path: Path) -> None:
    later = [{"at": H + 40 * 24 * HOUR + n, "id": f"{n}"} for n in range(3)]
    weekly = [{"at": H + n * 7 * 24 * HOUR} for n in range(41, 150)]
    summary, _ = replay(write(tmp_path / "a.jsonl", *history(), *later, *weekly))
    assert (summary.actions, summary.refused) == (168 + 3 + 109, 0)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(Refused):
        replay(tmp_path / "none.jsonl")


@pytest.mark.req("S003-TW-5")
def test_the_inventory_of_the_configuration_counts(tmp_path: Path) -> None:
    toml = tmp_path / "c.toml"
    toml.write_text('[[agent]]\nname = "a"\ntools = ["search"]\nowner = "kim"\n')
    calls = [{"at": H + n, "kind": "tool", "tool": tool} for n, tool in enumerate(["search", "drop_table"])]
    _, (alert,) = replay(write(tmp_path / "a.jsonl", *calls), config=load(toml))
    assert (alert["rule"], alert["subject"], alert["route"]) == ("authorisation", "drop_table", ["security"])


async def test_with_a_home_the_alerts_are_on_its_record_once(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", *history(), {"at": H + 1, "cost": 21 * USD})
    home = Home.open(tmp_path / "home")
    first = replay(path, home=home)
    assert replay(path, home=home) == first
    (alert,) = (await board(tmp_path / "home")).alerts.values()
    assert alert.id == first[1][0]["id"]
    assert alert.ended


def test_a_replay_does_not_write_into_a_running_watchers_record(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", *history(), {"at": H + 1, "cost": 21 * USD})
    with Watching(tmp_path / "home") as watching:
        watching.ready()
        with pytest.raises(Refused, match="watcher runs"):
            replay(path, home=Home.open(tmp_path / "home"))
        watching.end()
