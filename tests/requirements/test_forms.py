"""The forms propose what the sources would, on cases; nothing unknown ever makes a proposal less careful."""

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console import forms
from console.desk import Desk
from console.refusal import Refused
from data.home import Home
from playbooks import load
from playbooks.forms import Proposal, decide, unanswered
from playbooks.guidance import Form, Tags

FORMS = {path.stem: load.document(path, Form) for path in sorted((load.LIBRARY / "forms").glob("*.yaml"))}
SEVERITY, FACTS = FORMS["severity"], FORMS["first-facts"]
ROLLBACK, SCOPE = FORMS["rollback-or-restrict"], FORMS["stop-scope"]
QUESTIONS = FORMS["seven-questions"]

RL = {"S004-RL-1": "blast-radius", "S004-RL-2": "isolated", "S004-RL-3": "bundle", "S004-RL-4": "wave"}
CONDITIONS = {
    "blast-radius": ("blast radius", "understood"),
    "isolated": ("path", "isolated cleanly"),
    "bundle": ("active bundle", "precisely"),
    "wave": ("rollout wave", "stopped", "without hidden dependencies"),
}
"""What each of them asks for."""
UNDERSTOOD = dict.fromkeys(RL.values(), "yes")


def proposal(form: Form, **answers: str) -> Proposal:
    """What a form proposes; `_` in the name of a question stands for `-`."""
    decided = decide(form, {name.replace("_", "-"): answer for name, answer in answers.items()})
    assert decided is not None
    return decided


def answers_to(form: Form) -> st.SearchStrategy[dict[str, str]]:
    """Every way to answer a form of which each question has a few answers."""

    def answer(question: str) -> st.SearchStrategy[str]:
        (asked,) = (each for each in form.questions if each.id == question)
        if asked.answer == "text":
            return st.sampled_from(["something", "unknown"])
        return st.sampled_from([*(asked.choices or ("yes", "no")), "unknown"])

    return st.fixed_dictionaries({}, optional={each.id: answer(each.id) for each in form.questions})


# ---------------------------------------------------------------- severity

CALM = {
    "data-security": "no",
    "harm": "no",
    "guardrail": "not involved",
    "type": "other",
    "reach": "cosmetic",
    "slo": "no",
    "trouble": "no",
}
LOCAL = "one feature or one tenant"
CASES = [
    ("S000-CL-1", 3, {"type": "quality-regression", "reach": LOCAL}),
    ("S000-CL-1", 3, {"type": "quality-regression", "reach": "cosmetic"}),
    ("S000-CL-1", 2, {"type": "quality-regression", "reach": LOCAL, "trouble": "yes"}),
    ("S000-CL-2", 2, {"type": "cost-spike", "reach": LOCAL}),
    ("S000-CL-3", 2, {"type": "policy-bypass", "reach": LOCAL}),
    ("S000-CL-3", 2, {"type": "policy-bypass", "guardrail": "bypassed without an effect"}),
    ("S000-CL-3", 1, {"type": "policy-bypass", "guardrail": "bypassed with an effect"}),
    ("S000-CL-4", 1, {"data-security": "yes"}),
    ("S001-SEV-1", 1, {"harm": "yes", "reach": LOCAL}),
    ("S001-SEV-2", 2, {"trouble": "yes", "reach": LOCAL}),
    ("S001-SEV-3", 3, {"type": "quality-regression", "reach": LOCAL}),
    ("S001-SEV-3", 4, {"type": "quality-regression", "reach": "formatting only"}),
    ("S002-SEV-1", 1, {"reach": "several regions or many tenants", "slo": "yes or certain to be"}),
    ("S002-SEV-2", 2, {"reach": "one region or many users", "slo": "likely"}),
    ("S002-SEV-3", 3, {"reach": LOCAL, "slo": "maybe"}),
    ("S002-SEV-4", 4, {"reach": "a defect with a workaround"}),
    ("S002-SEV-5", 5, {}),
    ("S002-SEV-7", 2, dict.fromkeys(CALM, "unknown")),
    ("X-2", 3, {"type": "policy-bypass", "guardrail": "attempt blocked"}),
    ("X-2", 2, {"guardrail": "bypassed without an effect"}),
    ("X-2", 1, {"guardrail": "bypassed with an effect"}),
    ("X-3", 2, {"type": "cost-spike"}),
]


