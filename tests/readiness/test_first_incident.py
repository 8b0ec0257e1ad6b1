"""From an empty machine through the first run to the end of a first incident."""

from pathlib import Path

from console import routing
from console.desk import Desk
from tests.cli.conftest import Warroom
from tests.screens.stage import facts, home, watch

ANSWERS = """
[me]
name = "ana"
[contacts]
on-call = ["https://rota"]
executives = ["dee"]
[authority]
halt-all = ["ana", "ben", "dee"]
[[agent]]
name = "mailer"
owner = "support team"
tools = ["crm/read"]
"""


def test_from_an_empty_machine_to_the_end_of_a_first_incident(warroom: Warroom) -> None:
    file = warroom.folder / "answers.toml"
    file.write_text(ANSWERS)
    assert warroom.within("init", "--answers", str(file)).code == 0
    before = {value["question"]: value["answer"] for value in warroom.within("readiness", "--json").values}
    assert (before["set-up/agents"], before["set-up/fill-ins"]) == ("yes", "no")
    for words in (
        ("declare", "refunds in a loop", "--severity", "1"),
        ("note", "!stop the refund tool"),
        ("tick", "stop-harm", "--evidence", "gateway change 4711"),
        ("contain", "tool disabled at the gateway"),
        ("rollback", "external-calls", "open", "payouts without an order"),
        ("escalate", "executives", "by", "phone"),
        ("close", "refunds are back"),
    ):
        done = warroom.within(*words)
        assert done.code == 0, done
    assert "https://rota" in warroom.within("contacts").out
    answered = (
        "readiness",
        "answer",
        "readiness/feedback",
        "no",
        "--owner",
        "ben",
        "--note",
        "eval for refunds",
    )
    assert warroom.within(*answered).code == 0
    verified = warroom.within("verify", "--all")
    assert verified.code == 0
    assert verified.out.count(": sound") == 2, "the incident and the answers"


async def test_an_escalation_names_the_owner_whom_the_inventory_names(tmp_path: Path) -> None:
    home_ = home(tmp_path)
    first = facts(1, pages=True, route=("owner:support team",))
    second = facts(2, pages=True, route=("owner:payments", "finance", "owner:support team"))
    watch(home_, first, second)
    desk = await Desk.open(home_, "ana")
    try:
        room = await desk.declare("refunds in a loop", 1, alerts=[first.id, second.id])
        assert routing.people("owner", room.incident, {}) == ("support team", "payments")
        assert routing.people("owner", room.incident, {"owner": ("mia",)}) == ("mia",)
        assert routing.people("ic", room.incident, {}) == ("ana",)
        assert routing.people("finance", room.incident, {}) == ()
    finally:
        await desk.close()
