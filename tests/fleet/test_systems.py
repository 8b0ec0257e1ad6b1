"""Each class of rollback: an effect happens once, is undone once, and one can always see what is left of it."""

import subprocess
import threading
from pathlib import Path

import pytest

from console.fleet import systems
from console.fleet.systems import SYSTEMS, Effect, access, memory, payments

ID = "billing-001.1a2.7"


def effect(id: str = ID, cents: int = 1234) -> Effect:
    return Effect(
        id, id.partition(".")[0], "acme", 1_795_000_000_000_000_000, "ada@customers.example", "Hello", cents
    )


def act(root: Path, number: int, done: Effect) -> None:
    if number == 2:  # the service's side: agents go through HTTP
        payments.pay(root, done.id, done.agent, done.at, done.to, done.cents)
    else:
        SYSTEMS[number].act(root, done)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    systems.prepare(tmp_path)
    return tmp_path


@pytest.mark.req(
    "S003-RB-1a", "S003-RB-2a", "S003-RB-3a", "S003-RB-4b", "S003-RB-5a", "S003-RB-6a", "S003-RB-7a"
)
@pytest.mark.parametrize("number", SYSTEMS)
def test_an_effect_happens_once_and_is_undone_once(root: Path, number: int) -> None:
    system = SYSTEMS[number]
    assert system.left(root, ID).state == "absent"
    system.undo(root, ID)
    assert system.left(root, ID).state == "absent", "what never happened cannot be undone"
    for _ in range(2):
        act(root, number, effect())
        assert system.left(root, ID).state == "standing"
    act(root, number, effect("billing-001.1a2.8"))
    before = content(root, number)
    system.undo(root, ID)
    undone = system.left(root, ID)
    assert undone.state == ("substituted" if number == 3 else "undone")
    after = content(root, number)
    assert before != after
    system.undo(root, ID)
    act(root, number, effect())
    assert system.left(root, ID) == undone
    assert content(root, number) == after, "neither a second undo nor a late repeat changes anything"
    assert system.left(root, "billing-001.1a2.8").state == "standing", "only what was meant"
    systems.prepare(root)
    assert system.left(root, ID) == undone, "a fleet that starts again finds what there was"


def content(root: Path, number: int) -> object:
    """Everything that a class has written."""
    if number == 5:
        git = [
            "git",
            "--git-dir",
            str(root / "code.git"),
            "log",
            "--format=%H %an %s",
            "--name-status",
            "main",
        ]
        return subprocess.run(git, capture_output=True, check=True, text=True).stdout
    files = {
        1: ["orders.db"],
        2: ["payments.db"],
        3: ["mail/new/*"],
        4: ["*/*/*.txt"],
        6: ["access/*"],
        7: ["memory.db"],
    }
    if number in (1, 2, 7):
        from console.fleet.systems import effect as effects

        with effects.database(root / files[number][0]) as database:
            return list(database.iterdump())
    return {
        path.relative_to(root): path.read_bytes() for pattern in files[number] for path in root.glob(pattern)
    }


def test_the_sum_after_compensation_is_what_it_was(root: Path) -> None:
    from console.fleet.systems import effect as effects

    for n in range(3):
        act(root, 1, effect(f"billing-001.1a2.{n}"))
        SYSTEMS[1].undo(root, f"billing-001.1a2.{n}")
    with effects.database(root / "orders.db") as orders:
        assert orders.execute("SELECT count(*), sum(cents) FROM entries").fetchone() == (6, 0)


def test_a_key_stands_for_one_payment(root: Path) -> None:
    assert payments.pay(root, ID, "billing-001", 1, "ada", 5)
    assert not payments.pay(root, ID, "billing-001", 2, "ada", 5)
    with pytest.raises(payments.Conflict):
        payments.pay(root, ID, "billing-001", 2, "ada", 6)


@pytest.mark.req("S003-RB-6a")
def test_a_revoked_right_is_denied_and_its_use_stays_known(root: Path) -> None:
    act(root, 6, effect())
    assert access.allowed(root, ID)
    SYSTEMS[6].undo(root, ID)
    assert not access.allowed(root, ID)
    assert SYSTEMS[6].left(root, ID).seen == ("ada@customers.example",)


@pytest.mark.req("S003-RB-7a")
def test_who_read_a_record_before_it_was_deleted_stays_known(root: Path) -> None:
    act(root, 7, effect())
    assert memory.search(root, "docs-006", 1, "anything") == [ID]
    SYSTEMS[7].undo(root, ID)
    assert memory.search(root, "identity-007", 2, "anything") == []
    assert SYSTEMS[7].left(root, ID).seen == ("docs-006",)


@pytest.mark.parametrize("number", [5, 6])
def test_agents_that_write_at_once_lose_nothing(root: Path, number: int) -> None:
    ids = [f"platform-{n:03}.1a2.{k}" for n in range(1, 5) for k in range(4)]

    def one(agent: str) -> None:
        for id in ids:
            if id.startswith(agent):
                act(root, number, effect(id))

    threads = [threading.Thread(target=one, args=(f"platform-{n:03}",)) for n in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {SYSTEMS[number].left(root, id).state for id in ids} == {"standing"}
