"""What the header says of the record: the weakest true statement, and never a better word than was earned."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from console.events import Checkpointed, Forked, RecordVerified, RemoteAlarmed, RosterRevoked, moment
from console.incident import fold
from console.sharing import Standing
from data.record import Head
from screens.kept import Sight, alarms, entry_kept, membership, minutes, record_pieces, sealers
from screens.widgets.header import mode_piece, watcher_piece
from screens.widgets.strips import FLEX, _fitting
from tests.room.strand import T0, event

ME, BEN, CHI = "a" * 32, "b" * 32, "c" * 32
SECOND, MINUTE = 1_000_000_000, 60_000_000_000
NOW = T0 + 600 * SECOND


def founded() -> Any:
    from console.events import Declared, RosterAdded

    return [
        event(Declared("refunds", 1, "SEV1"), 1),
        event(RosterAdded(BEN, "ben"), 2),
        event(RosterAdded(CHI, "chi"), 3),
    ]


def room(*more: Any, saved_at: int = T0, **other: Any) -> Any:
    case = SimpleNamespace(id="7qf2" + "a" * 22, writer=other.pop("writer", True))
    values = {"trouble": "", "read_only": False, "pending": 0, "drafts": SimpleNamespace(trouble="")}
    return SimpleNamespace(
        case=case, incident=fold([*founded(), *more]), saved_at=saved_at, **{**values, **other}
    )


def desk(*standings: Standing) -> Any:
    return SimpleNamespace(standings=list(standings), home=SimpleNamespace(replica=ME))


def seen(room_: Any, *turns: Standing) -> Sight:
    """Return what was seen of remotes: each given standing once more than it takes to be believed."""
    sight = Sight()
    for turned in (1, 2, 3):
        sight.look(room_, [Standing(each.name, each.url, turned=turned) for each in turns])
    sight.look(room_, turns)
    return sight


def said(room_: Any, desk_: Any, sight: Sight, width: int = 120) -> str:
    return " | ".join(text for text, _, _ in record_pieces(room_, desk_, sight, NOW, width))


def usb(**values: Any) -> Standing:
    return Standing("usb", "dir:/media/usb", **{"turned": NOW - SECOND, "shared": 9, **values})


def test_without_remotes_it_is_saved_here_only() -> None:
    assert said(room(saved_at=0), desk(), Sight()) == "saved here only"
    assert said(room(), desk(), Sight(), 80) == "saved here only"


def test_what_waits_is_counted_with_its_age() -> None:
    standing = usb(pending=14, oldest=NOW - 3 * MINUTE)
    here = room()
    assert said(here, desk(standing), seen(here, standing)) == "saved · 14 not shared · oldest 3 min"
    assert said(here, desk(standing), seen(here, standing), 80) == "saved · 14 not shared"


def test_shared_is_said_of_how_many_remotes() -> None:
    here, standing = room(), usb()
    assert said(here, desk(standing), seen(here, standing)) == "shared to usb"
    other = Standing("s3", "s3://b", pending=2, oldest=NOW - MINUTE, turned=NOW)
    assert said(here, desk(standing, other), seen(here, standing, other)) == "shared to 1 of 2"


def test_an_entry_that_was_just_saved_is_not_called_shared_before_two_turns_have_ended() -> None:
    here, sight = room(), Sight()
    sight.look(here, [usb(turned=1)])
    sight.look(here, [usb(turned=2)])
    sight.look(here, [usb(turned=3)])
    assert said(here, desk(usb(turned=3)), sight).startswith("shared")
    here.saved_at += 1
    for turned, word in ((3, "being shared"), (4, "being shared"), (5, "shared to usb")):
        sight.look(here, [usb(turned=turned + NOW - 9)])
        assert word in said(here, desk(usb(turned=turned + NOW - 9)), sight)


def test_what_a_remote_said_of_another_incident_is_not_believed_of_this_one() -> None:
    here, standing = room(), usb()
    sight = seen(here, standing)
    there = room()
    there.case = SimpleNamespace(id="other" + "b" * 21, writer=True)
    sight.look(there, [standing])
    assert "shared to" not in said(there, desk(standing), sight)


def test_the_first_frame_of_a_room_claims_nothing_that_was_counted_before_it_was_entered() -> None:
    sight = Sight()
    for turned in (1, 2, 3):
        sight.look(None, [usb(turned=turned)])
    assert said(room(), desk(usb(turned=NOW)), sight) == "saved · being shared"


@pytest.mark.parametrize(
    ("standing", "words"),
    [
        (
            usb(error="cut", turned=NOW - 5 * MINUTE),
            "saved · not shared | usb SILENT since 14:05",
        ),
        (usb(error="cut", pending=3, oldest=NOW - 2 * MINUTE), "saved · 3+ not shared · oldest 2 min"),
        (usb(error="cut", turned=0), "usb SILENT"),
        (usb(turned=NOW - 2 * MINUTE), "usb SILENT since 14:08"),
    ],
)
def test_a_remote_that_does_not_answer_is_named(standing: Standing, words: str) -> None:
    here = room()
    sight = seen(here, usb()) if not standing.error else Sight()
    sight.look(here, [standing])
    assert words in said(here, desk(standing), sight)
    assert "usb SILENT" in said(here, desk(standing), sight, 80)
    assert "remote usb: no exchange" in said(here, desk(standing), sight, 140)


@pytest.mark.parametrize("wrong", [(), (RemoteAlarmed("s3", "x.seg", "torn"),)])
@pytest.mark.parametrize(
    "standing",
    [
        usb(),
        usb(pending=1_400, oldest=NOW - 3 * MINUTE),
        usb(pending=1_400, oldest=NOW - 3 * MINUTE, error="cut", turned=NOW - 5 * MINUTE),
        usb(error="cut", turned=0),
    ],
)
def test_that_nobody_watches_is_said_beside_how_the_record_is_kept_also_where_little_fits(
    standing: Standing, wrong: tuple[RemoteAlarmed, ...]
) -> None:
    standing = replace(standing, name="the-bucket-of-the-team")
    here = room(
        *(event(each, 4) for each in wrong), event(Checkpointed((Head(ME, 1, 9, "0" * 64),)), 1, rep=BEN)
    )
    record = record_pieces(here, desk(standing), seen(here, standing), NOW, 80)
    first = [("INC-U3EW", "strong", 0), ("SEV1", "crit", 0), mode_piece("live"), ("refund loop", "", FLEX)]
    nobody: Any = SimpleNamespace(watched=False, watch_trouble="")
    shown = _fitting(first, [watcher_piece(nobody), ("✖ 12 unacked", "crit", 0), *record], 80)
    line = " " + "  ".join(text for side in shown for text, _, _ in side)
    assert "  NOT WATCHING  ✖ 12 unacked  " in line
    assert len(line) < 80
    assert ("REMOTE ALARM" in line) == bool(wrong)
    assert ("1,400" in line) == bool(standing.pending)


def test_while_another_war_room_here_writes_nothing_is_claimed_of_remotes() -> None:
    here, standing = room(writer=False), usb()
    assert "shared to" not in said(here, desk(standing), seen(here, standing))


def test_sealed_counts_the_other_consoles_whose_checkpoints_hold_everything() -> None:
    head = Head(ME, 1, 9, "0" * 64)
    sealed = [
        event(Checkpointed((head,)), 1, rep=BEN),
        event(Checkpointed((head,)), 1, rep=CHI),
        event(Checkpointed((head,)), 4),
    ]
    here, standing = room(*sealed), usb()
    assert said(here, desk(standing), seen(here, standing)) == "shared to usb · sealed by 2"
    further = usb(shared=10)
    assert said(here, desk(further), seen(here, further)) == "shared to usb"
    assert sealers(here.incident, ME, 1, 9) == [BEN, CHI]


def test_nothing_is_claimed_of_a_strand_that_went_on_in_two_ways() -> None:
    """A restored backup: what Ben's checkpoint holds under our numbers is the other branch."""
    bens = event(Checkpointed((Head(ME, 1, 20, "e" * 64),)), 1, rep=BEN)
    assert sealers(room(bens).incident, ME, 1, 12) == [BEN]
    fork = event(Forked(1, 11, "f" * 64), 4)
    later = event(Checkpointed((Head(ME, 77, 1, "d" * 64),)), 1, rep=CHI)
    both = event(Checkpointed((Head(ME, 1, 20, "e" * 64), Head(ME, 1, 14, "d" * 64))), 1, rep=CHI)
    other = event(Checkpointed((Head(ME, 1, 20, "d" * 64),)), 1, rep=CHI)
    for sign in (fork, later, both, other):
        assert sealers(room(bens, sign).incident, ME, 1, 12) == []
    assert sealers(room(fork, later).incident, ME, 77, 1) == [CHI], "the new incarnation is one strand again"


