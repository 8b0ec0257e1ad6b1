"""The tamper table, in both directions: what must be caught is caught, where it says; what cannot be is not.

Three positions of the one who checks: `alone` has nothing but the file; `seen` has, in the same file, a
checkpoint by another console that saw all of it; `held` has a checkpoint that lies elsewhere. docs/evidence.md
says the same in words; were an attack of the second kind ever caught, the page would be wrong as well.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pytest

from data import against, rows
from data.blobs import Blobs
from data.case import Case, adopt, found
from data.clock import ManualClock
from data.envelope import Entry, case_id, commitment, decode_header, encode_header, event_hash
from data.helper import Helper
from data.home import Home
from data.identity import Identity
from data.log import connect
from data.record import CHECKPOINT, Checkpoint, read_checkpoint
from data.verify import Verdict, verify
from tests.data.sample import FOUNDING, START, note, project
from tests.data.test_merge import carry, shipped


@dataclass
class Scene:
    """Ana's record as it lies on her disk.

    Attributes:
        directory: The case.
        ana: Her home; whoever tampers "with the key" has it.
        ben: Replica of the other console.
        held: The newest checkpoint of hers that lies elsewhere.
        words: The root of her record, as she read it aloud.
        elsewhere: Ben's copy of the record.
        older: The directory as it was some events ago.
        other: Another case of hers.
    """

    directory: Path
    ana: Home
    ben: str
    held: Checkpoint
    words: str
    elsewhere: Path
    older: Path
    other: Path


def checkpoint(directory: Path) -> Checkpoint:
    db = connect(directory / "log.db")
    query = "SELECT body FROM events WHERE kind = ? ORDER BY n DESC LIMIT 1"
    (body,) = db.execute(query, (CHECKPOINT,)).fetchone()
    db.close()
    read = read_checkpoint(body)
    assert read is not None
    return read


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Scene]:
    """Arrival numbers: 1 founding, 2 and 3, 4 with a blob, 5 and 6 by Ana in four commits; then as the scene has it."""
    made = {}
    for name in ("alone", "seen"):
        root = tmp_path_factory.mktemp(name)
        ana = Home.open(root / "ana", clock=ManualClock(START))
        ben = Home.open(root / "ben", clock=ManualClock(START + 10**9))
        other = found(ana, Entry("founded", b"{}", "mira"), project)
        other.append(note("of the other case")).result(10)
        other.close()
        case = found(ana, FOUNDING, project)
        case.append(note("2"), note("3")).result(10)
        ref = Blobs(case.directory).put(b"transcript", "text/plain")
        case.append(Entry("note", note("4").body, "mira", refs=(ref,))).result(10)
        older = root / "older"
        case.close()
        shutil.copytree(case.directory, older)
        case = Case.open(case.directory, ana, project)
        case.append(note("5"), note("6")).result(10)
        bens = Case.open(adopt(ben, shipped(case)[0]), ben, project)
        carry(case, bens)
        assert bens.witness("asked").result(10)
        bens.append(note("by ben")).result(10)
        held = checkpoint(bens.directory)
        if name == "seen":
            carry(bens, case)
        case.close()
        bens.close()
        assert verify(case.directory, [held]).sound
        told = against.root(case.directory)
        assert told is not None
        made[name] = Scene(
            case.directory, ana, ben.replica, held, told.words, bens.directory, older, other.directory
        )
    return made


Attack = Callable[[sqlite3.Connection, Scene, Path], None]


def heads(db: sqlite3.Connection) -> tuple[int, list[int]]:
    """Ana's strand, and its numbers."""
    (strand,) = db.execute("SELECT strand FROM events WHERE n = 1").fetchone()
    rows = db.execute("SELECT seq FROM events WHERE strand = ? ORDER BY seq", (strand,))
    return strand, [row[0] for row in rows]


def edit(db: sqlite3.Connection, seq: int, **changes: object) -> None:
    strand, _ = heads(db)
    where = "WHERE strand = ? AND seq = ?"
    (raw,) = db.execute(f"SELECT head FROM events {where}", (strand, seq)).fetchone()
    head = encode_header(msgspec.structs.replace(decode_header(raw), **changes))
    db.execute(f"UPDATE events SET head = ?, hash = ? {where}", (head, event_hash(head), strand, seq))