@pytest.mark.parametrize(
    ("severity", "differs"),
    [pytest.param(n, case, id=f"{key}-{n}", marks=pytest.mark.req(key)) for key, n, case in CASES],
)
def test_a_case_gets_the_severity_of_its_source(severity: int, differs: dict[str, str]) -> None:
    decided = decide(SEVERITY, CALM | differs)
    assert decided is not None
    assert (decided.proposes, bool(decided.reason)) == (str(severity), True)


@pytest.mark.req("S000-CL-4")
@given(answers_to(SEVERITY))
def test_a_data_security_incident_is_always_the_worst_and_led_by_security(answers: dict[str, str]) -> None:
    decided = decide(SEVERITY, answers | {"data-security": "yes"})
    assert decided is not None
    assert (decided.proposes, decided.also) == ("1", ("security-led",))
    others = decide(SEVERITY, answers | {"data-security": "no"})
    assert others is not None
    assert others.also == ()


@pytest.mark.req("S002-SEV-7", "X-2")
@given(answers_to(SEVERITY), st.sampled_from(sorted(set(CALM) - {"type"})))
def test_what_is_not_known_is_never_taken_for_less_than_the_second_level(
    answers: dict[str, str], unknown: str
) -> None:
    decided = decide(SEVERITY, answers | {unknown: "unknown"})
    assert decided is not None
    assert decided.proposes in ("1", "2")


@pytest.mark.req("S000-CL-1", "S000-CL-2", "S000-CL-3")
@given(answers_to(SEVERITY))
def test_each_type_stays_within_the_levels_that_it_may_have(answers: dict[str, str]) -> None:
    """Apart from what makes any incident worse, and from an attempt that was blocked."""
    levels = {"quality-regression": "23", "cost-spike": "2", "policy-bypass": "2"}
    worse = {"data-security": "no", "harm": "no", "slo": "no", "guardrail": "not involved"}
    reach = {} if answers.get("reach") != "formatting only" else {"reach": LOCAL}
    for kind, allowed in levels.items():
        decided = decide(SEVERITY, answers | worse | reach | {"type": kind})
        assert decided is not None
        assert decided.proposes in allowed


@pytest.mark.req("X-3")
def test_runaway_cost_may_be_lowered_with_a_reason() -> None:
    """The form names the way down; it never proposes it by itself."""
    decided = decide(SEVERITY, CALM | {"type": "cost-spike"})
    assert decided is not None
    assert "lower it with a reason" in decided.reason


@pytest.mark.req("S000-KT-3")
def test_incidents_of_models_and_of_security_share_one_scale() -> None:
    """The same answers lead to the same level, whatever kind of incident it is; both kinds reach the worst ones."""
    levels = {str(level.severity) for level in load.severities()}
    for reach, slo, harm in itertools.product(
        ("several regions or many tenants", "one region or many users"),
        ("yes or certain to be", "no"),
        ("yes", "no"),
    ):
        answers = CALM | {"reach": reach, "slo": slo, "harm": harm}
        found = {
            kind: decide(SEVERITY, answers | {"type": kind})
            for kind in (
                "quality-regression",
                "cost-spike",
                "voice-degradation",
                "mcp-compromise",
                "policy-bypass",
            )
        }
        proposed = {decided.proposes for decided in found.values() if decided is not None}
        assert len(proposed) == 1
        assert proposed <= levels


