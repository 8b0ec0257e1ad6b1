"""Writing without a screen: each command does what it says, says what it did, and refuses in one sentence."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from console.cli import exits
from data.clock import parse_iso
from tests.cli.conftest import Warroom


def state(warroom: Warroom) -> dict[str, object]:
    (value,) = warroom.quick("show", "--json").values
    return value


@pytest.mark.req("X-1")
def test_declare_takes_any_name_of_a_severity_and_makes_the_home(warroom: Warroom) -> None:
    (value,) = warroom.quick("declare", "tenant", "data", "leaks", "--severity", "P0", "--json").values
    assert value["title"] == "tenant data leaks"
    assert (value["severity"], value["label"], value["mode"]) == (1, "SEV-1", "live")
    (listed,) = warroom.quick("incidents", "--json").values
    assert listed["case"] == value["case"]


def test_a_night_of_work_without_a_screen(declared: Warroom) -> None:
    run = declared.ok
    run("assign", "scribe", "dee")
    run("--as", "dee", "note", "-5m first refund seen #payouts")
    run("--as", "dee", "note", stdin="!hold every refund\n")
    run("tick", "stop-harm", "--evidence", "gateway log")
    run("tick", "status-page", "no customer sees it", "--state", "not-applicable")
    run("claim", "impact")
    run("updates", "30min", "--channel", "status page")
    run("contain", "tool disabled at the gateway", "--at", "-1m")
    run("rollback", "external-calls", "open", "payouts without an order", "--effects", "91")
    run("severity", "1", "customers are hit")
    run("severity", "3", "by mistake")
    run("undo")
    run("title", "payouts in a loop")
    run("moment", "harm-confirmed", "finance counted", "--at", "-2m")
    run("updates", "--next", "15min")
    now = state(declared)
    assert now["roles"] == {"ic": ["ana"], "scribe": ["dee"]}
    assert now["severity"] == 1
    assert now["title"] == "payouts in a loop"
    assert now["chain"].keys() >= {"harm_confirmed", "contained"}  # type: ignore[attr-defined]
    gap = parse_iso(str(now["next_update_due"])) - parse_iso(str(now["now"]))
    assert 14 * 60 * 10**9 < gap <= 15 * 60 * 10**9
    assert now["contained_how"] == "tool disabled at the gateway"
    checks = {item["id"]: item for item in now["checklist"]}  # type: ignore[attr-defined]
    assert checks["stop-harm"]["state"] == "done"
    assert (checks["status-page"]["state"], checks["status-page"]["reason"]) == (
        "not_applicable",
        "no customer sees it",
    )
    assert checks["impact"]["claimed"]
    classes = {row["id"]: row for row in now["rollback"]}  # type: ignore[attr-defined]
    assert (classes["external-calls"]["state"], classes["external-calls"]["effects"]) == ("open", 91)
    assert classes["external-calls"]["clocks"][0]["due"]
    run("close", "verified")
    assert declared.ok("incidents").out.strip() == "No open incidents."
    run("reopen", "it is back", "--incident", str(now["incident"]))
    assert state(declared)["open"] is True


def test_a_note_is_back_dated_and_says_so(declared: Warroom) -> None:
    (value,) = declared.ok("note", "-5m", "first refund seen", "--json").values
    gap = parse_iso(value["saved_at"]) - parse_iso(value["at"])
    assert 300 * 10**9 <= gap < 330 * 10**9
    assert value["done"] == f"noted at {value['at'][:19]}Z"
    (line,) = (line for line in declared.ok("log", "--json").values if line["id"] == value["id"])
    assert (line["text"], line["backdated"]) == ("first refund seen", True)


def test_undo_says_what_it_takes_back_and_how_to_have_it_again(declared: Warroom) -> None:
    run = declared.quick
    run("--as", "ana", "severity", "1", "customers are hit")
    run("note", "not a change of state")
    run("--as", "dee", "tick", "stop-harm", "--evidence", "gateway log")
    (value,) = run("--as", "ana", "undo", "--json").values
    assert value["done"] == "took back: severity is now SEV-1: customers are hit"
    assert state(declared)["severity"] == 2
    again = declared.within("--as", "ana", "undo")
    assert again.code == 3
    assert "nothing of yours to undo" in again.err
    run("reinstate", value["id"], "they are")
    assert state(declared)["severity"] == 1


def test_undo_covers_closing_and_moments(declared: Warroom) -> None:
    run = declared.quick
    run("--as", "ana", "moment", "harm-confirmed")
    run("--as", "ana", "contain", "tool denied")
    code = str(state(declared)["incident"])
    run("--as", "ana", "close", "over")
    for says in ("closed: over", "CONTAINED: tool denied", "harm confirmed"):
        assert says in run("--as", "ana", "--incident", code, "undo").out
    assert state(declared)["open"] is True


def test_undo_says_that_an_incident_is_closed_or_open_again(declared: Warroom) -> None:
    run = declared.quick
    code = str(state(declared)["incident"])
    run("--as", "ana", "close", "over")
    run("--as", "ana", "--incident", code, "reopen", "not yet")
    assert "the incident is closed again" in run("--as", "ana", "--incident", code, "undo").out
    assert run("incidents").out == "No open incidents.\n"
    assert "the incident is open again" in run("--as", "ana", "--incident", code, "undo").out
    assert state(declared)["open"] is True


def test_closing_lists_what_is_unfinished(declared: Warroom) -> None:
    done = declared.quick("close", "enough for tonight")
    assert "closed unfinished: Containment is not confirmed" in done.err
    assert "checklist items are open" in done.err
    assert declared.quick("incidents").out == "No open incidents.\n"


def test_what_looks_like_a_time_can_be_written_as_text(declared: Warroom) -> None:
    (value,) = declared.quick("note", "\\-5m text", "--json").values
    (line,) = (line for line in declared.quick("log", "--json").values if line["id"] == value["id"])
    assert (line["text"], line["backdated"]) == ("-5m text", False)


def test_bytes_that_are_no_text_are_kept_visibly_and_said(declared: Warroom) -> None:
    # The surrogates are how the test hands over the bytes e9 and ff.
    done = declared.within("note", stdin="caf\udce9 \udcff end, na\u00efve")
    assert done.code == 0
    assert done.err == (
        "warroom: not all of this is UTF-8 text: the other bytes stand in the entry as \\xNN.\n"
    )
    assert declared.quick("log", "--json").values[-1]["text"] == "caf\\xe9 \\xff end, na\u00efve"


def test_a_correction_keeps_the_old_text_and_a_retraction_the_line(declared: Warroom) -> None:
    (value,) = declared.quick("note", "agent planner-3", "--json").values
    declared.quick("amend", value["id"], "agent planner-4", "--reason", "misread")
    (line,) = (line for line in declared.quick("log", "--json").values if line["id"] == value["id"])
    assert (line["text"], line["corrected"], line["retracted"]) == ("agent planner-4", True, False)
    declared.quick("retract", value["id"], "wrong incident")
    assert "[corrected, RETRACTED]" in declared.quick("log").out
    assert "agent planner-3" in declared.quick("export").out
    history = declared.quick("log", "--history", value["id"]).lines
    assert len(history) == 3
    assert "agent planner-3" in history[0]
    assert "agent planner-4" in history[1]
    declared.quick("reinstate", value["id"], "right after all")
    assert "RETRACTED" not in declared.quick("log").out


REFUSED = {
    "no such incident": (["note", "x", "--incident", "INC-ZZZZ"], "There is no incident"),
    "empty note": (["note", "  "], "nothing to write"),
    "future": (["note", "2199-01-01T00:00Z too early"], "future"),
    "no such severity": (["severity", "SEV-9"], "There is no severity"),
    "no such item": (["tick", "nonsense"], "no item nonsense"),
    "waived without a reason": (["tick", "impact", "--state", "waived"], "needs a reason"),
    "no such class": (["rollback", "nonsense", "open"], "no action class"),
    "verified too early": (["rollback", "code", "verified", "x"], "nothing to verify"),
    "no such entry": (["retract", "aaaaaaaa", "x"], "no entry aaaaaaaa"),
    "no such alert": (["ack", "aaaaaaaa"], "no alert aaaaaaaa"),
    "no alert at all": (["ack"], "No alert asks"),
    "no duration": (["updates", "often"], "whole number and a unit"),
    "hostile name": (["--as", "a\x1b[2J", "note", "x"], "name cannot stand"),
    "long name": (["--as", "a" * 200, "note", "x"], "name cannot stand"),
    "hostile role": (["--role", "\x1b[2J", "note", "x"], "role cannot stand"),
    "not Unicode": (["note", "bad \udcff"], "not valid Unicode"),
    "long note": (["note", "x" * 17_000], "the longest is 16,384"),
}


@pytest.mark.parametrize(("arguments", "says"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_refused_in_a_sentence(shared: Warroom, arguments: list[str], says: str) -> None:
    done = shared.within(*arguments)
    assert done.code == 3
    assert says in done.err
    assert done.out == ""
    assert done.err.startswith("warroom: ")
    assert "Traceback" not in done.err
    assert "\x1b" not in done.err


WRONG = {
    "unknown command": (["nte", "x"], "did you mean `note`"),
    "unknown option": (["note", "x", "--urgent"], "--urgent"),
    "missing argument": (["tick"], "required"),
    "not a choice": (["rollback", "code", "undone"], "invalid choice"),
    "not a number": (["log", "--limit", "many"], "--limit"),
    "hostile command": (["\x1b[2J"], "\u241b[2J"),
}


@pytest.mark.parametrize(("arguments", "says"), WRONG.values(), ids=WRONG)
def test_a_wrong_command_line_is_explained(shared: Warroom, arguments: list[str], says: str) -> None:
    done = shared.within(*arguments)
    assert done.code == 2
    assert says in done.err
    assert "\x1b" not in done.err


def test_reading_makes_no_home(warroom: Warroom) -> None:
    for command in ("incidents", "show", "log", "alerts", "verify", "export"):
        done = warroom.within(command)
        assert done.code == 3
        assert "There is no war room" in done.err
    assert not warroom.home.exists()


def test_the_console_needs_a_terminal_and_says_what_does_not(warroom: Warroom) -> None:
    done = warroom()
    assert done.code == 3
    assert "needs a terminal" in done.err


def test_several_processes_at_once_lose_and_double_nothing(declared: Warroom) -> None:
    with ThreadPoolExecutor(4) as pool:
        notes = [f"note {n} of many" for n in range(8)]
        done = list(pool.map(lambda text: declared("note", text), notes))
    assert [each.code for each in done] == [0] * 8
    texts = [line["text"] for line in declared.ok("log", "--json").values]
    assert sorted(text for text in texts if "of many" in text) == sorted(notes)
    assert "sound" in declared.ok("verify").out


def test_a_damaged_store_is_said_and_not_a_traceback(declared: Warroom) -> None:
    (log,) = declared.home.glob("cases/*/log.db")
    log.write_bytes(b"not a database" * 1000)
    done = declared.within("note", "x")
    assert done.code == 4
    assert done.err.startswith("warroom: ")
    assert "Traceback" not in done.err


@pytest.mark.req("X-1", "X-5")
def test_a_profile_decides_the_names_and_the_checklist(warroom: Warroom) -> None:
    path = warroom.folder / "mine.toml"
    path.write_text('profile = "s001-10min"\n')
    done = warroom.within(
        "declare", "refunds", "--severity", "P1", "--json", more={"WARROOM_CONFIG": str(path)}
    )
    (value,) = done.values
    assert (value["severity"], value["label"]) == (2, "S2")
    now = state(warroom)
    assert len(now["checklist"]) == 13  # type: ignore[arg-type]


def test_an_unreadable_home_is_said(warroom: Warroom) -> None:
    warroom.home.mkdir()
    (warroom.home / "home.json").write_text("{")
    done = warroom.within("incidents")
    assert done.code == 4
    assert "home.json cannot be read" in done.err


def test_mistakes_of_the_configuration_stop_nothing_and_are_said(declared: Warroom) -> None:
    path = declared.folder / "mine.toml"
    path.write_text('nonsense = 1\n[me]\nname = "dee"\n')
    done = declared.within("note", "still works", more={"WARROOM_CONFIG": str(path)})
    assert done.code == 0
    assert "1 mistake" in done.err
    assert "dee: still works" in declared.quick("log").out
    check = declared.within("config", "check", more={"WARROOM_CONFIG": str(path)})
    assert check.code == 1
    assert f"{path}:1:" in check.out


def test_the_configuration_in_force_is_shown(warroom: Warroom) -> None:
    assert "tripwires.review_minimum = 30 s" in warroom.quick("config").lines
    assert warroom.quick("config", "check").code == 0
    assert warroom.quick("config", "path").out.endswith("warroom/config.toml\n")


def test_the_version_is_printed(warroom: Warroom) -> None:
    assert warroom.ok("--version").out.startswith("warroom ")


def test_what_a_hold_and_an_erasure_are_about_is_named_as_people_name_entries(declared: Warroom) -> None:
    (value,) = declared.quick("note", "a customer's name", "--json").values
    (other,) = declared.quick("note", "another one", "--json").values
    (held,) = declared.quick("hold", "a claim", "--event", value["id"], "--json").values
    assert f"LEGAL HOLD on the event {value['id']}: a claim" in declared.quick("log").out
    refused = declared.within(
        "--as", "ana", "erase", value["id"], "--reason", "asked to", "--authority", "dpo"
    )
    assert f'warroom hold --lift {held["id"]} "why' in refused.err
    declared.quick("--as", "ana", "erase", other["id"], "--reason", "asked to", "--authority", "dpo")
    assert f"ERASED the text of 1 event ({other['id']}): asked to" in declared.quick("log").out


def test_a_passphrase_that_nobody_can_be_asked_for_changes_nothing(
    declared: Warroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(_: str) -> str:
        raise EOFError

    monkeypatch.setattr("getpass.getpass", nobody)
    before = (declared.home / "identity.pem").read_bytes()
    done = declared.within("identity", "passphrase")
    assert (done.code, "WARROOM_NEW_PASSPHRASE" in done.err) == (exits.REFUSED, True)
    assert (declared.home / "identity.pem").read_bytes() == before
    assert declared.within("identity", "passphrase", more={"WARROOM_NEW_PASSPHRASE": "x"}).code == exits.OK
    locked = declared.within("identity")
    assert (locked.code, "needs its passphrase" in locked.err) == (exits.STORE, True)


def test_a_seal_says_when_it_was_written(declared: Warroom) -> None:
    (said,) = declared.quick("seal", "--json").values
    assert said["saved_at"] > declared.quick("show", "--json").values[0]["declared_at"]
