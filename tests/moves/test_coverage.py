"""Coverage: what has no stop that works, by name; and a stop is tried on a canary before anybody relies on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from console import authority
from console.cli.coverage import said
from console.config import Agent, Config, Duration, Point
from console.containment.coverage import CYCLE, Cover, coverage, point_covers
from console.containment.ordering import Containing
from console.containment.points import Points
from console.containment.proof import Proof, tried
from console.containment.proving import fire, ground, proofs
from console.events import MoveJudged, MoveOrdered
from console.readiness.standing import standing
from console.refusal import Refused
from console.room import Room
from data.clock import ManualClock
from data.home import Home
from tests.cli.conftest import Warroom
from tests.moves.conftest import NOON, SECOND, Grounds, System, both
from tests.moves.gateway import Gateway

SAME = {"url": "https://gateway"}
AGENTS = (
    Agent("refunds", owner="dee", tools=("pay/refund", "crm/*")),
    Agent("mail", tools=("send",)),
    Agent("batch-*"),
)


def grounds() -> Grounds:
    return Grounds(
        (Point("gateway", "fake", targets=("refunds",), options=SAME), both("halt_agent")),
        (Point("gateway-canary", "fake", targets=("canary",), canary=True, options=SAME), both("halt_agent")),
        (Point("tools", "fake", kind="tool", targets=("pay/refund",)), both("halt_tool")),
    )


def covers(points: Points, *made: Proof, now: int = NOON, **seen: tuple[str, ...]) -> dict[str, Cover]:
    known = authority.standing({"halt-agent": ("ben",)})
    return {each.name: each for each in coverage(points, AGENTS, seen, known, made, now)}


def proof(point: str, *, held: bool = True, at: int = NOON, verb: str = "halt_agent") -> Proof:
    return Proof(point, verb, at, held, 800 if held else 0, "live fire", "ana", "" if held else "canary lies")


@pytest.mark.req("S003-DR-2", "S003-KS-6", "S003-KS-7")
def test_who_has_no_stop_is_named_first_whether_declared_or_only_seen() -> None:
    found = covers(grounds().points, stranger=("rm", "pay/refund"))
    assert [each.name for each in found.values() if each.state == "none"] == [
        "batch-*", "mail", "stranger", "crm/*", "rm", "send",
    ]  # fmt: skip
    assert (found["stranger"].declared, found["stranger"].seen) == (False, True)
    assert (found["mail"].declared, found["mail"].seen) == (True, False)
    assert (found["refunds"].points, found["refunds"].state) == (("gateway",), "unproven")
    assert (found["pay/refund"].verb, found["pay/refund"].points) == ("halt_tool", ("tools",))
    assert "canary" not in found, "it is there to prove the stop, not to be counted"


@pytest.mark.req("S003-KS-3", "S004-CA-7")
def test_who_may_fire_it_stands_with_it() -> None:
    found = covers(grounds().points)
    assert found["refunds"].who.people == ("ben",)
    assert "security on-call" in str(found["refunds"].who)


@pytest.mark.req("S003-DR-2")
@pytest.mark.parametrize(
    ("made", "state"),
    [
        ((), "unproven"),
        ((proof("gateway-canary"),), "proven"),
        ((proof("gateway"),), "proven"),
        ((proof("tools"),), "unproven"),
        ((proof("gateway"), proof("gateway-canary", held=False, at=NOON + 1)), "failed"),
        ((proof("gateway", held=False), proof("gateway-canary", at=NOON + 1)), "proven"),
        ((proof("gateway", at=NOON - CYCLE - 1),), "stale"),
        ((proof("gateway", at=NOON - CYCLE),), "proven"),
    ],
)
def test_a_stop_works_when_its_way_was_seen_to_hold_last_and_of_late(
    made: tuple[Proof, ...], state: str
) -> None:
    found = covers(grounds().points, *made)
    assert found["refunds"].state == state
    assert found["refunds"].works == (state == "proven")


def test_a_canary_that_is_reached_otherwise_proves_nothing_of_the_others() -> None:
    made = Grounds(
        (Point("gateway", "fake", targets=("refunds",), options=SAME), both("halt_agent")),
        (
            Point("canary", "fake", targets=("c",), canary=True, options={"url": "https://else"}),
            both("halt_agent"),
        ),
    )
    assert covers(made.points, proof("canary"))["refunds"].state == "unproven"


@pytest.mark.req("S003-KS-6")
def test_who_is_stopped_only_with_everybody_is_said() -> None:
    made = Grounds((Point("runtime", "fake", kind="fleet"), frozenset({"halt_all", "restore_all"})))
    found = covers(made.points, proof("runtime", verb="halt_all"))
    assert (found["mail"].wide, found["mail"].verb, found["mail"].state) == (True, "halt_all", "proven")
    assert found["send"].state == "none", "a halt of all agents is no stop of a tool"


@pytest.mark.req("S003-KS-6", "S003-KS-7")
def test_whom_a_warden_guards_is_covered_and_a_tool_when_each_of_its_callers_is() -> None:
    known = authority.standing({})
    lease = proof("warden")

    def under(*guarded: str) -> dict[str, Cover]:
        made = coverage(Grounds().points, AGENTS, {}, known, [lease], NOON, guarded)
        return {each.name: each for each in made}

    found = under("refunds")
    assert (found["refunds"].points, found["refunds"].state) == (("warden",), "proven")
    assert (found["pay/refund"].state, found["mail"].state, found["send"].state) == ("proven", "none", "none")
    assert under("mail")["send"].points == ("warden",)


def test_a_stop_by_hand_is_none_that_works_by_itself() -> None:
    made = Grounds((Point("ring", "manual", targets=("refunds",)), both("halt_agent")))
    assert covers(made.points)["refunds"].state == "by-hand"


def test_a_point_that_takes_any_name_stops_everybody() -> None:
    made = Grounds((Point("gateway", "fake"), both("halt_agent")))
    found = covers(made.points, stranger=())
    assert {found[name].points for name in ("mail", "refunds", "stranger", "batch-*")} == {("gateway",)}


def test_a_glob_is_covered_by_what_it_means() -> None:
    made = Grounds((Point("gateway", "fake", targets=("batch-1",)), both("halt_agent")))
    found = covers(made.points)
    assert (found["batch-1"].points, found["batch-1"].declared) == (("gateway",), True)
    assert "batch-*" not in found


@pytest.mark.req("S003-DR-2")
def test_each_point_shows_when_it_was_last_tried_and_a_broken_one_why_it_cannot_be_used() -> None:
    def make(point: Point, _: object) -> System:
        if point.name == "broken":
            raise Refused("The option `stop` is missing.")
        return System(both("halt_agent"))

    points = Points(
        Config(points=(Point("broken", "http"), Point("gateway", "fake", targets=("a",)))),
        make=make,
    )
    rows = {each.name: each for each in point_covers(points, [proof("gateway")], NOON)}
    assert (rows["gateway"].state, rows["gateway"].proof) == ("proven", proof("gateway"))
    assert "`stop` is missing" in rows["broken"].problem


@pytest.mark.req("S003-KS-4")
@pytest.mark.parametrize(
    ("made", "said"),
    [
        ((), "ACME promises 0.5 s; not measured"),
        ((proof("cloud"),), "ACME promises 0.5 s; 0.8 s were measured, LATER than promised"),
        ((proof("cloud", held=False),), "ACME promises 0.5 s; not measured"),
    ],
)
def test_what_a_vendor_promises_stands_beside_what_was_measured_and_changes_no_verdict(
    made: tuple[Proof, ...], said: str
) -> None:
    promised = Point("cloud", "fake", vendor="ACME", vendor_sla=Duration(SECOND // 2))
    own = Point("own", "fake")
    points = Grounds((promised, both("halt_agent")), (own, both("halt_agent"))).points
    rows = {each.name: each for each in point_covers(points, made, NOON)}
    assert (rows["cloud"].vendor, rows["own"].vendor) == (said, "")
    assert MoveOrdered("0" * 16, "halt_agent").budget == 30


@pytest.mark.req("S003-DR-2")
@pytest.mark.timeout(10)
def test_ten_thousand_agents_are_looked_through_at_once() -> None:
    names = tuple(f"a{n}" for n in range(10_000))
    made = Grounds((Point("gateway", "fake", targets=names), both("halt_agent")))
    known = authority.standing({})
    seen = dict.fromkeys(names, ("send",))
    found = coverage(made.points, (), seen, known, (), NOON)
    assert len(found) == 10_001


# -- live fire -------------------------------------------------------------------------------------------------


@pytest.fixture
async def trial(home: Home) -> AsyncIterator[tuple[Grounds, Room]]:
    async with ground(home, "ana") as room:
        yield grounds(), room


@pytest.mark.req("S003-DR-2", "S003-KS-1")
async def test_live_fire_stops_the_canary_sees_it_stand_and_lets_it_go_on(
    trial: tuple[Grounds, Room], home: Home
) -> None:
    made, room = trial
    (fired,) = await fire(room, made.points, ["gateway-canary"])
    assert fired.works
    assert fired.order.judged is not None
    assert (fired.verb, fired.order.judged.verdict) == ("halt_agent", "pass")
    system = made.systems["gateway-canary"]
    assert [call.verb for call in system.told] == ["halt_agent", "restore_agent"]
    assert system.stopped == set()
    assert made.systems["gateway"].told == [], "nothing that works for people was touched"
    kept = await proofs(home)
    assert [(each.point, each.verb, each.held, each.how, each.by) for each in kept] == [
        ("gateway-canary", "halt_agent", True, "live fire", "ana"),
    ]
    assert covers(made.points, *kept, now=home.clock.now())["refunds"].works
    assert home.cases() == [], "a trial is no incident"


@pytest.mark.req("S003-DR-2", "S003-KS-1")
async def test_a_canary_that_only_says_that_it_stops_fails_the_trial(
    trial: tuple[Grounds, Room], home: Home
) -> None:
    made, room = trial
    made.systems["gateway-canary"].lies = {"canary"}
    (fired,) = await fire(room, made.points, ["gateway-canary"], budget=2)
    assert not fired.works
    found = covers(made.points, *await proofs(home))["refunds"]
    assert (found.state, found.works) == ("failed", False)
    assert found.proof is not None
    assert found.proof.note.startswith("gateway-canary/canary")


async def test_live_fire_refuses_what_works_for_people(trial: tuple[Grounds, Room]) -> None:
    made, room = trial
    for name, why in (("gateway", "is no canary"), ("nothing", "No point nothing")):
        with pytest.raises(Refused, match=why) as refused:
            await fire(room, made.points, [name])
        assert "gateway-canary" in refused.value.next_step
    with pytest.raises(Refused, match="carries out no scale_to_zero"):
        await fire(room, made.points, ["gateway-canary"], "scale_to_zero")
    assert all(not system.told for system in made.systems.values())


@pytest.mark.req("S003-DR-2")
async def test_in_a_drill_live_fire_reaches_the_points_of_the_drill_and_no_other(
    tmp_path: Path, clock: ManualClock, gateway: Gateway
) -> None:
    drill = Home.open(tmp_path / "drill", "drill", clock)
    real = Config(points=(Point("real", "fake", canary=True, targets=("r",)),))
    (drill.path / "config.toml").write_text(configured(gateway))
    points = Points.of(real, drill)
    assert [each.name for each in points.settings] == ["gateway", "pay", "canary"]
    async with ground(drill, "ana") as room:
        assert room.incident.mode == "drill"
        (fired,) = await fire(room, points, ["canary"])
        assert fired.works
        # And the real ones refuse to be tried from a drill.
        with pytest.raises(Refused, match="drill"):
            await fire(room, grounds().points, ["gateway-canary"])
    assert [each.point for each in await proofs(drill)] == ["canary"]


async def test_what_an_incident_stopped_proves_it_too(home: Home, room: Room) -> None:
    made = grounds()
    containing = Containing(made.points, actor="ana", clock=home.clock)
    order = await containing.order(room, "halt_agent", subject="refunds")
    await containing.finished(order)
    dry = await containing.order(room, "halt_tool", subject="pay/refund", dry=True)
    await containing.close()
    assert dry in room.incident.moves.orders
    (kept,) = await proofs(home)
    assert (kept.point, kept.held, kept.how) == ("gateway", True, room.code)
    assert tried(room.incident.moves, room.code) == [kept], "a dry run proves nothing"


# -- readiness -------------------------------------------------------------------------------------------------


async def asked(config: Config, home: Home, now: int) -> dict[str, tuple[str, str]]:
    rows = await standing(config, home, now)
    return {
        row.id.partition("/")[2]: (row.answer, row.because)
        for row in rows
        if row.id.startswith("containment-")
    }


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    made = Gateway()
    yield made
    made.close()


def configured(gateway: Gateway, *, canary: bool = True) -> str:
    points = f"""