@pytest.mark.req("S000-KT-1")
def test_a_service_that_answers_can_still_be_a_severe_incident() -> None:
    """Everything looks normal: no SLO is touched, nobody notices. What is wrong is wrong in substance."""
    fine = CALM | {"slo": "no", "reach": LOCAL}
    wrong, harm = {"type": "quality-regression", "trouble": "yes"}, {"harm": "yes"}
    found = [decide(SEVERITY, fine | facts) for facts in (wrong, harm)]
    assert [decided.proposes for decided in found if decided] == ["2", "1"]


def test_the_types_that_the_form_offers_are_those_of_the_tags() -> None:
    tags = load.document(load.LIBRARY / "tags.yaml", Tags)
    (types,) = ([tag.id for tag in axis.tags] for axis in tags.axes if axis.id == "type")
    (asked,) = (question for question in SEVERITY.questions if question.id == "type")
    assert list(asked.choices) == [*types, "other"]


# ---------------------------------------------------------------- seven facts, seven questions

FACT_WORDS = {
    "S001-FT-1": "workflow",
    "S001-FT-2": "severity",
    "S001-FT-3": "customers suffering right now",
    "S001-FT-4": "released or changed recently",
    "S001-FT-5": "side effects",
    "S001-FT-6": "approval boundaries hold",
    "S001-FT-7": "safer lane",
}


@pytest.mark.parametrize(
    ("fact", "words"), [pytest.param(*each, marks=pytest.mark.req(each[0])) for each in FACT_WORDS.items()]
)
def test_a_fact_is_asked_for(fact: str, words: str) -> None:
    (question,) = (each for each in FACTS.questions if fact in each.sources)
    assert words in question.text
    assert question in unanswered(FACTS, {question.id: "unknown"}), "an open fact stays open"
    assert question in unanswered(FACTS, {})


@pytest.mark.req("S001-FT-0", "S001-PRI-2")
@given(answers_to(FACTS))
def test_the_facts_lead_to_containment_as_long_as_side_effects_are_possible(answers: dict[str, str]) -> None:
    decided = decide(FACTS, answers)
    assert decided is not None
    may_act = answers.get("effects-possible", "unknown") != "no"
    assert (decided.rule == "contain") == may_act
    if not may_act and answers.get("approvals-intact", "unknown") != "yes":
        assert decided.proposes == "force approval for the affected workflow"


QUESTION_WORDS = {
    "S004-QI-1": ("input", "retrieved context"),
    "S004-QI-2": ("policy decision",),
    "S004-QI-3": ("principal", "executed"),
    "S004-QI-4": ("asked for", "denied", "gone around"),
    "S004-QI-5": ("memory", "read or write"),
    "S004-QI-6": ("bundle",),
    "S004-QI-7": ("one run", "session", "wave"),
}


@pytest.mark.parametrize(
    ("asked", "words"),
    [pytest.param(*each, marks=pytest.mark.req(each[0])) for each in QUESTION_WORDS.items()],
)
def test_a_question_is_asked(asked: str, words: tuple[str, ...]) -> None:
    (question,) = (each for each in QUESTIONS.questions if asked in each.sources)
    assert [word for word in words if word not in question.text] == []


@pytest.mark.parametrize(
    "asked", [pytest.param(each, id=each, marks=pytest.mark.req(each)) for each in QUESTION_WORDS]
)
async def test_a_question_is_answered_in_an_incident_or_becomes_a_finding(tmp_path: Path, asked: str) -> None:
    (question,) = (each for each in QUESTIONS.questions if asked in each.sources)
    desk = await Desk.open(Home.open(tmp_path / "home"), "ana")
    try:
        room = await desk.declare("refunds in a loop", 2)
        form = forms.form("seven")
        await forms.answer(room, form, {question.id: "unknown"})
        (finding,) = room.incident.findings
        assert question.text in finding
        known = (question.choices or ("run 4711 shows it",))[0]
        await forms.answer(room, form, {question.id: known})
        assert room.incident.triage.forms[form.id].answers == {question.id: known}
        assert room.incident.findings == [finding], "that it could not be answered at first goes on being one"
    finally:
        await desk.close()


