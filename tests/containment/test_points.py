"""Which targets an order reaches, as it is configured."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.config import Config, Point, load
from console.containment.actuator import Actuator
from console.containment.points import Points
from console.events import MoveOrdered
from console.refusal import Refused
from tests.cli.conftest import Warroom
from tests.containment.fleet import Wire


class Any_(Wire):
    """An actuator that sends whatever it is told to, as the HTTP one does."""

    verbs = frozenset(
        {
            "halt_all", "halt_agent", "halt_tool", "quarantine_actions", "scheduler_off", "disable_mcp_server",
            "restore_all", "restore_agent", "scheduler_on",
        }
    )  # fmt: skip


def of(*points: Point) -> Points:
    def make(point: Point, directory: Path) -> Actuator:
        return Any_(1)

    return Points(Config(points=points), make)


FLEET = of(
    Point("refunds", "x", agent="refunds"),
    Point("gateway", "x", targets=("a1", "a2 billing")),
    Point("tools", "x", kind="tool", targets=("payouts",)),
    Point("approvals", "x", kind="queue", queue="payouts"),
    Point("cron", "x", kind="scheduler", agent="cron"),
    Point("mcp", "x", kind="mcp", verbs=("disable_mcp_server",)),
    Point("sparrow", "x", agent="sparrow", canary=True),
)


def ids(verb: str, subject: str = "") -> list[str]:
    return [each.id for each in FLEET.targets(verb, subject)]


def test_all_agents_are_each_of_them_and_what_would_start_more() -> None:
    assert ids("halt_all") == ["refunds", "gateway/a1", "gateway/a2", "approvals", "cron"]
    order = MoveOrdered("0" * 16, "halt_all")
    verbs = {each.id: FLEET.call(order, each).verb for each in FLEET.targets("halt_all")}
    assert verbs == {
        "refunds": "halt_agent",
        "gateway/a1": "halt_agent",
        "gateway/a2": "halt_agent",
        "approvals": "quarantine_actions",
        "cron": "scheduler_off",
    }
    assert "tools/payouts" not in verbs, "tools may be what people work with themselves"


def test_one_is_meant_by_its_own_name_only() -> None:
    assert ids("halt_agent", "billing") == ["gateway/a2"]
    assert (
        FLEET.call(MoveOrdered("0" * 16, "halt_agent"), FLEET.targets("halt_agent", "billing")[0]).target
        == "a2"
    )
    assert ids("halt_tool", "payouts") == ["tools/payouts"]
    assert ids("quarantine_actions", "payouts") == ["approvals"]
    assert ids("halt_agent", "payouts") == []
    assert ids("halt_agent", "gateway/a1") == ["gateway/a1"]


def test_a_point_that_names_nothing_takes_any_subject() -> None:
    (target,) = FLEET.targets("disable_mcp_server", "crm")
    assert (target.id, FLEET.call(MoveOrdered("0" * 16, "disable_mcp_server"), target).target) == (
        "mcp/crm",
        "crm",
    )


def test_a_canary_is_reached_under_its_own_name_only() -> None:
    assert ids("halt_agent", "sparrow") == ["sparrow"]
    assert "sparrow" not in ids("halt_all")
    assert "sparrow" not in FLEET.subjects("agent")
    assert FLEET.subjects("agent") == ["refunds", "a1", "billing", "cron"]


def test_what_is_wrong_with_a_point_leaves_the_others(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(
        """
[[points]]
name = "gone"
actuator = "htpt"
[[points]]
name = "lost"
actuator = "manual"
targets_file = "no-such-file"
[points.options]
stop = "Pull the plug."
[[points]]
name = "wide"
actuator = "manual"
kind = "gateway"
[points.options]
stop = "Pull the plug."
[[points]]
name = "good"
actuator = "manual"
agent = "refunds"
[points.options]
stop = "Pull the plug of {agent}."
"""
    )
    points = Points(load(tmp_path / "config.toml"))
    assert [each.id for each in points.targets("halt_all")] == ["good"]
    assert "Did you mean `http`?" in points.problems["gone"]
    assert "targets_file" in points.problems["lost"]
    assert "does not say what it stops" in points.problems["wide"]
    with pytest.raises(Refused):
        points.actuator("gone")


def test_the_check_of_the_configuration_names_the_line(warroom: Warroom) -> None:
    file = warroom.folder / "config.toml"
    file.write_text('[me]\nname = "ana"\n[[points]]\nname = "gone"\nactuator = "htpt"\n')
    done = warroom.within("config", "check", more={"WARROOM_CONFIG": str(file)})
    assert done.code == 1
    assert f"{file}:3" in done.out
    assert "Did you mean `http`?" in done.out


def test_the_documented_example_is_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (Path(__file__).parents[2] / "docs" / "containment.md").read_text()
    (tmp_path / "config.toml").write_text(text.split("```toml")[1].split("```")[0])
    (tmp_path / "agents.txt").write_text("key-1 billing\n# old\nkey-2 search\n")
    monkeypatch.setenv("AGENTS_TOKEN", "secret")
    config = load(tmp_path / "config.toml")
    points = Points(config)
    assert (config.problems, points.problems) == ((), {})
    assert [each.id for each in points.targets("halt_all")] == ["refunds", "gateway/key-1", "gateway/key-2"]
    assert points.subjects("agent") == ["refunds", "billing", "search"]


@pytest.mark.parametrize("line", ["x" * 300, "a\x1b[2J", "a\u202eb"])
def test_names_that_do_harm_are_refused(tmp_path: Path, line: str) -> None:
    file = tmp_path / "names"
    file.write_text(f"good\n{line}\n")
    points = of(Point("fleet", "x", targets_file=str(file)))
    assert points.targets("halt_all") == []
    assert "not printable" in points.problems["fleet"]