def chain(db: sqlite3.Connection, since: int, key: Identity | None) -> None:
    """Let every event from `since` on hold on to the one before it again, and sign the end if there is a key."""
    strand, numbers = heads(db)
    for seq in numbers:
        if seq >= since and seq > 1:
            query = "SELECT hash FROM events WHERE strand = ? AND seq = ?"
            (before,) = db.execute(query, (strand, seq - 1)).fetchone()
            edit(db, seq, prev=before.hex())
    end = "SELECT hash FROM events WHERE strand = ? AND seq = ?"
    (last,) = db.execute(end, (strand, numbers[-1])).fetchone()
    db.execute("UPDATE strands SET seq = ?, hash = ? WHERE id = ?", (numbers[-1], last, strand))
    if key is not None:
        db.execute("DELETE FROM signatures WHERE strand = ? AND seq >= ?", (strand, since))
        db.execute("INSERT INTO signatures VALUES (?, ?, ?)", (strand, numbers[-1], key.sign(last)))


def rewrite(db: sqlite3.Connection, seq: int, text: str) -> None:
    strand, _ = heads(db)
    salt, body = os.urandom(16), note(text).body
    db.execute("UPDATE events SET salt = ?, body = ? WHERE strand = ? AND seq = ?", (salt, body, strand, seq))
    edit(db, seq, body_h=commitment(salt, body), body_len=len(body))


def cut(db: sqlite3.Connection, keep: int) -> None:
    """Leave nothing of Ana's strand after number `keep`, where a commit ended."""
    strand, _ = heads(db)
    for table in ("events", "signatures"):
        db.execute(f"DELETE FROM {table} WHERE strand = ? AND seq > ?", (strand, keep))
    end = "SELECT hash FROM events WHERE strand = ? AND seq = ?"
    (last,) = db.execute(end, (strand, keep)).fetchone()
    db.execute("UPDATE strands SET seq = ?, hash = ? WHERE id = ?", (keep, last, strand))
    renumber(db)


def renumber(db: sqlite3.Connection) -> None:
    for now, (n,) in enumerate(db.execute("SELECT n FROM events ORDER BY n").fetchall(), 1):
        db.execute("UPDATE events SET n = ? WHERE n = ?", (now, n))


# -- the attacks -------------------------------------------------------------------------------------------


def edit_body(db: sqlite3.Connection, scene: Scene, at: Path) -> None:
    db.execute("UPDATE events SET body = ? WHERE n = 3", (note("nothing").body,))


def edit_header(db: sqlite3.Connection, scene: Scene, at: Path) -> None:
    edit(db, 3, actor="evil")


def rewrite_without_key(db: sqlite3.Connection, scene: Scene, at: Path) -> None:
    rewrite(db, 3, "nothing")
    chain(db, 3, None)


def rewrite_with_key(db: sqlite3.Connection, scene: Scene, at: Path) -> None:
    rewrite(db, 3, "nothing")
    chain(db, 3, scene.ana.identity)


def rewrite_with_key_and_drop_the_witness(db: sqlite3.Connection, scene: Scene, at: Path) -> None:
    drop_the_witness(db, scene, at)
    rewrite_with_key(db, scene, at)


def rewrite_what_nobody_saw(db: sqlite3.Connection, scene: Scene, at: Path) -> None:
    """Seven is added as Ana would add it, after the last checkpoint; then it is rewritten."""
    db.close()
    case = Case.open(at, scene.ana, project)
    case.append(note("7, seen by nobody")).result(10)
    case.close()
    again = sqlite3.connect(at / "log.db", isolation_level=None)
    rewrite(again, 7, "nothing")
    chain(again, 7, scene.ana.identity)
    again.close()


def delete_middle(db: sqlite3.Connection, scene: Scene, at: Path) -> None:
    db.execute("DELETE FROM events WHERE n = 3")
    renumber(db)


def cut_tail(db: sqlite3.Connection, scene: Scene, at: Path) -> None:
    cut(db, 4)


def cut_tail_inside_a_commit(db: sqlite3.Connection, scene: Scene, at: Path) -> None:
    cut(db, 5)


def cut_tail_and_deny_writing(db: sqlite3.Connection, scene: Scene, at: Path) -> None:
    cut(db, 4)
    db.execute("DELETE FROM writes")


def swap(db: sqlite3.Connection, scene: Scene, at: Path) -> None:
    rows = db.execute("SELECT hash, head, salt, body FROM events WHERE n IN (2, 3) ORDER BY n").fetchall()
    db.execute("UPDATE events SET hash = zeroblob(n) WHERE n IN (2, 3)")
    for row, n in zip(rows, (3, 2), strict=True):
        db.execute("UPDATE events SET hash = ?, head = ?, salt = ?, body = ? WHERE n = ?", (*row, n))