@pytest.mark.req("S004-QI-8")
def test_what_cannot_be_answered_is_a_finding_about_what_is_observed() -> None:
    answers = {each.id: (each.choices or ("known",))[0] for each in QUESTIONS.questions}
    assert unanswered(QUESTIONS, answers) == ()
    (open_one,) = unanswered(QUESTIONS, answers | {"principal": "unknown"})
    assert (open_one.id, QUESTIONS.unanswerable) == ("principal", "observability")
    assert len(unanswered(QUESTIONS, {})) == 7
    assert decide(QUESTIONS, {}) is None, "it asks, and proposes nothing"


# ---------------------------------------------------------------- roll back or restrict

SIGNS = {
    "S001-RR-1": ("release", "rollback", ("release", "clearly", "failure")),
    "S001-RR-2": ("recent-change", "rollback", ("prompt", "model", "workflow", "tool", "recently")),
    "S001-RR-3": ("broad", "rollback", ("broadly", "across the workflow")),
    "S001-RR-4": ("previous-safer", "rollback", ("version before", "safer")),
    "S001-RR-5": ("one-tool", "restrict", ("one tool", "fails")),
    "S001-RR-6": ("one-class", "restrict", ("one class of actions", "risky")),
    "S001-RR-7": ("approval", "restrict", ("tighter approval",)),
    "S001-RR-8": ("drafts", "restrict", ("draft safely", "without executing")),
}


def asked_in(form: Form, sign: str) -> str:
    (question,) = (each for each in form.questions if each.id == sign)
    return question.text


@pytest.mark.parametrize(
    ("sign", "proposes", "words"),
    [pytest.param(*value, id=key, marks=pytest.mark.req(key)) for key, value in SIGNS.items()],
)
def test_a_sign_leads_to_its_proposal_where_the_path_is_understood(
    sign: str, proposes: str, words: tuple[str, ...]
) -> None:
    assert [word for word in words if word not in asked_in(ROLLBACK, sign)] == []
    decided = decide(ROLLBACK, UNDERSTOOD | {sign: "yes"})
    assert decided is not None
    (rule,) = (each for each in ROLLBACK.rules if each.id == decided.rule)
    assert (decided.proposes, set(rule.when) - set(RL.values())) == (proposes, {sign})


@pytest.mark.parametrize(
    "condition", [pytest.param(value, id=key, marks=pytest.mark.req(key)) for key, value in RL.items()]
)
@pytest.mark.req("S004-RL-5", "X-27")
@given(answer=st.sampled_from(["no", "unknown"]), answers=answers_to(ROLLBACK))
def test_without_one_of_the_four_conditions_nothing_is_contained_locally(
    condition: str, answer: str, answers: dict[str, str]
) -> None:
    assert [word for word in CONDITIONS[condition] if word not in asked_in(ROLLBACK, condition)] == []
    decided = decide(ROLLBACK, answers | {"quiet": "no", condition: answer})
    assert decided is not None
    assert decided.proposes == "full rollback"
    assert (condition in decided.counted_as_no) == (answer == "unknown")


@pytest.mark.req("X-27")
@given(answers_to(ROLLBACK))
def test_unknown_counts_as_no_and_is_said(answers: dict[str, str]) -> None:
    open_ones = [each.id for each in ROLLBACK.questions if answers.get(each.id, "unknown") == "unknown"]
    decided, with_no = (decide(ROLLBACK, answers | given) for given in ({}, dict.fromkeys(open_ones, "no")))
    assert decided is not None
    assert with_no is not None
    assert decided.counted_as_no == tuple(open_ones)
    assert decided._replace(counted_as_no=()) == with_no


IN_AN_INCIDENT = [
    *(
        pytest.param(key, {sign: "yes"}, goal, (), id=key, marks=pytest.mark.req(key))
        for key, (sign, goal, _) in SIGNS.items()
    ),
    *(
        pytest.param(
            key,
            {"one-tool": "yes", name: "unknown"},
            "full rollback",
            (name,),
            id=key,
            marks=pytest.mark.req(key),
        )
        for key, name in RL.items()
    ),
]


