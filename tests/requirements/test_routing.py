"""Who is told and why, who may do what, and the axes on which incidents are sorted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.tripwires.rules import RULES, Rules
from playbooks import load
from playbooks.guidance import Authorities, Authority, Moves, Routing, Tags
from playbooks.routing import Told, told

ROUTING = load.document(load.LIBRARY / "routing.yaml", Routing)
AUTHORITIES = {
    each.id: each for each in load.document(load.LIBRARY / "authorities.yaml", Authorities).authorities
}
AXES = {axis.id: axis for axis in load.document(load.LIBRARY / "tags.yaml", Tags).axes}
TYPES = tuple(tag.id for tag in AXES["type"].tags)


def who(*, severity: int = 3, **facts: object) -> dict[str, Told]:
    return {each.who: each for each in told(ROUTING, severity=severity, **facts)}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "people"),
    [
        pytest.param("quality-regression", {"ml-platform-lead"}, marks=pytest.mark.req("S000-CL-1")),
        pytest.param("cost-spike", {"finance", "platform"}, marks=pytest.mark.req("S000-CL-2")),
        pytest.param("policy-bypass", {"security", "compliance"}, marks=pytest.mark.req("S000-CL-3")),
        ("mcp-compromise", {"security", "platform"}),
        ("a2a-abuse", {"security", "platform"}),
        ("voice-degradation", {"platform"}),
    ],
)
@pytest.mark.req("S000-PD-3")
def test_a_type_brings_its_people_and_says_why(kind: str, people: set[str]) -> None:
    found = who(types=[kind])
    assert set(found) == people | {"on-call"}
    assert all(each.page and each.reasons for each in found.values())


@pytest.mark.req("S000-PD-3")
@pytest.mark.parametrize(
    ("severity", "paged", "informed"),
    [
        (1, {"on-call", "executives"}, {"support"}),
        (2, {"on-call"}, {"support", "executives"}),
        (3, {"on-call"}, set()),
        (5, {"on-call"}, set()),
    ],
)
def test_the_severity_decides_who_else_and_whether_they_are_woken(
    severity: int, paged: set[str], informed: set[str]
) -> None:
    found = who(severity=severity)
    assert {name for name, each in found.items() if each.page} == paged
    assert {name for name, each in found.items() if not each.page} == informed


@pytest.mark.req("S000-CL-4", "X-29")
def test_a_data_security_incident_wakes_security_and_the_lawyers() -> None:
    assert {"security", "legal-privacy"} <= set(who(severity=1, security=True))
    assert not {"security", "legal-privacy"} & set(who(severity=1))


@pytest.mark.req("X-28")
def test_the_routes_of_tripwires_are_those_that_the_watcher_uses() -> None:
    usual = Rules().routes
    assert set(usual) == set(RULES)
    for tripwire, recipients in usual.items():
        assert set(who(tripwires=[tripwire])) - {"on-call"} == set(recipients)


@pytest.mark.req("X-28")
def test_somebody_whom_two_routes_name_is_told_once_with_both_reasons() -> None:
    found = told(ROUTING, severity=1, types=["policy-bypass"], tripwires=["authorisation"], security=True)
    assert len({each.who for each in found}) == len(found)
    (security,) = (each for each in found if each.who == "security")
    assert len(security.reasons) == len(set(security.reasons)) == 3
    pages = [each.page for each in found]
    assert pages == sorted(pages, reverse=True), "who is woken comes first"


@given(st.integers(1, 5), st.sets(st.sampled_from(TYPES)), st.sets(st.sampled_from(RULES)), st.booleans())
def test_who_is_told_is_known_and_more_facts_never_tell_fewer(
    severity: int, types: set[str], tripwires: set[str], security: bool
) -> None:
    known = {contact.id for contact in ROUTING.contacts} | {role.id for role in load.roles()}
    found = who(severity=severity, types=types, tripwires=tripwires, security=security)
    assert set(found) <= known
    assert "on-call" in found
    fewer = who(severity=severity, types=sorted(types)[1:], tripwires=tripwires, security=security)
    assert set(fewer) <= set(found)
    assert all(found[name].page >= fewer[name].page for name in fewer)


def test_every_contact_is_told_by_some_route() -> None:
    used = {name for route in ROUTING.routes for name in route.tell}
    assert {contact.id for contact in ROUTING.contacts} == used
    assert {tag for route in ROUTING.routes for tag in route.types} == set(TYPES)


# ---------------------------------------------------------------- authorities


@pytest.mark.req("S003-KS-3")
@pytest.mark.parametrize("scope", ["halt-all", "halt-agent", "halt-tool", "quarantine-actions"])
def test_three_roles_hold_each_halt_and_one_of_them_is_enough(scope: str) -> None:
    authority = AUTHORITIES[scope]
    assert authority.holders == ("on-call engineer", "security on-call", "business owner of the agent")
    assert (authority.kind, authority.least) == ("halt", 3)


@pytest.mark.req("S004-CA-7", "X-13")
def test_every_verb_that_touches_something_has_an_authority_that_exists() -> None:
    moves = load.document(load.LIBRARY / "moves.yaml", Moves).moves
    outside = [move for move in moves if move.family != "record"]
    assert [move.verb for move in outside if not move.authority] == []
    assert {name for move in moves for name in move.authority} <= set(AUTHORITIES)
    restores = {move.restore for move in moves} - {None}
    for move in outside:
        kinds = {AUTHORITIES[name].kind for name in move.authority}
        assert kinds <= ({"recover"} if move.verb in restores else {"halt", "contain"}), move.verb


@pytest.mark.req("X-13", "S003-RB-0")
def test_each_action_class_has_its_operator() -> None:
    for each in load.rollback_classes():
        assert AUTHORITIES[f"rollback-{each.id}"].holders == (each.operator,)
        assert AUTHORITIES[f"rollback-{each.id}"].kind == "rollback"


@pytest.mark.req("X-13")
def test_authority_is_apart_from_roles_and_covers_what_a_role_alone_does_not_grant() -> None:
    assert {each.kind for each in AUTHORITIES.values()} == {
        "halt",
        "contain",
        "rollback",
        "comms",
        "recover",
        "notify",
    }
    assert not set(AUTHORITIES) & {role.id for role in load.roles()}
    assert "communications lead" in AUTHORITIES["comms-approval"].holders
    assert "legal and privacy" in AUTHORITIES["notify-authorities"].holders


@pytest.mark.req("S000-AR-2", "X-12")
def test_recovery_at_the_worst_level_is_approved_by_persons() -> None:
    approval = AUTHORITIES["sev1-recovery"]
    assert approval.kind == "recover"
    assert "incident commander" in approval.holders
    assert not [name for name in approval.holders if "agent" in name.split()[0] or "automat" in name]


@pytest.mark.parametrize("authority", AUTHORITIES.values(), ids=AUTHORITIES)
@pytest.mark.req("S001-HC-1")
def test_enough_different_holders_are_named(authority: Authority) -> None:
    assert len(set(authority.holders)) >= authority.least


# ---------------------------------------------------------------- tags

CODES = {
    "S004-TX-1": "policy_bypass",
    "S004-TX-2": "unauthorized_side_effect",
    "S004-TX-3": "dangerous_egress",
    "S004-TX-4": "memory_contamination",
    "S004-TX-5": "approval_failure",
    "S004-TX-6": "eval_escape",
    "S004-TX-7": "agentic_misalignment",
}


@pytest.mark.parametrize(
    ("requirement", "code"), [pytest.param(*each, marks=pytest.mark.req(each[0])) for each in CODES.items()]
)
def test_a_triage_code_is_spelt_as_other_tools_spell_it(requirement: str, code: str) -> None:
    (tag,) = (tag for tag in AXES["code"].tags if requirement in tag.sources)
    assert tag.id == code
    assert len(AXES["code"].tags) == 7


@pytest.mark.req("X-24")
def test_the_axes_are_independent_and_the_public_lists_are_whole() -> None:
    sizes = {axis.id: len(axis.tags) for axis in AXES.values()}
    lists = {"owasp-asi": 10, "owasp-mcp": 10, "owasp-ast": 10, "mitre-atlas": 10}
    assert sizes == {"type": 6, "code": 7} | lists
    assert [tag.id for tag in AXES["owasp-asi"].tags] == [f"asi{n:02}" for n in range(1, 11)]
    assert [tag.id for tag in AXES["owasp-mcp"].tags] == [f"mcp{n:02}" for n in range(1, 11)]
    assert [tag.id for tag in AXES["owasp-ast"].tags] == [f"ast{n:02}" for n in range(1, 11)]
    assert all(tag.id.startswith("aml.t0") for tag in AXES["mitre-atlas"].tags)
    titles = {tag.id: tag.title.lower() for axis in AXES.values() for tag in axis.tags}
    assert "goal hijack" in titles["asi01"]
    assert "shadow servers" in titles["mcp09"]
    assert titles["aml.t0051"] == "prompt injection"
