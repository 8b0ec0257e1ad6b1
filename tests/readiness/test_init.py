"""`warroom init`: what is asked, where it goes, and that nothing is lost or taken without a yes."""

import os
import signal
import subprocess
import tomllib
from pathlib import Path

import pytest

from console.config import Config, inventory, load
from console.evidence.window import NAME, Window
from console.readiness import first_run
from console.readiness.fill_ins import missing
from console.readiness.first_run import MINUTE, chosen, declarable
from console.telemetry.action import Action
from data.clock import SystemClock
from data.home import Home
from playbooks.library import Library
from tests.cli.conftest import Done, Warroom
from tests.readiness.conftest import DAY, NOON

LIBRARY = Library()
OPEN = [each.id for each in first_run.asked(LIBRARY)]


def config_of(warroom: Warroom) -> Path:
    return warroom.folder / "config" / "warroom" / "config.toml"


def said(warroom: Warroom, *lines: str, ask: tuple[str, ...] = ()) -> Done:
    done = warroom.within("init", *ask, stdin="\n".join(lines) + "\n" if lines else "")
    assert done.code == 0, done
    return done


def write(warroom: Warroom, text: str) -> Path:
    path = config_of(warroom)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def seen(warroom: Warroom, *actions: Action) -> None:
    """Let the watcher have kept these actions."""
    home = Home.open(warroom.home)
    window = Window(home.watch_dir / NAME, SystemClock(), most=1 << 26, keep=7 * DAY)
    window.append(actions)
    window.close()


def call(n: int, agent: str, tool: str = "", endpoint: str = "") -> Action:
    return Action(
        at=NOON + n * MINUTE, agent=agent, kind="tool" if tool else "api", tool=tool, endpoint=endpoint
    )


# -- what is asked, and where it goes ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "lines", "where"),
    [
        pytest.param("on-call", ["https://a"], ("contacts", "on-call"), marks=pytest.mark.req("S002-FI-1")),
        pytest.param("status-page", ["https://b"], ("organisation", "status-page"), marks=pytest.mark.req("S002-FI-2")),
        pytest.param("channel-name", ["inc-D"], ("organisation", "channel-name"), marks=pytest.mark.req("S002-FI-3")),
        pytest.param("customer-contacts", ["c@x, d@x"], ("organisation", "customer-contacts"), marks=pytest.mark.req("S002-FI-4")),
        pytest.param("legal-contacts", ["l@x"], ("contacts", "legal-privacy"), marks=pytest.mark.req("S002-FI-5")),
        pytest.param("dashboards", ["https://g; https://h"], ("organisation", "dashboards"), marks=pytest.mark.req("S002-FI-6")),
        pytest.param("business-calendar", ["mon-fri; 2026-12-25"], ("organisation", "business-calendar"), marks=pytest.mark.req("X-21")),
        pytest.param("decision-owners", ["o@x", "y@x", "p@x", "m@x", "f@x", "c@x", "s@x", "e@x"], ("contacts", "executives"), marks=pytest.mark.req("X-28")),
        pytest.param("runbook-links", ["h://o", "h://s", "h://t", "h://g", "h://e"], ("playbooks", "links"), marks=pytest.mark.req("S002-XR-1")),
        pytest.param("halt-holders", ["ana, ben; dee"], ("authority", "halt-all"), marks=pytest.mark.req("S003-KS-3")),
        pytest.param("contain-holders", ["ana, ben"] * 12, ("authority", "contain-access"), marks=pytest.mark.req("S001-HC-1")),
    ],
)  # fmt: skip
def test_what_only_the_organisation_knows_is_asked_kept_and_no_longer_missing(
    warroom: Warroom, question: str, lines: list[str], where: tuple[str, str]
) -> None:
    assert question in missing(Config(), LIBRARY)
    done = said(warroom, *lines, ask=(question,))
    assert (
        next(each.ask for each in first_run.asked(LIBRARY) if each.id == question).split("?")[0][:60]
        in done.out
    )
    config = load(config_of(warroom))
    assert config.problems == ()
    assert question not in missing(config, LIBRARY)
    assert tomllib.loads(config_of(warroom).read_text())[where[0]][where[1]]