@pytest.mark.parametrize(("requirement", "answers", "proposes", "as_no"), IN_AN_INCIDENT)
async def test_the_record_of_an_incident_keeps_what_was_answered_proposed_and_decided_by_a_person(
    tmp_path: Path, requirement: str, answers: dict[str, str], proposes: str, as_no: tuple[str, ...]
) -> None:
    desk = await Desk.open(Home.open(tmp_path / "home"), "ana")
    try:
        room = await desk.declare("refunds in a loop", 2)
        form = forms.form("rollback")
        _, filled = await forms.answer(room, form, UNDERSTOOD | answers)
        assert filled.proposal is not None
        assert set(as_no) <= set(filled.proposal.counted_as_no)
        kept = room.incident.triage.forms[form.id]
        assert {name: kept.answers[name] for name in answers} == answers
        assert (kept.body.proposal, kept.body.decided) == (proposes, ""), "it proposes, and decides nothing"
        assert kept.body.because
        (rule,) = (each for each in form.rules if each.id == kept.body.rule)
        asked = {each.id for each in form.questions if requirement in each.sources}
        assert requirement in rule.sources or asked & {*rule.when, *filled.proposal.counted_as_no}
        with pytest.raises(Refused, match=f"proposes {proposes}, and you decide continue monitoring"):
            await forms.answer(room, form, {}, decided="continue monitoring")
        await forms.answer(room, form, {}, decided=proposes)
        assert room.incident.triage.forms[form.id].body.decided == proposes
    finally:
        await desk.close()


@pytest.mark.req("S001-RR-0")
def test_restriction_comes_first_and_rollback_second() -> None:
    decided = decide(ROLLBACK, UNDERSTOOD | {"one-tool": "yes", "release": "yes"})
    assert decided is not None
    assert decided.proposes == "restrict"
    assert [(rule.proposes, rule.id) for rule in decided.further] == [("rollback", "rollback-release")]


@pytest.mark.req("S001-CK-4")
@pytest.mark.parametrize(
    ("answers", "proposes"),
    [
        ({}, "full rollback"),
        ({"quiet": "yes"}, "continue monitoring"),
        (UNDERSTOOD | {"quiet": "yes", "one-tool": "yes"}, "restrict"),
        (UNDERSTOOD | {"quiet": "yes", "release": "yes"}, "rollback"),
        (UNDERSTOOD | {"fallback": "yes"}, "fallback"),
        (UNDERSTOOD, "restrict"),
    ],
)
def test_every_outcome_can_be_reached(answers: dict[str, str], proposes: str) -> None:
    decided = decide(ROLLBACK, answers)
    assert decided is not None
    assert decided.proposes == proposes


# ---------------------------------------------------------------- how much to stop

BREADTH = ["quarantine_actions", "halt_tool", "halt_agent", "halt_all"]


@pytest.mark.parametrize(
    ("answers", "scope"),
    [
        pytest.param({}, "halt_all", id="S003-KS-5", marks=pytest.mark.req("S003-KS-5")),
        pytest.param(
            UNDERSTOOD | {"one-tool": "yes"}, "halt_all", id="unclear", marks=pytest.mark.req("S003-KS-5")
        ),
        pytest.param(
            UNDERSTOOD | {"clear": "yes", "one-agent": "yes", "others-fine": "yes"},
            "halt_agent",
            id="S003-KS-6",
            marks=pytest.mark.req("S003-KS-6"),
        ),
        pytest.param(
            UNDERSTOOD | {"clear": "yes", "one-agent": "yes", "others-fine": "unknown"},
            "halt_all",
            id="others",
            marks=pytest.mark.req("S003-KS-6"),
        ),
        pytest.param(
            UNDERSTOOD | {"clear": "yes", "one-tool": "yes"},
            "halt_tool",
            id="S003-KS-7",
            marks=pytest.mark.req("S003-KS-7"),
        ),
        pytest.param(
            UNDERSTOOD | {"low-reach": "yes", "queued": "yes"},
            "quarantine_actions",
            id="S003-KS-8",
            marks=pytest.mark.req("S003-KS-8"),
        ),
    ],
)
def test_the_scope_of_a_stop(answers: dict[str, str], scope: str) -> None:
    decided = decide(SCOPE, answers)
    assert decided is not None
    assert decided.proposes == scope


