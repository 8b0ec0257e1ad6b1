"""What the configuration, documents, dates and telemetry answer by themselves."""

from pathlib import Path

import pytest

from console.config import Agent, Config, Sender
from console.config import Window as Settings
from console.evidence.window import NAME, Window
from console.readiness.checks import CHECKS
from console.telemetry.action import Action
from data.home import Home
from playbooks import load
from playbooks.guidance import Authorities, Baselines, Review
from tests.readiness.conftest import DAY, NOON, rows_of

KINDS = {each.id: each.kind for each in load.only(Authorities).authorities}
THREE = ("ana", "ben", "dee")


def holders(*kinds: str, people: tuple[str, ...] = THREE) -> Config:
    return Config(authority={name: people for name, kind in KINDS.items() if kind in kinds})


def test_a_check_answers_a_question_that_is_asked() -> None:
    asked = {f"{review.id}/{ask.id}" for review in load.documents(Review) for ask in review.questions}
    assert set(CHECKS) - asked == set()


PAGER = Sender("pager", "pagerduty", publish=True)
PAGE = Sender("page", "statuspage", publish=True)
APPROVERS: dict[str, tuple[str, ...]] = {"comms-approval": THREE}


@pytest.mark.parametrize(
    ("question", "config", "expected"),
    [
        ("containment-prepared/three-roles", Config(), "no"),
        ("containment-prepared/three-roles", holders("halt", people=("ana", "ben")), "no"),
        ("containment-prepared/three-roles", holders("halt"), "yes"),
        ("health/authority", holders("halt"), "no"),
        ("health/authority", holders("halt", "contain"), "yes"),
        ("readiness/ownership", holders("halt", "contain", people=("ana",)), "yes"),
        ("readiness/ownership", holders("halt", people=("ana",)), "no"),
        ("containment-prepared/paging", Config(), "no"),
        ("containment-prepared/paging", Config(sender=(Sender("p", "pagerduty"),)), "no"),
        ("containment-prepared/paging", Config(sender=(Sender("f", "file", path="/tmp/x"),)), "no"),
        ("containment-prepared/paging", Config(sender=(PAGER,)), "yes"),
        ("containment-prepared/status-page", Config(sender=(PAGE,)), "no"),
        ("containment-prepared/status-page", Config(sender=(PAGE,), authority=APPROVERS), "yes"),
        ("containment-prepared/status-page", Config(authority=APPROVERS), "no"),
        ("set-up/senders", Config(sender=(PAGER,)), "yes"),
        ("set-up/senders", Config(sender=(Sender("f", "file", path="/tmp/x"),)), "no"),
        ("set-up/agents", Config(), "no"),
        ("set-up/agents", Config(agent=(Agent("a", owner="ana"),)), "no"),
        ("set-up/agents", Config(agent=(Agent("a", tools=("t",)),)), "no"),
        ("set-up/agents", Config(agent=(Agent("a", owner="ana"), Agent("a", tools=("t",)))), "yes"),
        ("review-inputs/ownership", Config(agent=(Agent("a"),)), "no"),
        ("review-inputs/ownership", Config(agent=(Agent("a", owner="ana"),)), "yes"),
        ("set-up/declared", Config(), "unknown"),
        ("health/capture", Config(window=Settings(enabled=False)), "no"),
        ("health/capture", Config(), "unknown"),
    ],
)
@pytest.mark.req("S001-HC-1", "S003-KS-3")
async def test_the_configuration_answers(home: Home, question: str, config: Config, expected: str) -> None:
    row = (await rows_of(config, home))[question]
    assert (row.answer, bool(row.checked)) == (expected, expected != "unknown")


async def test_the_reason_names_what_is_missing(home: Home) -> None:
    config = Config(agent=(Agent("mailer", owner="ana"), Agent("refunds", tools=("pay",))))
    said = (await rows_of(config, home))["set-up/agents"].because
    assert said == "no owner: refunds; no tool declared: mailer"