def test_a_revocation_from_a_time_on_says_by_whose_clock() -> None:
    since = event(RosterRevoked(BEN, moment(T0 + 4 * SECOND)), 9)
    ever = event(RosterRevoked(BEN, moment(0)), 10)
    assert "by its own clock" in membership(room(since).incident.roster, BEN)
    assert membership(room(since, ever).incident.roster, BEN).endswith("nothing counts that it ever wrote")


def test_a_checkpoint_over_another_event_of_the_same_number_seals_nothing() -> None:
    mine = founded()[2]
    sealed = event(Checkpointed((Head(ME, 1, 3, "0" * 64),)), 1, rep=BEN)
    here, standing = room(sealed), usb(shared=3)
    assert "sealed" not in entry_kept(here, desk(standing), seen(here, standing), mine)
    true = room(event(Checkpointed((Head(ME, 1, 3, mine.hash),)), 1, rep=BEN))
    assert "sealed by ben" in entry_kept(true, desk(standing), seen(true, standing), mine)


def test_who_saw_more_of_our_strand_than_was_written_here_seals_nothing_of_it() -> None:
    here, standing = room(event(Checkpointed((Head(ME, 1, 20, "e" * 64),)), 1, rep=BEN)), usb(shared=12)
    assert said(here, desk(standing), seen(here, standing)) == "shared to usb"