def test_a_line_with_several_holders_names_each_of_them_for_every_halt(warroom: Warroom) -> None:
    said(warroom, "ana, ben; dee", ask=("halt-holders",))
    held = load(config_of(warroom)).authority
    assert held == dict.fromkeys(
        ("halt-all", "halt-agent", "halt-tool", "quarantine-actions"), ("ana", "ben", "dee")
    )


def test_the_whole_first_run_ends_with_nothing_missing(warroom: Warroom) -> None:
    lines = [
        "ana", "https://oncall", "https://status", "inc-D", "c@x", "l@x", "https://g", "UTC", "mon-fri",
        "ana, ben, dee", *["ana, ben"] * 12, "o@x", "y@x", "p@x", "m@x", "f@x", "c@x", "s@x", "e@x",
        "mailer", "support team", "",
        "answer a ticket", "crm/read; mail/send", "GET api.example.com /v1/*", "crm/delete", "",
        "literal", "2.5", "40", "45 s", "50 2000",
        "h://o", "h://s", "h://t", "h://g", "h://e",
    ]  # fmt: skip
    done = said(warroom, *lines)
    assert "Everything is filled in." in done.out
    config = load(config_of(warroom))
    assert (config.problems, config.me.name) == ((), "ana")
    limits = config.tripwires
    assert (limits.page_at, limits.cost_floor, limits.calls_floor) == ("literal", 2.5, 40)
    assert limits.review_minimum == 45_000_000_000
    (agent,) = config.agent
    assert (agent.owner, agent.task, agent.cost_ceiling, agent.calls_ceiling) == (
        "support team",
        "answer a ticket",
        50.0,
        2000,
    )
    assert said(warroom).out.count("[1/") == 0, "nothing is asked twice"


@pytest.mark.req("S003-TW-6", "S003-TW-5")
def test_what_is_declared_for_each_task_is_what_the_tripwire_judges_by(warroom: Warroom) -> None:
    said(
        warroom,
        "mailer", "support", "",
        "answer a ticket", "crm/read; mail/*", "", "", "close a ticket", "crm/close", "", "crm/delete; mail/all", "",
        ask=("agents", "inventory"),
    )  # fmt: skip
    assert {each.task for each in load(config_of(warroom)).agent} == {"answer a ticket", "close a ticket"}
    judged = inventory(load(config_of(warroom)))
    assert judged is not None
    reasons = {tool: judged.verdict("default", "mailer", tool, NOON).reason for tool in
               ("crm/read", "mail/send", "crm/close", "crm/delete", "mail/all", "pay/refund")}  # fmt: skip
    assert reasons == {"crm/read": "", "mail/send": "", "crm/close": "", "crm/delete": "denied",
                       "mail/all": "denied", "pay/refund": "undeclared"}  # fmt: skip
    assert judged.owner("default", "mailer") == "support"


# -- nothing is lost, and nothing is overwritten unseen -----------------------------------------------------------


def test_whoever_leaves_goes_on_with_the_next_question(warroom: Warroom) -> None:
    first = said(warroom, "ana", "https://oncall", "")
    assert "[1/15] on-call" in first.out
    assert "Open: status-page" in first.out
    second = said(warroom)
    assert "[1/13] channel-name" in second.out, "what was left open on purpose is not asked again by itself"
    assert "on-call ·" not in second.out
    assert (
        "status-page ·" in said(warroom, ask=("--again",)).out + said(warroom, "", "", ask=("--again",)).out
    )


