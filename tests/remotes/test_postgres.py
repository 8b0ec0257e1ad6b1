"""PostgreSQL: rows that nobody changes, a view for people with SQL, and a server that hangs or is set up badly."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from data.canonical import decode
from data.case import found
from data.clock import ManualClock
from data.home import Home
from data.log import connect
from data.parcels import parcels, spans
from data.remotes import RemoteTrouble
from data.remotes.opening import open_remote
from data.remotes.postgres import Postgres
from data.segment import pack, unpack
from tests.data.sample import FOUNDING, START, note, project
from tests.remotes import servers
from tests.remotes.conftest import Place


@pytest.fixture(params=["wheel", "system"])
def place(request: pytest.FixtureRequest) -> Place:
    """Both versions of the server."""
    found: Place = request.getfixturevalue(f"postgres_{request.param}")
    return found


@pytest.fixture
def remote(place: Place) -> Iterator[Postgres]:
    with closing(Postgres(*place)) as remote:
        yield remote


@pytest.fixture
def sql(place: Place) -> Iterator[psycopg.Connection]:
    with psycopg.connect(place[0], autocommit=True) as connection:
        yield connection


@pytest.fixture
def segments(tmp_path: Path) -> list[tuple[str, bytes]]:
    """What a case would send: its founding, and forty notes."""
    # A case of its own for each test: its id is a hash, and the clock is part of what is hashed.
    clock = ManualClock(START + int.from_bytes(os.urandom(6)) * 1000)
    case = found(Home.open(tmp_path / "home", clock=clock), FOUNDING, project)
    case.append(*[note(f"refund {i} \t “sent”\n") for i in range(40)]).result(30)
    db = connect(case.directory / "log.db")
    packed = [pack(parcel) for span in spans(db) for parcel in parcels(db, span)]
    db.close()
    case.close()
    return packed


def test_not_even_the_owner_changes_rows(remote: Postgres, sql: psycopg.Connection, case: str) -> None:
    remote.put(f"{case}/a", b"x")
    for statement in (
        "UPDATE warroom_objects SET bytes = ''",
        "DELETE FROM warroom_objects",
        "TRUNCATE warroom_objects",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="never changed or removed"):
            sql.execute(statement.encode())
    assert remote.get(f"{case}/a") == b"x"


def test_preparing_again_changes_nothing(remote: Postgres, case: str) -> None:
    remote.put(f"{case}/a", b"x")
    remote.prepare()
    assert remote.get(f"{case}/a") == b"x"


def test_a_role_that_may_only_add(place: Place, sql: psycopg.Connection, case: str) -> None:
    sql.execute(
        "DO $$ BEGIN CREATE ROLE console LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;"
        "GRANT SELECT, INSERT (name, bytes) ON warroom_objects TO console"
    )
    with closing(Postgres(place[0].replace("owner@", "console@"), {})) as remote:
        assert remote.put(f"{case}/a", b"x")
        assert not remote.put(f"{case}/a", b"y")
        found = remote.probe()
        assert found.warnings == ()
        assert found.locked == "rows cannot be changed or removed"
        assert "fsync on" in found.durable
        assert "synchronous_commit on" in found.durable
    with closing(Postgres(*place)) as owner:
        assert any("may change or delete" in warning for warning in owner.probe().warnings)


def test_events_can_be_read_with_sql(
    remote: Postgres, sql: psycopg.Connection, segments: list[tuple[str, bytes]]
) -> None:
    assert all(remote.put(*each) for each in segments)
    case = segments[0][0].split("/")[0]
    events = [event for name, raw in segments for event in unpack(name, raw).events]
    rows = sql.execute(
        "SELECT seq, kind, actor, header, body FROM warroom_events WHERE case_id = %s ORDER BY seq", (case,)
    ).fetchall()
    assert len(rows) == 41
    for row, event in zip(rows, events, strict=True):
        header = decode(event.head)
        assert row == (event.header.seq, header["kind"], header["actor"], header, decode(event.body))
    counted = sql.execute(
        "SELECT count(*) FROM warroom_events WHERE case_id = %s AND body ->> 'text' LIKE 'refund 1_ %%'",
        (case,),
    ).fetchone()
    assert counted == (10,)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff\xfe\n\xff\t\xff\t\xff\n",
        b'{}\n{"a":"\\u0000"}\t00\t{"a":"\\u0000"}\n',
        b"\n\n\t\t\n",
        b"{}\nnot json\t\t\n",
    ],
)
def test_no_segment_breaks_the_view_for_the_others(
    remote: Postgres, sql: psycopg.Connection, segments: list[tuple[str, bytes]], raw: bytes
) -> None:
    case, strand, _ = segments[0][0].split("/")
    for each in segments:
        remote.put(*each)
    remote.put(f"{case}/{strand}/999999999999-999999999999-{os.urandom(32).hex()}.seg", raw)
    counted = sql.execute(
        "SELECT count(*) FROM warroom_events WHERE case_id = %s AND kind = 'note' AND body ? 'text'", (case,)
    ).fetchone()
    assert counted == (40,)


def test_damage_shows_in_sql(
    remote: Postgres, sql: psycopg.Connection, segments: list[tuple[str, bytes]]
) -> None:
    name, raw = segments[0]
    broken = name.replace("000000000001-", "000000000002-")
    remote.put(name, raw)
    remote.put(broken, raw + b"x")
    shown = {row[0] for row in sql.execute("SELECT name FROM warroom_damage")}
    assert broken in shown
    assert name not in shown


def test_who_listens_hears_of_new_objects(remote: Postgres, sql: psycopg.Connection, case: str) -> None:
    sql.execute("LISTEN warroom")
    remote.put(f"{case}/a", b"x")
    assert [each.channel for each in sql.notifies(timeout=30, stop_after=1)] == ["warroom"]


def test_strange_rows_are_not_listed(remote: Postgres, sql: psycopg.Connection, case: str) -> None:
    for name in (f"{case}/../x", f"{case}/\x1b[2J", f"{case}/" + "a" * 500, f"{case}/good"):
        sql.execute("INSERT INTO warroom_objects (name, bytes) VALUES (%s, '')", (name,))
    assert list(remote.list(f"{case}/")) == [f"{case}/good"]


def test_listings_longer_than_a_page(remote: Postgres, case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"{case}/{i:03}" for i in range(25)]
    for name in names:
        remote.put(name, b"")
    monkeypatch.setattr("data.remotes.postgres.PAGE", 10)
    assert list(remote.list(f"{case}/")) == names
    assert list(remote.list(f"{case}/", names[9])) == names[10:]


def test_a_database_that_nobody_prepared(place: Place, sql: psycopg.Connection, case: str) -> None:
    sql.execute(f'CREATE DATABASE "{case}"'.encode())
    with closing(Postgres(place[0].replace("/postgres?", f"/{case}?"), {})) as remote:
        for request in (lambda: remote.put("case/a", b""), lambda: remote.get("case/a"), remote.probe):
            with pytest.raises(RemoteTrouble) as caught:
                request()
            assert "prepare.sql" in caught.value.next_step
            assert not caught.value.passing
        remote.prepare()
        assert remote.put("case/a", b"")
    sql.execute(f'DROP DATABASE "{case}"'.encode())


@pytest.fixture(scope="module")
def spare() -> Iterator[str]:
    """A server that may be stopped and killed, and that answers before its disk."""
    with servers.postgres(
        next(iter(servers.postgres_programs().values())), "fsync=off", "synchronous_commit=off"
    ) as url:
        owner = Postgres(url, {})
        owner.prepare()
        owner.close()
        yield url


def test_a_server_that_is_not_durable_is_found_out(spare: str) -> None:
    with closing(Postgres(spare, {})) as remote:
        found = remote.probe()
        assert "fsync off" in found.durable
        assert any("power cut" in warning for warning in found.warnings)
        assert "synchronous_commit on" in found.durable, (
            "ours waits for the disk, whatever the server's setting"
        )


def test_a_server_that_stops_answering_is_given_up_and_comes_back(spare: str, case: str) -> None:
    with closing(open_remote(spare, {"timeout": "0.5"})) as remote:
        remote.put(f"{case}/a", b"x")
        with psycopg.connect(spare) as connection:
            rows = connection.execute("SELECT pid FROM pg_stat_activity WHERE application_name = 'warroom'")
            backends = [int(row[0]) for row in rows]
        for pid in backends:
            os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(RemoteTrouble, match="did not answer within") as caught:
                remote.get(f"{case}/a")
            assert caught.value.passing
        finally:
            for pid in backends:
                os.kill(pid, signal.SIGCONT)
        assert remote.get(f"{case}/a") == b"x"


def test_a_connection_that_was_cut_is_made_anew(spare: str, case: str) -> None:
    with closing(Postgres(spare, {})) as remote, psycopg.connect(spare, autocommit=True) as other:
        remote.put(f"{case}/a", b"x")
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'warroom'"
        )
        with pytest.raises(RemoteTrouble) as caught:
            remote.get(f"{case}/a")
        assert caught.value.passing
        assert remote.get(f"{case}/a") == b"x"


def test_connections_that_were_cut_together_cost_one_try(spare: str, case: str) -> None:
    with closing(Postgres(spare, {})) as remote, psycopg.connect(spare, autocommit=True) as other:
        remote.probe()  # its races leave several behind
        cut = other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'warroom'"
        ).fetchall()
        assert len(cut) > 2
        with pytest.raises(RemoteTrouble):
            remote.put(f"{case}/a", b"x")
        assert remote.put(f"{case}/a", b"x")
        assert remote.get(f"{case}/a") == b"x"


def test_a_connection_that_cannot_be_set_up_is_closed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[psycopg.Connection] = []
    connect = psycopg.connect

    def noted(*args: Any, **options: Any) -> psycopg.Connection:
        made.append(connect(*args, **options))
        return made[-1]

    monkeypatch.setattr(psycopg, "connect", noted)
    monkeypatch.setattr("data.remotes.postgres._SETUP", "SELECT 1/0")
    with closing(Postgres(*place)) as remote, pytest.raises(RemoteTrouble):
        remote.get("case/a")
    assert [each.closed for each in made] == [True]