def test_the_seal_of_a_console_that_is_not_on_the_roster_is_worth_nothing() -> None:
    here = room(event(Checkpointed((Head(ME, 1, 9, "0" * 64),)), 1, rep="d" * 32))
    assert sealers(here.incident, ME, 1, 1) == []


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (Forked(1, 3, "0" * 64), "FORK"),
        (RemoteAlarmed("usb", "x.seg", "torn"), "REMOTE ALARM"),
        (RecordVerified(20, 2), "RECORD DAMAGED"),
    ],
)
def test_fork_alarm_and_damage_come_before_everything_at_every_width(body: Any, word: str) -> None:
    here, standing = room(event(body, 4)), usb()
    for width in (80, 200):
        pieces = record_pieces(here, desk(standing), seen(here, standing), NOW, width)
        text, tone, rank = pieces[0]
        assert f"✖ {word}" in text
        assert (tone, rank) == ("alarm", 0)
    here.trouble = "The disk is full."
    assert "NOT SAVED" in said(here, desk(standing), Sight())


def test_damage_is_said_also_where_it_cannot_be_recorded_and_goes_when_the_next_check_is_sound() -> None:
    assert alarms(room().incident, True) == ["RECORD DAMAGED"]
    mended = room(event(RecordVerified(20, 2), 4), event(RecordVerified(20), 5))
    assert alarms(mended.incident, False) == []


def test_an_own_entry_names_its_remotes_and_who_sealed_it() -> None:
    sealed = event(Checkpointed((Head(ME, 1, 3, "0" * 64),)), 1, rep=BEN)
    here, standing = room(sealed), usb(shared=3)
    sight = seen(here, standing)
    words = entry_kept(here, desk(standing), sight, founded()[1])
    assert words == f"shared to usb (1 of 1 remote); sealed by ben ({BEN[:8]})"
    late = usb(shared=1, pending=2)
    assert "not known to be shared" in entry_kept(here, desk(late), sight, founded()[1])
    theirs = entry_kept(here, desk(standing), sight, sealed)
    assert theirs == f"saved here; it came from ben ({BEN[:8]})"


def test_ages_are_said_as_people_say_them() -> None:
    ages = [minutes(age) for age in (1, 3 * MINUTE, 5 * 60 * MINUTE, 72 * 60 * MINUTE)]
    assert ages == ["under a minute", "3 min", "5 h", "3 days"]