[[agent]]
name = "refunds"
owner = "dee"
tools = ["pay"]

[[points]]
name = "gateway"
actuator = "http"
targets = ["refunds"]
{gateway.options()}
[[points]]
name = "pay"
actuator = "http"
kind = "tool"
targets = ["pay"]
{gateway.options()}
"""
    if canary:
        points += f"""
[[points]]
name = "canary"
actuator = "http"
canary = true
targets = ["canary-1"]
{gateway.options()}
"""
    return points


@pytest.mark.req("S003-DR-2", "S003-KS-3")
async def test_readiness_says_no_until_every_stop_was_seen_to_hold_and_again_a_quarter_later(
    home: Home, clock: ManualClock, gateway: Gateway, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from console.config import load

    path = tmp_path_factory.mktemp("config") / "config.toml"
    path.write_text(configured(gateway))
    config = load(path)
    assert config.problems == ()
    before = await asked(Config(), home, clock.now())
    assert before["covered"] == ("no", "no [[points]] is configured: nothing can be stopped from here")
    assert before["stops-proven"][0] == "no"
    found = await asked(config, home, clock.now())
    assert found["covered"][0] == "yes"
    assert found["stops-proven"][0] == "no"
    assert "gateway (never tried)" in found["stops-proven"][1]
    async with ground(home, "ana") as room:
        (fired,) = await fire(room, Points.of(config, home), ["canary"])
    assert fired.works
    assert (await asked(config, home, clock.now()))["stops-proven"][0] == "yes"
    clock.advance(CYCLE + 60 * SECOND)
    assert (await asked(config, home, clock.now()))["stops-proven"][0] == "no"


# -- the command line ------------------------------------------------------------------------------------------


@pytest.mark.req("S003-DR-2")
def test_from_the_shell_a_gap_is_named_the_canary_is_fired_and_the_gap_is_closed(
    warroom: Warroom, gateway: Gateway
) -> None:
    config = warroom.folder / "config" / "warroom" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(configured(gateway))
    shown = warroom.within("coverage")
    assert shown.code == 1
    assert "2 of 2 agents and tools have no stop that was seen to work of late." in shown.out
    assert "UNPROVEN agent refunds" in shown.out
    assert "never tried" in shown.out
    fired = warroom.within("coverage", "--fire", "canary", "--as", "ben")
    assert fired.code == 0, fired
    assert "verdict:  PASS after" in fired.out
    assert "let go:   PASS after" in fired.out
    assert gateway.asked.count("POST /stop/canary-1") == 1
    assert not [each for each in gateway.asked if "refunds" in each]
    done = warroom.within("coverage", "--list")
    assert done.code == 0, done
    assert "proven   agent refunds" in done.out
    assert "live fire by ben: held after" in done.out
    values = {each.get("name") or each["point"]: each for each in warroom.quick("coverage", "--json").values}
    assert values["refunds"]["works"] is True
    assert values["canary"]["tested"]["by"] == "ben"
    refused = warroom.within("coverage", "--fire", "gateway")
    assert (refused.code, "is no canary" in refused.err) == (3, True)
    assert "proving: sound" in warroom.quick("verify", "--all").out


async def test_a_canary_that_stays_down_is_said_loudly(trial: tuple[Grounds, Room]) -> None:
    made, room = trial
    (fired,) = await fire(room, made.points, ["gateway-canary"])
    assert fired.restored is not None
    assert "THE CANARY" not in said(fired)
    fired.restored.judged = MoveJudged(fired.restored.body.order, "fail", 30_000, 1, 0, ("canary",))
    assert not fired.works
    assert "THE CANARY WAS NOT SEEN TO RUN AGAIN" in said(fired)


@pytest.mark.req("S000-CO-1", "S000-CO-2", "S000-CO-3", "S000-CO-4", "S000-CO-5")
def test_from_the_shell_the_moves_stand_in_the_order_of_containment(
    warroom: Warroom, gateway: Gateway
) -> None:
    config = warroom.folder / "config" / "warroom" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(configured(gateway))
    shown = warroom.quick("coverage", "--moves").out
    steps = [
        "Narrow the blast radius",
        "Stop side effects",
        "Revoke tokens",
        "Fall back",
        "Preserve evidence",
    ]
    places = [shown.index(step) for step in steps]
    assert places == sorted(places)
    assert (
        "  halt_tool: Halt one tool for every agent (tool)\n      pay; never tried; taken back by restore_tool\n"
        in shown
    )
    assert "revoke_credential" in shown
    assert "by hand; never tried; cannot be taken back; destroys evidence" in shown
    values = {each["verb"]: each for each in warroom.quick("coverage", "--moves", "--json").values}
    assert values["halt_agent"]["points"] == ["gateway"]
    assert values["halt_all"]["brings"] == ["scheduler_off", "quarantine_actions"]


def test_without_points_it_says_that_nothing_can_be_stopped(warroom: Warroom) -> None:
    shown = warroom.within("coverage")
    assert (shown.code, "nothing can be stopped from here" in shown.out) == (1, True)
    refused = warroom.within("coverage", "--fire", "canary")
    assert (refused.code, "No point is configured" in refused.err) == (3, True)
