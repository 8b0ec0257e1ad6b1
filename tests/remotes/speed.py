"""`python -m tests.remotes.speed`: how long 100,000 events take to each remote and back.

The same segments each time, beside what the medium itself takes: bare fsynced files, obstore's bare put, and a raw
COPY of the same events into a staging table. Every object is compared after it came back.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from secrets import token_hex
from time import perf_counter
from typing import Any

from data.case import found
from data.home import Home
from data.log import connect
from data.parcels import parcels, spans
from data.remotes import Remote
from data.remotes.opening import open_remote
from data.remotes.postgres import Postgres
from data.segment import MAX_EVENTS, pack
from tests.data.sample import FOUNDING, note, project
from tests.remotes import servers
from tests.remotes.conftest import S3

EVENTS = 100_000
ROUNDS = 5

Objects = Sequence[tuple[str, bytes]]


def segments() -> Objects:
    """The segments of a case of 100,000 events."""
    with tempfile.TemporaryDirectory() as root:
        case = found(Home.open(Path(root)), FOUNDING, project)
        batches = [
            case.append(*[note(f"refund {first + i} of 12.50 EUR sent to acct-{i}; the loop goes on") for i in range(MAX_EVENTS)])
            for first in range(0, EVENTS, MAX_EVENTS)
        ]  # fmt: skip
        for batch in batches:
            batch.result(60)
        db = connect(case.directory / "log.db")
        packed = [pack(parcel) for span in spans(db) for parcel in parcels(db, span)]
        db.close()
        case.close()
    return packed


def timed(work: Callable[[], object]) -> float:
    """Seconds that something takes."""
    start = perf_counter()
    work()
    return perf_counter() - start


def measure(name: str, remote: Remote, objects: Objects, bare: Callable[[], float]) -> None:
    """Push and pull some rounds, with the bare side in between, and print the medians."""
    pushes, pulls, bares = [], [], []
    for _ in range(ROUNDS):
        # A case of its own each round: the bytes are the same, the names are not.
        mine = [(f"{token_hex(13)}/{each.split('/', 1)[1]}", raw) for each, raw in objects]
        bares.append(bare())
        pushes.append(timed(lambda mine=mine: remote.put_many(mine)))  # type: ignore[misc]
        start = perf_counter()
        for each, raw in mine:
            if remote.get(each) != raw:
                raise AssertionError(f"{name}: {each} came back as something else")
        pulls.append(perf_counter() - start)
    push, pull, bound = (statistics.median(values) for values in (pushes, pulls, bares))
    spread = f"{min(pushes):.2f} to {max(pushes):.2f}"
    print(
        f"{name:28} push {push:5.2f} s ({spread})  bare {bound:5.2f} s  {push / bound:4.2f}x  pull {pull:5.2f} s",
        flush=True,
    )


def main() -> None:
    """Measure each remote."""
    objects = segments()
    size = sum(len(raw) for _, raw in objects)
    print(f"{EVENTS:,} events, {len(objects)} segments, {size / 1e6:.0f} MB, median of {ROUNDS}")
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wr-speed-")))

        def files() -> float:
            place = Path(tempfile.mkdtemp(dir=root))

            def write() -> None:
                for i, (_, raw) in enumerate(objects):
                    with (place / str(i)).open("wb") as file:
                        file.write(raw)
                        file.flush()
                        os.fsync(file.fileno())

            return timed(write)

        (root / "stick").mkdir()
        measure("directory", open_remote(f"dir:{root}/stick"), objects, files)

        endpoint = stack.enter_context(servers.s3())
        options = {"endpoint": endpoint, **S3}

        def puts() -> float:
            import obstore
            from obstore.store import S3Store

            config: Any = {key: value for key, value in options.items() if key != "timeout"}
            store = S3Store(
                "evidence", prefix=token_hex(8), config=config, client_options={"allow_http": True}
            )
            return timed(lambda: [obstore.put(store, name, raw) for name, raw in objects])

        measure("S3 (moto)", open_remote("s3://evidence", options), objects, puts)

        for which, programs in servers.postgres_programs().items():
            url = stack.enter_context(servers.postgres(programs, "max_wal_size=4GB"))
            remote = Postgres(url, {})
            remote.prepare()
            measure(f"PostgreSQL ({which})", remote, objects, lambda url=url: copy(url, objects))  # type: ignore[misc]
            remote.close()

        for always in (False, True):
            url, _ = stack.enter_context(servers.nats(always))
            nats = open_remote(url)
            measure(f"NATS (sync {'always' if always else 'default'})", nats, objects, files)
            nats.close()

        (root / "https").mkdir()
        url, token, _ = stack.enter_context(servers.https(root / "https"))
        https = open_remote(url, {"token": token})
        measure("HTTPS (reference server)", https, objects, files)
        https.close()


def copy(url: str, objects: Objects) -> float:
    """Seconds of a raw COPY of the same events, one a row, into a staging table."""
    import psycopg

    rows = [raw.replace(b"\\", b"\\\\").split(b"\n", 1)[1] for _, raw in objects]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS stage; CREATE TABLE stage (head text, salt text, body text)")

        def work() -> None:
            with connection.cursor().copy("COPY stage FROM STDIN") as stage:
                for lines in rows:
                    stage.write(lines)

        seconds = timed(work)
        counted = connection.execute("SELECT count(*) FROM stage").fetchone()
        if counted is None or counted[0] < EVENTS:
            raise AssertionError("the bare side lost rows")
        connection.execute("DROP TABLE stage")
    return seconds


if __name__ == "__main__":
    main()
