"""Rows that are looked at together: what one by one finds wrong with them is found, and nothing else."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from data import rows
from data.blobs import Blobs
from data.case import Case, adopt, found
from data.clock import ManualClock
from data.envelope import Entry, case_id, commitment, decode_header, encode_header, event_hash
from data.home import Home
from data.rows import Part, scan
from tests.data.sample import FOUNDING, START, note, project
from tests.data.test_merge import carry, shipped

Tamper = Callable[[sqlite3.Connection], object]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two consoles take turns; one of the events has a file, one is a checkpoint, and texts are not all ASCII."""
    root = tmp_path_factory.mktemp("rows")
    ana = Home.open(root / "ana", clock=ManualClock(START))
    ben = Home.open(root / "ben", clock=ManualClock(START + 10**9))
    case = found(ana, FOUNDING, project)
    ref = Blobs(case.directory).put(b"transcript", "text/plain")
    case.append(Entry("note", note("with a file").body, "mira", refs=(ref,))).result(10)
    bens = Case.open(adopt(ben, shipped(case)[0]), ben, project)
    for turn in range(4):
        case.append(*(note(f"größer {turn}.{i}", tags=["a", {"b": i}]) for i in range(3))).result(10)
        carry(case, bens)
        assert bens.witness("asked").result(10)
        bens.append(note(f"by ben {turn}")).result(10)
        carry(bens, case)
    bens.close()
    case.close()
    return case.directory / "log.db"


@pytest.fixture
def db(sound: Path) -> Iterator[sqlite3.Connection]:
    """A copy of the log in memory."""
    copy, source = sqlite3.connect(":memory:", isolation_level=None), sqlite3.connect(sound)
    source.backup(copy)
    source.close()
    yield copy
    copy.close()


def look(db: sqlite3.Connection, since: int) -> Part:
    strands = {id: (rep, inc) for id, rep, inc in db.execute("SELECT id, rep, inc FROM strands")}
    (first,) = db.execute("SELECT hash FROM events ORDER BY n LIMIT 1").fetchone()
    (last,) = db.execute("SELECT max(n) FROM events").fetchone()
    return scan(db, case_id(bytes(first)), strands, since, last)


def one_by_one(db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, since: int) -> Part:
    with monkeypatch.context() as patch:
        patch.setattr(rows._Scan, "_together", lambda self, some: False)
        return look(db, since)


