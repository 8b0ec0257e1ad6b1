"""Epochs: only upwards, durable, and nobody acts under an older one. Whatever order things come in."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from console.refusal import Refused
from console.warden.epochs import Epochs, Stale, Word

SUBJECTS = [("all", ""), ("agent", "a"), ("agent", "b"), ("tool", "t"), ("queue", "q")]
scopes = st.sampled_from(SUBJECTS)


class Machine(RuleBasedStateMachine):
    """Halts, resumes (also late ones), crashes and restarts in any order, against a model of what must hold."""

    folder: Path

    @initialize()
    def begin(self) -> None:
        import tempfile

        self.path = Path(tempfile.mkdtemp(dir=self.folder)) / "epochs.json"
        self.epochs = Epochs.open(self.path, new=True)
        self.highest = 0
        self.given: list[Word] = []
        self.held: dict[tuple[str, str], int] = {}
        self.orders = 0

    def told(self, word: Word) -> None:
        assert word.epoch > self.highest
        self.highest = word.epoch

    @rule(at=scopes)
    def halt(self, at: Any) -> None:
        self.orders += 1
        word = self.epochs.halt(at[0], at[1], f"{self.orders:016x}", "", 0)
        self.epochs.write(self.epochs.snapshot())
        self.told(word)
        self.given.append(word)
        self.held[at] = word.epoch

    @rule(at=scopes)
    def halt_lost_in_a_crash(self, at: Any) -> None:
        self.orders += 1
        self.epochs.halt(at[0], at[1], f"{self.orders:016x}", "", 0)
        self.restart()  # before it was written, so that nobody heard of it

    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        if self.given:
            word = data.draw(st.sampled_from(self.given))
            try:
                again = self.epochs.halt(word.scope, word.subject, word.order, "", 0)
            except Stale:
                assert word.key not in self.held
            else:
                assert again.epoch == self.held[word.key]

    @rule(at=scopes, data=st.data())
    def resume(self, at: Any, data: st.DataObject) -> None:
        named = data.draw(st.sampled_from([0, *(word.epoch for word in self.given)]))
        own, over = self.held.get(at), self.held.get(("all", "")) if at[0] == "agent" else None
        try:
            word = self.epochs.resumed(at[0], at[1], named, "", 0)
        except Stale:
            return
        if word.epoch > self.epochs.written:
            assert named == (own or over)
            assert named == max(own or 0, over or 0) or own == named
            self.epochs.write(self.epochs.snapshot(word))
            self.epochs.apply(word)
            self.told(word)
            self.held.pop(at, None)

    @rule(at=scopes, other=scopes)
    def halt_while_a_resume_is_written(self, at: Any, other: Any) -> None:
        if at not in self.held:
            return
        try:
            word = self.epochs.resumed(at[0], at[1], self.held[at], "", 0)
        except Stale:
            return
        self.epochs.write(self.epochs.snapshot(word))
        self.highest = word.epoch
        self.halt(other)
        try:
            self.epochs.apply(word)
        except Stale:
            assert other == at or (at[0] == "agent" and other[0] == "all")
        else:
            self.held.pop(at)
        self.epochs.write(self.epochs.snapshot())

    @rule()
    def restart(self) -> None:
        self.epochs = Epochs.open(self.path)
        assert self.epochs.written > self.highest
        self.highest = self.epochs.written
        assert {word.key: word.epoch for word in self.epochs.in_force} == self.held

    @invariant()
    def what_is_held_is_held(self) -> None:
        if not hasattr(self, "epochs"):
            return
        assert {word.key: word.epoch for word in self.epochs.in_force} == self.held
        for agent in ("a", "b"):
            own = self.held.get(("agent", agent))
            stopped = self.epochs.stopped(agent)
            assert stopped is None or stopped.epoch in (own, self.held.get(("all", "")))
            assert own is None or stopped is not None
        # A guard takes a lease only if it bears no lower epoch than anything it was told.
        assert self.epochs.written >= self.highest


def test_the_epoch_only_rises_and_halts_hold(tmp_path: Path) -> None:
    from hypothesis.stateful import run_state_machine_as_test

    machine = type("Here", (Machine,), {"folder": tmp_path})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=20, stateful_step_count=25, deadline=None)
    )


def test_an_agent_with_a_halt_of_its_own_is_not_let_out_with_all_the_others(tmp_path: Path) -> None:
    epochs = Epochs.open(tmp_path / "epochs.json", new=True)
    own = epochs.halt("agent", "a", "1" * 16, "", 0)
    over = epochs.halt("all", "", "2" * 16, "", 0)
    with pytest.raises(Stale, match="on its own too"):
        epochs.resumed("agent", "a", over.epoch, "", 0)
    with pytest.raises(Stale, match="halted again after that"):
        epochs.resumed("agent", "a", own.epoch, "", 0)
    epochs.apply(epochs.resumed("all", "", over.epoch, "", 0))
    assert epochs.stopped("a") == own
    assert epochs.stopped("b") is None


def test_a_halt_of_its_own_lifted_does_not_let_it_out_of_that_of_all(tmp_path: Path) -> None:
    epochs = Epochs.open(tmp_path / "epochs.json", new=True)
    over = epochs.halt("all", "", "1" * 16, "", 0)
    own = epochs.halt("agent", "a", "2" * 16, "", 0)
    epochs.apply(epochs.resumed("agent", "a", own.epoch, "", 0))
    assert epochs.stopped("a") == over


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'{"v":1,"epoch":-1}', b"\xff" * 10, b"[" * 100_000])
def test_what_cannot_be_read_is_never_taken_for_nothing_halted(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "epochs.json"
    path.write_bytes(raw)
    with pytest.raises(Refused, match="after-loss"):
        Epochs.open(path)
    assert path.read_bytes() == raw
    again = Epochs.open(path, after_loss=1_764_000_000_000)
    assert again.stopped("anybody") is not None
    assert Epochs.open(path).stopped("anybody") is not None
    assert again.written > 1_764_000_000_000


def test_a_lost_file_is_never_taken_for_nothing_halted(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="is gone"):
        Epochs.open(tmp_path / "epochs.json")


def test_the_file_says_what_holds_in_plain_json(tmp_path: Path) -> None:
    epochs = Epochs.open(tmp_path / "epochs.json", new=True)
    epochs.halt("agent", "refunds", "3" * 16, "it loops", 1)
    epochs.write(epochs.snapshot())
    kept = msgspec.json.decode((tmp_path / "epochs.json").read_bytes())
    assert kept["words"] == [
        {
            "scope": "agent",
            "subject": "refunds",
            "epoch": 101,
            "halted": True,
            "order": "3" * 16,
            "reason": "it loops",
            "at": 1,
        }
    ]
