import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from data.blobs import Blobs
from data.case import Case
from data.envelope import Entry, commitment, decode_header, encode_header, event_hash
from data.trouble import StoreTrouble
from data.verify import Damage, verify
from tests.data.sample import note

Tamper = Callable[[sqlite3.Connection, Path], None]


@pytest.fixture
def record(case: Case) -> Path:
    """A closed case of eight events, the fifth with a blob."""
    case.append(*(note(f"line {i}") for i in range(3))).result(10)
    ref = Blobs(case.directory).put(b"transcript", "text/plain")
    case.append(Entry("note", note("with a blob").body, "mira", refs=(ref,))).result(10)
    case.append(*(note(f"line {i}") for i in range(3))).result(10)
    case.close()
    return case.directory


def test_a_sound_record_is_sound(record: Path) -> None:
    before = sorted(p.name for p in record.iterdir())
    verdict = verify(record)
    assert verdict.damage == []
    assert verdict.sound
    assert (verdict.events, verdict.blobs, len(verdict.strands)) == (8, 1, 1)
    assert verdict.strands[0].seq == 8
    assert "cut off" in verdict.note
    assert sorted(p.name for p in record.iterdir()) == before


def test_a_record_in_use_is_read_with_its_newest_events(case: Case) -> None:
    case.append(note("x")).result(10)
    assert (verify(case.directory).events, verify(case.directory).damage) == (2, [])


def change_head(n: int, **changes: object) -> Tamper:
    """Rewrite a header, with a hash that fits it."""

    def tamper(db: sqlite3.Connection, _: Path) -> None:
        (raw,) = db.execute("SELECT head FROM events WHERE n = ?", (n,)).fetchone()
        head = encode_header(msgspec.structs.replace(decode_header(raw), **changes))
        db.execute("UPDATE events SET head = ?, hash = ? WHERE n = ?", (head, event_hash(head), n))

    return tamper


def sql(*statements: str) -> Tamper:
    def tamper(db: sqlite3.Connection, _: Path) -> None:
        for statement in statements:
            db.execute(statement)

    return tamper


def new_body(db: sqlite3.Connection, _: Path) -> None:
    db.execute("UPDATE events SET body = ? WHERE n = 4", (note("nothing happened").body,))


def new_body_and_commitment(db: sqlite3.Connection, where: Path) -> None:
    body = note("nothing happened").body
    (salt,) = db.execute("SELECT salt FROM events WHERE n = 4").fetchone()
    db.execute("UPDATE events SET body = ? WHERE n = 4", (body,))
    change_head(4, body_h=commitment(salt, body), body_len=len(body))(db, where)


def loose_body(db: sqlite3.Connection, where: Path) -> None:
    body = b'{"text": "spaced"}'
    (salt,) = db.execute("SELECT salt FROM events WHERE n = 8").fetchone()
    db.execute("UPDATE events SET body = ? WHERE n = 8", (body,))
    change_head(8, body_h=commitment(salt, body), body_len=len(body))(db, where)
    db.execute("UPDATE strands SET hash = (SELECT hash FROM events WHERE n = 8)")


def swap(db: sqlite3.Connection, _: Path) -> None:
    rows = db.execute("SELECT hash, head, salt, body FROM events WHERE n IN (3, 4) ORDER BY n").fetchall()
    db.execute("UPDATE events SET hash = zeroblob(n) WHERE n IN (3, 4)")
    for row, n in zip(rows, (4, 3), strict=True):
        db.execute("UPDATE events SET hash = ?, head = ?, salt = ?, body = ? WHERE n = ?", (*row, n))


def loose_head(db: sqlite3.Connection, _: Path) -> None:
    (head,) = db.execute("SELECT head FROM events WHERE n = 4").fetchone()
    head = head.replace(b'"actor":', b'"actor": ')
    db.execute("UPDATE events SET head = ?, hash = ? WHERE n = 4", (head, event_hash(head)))


def blob(change: Callable[[Path], object]) -> Tamper:
    def tamper(_: sqlite3.Connection, where: Path) -> None:
        change(next(p for p in (where / "blobs").rglob("*") if p.is_file()))

    return tamper


FORGE = "UPDATE events SET head = CAST(replace(head, 'mira', 'evil') AS BLOB) WHERE n = 4"
DELETE = "DELETE FROM events WHERE n = 4"


