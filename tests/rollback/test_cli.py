"""`warroom effects` as people type it: from telemetry to verified reversal, and everything that is refused on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Warroom
from tests.rollback.conftest import Payments, action, configure, fill, unpublishing


def drafted(warroom: Warroom, *agents: str) -> dict[str, Any]:
    named = [word for agent in agents or ("bot",) for word in ("--agent", agent)]
    (value,) = warroom.quick("effects", "draft", *named, "--json").values
    return value


def listed(warroom: Warroom, *filters: str) -> list[dict[str, Any]]:
    return warroom.quick("effects", "list", *filters, "--json").values


def classes(warroom: Warroom) -> dict[str, dict[str, Any]]:
    return {each["class"]: each for each in warroom.quick("effects", "classes", "--json").values}


@pytest.mark.req("S003-RB-0")
def test_one_row_for_each_effect_drafted_by_class(declared: Warroom) -> None:
    fill(
        declared,
        action(1, tool="erp/match", endpoint="POST erp.example/api/match", id="a1"),
        action(
            2,
            tool="payments/payout",
            idempotency_key="pay-1",
            principal="acme/ops",
            approval="ap-7",
            trace="t1",
        ),
        action(
            2,
            tool="payments/payout",
            idempotency_key="pay-1",
            principal="acme/ops",
            approval="ap-7",
            trace="t1",
        ),
        action(0, kind="artifact", artifact="mail-1", artifact_type="email", side_effect="unknown"),
        action(4, artifact="page-1", artifact_type="page", amount="3 pages"),
        action(5, change="abc123", id="a5"),
        action(6, artifact="grant-1", id="a6"),
        action(7, tool="kb/upsert", artifact="vec-1"),
        action(2, tool="payments/refund", idempotency_key="re-1", side_effect="unknown", status="error"),
        action(0, tool="search/query", endpoint="GET search.example/q", side_effect="none"),
        action(0, tool="crm/touch", side_effect="unknown"),
        action(0, tool="odd/thing", id="odd"),
        action(2, agent="other", id="b1"),
    )
    told = drafted(declared)
    assert (told["new"], told["unsaid"]) == (9, {"crm/touch": 1})
    rows = {each["key"] or each["target"] or each["action"]: each for each in listed(declared)}
    assert {name: each["class"] for name, each in rows.items()} == {
        "POST erp.example/api/match": "database-writes",
        "pay-1": "external-calls",
        "mail-1": "customer-messages",
        "page-1": "documents",
        "abc123": "code",
        "grant-1": "access",
        "vec-1": "knowledge",
        "re-1": "external-calls",
        "odd": "",
    }
    pay = rows["pay-1"]
    assert (pay["principal"], pay["approval"], pay["trace"], pay["happened"]) == (
        "acme/ops",
        "ap-7",
        "t1",
        "done",
    )
    assert (rows["re-1"]["happened"], rows["re-1"]["unclear"]) == ("unknown", True)
    assert (rows["mail-1"]["happened"], rows["mail-1"]["reversible"]) == ("done", "no")
    assert rows["page-1"]["amount"] == "3 pages"
    assert "failed" in rows["re-1"]["what"]


def test_drafting_again_lists_only_what_is_new_and_what_is_downstream_extends_the_incident(
    declared: Warroom,
) -> None:
    fill(declared, action(2, id="a1", trace="t1"))
    assert drafted(declared)["new"] == 1
    assert drafted(declared)["new"] == 0
    fill(
        declared,
        action(2, id="a2"),
        action(3, id="b1", agent="mailer", trace="t1"),
        action(3, id="b2", agent="mailer", trace="t9"),
        action(0, id="c1", agent="reader", side_effect="none", artifact="x,kb-1"),
        action(7, id="a3", artifact="kb-1", ago=5),
    )
    told = drafted(declared)
    assert (told["new"], told["downstream"], told["extended"], told["readers"]) == (
        3,
        1,
        ["mailer"],
        {"reader": 1},
    )
    assert "INCIDENT EXTENDED to mailer" in declared.quick("log").out
    assert [each["agent"] for each in listed(declared) if each["downstream"]] == ["mailer"]
    # From now on it is one of the incident's agents: what it did beside that trace is listed too.
    (value,) = declared.quick("effects", "draft", "--json").values
    assert value["new"] == 1
    assert sorted(each["action"] for each in listed(declared, "--agent", "mailer")) == ["b1", "b2"]


@pytest.mark.req("S004-DU-3", "S003-RB-2a")
def test_what_may_have_happened_is_neither_reversed_nor_repeated_before_somebody_looked(
    declared: Warroom, payments: Payments
) -> None:
    configure(declared, payments.configuration)
    fill(declared, action(2, idempotency_key="pay-9", side_effect="unknown", status="error"))
    drafted(declared)
    (row,) = listed(declared)
    real = ("effects", "reverse", row["effect"], "--for-real", "--confirm", "external-calls")
    done = declared.within(*real)
    assert done.code == 3
    assert "nobody knows whether it happened; its key is pay-9" in done.err
    assert declared.within("effects", "move", "reversed", row["effect"]).code == 3
    assert payments.asked == {}
    declared.quick("effects", "reconcile", row["effect"], "yes", "--how", "the provider lists pay-9")
    declared.quick(*real)
    assert payments.asked == {"pay-9": 1}
    assert listed(declared)[0]["progress"] == "reversed"
    assert listed(declared)[0]["seen"] == "the provider lists pay-9"


def test_what_did_not_happen_is_nothing_to_undo(declared: Warroom) -> None:
    fill(declared, action(2, idempotency_key="pay-9", side_effect="unknown"))
    drafted(declared)
    assert declared.within("effects", "reconcile", "--all", "no").code == 3, "without a word how it was seen"
    declared.quick("effects", "reconcile", "--all", "--unclear", "no", "--how", "not in their list")
    assert (listed(declared)[0]["progress"], listed(declared)[0]["unclear"]) == ("nothing", False)
    assert classes(declared)["external-calls"]["state"] == "clear"


@pytest.mark.req("S003-RB-4a", "S003-RB-4b")
def test_many_are_reversed_at_once_with_a_dry_run_before_and_a_check_after(
    declared: Warroom, documents: Path
) -> None:
    configure(declared, unpublishing(documents))
    for number in range(7):
        (documents / f"page-{number}").write_text("wrong")
        fill(declared, action(4, artifact=f"page-{number}"))
    (documents / "page-6").unlink()
    drafted(declared)
    dry = declared.within("effects", "reverse", "--all", "--class", "documents")
    assert dry.code == 1, "one of them is not there"
    assert dry.out.count("would be reversed") == 6
    assert len(list(documents.iterdir())) == 6
    assert {each["progress"] for each in listed(declared)} == {"open"}
    done = declared.within("effects", "reverse", "--all", "--class", "documents", "--for-real", "--json")
    assert done.code == 1
    outcomes = {each["effect"]: each for each in done.values}
    assert sorted(each["outcome"] for each in outcomes.values()) == ["done"] * 6 + ["failed"]
    assert "gone page-" in next(each["note"] for each in outcomes.values() if each["outcome"] == "done")
    assert all(each.name.startswith(".gone-") for each in documents.iterdir())
    assert classes(declared)["documents"]["state"] == "reversing"
    declared.quick("effects", "verify", "--all", "--class", "documents")
    assert classes(declared)["documents"]["verified"] == 6
    (left,) = listed(declared, "--state", "open")
    assert left["target"] == "page-6"
    assert "page-6" in left["note"], "what mv said of it"
    declared.quick("effects", "move", "nothing", left["effect"], "--note", "it was never there")
    documents_ = classes(declared)["documents"]
    assert (documents_["state"], documents_["next"]) == ("verified", "")
    log = declared.quick("log").out
    assert "reversal for real of 7 effects" in log
    assert "6 done, 1 failed" in log
    kept = declared.quick("evidence", "--json").values[0]["exhibits"]
    assert [each["what"] for each in kept] == ["command"], (
        "what the programs printed; the others said nothing"
    )


@pytest.mark.req("S003-RB-2a")
def test_a_reversal_that_writes_to_another_system_of_record_warns_first(
    declared: Warroom, payments: Payments
) -> None:
    configure(declared, payments.configuration)
    fill(declared, action(2, idempotency_key="pay-1"))
    drafted(declared)
    shown = declared.quick("effects", "reverse", "--all")
    assert "nothing was sent" in shown.out
    done = declared.within("effects", "reverse", "--all", "--for-real")
    assert done.code == 3
    assert "this writes into the books of the payment service" in done.err
    assert payments.asked == {}
    declared.quick("effects", "reverse", "--all", "--for-real", "--confirm", "external-calls")
    declared.quick("effects", "verify", "--all")
    assert payments.asked == {"pay-1": 1}


@pytest.mark.req("S004-DU-3")
def test_a_reversal_that_broke_off_is_in_doubt_and_goes_on_under_the_same_key(
    declared: Warroom, payments: Payments
) -> None:
    configure(declared, payments.configuration)
    fill(declared, action(2, idempotency_key="pay-1"), action(2, idempotency_key="pay-2"))
    drafted(declared)
    payments.breaks.add("pay-1")
    real = ("effects", "reverse", "--all", "--for-real", "--confirm", "external-calls")
    done = declared.within(*real)
    assert done.code == 1
    assert "nobody knows whether they were reversed" in done.err
    rows = {each["key"]: each for each in listed(declared)}
    assert (rows["pay-1"]["unclear"], rows["pay-2"]["progress"]) == (True, "reversed")
    assert declared.within("effects", "reverse", rows["pay-1"]["effect"], *real[3:]).code == 3
    assert payments.asked == {"pay-1": 1, "pay-2": 1}
    payments.breaks.clear()
    declared.quick("effects", "reconcile", rows["pay-1"]["effect"], "no", "--how", "no refund in their list")
    declared.quick(*real)
    assert payments.asked == {"pay-1": 2, "pay-2": 1}
    assert len(payments.refunded["pay-1"]) == 1, "a repeat has the key of the first"


def test_what_an_agent_wrote_chooses_neither_option_nor_place(
    declared: Warroom, payments: Payments, documents: Path
) -> None:
    configure(declared, payments.configuration + unpublishing(documents))
    fill(
        declared,
        action(2, idempotency_key="../../admin?all=1#x"),
        action(2, idempotency_key="two\nlines"),
        action(2, idempotency_key=""),
        action(4, artifact="-rf"),
        action(4, artifact="$(touch pwned)"),
    )
    drafted(declared)
    done = declared.within(
        "effects",
        "reverse",
        "--all",
        "--class",
        "external-calls",
        "--for-real",
        "--confirm",
        "external-calls",
        "--json",
    )
    assert done.code == 1
    assert sorted("skipped" in each for each in done.values) == [False, True, True]
    assert list(payments.asked) == ["..%2F..%2Fadmin%3Fall%3D1%23x"]
    done = declared.within("effects", "reverse", "--all", "--class", "documents", "--for-real", "--json")
    assert [("skipped" in each, each.get("outcome")) for each in done.values] == [
        (False, "failed"),
        (True, None),
    ]
    assert not list(declared.folder.rglob("pwned"))


@pytest.mark.req("S003-RB-3a", "S003-RB-00")
def test_what_cannot_be_undone_is_substituted_in_words(declared: Warroom) -> None:
    fill(declared, action(3, artifact="mail-1", artifact_type="email"))
    drafted(declared)
    (row,) = listed(declared)
    configure(declared, '[[reversal]]\nclass = "customer-messages"\ncommand = ["true"]\n')
    done = declared.within("effects", "reverse", row["effect"], "--for-real")
    assert done.code == 3
    assert "cannot be undone" in done.err
    assert "follow-up is the substitute" in done.err
    assert declared.within("effects", "move", "substituted", row["effect"]).code == 3
    declared.quick(
        "effects", "move", "substituted", row["effect"], "--instead", "follow-up 12 sent, read by legal"
    )
    assert declared.within("effects", "move", "verified", row["effect"]).code == 3
    declared.quick("effects", "move", "verified", row["effect"], "--evidence", "delivery report 4")
    (row,) = listed(declared)
    assert (row["progress"], row["substitute"]) == ("verified", "follow-up 12 sent, read by legal")


@pytest.mark.req("S003-RB-5a", "S003-RB-6a", "S003-RB-7a")
@pytest.mark.parametrize(
    ("number", "name", "audit"), [(5, "code", "audit"), (6, "access", "audit"), (7, "knowledge", "watch")]
)
def test_the_audit_opens_by_itself_and_its_finding_extends_the_incident(
    declared: Warroom, number: int, name: str, audit: str
) -> None:
    fill(declared, action(number, id="a1"), action(2, id="b1", agent="accomplice"))
    drafted(declared)
    declared.quick("contain", "keys revoked")
    declared.quick("effects", "move", "reversed", "--all", "--class", name)
    declared.quick("effects", "move", "verified", "--all", "--class", name, "--evidence", "probe denied")
    assert f"audit {audit} of {name} is open" in declared.quick("log").out
    found = {each["class"]: each for each in declared.quick("effects", "audit", "--json").values}
    assert (found[name]["state"], found[name]["level"]) == ("open", "fresh")
    assert classes(declared)[name]["worst"] == audit
    assert declared.within("effects", "audit", "close", name, audit).code == 3
    declared.quick(
        "effects", "extend", "the access was used by another agent", "--agent", "accomplice", "--class", name
    )
    (value,) = declared.quick("effects", "draft", "--json").values
    assert value["new"] == 1
    assert classes(declared)["external-calls"]["open"] == 1
    declared.quick("effects", "audit", "close", name, audit, "--evidence", "report 7")
    assert classes(declared)[name]["next"] == ""
    found = {each["class"]: each for each in declared.quick("effects", "audit", "--json").values}
    assert (found[name]["state"], found[name]["evidence"]) == ("closed", "report 7")
    report = declared.quick("export").out
    assert "Extended to accomplice: the access was used by another agent" in report
    assert "| 1 verified |" in report
    assert "report 7" in report


def test_a_class_with_effects_moves_with_them_only(declared: Warroom) -> None:
    fill(declared, action(5, id="a1"))
    drafted(declared)
    done = declared.within("rollback", "code", "verified", "looks fine")
    assert done.code == 3
    assert "its state follows from them" in done.err
    declared.quick("rollback", "code", "held", "the release owner is on the way")
    assert classes(declared)["code"]["state"] == "held"
    declared.quick("rollback", "code", "open")
    assert classes(declared)["code"]["state"] == "open"


def test_an_effect_without_a_class_gets_one_and_one_is_written_down_by_hand(declared: Warroom) -> None:
    fill(declared, action(0, tool="odd/thing", id="odd"))
    drafted(declared)
    (row,) = listed(declared, "--class", "none")
    assert declared.within("effects", "classify", "nonsense", row["effect"]).code == 3
    declared.quick("effects", "classify", "access", row["effect"])
    declared.quick("effects", "add", "access", "a key that the audit found", "--agent", "bot", "--key", "k1")
    assert (
        declared.within(
            "effects", "add", "access", "a key that the audit found", "--agent", "bot", "--key", "k1"
        ).code
        == 3
    )
    assert classes(declared)["access"]["open"] == 2
    assert "" not in classes(declared)


def test_effects_are_found_by_class_state_agent_principal_and_text(declared: Warroom) -> None:
    fill(
        declared,
        action(2, id="a1", tool="payments/payout", principal="acme/ops", idempotency_key="pay-1"),
        action(5, id="a2", change="abc123"),
    )
    drafted(declared)
    for filters, wanted in (
        (("--class", "code"), ["a2"]),
        (("--state", "open"), ["a1", "a2"]),
        (("--state", "verified"), []),
        (("--principal", "ACME"), ["a1"]),
        (("--text", "PAYOUT pay-1"), ["a1"]),
        (("--text", "abc123"), ["a2"]),
        (("--agent", "nobody"), []),
    ):
        assert sorted(each["action"] for each in listed(declared, *filters)) == wanted, filters


def test_hostile_names_are_shown_and_never_sent(declared: Warroom) -> None:
    fill(declared, action(4, id="\x1b]52;c;x\x07", artifact="a\nb\x9b31m", tool="[red]\x1b[2J"))
    drafted(declared)
    shown = (
        declared.quick("effects").out + declared.quick("effects", "show", listed(declared)[0]["effect"]).out
    )
    assert "␛[2J" in shown
    assert not [char for char in shown if char != "\n" and not char.isprintable()]


@pytest.mark.req("S003-RB-0")
def test_only_who_has_the_authority_reverses(declared: Warroom, payments: Payments) -> None:
    configure(declared, payments.configuration + '[authority]\nrollback-external-calls = ["finn"]\n')
    fill(declared, action(2, idempotency_key="pay-1"))
    drafted(declared)
    real = ("effects", "reverse", "--all", "--for-real", "--confirm", "external-calls")
    done = declared.within("--as", "ana", *real)
    assert done.code == 3
    assert "finn" in done.err
    assert payments.asked == {}
    declared.quick("--as", "ana", "effects", "reverse", "--all")
    declared.quick("--as", "finn", *real)
    assert payments.asked == {"pay-1": 1}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('class = "code"\ncommand = ["git"]\nurl = "http://x/"', "not one thing"),
        ('class = "code"\ncommand = ["{tool}", "x"]', "chooses the program"),
        ('class = "code"\nurl = "http://{target}/x"', "does not name its host"),
        ('class = "code"\ncommand = ["git", "{commit}"]', "no fact of an effect"),
    ],
)
def test_a_reversal_that_makes_no_sense_is_refused(declared: Warroom, text: str, said: str) -> None:
    configure(declared, f"[[reversal]]\n{text}\n")
    fill(declared, action(5, id="a1"))
    drafted(declared)
    done = declared.within("effects", "reverse", "--all")
    assert done.code == 3
    assert said in done.err


def test_without_a_reversal_it_is_done_by_hand(declared: Warroom) -> None:
    fill(declared, action(5, id="a1"))
    drafted(declared)
    done = declared.within("effects", "reverse", "--all", "--for-real")
    assert done.code == 3
    assert "By hand: Not deployed: revert the commit" in done.err
    assert declared.within("effects", "reverse").code == 3
    assert declared.within("effects", "move", "verified", "--all").code == 3
    assert declared.within("effects", "draft").code == 3


@pytest.mark.req("S003-RB-5a")
def test_a_class_whose_effects_nobody_listed_has_its_audit_all_the_same(declared: Warroom) -> None:
    declared.quick("rollback", "code", "reversed", "reverted by hand")
    assert declared.quick("log").out.count("audit audit of code is open") == 1
    declared.quick("rollback", "code", "verified", "the running version is the last good one")
    assert declared.quick("log").out.count("audit audit of code is open") == 1
    (incident,) = declared.quick("incidents", "--json").values
    assert "still open: systems audited" in declared.quick("close", "over").err
    declared.quick("reopen", "the audit is open", "--incident", incident["incident"])
    assert declared.within("rollback", "code", "met", "--clock", "audit").code == 3
    declared.quick("rollback", "code", "met", "report 7 names every system", "--clock", "audit")
    assert classes(declared)["code"]["next"] == ""