def replay(db: sqlite3.Connection, scene: Scene, at: Path) -> None:
    """An event of hers from another case, signed by her there, takes the place of one here."""
    other = sqlite3.connect(scene.other / "log.db")
    row = other.execute("SELECT hash, head, salt, body FROM events WHERE n = 2").fetchone()
    other.close()
    db.execute("UPDATE events SET hash = ?, head = ?, salt = ?, body = ? WHERE n = 2", row)


def replay_and_chain_with_key(db: sqlite3.Connection, scene: Scene, at: Path) -> None:
    replay(db, scene, at)
    chain(db, 2, scene.ana.identity)


def replace_key(db: sqlite3.Connection, scene: Scene, at: Path) -> None:
    mallory = Identity.make()
    db.execute("UPDATE keys SET public = ? WHERE rep = ?", (mallory.public, scene.ana.replica))
    rewrite(db, 3, "nothing")
    chain(db, 3, mallory)


def become_another(db: sqlite3.Connection, scene: Scene, at: Path) -> None:
    """Every event is said to be Mallory's, chained and signed anew: a case of its own."""
    mallory = Identity.make()
    strand, numbers = heads(db)
    edit(db, 1, rep=mallory.replica)
    (first,) = db.execute("SELECT hash FROM events WHERE n = 1").fetchone()
    for seq in numbers[1:]:
        edit(db, seq, rep=mallory.replica, case=case_id(first))
    db.execute("UPDATE strands SET rep = ? WHERE id = ?", (mallory.replica, strand))
    db.execute("INSERT INTO keys VALUES (?, ?)", (mallory.replica, mallory.public))
    db.execute("UPDATE writes SET rep = ?", (mallory.replica,))
    drop_the_witness(db, scene, at)
    db.execute("DELETE FROM signatures")
    chain(db, 2, mallory)


def forge_signature(db: sqlite3.Connection, scene: Scene, at: Path) -> None:
    db.execute("UPDATE signatures SET signature = randomblob(64) WHERE strand = 1 AND seq = 6")


def strip_signatures(db: sqlite3.Connection, scene: Scene, at: Path) -> None:
    db.execute("DELETE FROM signatures WHERE strand = 1")


def roll_back(db: sqlite3.Connection, scene: Scene, at: Path) -> None:
    db.close()
    shutil.rmtree(at)
    shutil.copytree(scene.older, at)


def drop_the_witness(db: sqlite3.Connection, scene: Scene, at: Path) -> None:
    """All that the other console wrote goes."""
    (strand,) = db.execute("SELECT id FROM strands WHERE rep = ?", (scene.ben,)).fetchone() or (0,)
    for table in ("events", "signatures"):
        db.execute(f"DELETE FROM {table} WHERE strand = ?", (strand,))
    db.execute("DELETE FROM strands WHERE id = ?", (strand,))
    db.execute("DELETE FROM keys WHERE rep = ?", (scene.ben,))
    renumber(db)


def drop_the_checkpoint(db: sqlite3.Connection, scene: Scene, at: Path) -> None:
    """Only the checkpoint goes, and the other console's event after it stays."""
    db.execute("DELETE FROM events WHERE kind = ?", (CHECKPOINT,))
    renumber(db)


def arrival(db: sqlite3.Connection, scene: Scene, at: Path) -> None:
    """What came last, from another strand, is said to have come before our own."""
    order = [row[0] for row in db.execute("SELECT n FROM events ORDER BY (n <> 1), -strand, n")]
    db.execute("UPDATE events SET n = n + 1000")
    for now, n in enumerate(order, 1):
        db.execute("UPDATE events SET n = ? WHERE n = ?", (now, n + 1000))


def swap_strands(db: sqlite3.Connection, scene: Scene, at: Path) -> None:
    """The events of two strands are said to be each other's."""
    db.execute("UPDATE events SET strand = 1000 WHERE strand = 1")
    db.execute("UPDATE events SET strand = 1 WHERE strand = 2")
    db.execute("UPDATE events SET strand = 2 WHERE strand = 1000")


def change_salt(db: sqlite3.Connection, scene: Scene, at: Path) -> None:
    db.execute("UPDATE events SET salt = randomblob(16) WHERE n = 2")


def take_body(db: sqlite3.Connection, scene: Scene, at: Path) -> None:
    db.execute("UPDATE events SET salt = NULL, body = NULL WHERE n = 2")