@pytest.mark.parametrize(
    ("tamper", "kind", "n"),
    [
        pytest.param(sql(FORGE), "hash", 4, id="author"),
        pytest.param(sql("UPDATE events SET hash = zeroblob(32) WHERE n = 4"), "hash", 4, id="hash"),
        pytest.param(sql("UPDATE events SET head = x'7b7d' WHERE n = 4"), "header", 4, id="header"),
        pytest.param(loose_head, "header", 4, id="header spelled otherwise"),
        pytest.param(change_head(4, v=2), "header", 4, id="version"),
        pytest.param(change_head(4, actor="evil"), "chain", 5, id="author and hash"),
        pytest.param(new_body, "body", 4, id="body"),
        pytest.param(new_body_and_commitment, "chain", 5, id="body, commitment and hash"),
        pytest.param(loose_body, "body", 8, id="body spelled otherwise"),
        pytest.param(sql("UPDATE events SET body = NULL WHERE n = 4"), "body", 4, id="body gone"),
        pytest.param(sql("UPDATE events SET salt = randomblob(16) WHERE n = 4"), "body", 4, id="salt"),
        pytest.param(sql(DELETE), "number", 5, id="event gone"),
        pytest.param(sql(DELETE, "UPDATE events SET n = n - 1 WHERE n > 4"), "gap", 4, id="renumbered"),
        pytest.param(swap, "gap", 3, id="events swapped"),
        pytest.param(sql("DELETE FROM events WHERE n = 8"), "strand", 0, id="last event gone"),
        pytest.param(sql("UPDATE strands SET seq = 9"), "strand", 0, id="end"),
        pytest.param(sql("UPDATE events SET seq = 99 WHERE n = 4"), "columns", 4, id="column"),
        pytest.param(sql("UPDATE strands SET rep = '" + "0" * 32 + "'"), "columns", 1, id="replica"),
        pytest.param(change_head(4, case="a" * 26), "case", 4, id="another case"),
        pytest.param(change_head(4, case=None), "case", 4, id="founded twice"),
        pytest.param(change_head(4, hlc="0" * 16), "clock", 4, id="clock"),
        pytest.param(change_head(1, actor="evil"), "case", 1, id="founding event"),
        pytest.param(blob(lambda path: path.unlink()), "blob", 5, id="blob gone"),
        pytest.param(blob(lambda path: path.write_bytes(b"transcripT")), "blob", 5, id="blob changed"),
        pytest.param(blob(lambda path: path.write_bytes(b"transcript+")), "blob", 5, id="blob longer"),
    ],
)  # fmt: skip
def test_each_kind_of_damage_is_named_at_its_place(record: Path, tamper: Tamper, kind: str, n: int) -> None:
    db = sqlite3.connect(record / "log.db", isolation_level=None)
    tamper(db, record)
    db.close()
    damage = verify(record).damage
    assert (damage[0].kind, damage[0].n) == (kind, n), damage
    assert kind == "strand" or len(damage[0].rep) == 32


def test_a_tail_cut_off_with_its_traces_cannot_be_seen(record: Path) -> None:
    """The limit that the note speaks of: were it not there, the note would be wrong."""
    db = sqlite3.connect(record / "log.db")
    # Cut where a commit ended, the signature of that commit fits.
    (kept,) = db.execute("SELECT max(seq) FROM signatures WHERE seq < 8").fetchone()
    db.execute("DELETE FROM signatures WHERE seq > ?", (kept,))
    db.execute("DELETE FROM events WHERE n > ?", (kept,))
    db.execute("UPDATE strands SET seq = ?, hash = (SELECT hash FROM events WHERE n = ?)", (kept, kept))
    db.commit()
    db.close()
    assert verify(record).sound


def test_every_flipped_byte_of_an_event_is_found(record: Path) -> None:
    db = sqlite3.connect(record / "log.db", isolation_level=None)
    for column in ("head", "salt", "body", "hash"):
        (raw,) = db.execute(f"SELECT {column} FROM events WHERE n = 4").fetchone()
        for index in range(0, len(raw), 7):
            changed = bytearray(raw)
            changed[index] ^= 1
            db.execute(f"UPDATE events SET {column} = ? WHERE n = 4", (bytes(changed),))
            assert not verify(record).sound, (column, index)
        db.execute(f"UPDATE events SET {column} = ? WHERE n = 4", (raw,))
    assert verify(record).sound
    db.close()


def test_damaged_pages_never_pass_and_never_crash(record: Path, tmp_path: Path) -> None:
    raw = (record / "log.db").read_bytes()
    copy = tmp_path / "copy"
    shutil.copytree(record, copy)
    (copy / "log.db-wal").unlink(missing_ok=True)
    assert verify(copy).sound
    found = 0
    for page in range(len(raw) // 4096):
        for wrong in (b"\0" * 4096, b"\xff" * 4096):
            (copy / "log.db").write_bytes(raw[: page * 4096] + wrong + raw[(page + 1) * 4096 :])
            try:
                found += not verify(copy).sound
            except StoreTrouble:
                found += 1
    (copy / "log.db").write_bytes(raw[:-4096])
    assert found > 0
    try:
        assert not verify(copy).sound
    except StoreTrouble:
        pass


def test_a_missing_record_is_not_a_sound_one(tmp_path: Path) -> None:
    with pytest.raises(StoreTrouble, match="no evidence log"):
        verify(tmp_path)


def test_damage_without_end_is_listed_to_an_end(case: Case) -> None:
    case.append(*(note(str(i)) for i in range(1500))).result(20)
    case.close()
    db = sqlite3.connect(case.directory / "log.db")
    db.execute("UPDATE events SET body = x'7b7d'")
    db.commit()
    db.close()
    damage = verify(case.directory).damage
    assert len(damage) == 1000
    assert damage[0] == Damage(
        "body", 1, damage[0].rep, "the body is not the one that its header vouches for"
    )