@pytest.mark.req("X-7", "S004-RL-1", "S004-RL-2", "S004-RL-3", "S004-RL-4")
@given(answers_to(SCOPE), st.sampled_from(sorted(RL.values())), st.sampled_from(["no", "unknown"]))
def test_nothing_narrow_without_all_four_proofs(answers: dict[str, str], missing: str, answer: str) -> None:
    decided = decide(SCOPE, answers | {missing: answer})
    assert decided is not None
    assert decided.proposes == "halt_all"


@pytest.mark.req("X-7")
@given(answers_to(SCOPE), st.sampled_from([each.id for each in SCOPE.questions]))
def test_who_knows_less_never_stops_less(answers: dict[str, str], forgotten: str) -> None:
    knew, knows = decide(SCOPE, answers), decide(SCOPE, answers | {forgotten: "unknown"})
    assert knew is not None
    assert knows is not None
    assert BREADTH.index(knows.proposes) >= BREADTH.index(knew.proposes)


# ---------------------------------------------------------------- all forms


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@given(data=st.data())
def test_any_answers_get_a_proposal_with_its_reason(form: Form, data: st.DataObject) -> None:
    answers = data.draw(answers_to(form))
    decided = decide(form, answers)
    assert (decided is None) == (not form.rules)
    if decided is not None:
        (rule,) = (each for each in form.rules if each.id == decided.rule)
        assert (decided.proposes, decided.reason) == (rule.proposes, rule.reason)
        assert all(each.proposes != decided.proposes for each in decided.further)
        assert set(decided.counted_as_no) <= {each.id for each in unanswered(form, answers)}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_every_rule_decides_some_case(form: Form) -> None:
    """A rule that others always forestall would be text that nobody ever reads. All answers are tried."""
    asked = {name for rule in form.rules for name in rule.when}
    possible = {
        each.id: [*(each.choices or ("yes", "no")), *(() if form.unknown_is_no else ("unknown",))]
        for each in form.questions
        if each.id in asked
    }
    deciding = {
        decided.rule
        for answers in itertools.product(*possible.values())
        if (decided := decide(form, dict(zip(possible, answers, strict=True)))) is not None
    }
    assert deciding == {rule.id for rule in form.rules}


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"colour": "yes"}, "`colour` is no question of the form `severity-form`"),
        ({"harm": "perhaps"}, "`harm` takes yes, no or unknown, not `perhaps`"),
        ({"reach": "everywhere"}, "`reach` takes several regions or many tenants"),
    ],
)
def test_an_answer_that_is_none_is_refused_in_one_sentence(answers: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        decide(SEVERITY, answers)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('when: {harm: ["yes"]}', 'when: {harms: ["yes"]}', "`harms`, which is no question here"),
        ('when: {harm: ["yes"]}', 'when: {harm: ["maybe"]}', "waits for `maybe`, which answers no `harm`"),
        ("  - id: harm\n    when", "  - id: cost\n    when", "the rule `cost` appears twice"),
    ],
)
def test_a_form_that_can_never_hold_is_refused(tmp_path: Path, before: str, after: str, said: str) -> None:
    text = (load.LIBRARY / "forms" / "severity.yaml").read_text()
    assert before in text
    path = tmp_path / "severity.yaml"
    path.write_text(text.replace(before, after))
    with pytest.raises(load.PlaybookTrouble, match=said):
        load.document(path, Form)