def drop_blob(db: sqlite3.Connection, scene: Scene, at: Path) -> None:
    next(path for path in (at / "blobs").rglob("*") if path.is_file()).unlink()


def invent_branch(db: sqlite3.Connection, scene: Scene, at: Path) -> None:
    db.execute("UPDATE strands SET root = randomblob(32) WHERE id = 1")


@dataclass(frozen=True)
class Row:
    """What each position finds first: kind, arrival number, whose event; "" where it finds nothing."""

    attack: Attack
    alone: str
    seen: str
    held: str


TABLE = [
    Row(edit_body, "body 3 ana", "body 3 ana", "body 3 ana"),
    Row(edit_header, "chain 4 ana", "chain 4 ana", "chain 4 ana"),
    Row(rewrite_without_key, "signature 0 ana", "signature 0 ana", "signature 0 ana"),
    Row(rewrite_with_key, "", "witness 7 ana", "witness 0 ana"),
    Row(rewrite_with_key_and_drop_the_witness, "", "", "witness 0 ana"),
    Row(rewrite_what_nobody_saw, "", "", ""),
    Row(delete_middle, "gap 3 ana", "gap 3 ana", "gap 3 ana"),
    Row(cut_tail, "", "cut 5 ana", "cut 0 ana"),
    Row(cut_tail_inside_a_commit, "signature 0 ana", "signature 0 ana", "signature 0 ana"),
    Row(cut_tail_and_deny_writing, "", "", "cut 0 ana"),
    Row(swap, "gap 2 ana", "gap 2 ana", "gap 2 ana"),
    Row(replay, "chain 2 ana", "chain 2 ana", "chain 2 ana"),
    Row(replay_and_chain_with_key, "case 2 ana", "case 2 ana", "case 2 ana"),
    Row(replace_key, "key 0 ana", "key 0 ana", "key 0 ana"),
    Row(become_another, "case 1 other", "case 1 other", "case 1 other"),
    Row(forge_signature, "signature 0 ana", "signature 0 ana", "signature 0 ana"),
    Row(strip_signatures, "signature 0 ana", "signature 0 ana", "signature 0 ana"),
    Row(roll_back, "", "", "cut 0 ana"),
    Row(drop_the_witness, "", "", ""),
    Row(change_salt, "body 2 ana", "body 2 ana", "body 2 ana"),
    Row(take_body, "body 2 ana", "body 2 ana", "body 2 ana"),
    Row(drop_blob, "blob 4 ana", "blob 4 ana", "blob 4 ana"),
    Row(invent_branch, "strand 1 ana", "strand 1 ana", "strand 1 ana"),
]
TWO_STRANDS = [
    Row(drop_the_checkpoint, "", "gap 7 ben", ""),
    Row(arrival, "", "", ""),
    Row(swap_strands, "", "columns 1 ben", ""),
]
"""Attacks that need another console's events in the file."""


def after(scene: Scene, attack: Attack, at: Path, held: Sequence[Checkpoint] = ()) -> Verdict:
    """The verdict on a copy that was tampered with."""
    copy = at / scene.directory.name
    shutil.copytree(scene.directory, copy)
    db = sqlite3.connect(copy / "log.db", isolation_level=None)
    attack(db, scene, copy)
    db.close()
    return verify(copy, held)


def first(verdict: Verdict, scene: Scene) -> str:
    if not verdict.damage:
        return ""
    found = verdict.damage[0]
    who = {scene.ana.replica: "ana", scene.ben: "ben"}.get(found.rep, "other")
    return f"{found.kind} {found.n} {who}"


def name(row: Row) -> str:
    return row.attack.__name__


@pytest.mark.parametrize("row", TABLE, ids=name)
def test_alone_with_the_file(scenes: dict[str, Scene], tmp_path: Path, row: Row) -> None:
    scene = scenes["alone"]
    assert first(after(scene, row.attack, tmp_path), scene) == row.alone


@pytest.mark.parametrize("row", TABLE + TWO_STRANDS, ids=name)
def test_with_a_checkpoint_of_another_console_in_the_file(
    scenes: dict[str, Scene], tmp_path: Path, row: Row
) -> None:
    scene = scenes["seen"]
    assert first(after(scene, row.attack, tmp_path), scene) == row.seen


@pytest.mark.parametrize("row", TABLE, ids=name)
def test_with_a_checkpoint_that_lies_elsewhere(scenes: dict[str, Scene], tmp_path: Path, row: Row) -> None:
    scene = scenes["alone"]
    assert first(after(scene, row.attack, tmp_path, [scene.held]), scene) == row.held