@pytest.mark.req("S000-BL-1", "S003-VR-1", "X-16")
async def test_dates_answer_and_name_what_is_overdue(home: Home) -> None:
    recheck = max(each.recheck_by for each in load.only(Baselines).baselines)
    first = min(each.recheck_by for each in load.only(Baselines).baselines)
    day = NOON // DAY * DAY
    epoch = (first - type(first)(1970, 1, 1)).days * DAY
    assert (await rows_of(Config(), home, epoch))["runbook-review/baselines"].answer == "yes"
    late = (await rows_of(Config(), home, epoch + DAY))["runbook-review/baselines"]
    assert late.answer == "no"
    assert f"(by {first})" in late.because
    assert recheck >= first
    assert (await rows_of(Config(), home, day))["runbook-review/cycle"].answer == "yes"
    overdue = (await rows_of(Config(), home, day + 61 * DAY))["runbook-review/cycle"]
    assert overdue.answer == "no"
    assert "incident management" in overdue.because


async def test_the_key_is_protected_by_a_passphrase(home: Home) -> None:
    assert (await rows_of(Config(), home))["set-up/key"].answer == "no"
    home.keep_key("file", "correct horse")
    assert (await rows_of(Config(), home))["set-up/key"].answer == "yes"


async def test_without_a_home_what_can_be_said_is_said() -> None:
    rows = await rows_of(Config(), None)
    assert rows["set-up/key"].answer == "unknown"
    assert rows["set-up/agents"].answer == "no"


# -- telemetry -------------------------------------------------------------------------------------------------


def keep(home: Home, *actions: Action) -> None:
    """Let the watcher's window hold these actions."""
    window = Window(home.watch_dir / NAME, home.clock, most=1 << 26, keep=7 * DAY)
    window.append(actions)
    window.close()


def call(n: int = 0, **more: str) -> Action:
    fields = {"agent": "mailer", "tool": "mail/send", "kind": "tool", "trace": "t", "session": "s",
              "bundle": "b", "wave": "w", "principal": "svc-mailer"}  # fmt: skip
    return Action(at=NOON + n, **{**fields, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("question", "actions", "expected"),
    [
        ("health/capture", [call()], "yes"),
        ("health/capture", [call(), call(1, trace="", session="")], "no"),
        ("review-inputs/traces", [call()], "yes"),
        ("readiness/reconstruct", [call()], "yes"),
        ("readiness/reconstruct", [call(), call(1, wave="")], "no"),
        ("readiness/principal", [call()], "yes"),
        ("readiness/principal", [call(principal="")], "no"),
        ("readiness/principal", [call(), call(1, agent="refunds")], "no"),
        ("readiness/approvals", [call()], "unknown"),
        ("readiness/approvals", [Action(NOON, "mailer", kind="review", decision="approved")], "no"),
        (
            "readiness/approvals",
            [Action(NOON, "mailer", kind="review", decision="approved", reviewer="ana", presented_at=NOON)],
            "yes",
        ),
    ],
)
@pytest.mark.req("S001-HC-3", "S004-RD-2", "S004-RD-3", "S004-RD-4")
async def test_telemetry_answers_what_it_carries(
    home: Home, question: str, actions: list[Action], expected: str
) -> None:
    keep(home, *actions)
    assert (await rows_of(Config(), home))[question].answer == expected


@pytest.mark.req("S003-TW-6")
async def test_what_telemetry_shows_and_nobody_declared_is_named(home: Home) -> None:
    keep(
        home,
        call(),
        call(1, tool="mail/delete"),
        call(2, kind="api", tool="", endpoint="POST api.example.com /v1/mail"),
        call(3, agent="stranger"),
    )
    declared = Agent("mailer", tools=("mail/*",), deny=("mail/delete",), endpoints=("GET *",))
    row = (await rows_of(Config(agent=(declared,)), home))["set-up/declared"]
    assert row.answer == "no"
    for named in ("agents without an entry: stranger", "mailer mail/delete", "POST api.example.com /v1/mail"):
        assert named in row.because
    assert "mail/send" not in row.because
    whole = (Agent("mailer", tools=("mail/*",), endpoints=("POST *",)), Agent("stranger", tools=("*",)))
    assert (await rows_of(Config(agent=whole), home))["set-up/declared"].answer == "yes"


async def test_a_damaged_window_hides_nothing_else(home: Home, tmp_path: Path) -> None:
    keep(home, call())
    (home.watch_dir / NAME / f"{NOON + 5:020d}.jsonl").write_bytes(b'{"at":1}\n\xff\xfe\n[[[[')
    (home.watch_dir / NAME / f"{NOON + 6:020d}.jsonl.gz").write_bytes(b"no gzip")
    assert (await rows_of(Config(), home))["health/capture"].answer == "yes"