def test_kill_9_loses_the_line_that_was_being_typed_and_no_other(warroom: Warroom) -> None:
    running = subprocess.Popen(
        [*warroom.command, "init", "on-call", "status-page"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=warroom.folder, env=warroom.environment,
    )  # fmt: skip
    assert running.stdin is not None
    assert running.stdout is not None
    running.stdin.write(b"https://oncall\nhttps://half")
    running.stdin.flush()
    text = b""
    while b"[2/2] status-page" not in text:  # asked only once the first answer is on the disk
        read = os.read(running.stdout.fileno(), 4096)
        assert read, text
        text += read
    running.send_signal(signal.SIGKILL)
    running.communicate()
    assert load(config_of(warroom)).contacts == {"on-call": ("https://oncall",)}
    assert "status-page ·" in said(warroom, "ana").out


def test_ctrl_c_keeps_what_was_answered_and_says_what_is_open(warroom: Warroom) -> None:
    running = subprocess.Popen(
        [*warroom.command, "init", "on-call", "status-page"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=warroom.folder, env=warroom.environment,
    )  # fmt: skip
    assert running.stdin is not None
    assert running.stdout is not None
    running.stdin.write(b"https://oncall\n")
    running.stdin.flush()
    text = b""
    while b"status.example.com" not in text:
        read = os.read(running.stdout.fileno(), 4096)
        assert read, text
        text += read
    running.send_signal(signal.SIGINT)
    running.wait()  # its input stays open meanwhile: the end of that would be another reason to go
    out, err = running.communicate()
    assert (running.returncode, b"Traceback" in err) == (130, False)
    assert b"Open: status-page" in out
    assert load(config_of(warroom)).contacts == {"on-call": ("https://oncall",)}


MINE = """# ours, since 2024
[contacts]
on-call = ["https://old"]   # ask dee

[[agent]]
name = "mailer"  # the one that mails
owner = "support"
tools = ["crm/read"]
"""


def test_what_a_person_wrote_is_shown_and_stays_with_its_comments(warroom: Warroom) -> None:
    path = write(warroom, MINE)
    done = said(warroom, "", ask=("on-call",))
    assert "now contacts.on-call: https://old" in done.out
    assert path.read_text() == MINE
    done = said(warroom, "https://new", ask=("on-call",))
    assert "now contacts.on-call: https://old" in done.out, "before it was replaced"
    text = path.read_text()
    for comment in ("# ours, since 2024", "# the one that mails"):
        assert comment in text
    assert load(path).contacts == {"on-call": ("https://new",)}


def test_a_declared_inventory_is_shown_and_added_to(warroom: Warroom) -> None:
    path = write(warroom, MINE)
    done = said(warroom, "*", "crm/update", "", "", ask=("inventory",))
    assert "now: tools crm/read; endpoints none; never none" in done.out
    (agent,) = load(path).agent
    assert agent.tools == ("crm/read", "crm/update")


@pytest.mark.parametrize(
    ("question", "bad", "good"),
    [
        ("on-call", "x" * 600, "https://ok"),
        ("halt-holders", "a\x07b", "ana, ben, dee"),
        ("halt-holders", " ; , ", "ana, ben, dee"),
        ("halt-holders", "ana, ben", "ana, ben, dee"),
        ("halt-holders", "ana, ben, Ana", "ana, ben, dee"),
        ("time-zone", "Europe/Berlim", "Europe/Berlin"),
        ("time-zone", "../../etc/passwd", "UTC"),
        ("business-calendar", "2026-12-25", "mon, wed-fri; 2026-12-25"),
        ("business-calendar", "mon-fri; 2026-02-30", "mon-fri; 2026-02-28"),
        ("business-calendar", "mon-fry", "mon-fri"),
        ("legal-contacts", "y" * 501, "l@x"),
    ],
)
def test_an_answer_that_does_not_fit_changes_nothing_and_is_asked_again(
    warroom: Warroom, question: str, bad: str, good: str
) -> None:
    path = write(warroom, MINE)
    done = said(warroom, bad, ask=(question,))
    assert path.read_text() == MINE
    assert done.err.startswith("warroom: ")
    assert "Traceback" not in done.err
    said(warroom, bad, good, ask=(question,))
    assert question not in missing(load(path), LIBRARY)


@pytest.mark.parametrize(
    ("question", "bad", "why"),
    [
        ("time-zone", "berlin", "There is no time zone berlin, but Europe/Berlin. Once more, or Enter."),
        ("time-zone", "europe/berlin", "but Europe/Berlin."),
        ("business-calendar", "workdays", "workdays is neither weekdays, such as mon-fri, nor a day"),
        ("business-calendar", "2026-12-25", "It names no weekdays on which you work"),
        ("halt-holders", "ana, ben", "That is 2, and at least 3 are needed"),
        ("halt-holders", "ana, ben, ANA", "ana is named twice"),
    ],
)
def test_what_is_wrong_with_an_answer_is_said_and_it_may_stay_empty(
    warroom: Warroom, question: str, bad: str, why: str
) -> None:
    done = said(warroom, bad, "", ask=(question,))
    assert why in done.err
    assert not config_of(warroom).exists()


def test_a_file_that_is_no_toml_is_left_alone(warroom: Warroom) -> None:
    path = write(warroom, "this is [not toml")
    done = warroom.within("init", stdin="ana\n")
    assert done.code == 3
    assert "Mend it first" in done.err
    assert path.read_text() == "this is [not toml"


def test_a_mistake_that_was_there_before_keeps_nobody_from_answering(warroom: Warroom) -> None:
    path = write(warroom, "[tripwires]\ncost_factr = 2.0\n")
    said(warroom, "https://oncall", ask=("on-call",))
    assert load(path).contacts == {"on-call": ("https://oncall",)}


def test_a_file_that_was_named_and_is_not_there_yet_is_made(warroom: Warroom) -> None:
    path = warroom.folder / "elsewhere" / "w.toml"
    done = warroom.within("init", "on-call", stdin="https://oncall\n", more={"WARROOM_CONFIG": str(path)})
    assert (done.code, done.err) == (0, "")
    assert load(path).contacts == {"on-call": ("https://oncall",)}


def test_a_drill_is_not_set_up(warroom: Warroom) -> None:
    Home.open(warroom.home, "drill")
    assert "for drills" in warroom.within("init").err


def test_a_question_that_there_is_not_is_refused_with_the_list(warroom: Warroom) -> None:
    done = warroom.within("init", "dashbords")
    assert done.code == 3
    assert "dashboards" in done.err


# -- the time ----------------------------------------------------------------------------------------------------


@pytest.mark.req("S003-FR-3")
def test_the_time_spent_is_shown_against_60_to_90_minutes_and_adds_up_over_sittings(warroom: Warroom) -> None:
    home = Home.open(warroom.home)
    first_run.keep(home.path, first_run.Progress(spent=25 * MINUTE))
    done = said(warroom, "ana")
    assert "[1/15] on-call · 25 min of 60 to 90 spent, about 87 to go" in done.out
    assert first_run.progress(home.path).spent >= 25 * MINUTE
    assert "over 90: leave the rest for another day" in first_run.clock(91 * MINUTE, 5)
    assert "over" not in first_run.clock(89 * MINUTE, 5)


def test_a_lost_note_of_the_time_costs_the_time_only(warroom: Warroom) -> None:
    home = Home.open(warroom.home)
    (home.path / first_run.NAME).write_bytes(b"\xff{")
    assert "0 min of 60 to 90" in said(warroom, "ana").out


# -- drafts from telemetry ------------------------------------------------------------------------------------------


def test_what_was_seen_is_offered_with_how_often_and_since_when(warroom: Warroom) -> None:
    seen(warroom, *(call(n, "mailer", "crm/read") for n in range(3)), call(9, "mailer", "mail/send"))
    done = said(warroom, "all", "support", "", ask=("agents",))
    assert "1  mailer  4 times, 2026-11-21T12:00Z to 2026-11-21T12:09Z" in done.out
    done = said(warroom, "1", "answer a ticket", "", "", "", ask=("inventory",))
    assert "1  crm/read  3 times, 2026-11-21T12:00Z to 2026-11-21T12:02Z" in done.out
    assert "2  mail/send  once, 2026-11-21T12:09Z" in done.out
    (agent,) = load(config_of(warroom)).agent
    assert (agent.name, agent.task, agent.tools) == ("mailer", "answer a ticket", ("crm/read",))


@pytest.mark.req("S003-TW-5")
def test_nothing_that_was_seen_is_accepted_without_a_yes(warroom: Warroom) -> None:
    seen(warroom, call(0, "mailer", "crm/read", "GET api.example.com /v1"), call(1, "stranger", "pay/refund"))
    said(warroom, "", "", ask=("agents",))
    assert not config_of(warroom).exists()
    write(warroom, '[[agent]]\nname = "mailer"\nowner = "support"\n')
    said(warroom, "", "", "", "", ask=("inventory",))
    (agent,) = load(config_of(warroom)).agent
    assert (agent.tools, agent.deny, agent.endpoints) == ((), (), ())


def test_an_agent_with_several_tasks_has_one_owner_and_one_entry_for_its_endpoints(warroom: Warroom) -> None:
    seen(warroom, call(0, "mailer", "crm/read", "GET api.example.com /v1"), call(1, "mailer", "mail/send"))
    said(warroom, "all", "support", "", "1", "read", "1", "send", "all", "", ask=("agents", "inventory"))
    config = load(config_of(warroom))
    assert [(each.task, each.tools, each.endpoints) for each in config.agent] == [
        ("read", ("crm/read",), ("GET api.example.com /v1",)),
        ("send", ("mail/send",), ()),
    ]
    assert {"agents", "inventory"} & set(missing(config, LIBRARY)) == set()


def test_an_entry_that_ends_is_not_added_to(warroom: Warroom) -> None:
    path = write(
        warroom, '[[agent]]\nname = "mailer"\nowner = "support"\nvalid_until = 2026-01-01\ntools = ["old"]\n'
    )
    said(warroom, "*", "crm/read", "", "", ask=("inventory",))
    assert [each.tools for each in load(path).agent] == [("old",), ("crm/read",)]


def test_tools_that_are_not_taken_can_be_denied_at_once_and_endpoints_are_offered(warroom: Warroom) -> None:
    seen(warroom, call(0, "mailer", "crm/read", "GET api.example.com /v1"), call(1, "mailer", "crm/delete"))
    write(warroom, '[[agent]]\nname = "mailer"\nowner = "support"\n')
    said(warroom, "1", "", "", "all", "all", "", ask=("inventory",))
    (agent,) = load(config_of(warroom)).agent
    assert (agent.tools, agent.deny, agent.endpoints) == (
        ("crm/read",), ("crm/delete",), ("GET api.example.com /v1",)
    )  # fmt: skip


def test_a_hostile_name_is_shown_through_the_gate_and_declares_only_itself(warroom: Warroom) -> None:
    seen(warroom, call(0, "mailer\x1b[2J", "crm/*"), call(1, "a*", "[x]"))
    done = said(warroom, "all", "support", "", ask=("agents",))
    assert "\x1b" not in done.out
    (agent,) = load(config_of(warroom)).agent
    judged = inventory(Config(agent=(type(agent)(agent.name, tools=("*",)),)))
    assert judged is not None
    assert judged.verdict("default", "a*", "t", NOON).reason == ""
    assert judged.verdict("default", "abc", "t", NOON).reason == "no-entry"


@pytest.mark.parametrize(
    ("name", "glob"), [("crm/read", "crm/read"), ("a*", "a[*]"), ("a\n", ""), ("x" * 129, "")]
)
def test_a_name_is_declared_as_itself_or_not_at_all(name: str, glob: str) -> None:
    assert declarable(name) == glob


@pytest.mark.parametrize(
    ("text", "places"),
    [("", []), ("none", []), ("all", [0, 1, 2, 3]), ("1 3-4", [0, 2, 3]), ("2,2", [1]), ("4", [3])],
)
def test_places_are_chosen_by_number(text: str, places: list[int]) -> None:
    assert chosen(text, 4) == places


@pytest.mark.parametrize("text", ["0", "5", "2-9", "3-1", "x", "-1", "1-", "²"])
def test_a_number_that_is_not_on_the_list_chooses_nothing(text: str) -> None:
    with pytest.raises(ValueError, match=r"number of the list|is not between"):
        chosen(text, 4)


# -- from a file ------------------------------------------------------------------------------------------------------


def filled_in(warroom: Warroom) -> Path:
    """The blank file with its examples as answers."""
    lines = warroom.within("init", "--blank").lines
    file = warroom.folder / "answers.toml"
    file.write_text(
        "\n".join(line[1:] if line[:1] == "#" and line[1:2] not in (" ", "") else line for line in lines)
    )
    return file


def test_the_blank_file_asks_everything_and_taken_back_it_fills_everything_in(warroom: Warroom) -> None:
    text = warroom.within("init", "--blank").out
    assert not warroom.home.exists()
    assert tomllib.loads(text).keys() >= {"organisation", "contacts", "authority"}
    done = warroom.within("init", "--answers", str(filled_in(warroom)))
    assert (done.code, done.err) == (0, "")
    assert "Everything is filled in." in done.out
    assert load(config_of(warroom)).problems == ()
    assert missing(load(config_of(warroom)), LIBRARY) == []


def test_a_file_twice_changes_nothing_the_second_time(warroom: Warroom) -> None:
    file = filled_in(warroom)
    warroom.within("init", "--answers", str(file))
    before = config_of(warroom).read_bytes()
    done = warroom.within("init", "--answers", str(file))
    assert config_of(warroom).read_bytes() == before
    assert len(done.lines) == 1


def test_a_file_adds_but_what_a_person_wrote_stays_unless_told_and_is_shown(warroom: Warroom) -> None:
    path = write(warroom, MINE)
    file = warroom.folder / "answers.toml"
    file.write_text(
        '[contacts]\non-call = ["https://new"]\n[organisation]\ntime-zone = ["UTC"]\n[[agent]]\nname = "mailer"\nowner = "ops"\n'
        'deny = ["crm/delete"]\n[[agent]]\nname = "refunds"\ntools = ["pay/*"]\n'
    )
    done = warroom.within("init", "--answers", str(file))
    assert "kept contacts.on-call = https://old; the file says https://new" in done.out
    assert "kept agent mailer: owner = support; the file says ops" in done.out
    assert "2 settings are as before" in done.err
    config = load(path)
    assert (config.contacts, config.organisation) == ({"on-call": ("https://old",)}, {"time-zone": ("UTC",)})
    mailer, refunds = config.agent
    assert (mailer.owner, mailer.tools, mailer.deny) == ("support", ("crm/read",), ("crm/delete",))
    assert refunds.tools == ("pay/*",)
    assert "# ask dee" in path.read_text()
    done = warroom.within("init", "--answers", str(file), "--replace")
    assert "replaced contacts.on-call = https://new; it was https://old" in done.out
    assert load(path).contacts["on-call"] == ("https://new",)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[sender]\n", "sender"),
        ('home = "/tmp/x"\n', "which is no answer"),
        ("[contacts]\non-call = 7\n", "contacts"),
        ("not toml", "not TOML"),
        (None, "There is no file"),
    ],
)
def test_a_file_that_is_wrong_is_refused_and_changes_nothing(
    warroom: Warroom, text: str | None, says: str
) -> None:
    path = write(warroom, MINE)
    file = warroom.folder / "answers.toml"
    if text is not None:
        file.write_text(text)
    done = warroom.within("init", "--answers", str(file))
    assert (done.code, says in done.err) == (3, True), done
    assert path.read_text() == MINE