@pytest.mark.parametrize("row", TABLE, ids=name)
def test_against_another_copy_at_least_as_much_is_found(
    scenes: dict[str, Scene], tmp_path: Path, row: Row
) -> None:
    """Ben's copy holds his own events as well, so that even taking those out is found."""
    scene = scenes["seen"]
    case, there = against.in_directory(scene.elsewhere)
    assert case == scene.directory.name
    verdict = after(scene, row.attack, tmp_path, [Checkpoint(tuple(there.heads))])
    if row.attack is drop_the_witness:
        assert [(each.kind, each.n) for each in verdict.damage] == [("cut", 0)]
    else:
        assert bool(verdict.damage) == (row.held != "")


@pytest.mark.parametrize("row", TABLE, ids=name)
def test_against_words_on_paper(scenes: dict[str, Scene], tmp_path: Path, row: Row) -> None:
    """The root stands for all of Ana's strand: where it is found no more, her record is another one."""
    scene = scenes["alone"]
    start = against.digest(scene.words)
    assert start is not None
    verdict = after(scene, row.attack, tmp_path)
    there = against.behind(tmp_path / scene.directory.name, start)
    found = (
        there is None
        or not verdict.sound
        or not verify(tmp_path / scene.directory.name, [Checkpoint(tuple(there.heads))]).sound
    )
    assert found == (row.held != "")


def test_what_others_saw_and_is_not_here_is_counted(scenes: dict[str, Scene], tmp_path: Path) -> None:
    """Whoever cuts their own tail and says that it came from elsewhere leaves at least this."""
    verdict = after(scenes["seen"], cut_tail_and_deny_writing, tmp_path)
    assert (verdict.sound, verdict.missing) == (True, 2)


@pytest.fixture
def halves(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second process takes part, and this one leaves it a half: else it would be done before that has started."""

    def first_only(job: rows.Job, db: sqlite3.Connection) -> Iterator[tuple[int, rows.Part]]:
        return islice(share(job, db), 1)

    share = rows.Job.share
    monkeypatch.setattr("data.verify.IN_TWO", 2)
    monkeypatch.setattr(rows.Job, "share", first_only)


@pytest.mark.usefixtures("halves")
@pytest.mark.parametrize("row", TABLE + TWO_STRANDS, ids=name)
def test_two_processes_find_the_same_as_one(
    scenes: dict[str, Scene], tmp_path: Path, row: Row, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = scenes["seen"]
    two = after(scene, row.attack, tmp_path / "two")
    monkeypatch.setattr("data.verify.IN_TWO", 10**9)
    if row.attack in {change_salt, rewrite_without_key, forge_signature, rewrite_with_key, become_another}:
        one = after(scene, row.attack, tmp_path / "one")
        assert [(each.kind, each.n) for each in two.damage] == [(each.kind, each.n) for each in one.damage]
    else:
        one = verify(tmp_path / "two" / scene.directory.name)
        assert (two.damage, two.strands, two.missing) == (one.damage, one.strands, one.missing)
    assert first(two, scene) == row.seen


def test_no_module_of_the_directory_that_one_happens_to_be_in_is_run(
    scenes: dict[str, Scene], tmp_path: Path, halves: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in (tmp_path, tmp_path / "data"):
        place.mkdir(exist_ok=True)
        for module in ("data", "msgspec", "struct", "__init__", "helper", "rows"):
            (place / f"{module}.py").write_text("open('owned', 'w').close()\n")
    monkeypatch.chdir(tmp_path)
    assert verify(scenes["seen"].directory).sound
    assert not (tmp_path / "owned").exists()


class Nowhere:
    """What a screen puts in the place of `sys.stderr`."""

    def fileno(self) -> int:
        return -1

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        pass


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The first numbers of what this process itself looks at."""
    found: list[int] = []

    def counted(*args: Any) -> rows.Part:
        found.append(args[3])
        return scan(*args)

    scan = rows.scan
    monkeypatch.setattr(rows, "scan", counted)
    return found


def test_the_second_process_does_its_half_also_under_a_screen(
    scenes: dict[str, Scene], halves: None, here: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr", Nowhere())
    assert verify(scenes["seen"].directory).sound
    assert len(here) == 1


def test_what_a_second_process_that_dies_took_on_is_looked_at_here(
    scenes: dict[str, Scene], halves: None, here: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "Helper", lambda _, files: Helper("data.nowhere", files))
    verdict = verify(scenes["seen"].directory)
    assert (verdict.sound, len(here)) == (True, 2)