def test_sound_rows_are_taken_in_together_as_one_by_one(
    db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [one_by_one(db, monkeypatch, since) for since in (2, 5)]
    monkeypatch.setattr(rows._Scan, "_alone", None)  # whoever needs it fails
    assert [look(db, since) for since in (2, 5)] == parts
    assert (parts[0].damage, len(parts[0].ends), len(parts[0].refs)) == ([], 2, 1)
    assert parts[0].checkpoints


def head(n: int, **changes: object) -> Tamper:
    """Another header, with a hash that fits it."""

    def tamper(db: sqlite3.Connection) -> None:
        (raw,) = db.execute("SELECT head FROM events WHERE n = ?", (n,)).fetchone()
        raw_head(n, encode_header(msgspec.structs.replace(decode_header(raw), **changes)))(db)

    return tamper


def chain(db: sqlite3.Connection) -> None:
    """Let what comes after the ninth hold on to what is there now, as whoever has the key would."""
    (strand,) = db.execute("SELECT strand FROM events WHERE n = 10").fetchone() or (1,)
    *_, before = db.execute("SELECT hash FROM events WHERE n <= 9 AND strand = ? ORDER BY n", (strand,))
    for (n,) in db.execute(
        "SELECT n FROM events WHERE n > 9 AND strand = ? ORDER BY n", (strand,)
    ).fetchall():
        head(n, prev=bytes(before[0]).hex())(db)
        before = db.execute("SELECT hash FROM events WHERE n = ?", (n,)).fetchone()


def raw_head(n: int, raw: bytes) -> Tamper:
    return lambda db: db.execute(
        "UPDATE events SET head = ?, hash = ? WHERE n = ?", (raw, event_hash(raw), n)
    )


def body(n: int, raw: bytes) -> Tamper:
    """Another text, with commitment and hash that fit it."""

    def tamper(db: sqlite3.Connection) -> None:
        (salt,) = db.execute("SELECT salt FROM events WHERE n = ?", (n,)).fetchone()
        db.execute("UPDATE events SET body = ? WHERE n = ?", (raw, n))
        head(n, body_h=commitment(salt, raw), body_len=len(raw))(db)

    return tamper


def sql(*statements: str) -> Tamper:
    return lambda db: [db.execute(statement) for statement in statements]


def respelled(n: int, old: bytes, new: bytes) -> Tamper:
    def tamper(db: sqlite3.Connection) -> None:
        (raw,) = db.execute("SELECT head FROM events WHERE n = ?", (n,)).fetchone()
        assert old in raw
        raw_head(n, raw.replace(old, new, 1))(db)

    return tamper


def two_in_one(db: sqlite3.Connection) -> None:
    """A row holds the headers of two, and the next one none: together they read like two rows."""
    (one,), (other,) = db.execute("SELECT head FROM events WHERE n IN (8, 9) ORDER BY n").fetchall()
    raw_head(8, one + b"\n" + other)(db)
    raw_head(9, b"")(db)


def in_two(db: sqlite3.Connection) -> None:
    """Two rows hold one header, cut in half."""
    (one,) = db.execute("SELECT head FROM events WHERE n = 8").fetchone()
    raw_head(8, one[:200])(db)
    raw_head(9, one[200:])(db)


def salt_for_text(db: sqlite3.Connection) -> None:
    """The border between salt and text moves; what was committed to stays the same bytes."""
    db.execute("UPDATE events SET salt = CAST('0123456789abcde1' AS BLOB) WHERE n = 9")
    body(9, b"2")(db)
    db.execute("UPDATE events SET salt = substr(salt, 1, 15), body = CAST('12' AS BLOB) WHERE n = 9")


def bodies(first: bytes, second: bytes) -> Tamper:
    def tamper(db: sqlite3.Connection) -> None:
        body(8, first)(db)
        body(9, second)(db)

    return tamper


DAMAGE = {
    "clock": head(9, hlc="0" * 16),
    "no clock": head(9, hlc=""),
    "case": head(9, case="a" * 26),
    "founded twice": head(9, case=None),
    "replica": head(9, rep="0" * 32),
    "incarnation": head(9, inc=7),
    "number": head(9, seq=77),
    "number and column": lambda db: [
        head(9, seq=77)(db),
        db.execute("UPDATE events SET seq = 77 WHERE n = 9"),
    ],
    "kind": head(9, kind="other"),
    "version": head(9, v=2),
    "before": head(9, prev="0" * 64),
    "before, capital": head(9, prev="A" * 64),
    "no before": head(9, prev=None),
    "length": head(9, body_len=1),
    "commitment": head(9, body_h="0" * 64),
    "space": respelled(9, b'"at":', b'"at": '),
    "escape": respelled(9, b'"mira"', b'"\\u006dira"'),
    "line break": respelled(9, b'"at":', b'\n"at":'),
    "line break after": respelled(9, b"}", b"}\n"),
    "line break before": respelled(9, b"{", b"\n{"),
    "twice": respelled(9, b'"at":', b'"actor":"mira","at":'),
    "unknown field": respelled(9, b'"wall":', b'"w":1,"wall":'),
    "two headers in a row": two_in_one,
    "a header in two rows": in_two,
    "no header": raw_head(9, b""),
    "salt for text": salt_for_text,
    "text": sql("UPDATE events SET body = x'7b7d' WHERE n = 9"),
    "text gone": sql("UPDATE events SET body = NULL WHERE n = 9"),
    "salt gone": sql("UPDATE events SET salt = NULL WHERE n = 9"),
    "hash": sql("UPDATE events SET hash = zeroblob(32) WHERE n = 9"),
    "hash of the last": sql("UPDATE events SET hash = zeroblob(32) WHERE n = (SELECT max(n) FROM events)"),
    "hash, short": sql("UPDATE events SET hash = substr(hash, 2) WHERE n = 9"),
    "column number": sql("UPDATE events SET seq = 99 WHERE n = 9"),
    "column kind": sql("UPDATE events SET kind = 'other' WHERE n = 9"),
    "strand": sql("UPDATE events SET strand = 99, seq = 99 WHERE n = 9"),
    "row gone": sql("DELETE FROM events WHERE n = 9"),
    "a jump": sql("UPDATE events SET n = n + 100 WHERE n > 9"),
    "row gone, renumbered": sql("DELETE FROM events WHERE n = 9", "UPDATE events SET n = n - 1 WHERE n > 9"),
    "no text at all": body(9, b""),
    "text with space": body(9, b'{"text": "a"}'),
    "text with a line break": body(9, b'{"text":\n"a"}'),
    "text out of order": body(9, b'{"b":1,"a":2}'),
    "text with a fraction": body(9, b'{"a":1.0}'),
    "text with a large number": body(9, b'{"a":9007199254740993}'),
    "text with a key twice": body(9, b'{"a":1,"a":1}'),
    "text with a key not ASCII": body(9, '{"ä":1}'.encode()),
    "text with half a character": body(9, b'"\\ud800"'),
    "text not UTF-8": body(9, b'"\xff"'),
    "text too deep": body(9, b"[" * 33 + b"]" * 33),
    "text far too deep": body(9, b"[" * 5000 + b"]" * 5000),
    "text too long": body(9, b'"' + b"a" * 1024 * 1024 + b'"'),
    "two texts in one": bodies(b"{},{}", b""),
    "two texts in one, apart": bodies(b"{} {}", b""),
    "a text in two": bodies(b'{"a":1', b'"b":2}'),
    "a list in two": bodies(b"[1", b"2]"),
    "a string in two": bodies(b'"a', b'b"'),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_what_is_wrong_with_one_of_many_is_named_as_if_it_were_alone(
    db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    DAMAGE[name](db)
    chain(db)
    # The founding event, which belongs to no case yet, is never looked at together with others.
    together, alone = look(db, 2), one_by_one(db, monkeypatch, 2)
    assert together == alone
    assert alone.damage or alone.bare


FINE = {
    "another actor": head(9, actor="ben"),
    "not ASCII": body(9, '{"text":"größer 漢字 🙂"}'.encode()),
    "deep": body(9, b"[" * 32 + b"]" * 32),
    "a number": body(9, b"1"),
    "a text": body(9, b'"a"'),
    "nothing": body(9, b"null"),
    "brackets in a text": body(9, b'"' + b"[{" * 100 + b'"'),
}


@pytest.mark.parametrize("name", FINE)
def test_what_is_fine_is_not_called_damaged(
    db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    FINE[name](db)
    chain(db)
    part = look(db, 2)
    assert part == one_by_one(db, monkeypatch, 2)
    assert part.damage == []
