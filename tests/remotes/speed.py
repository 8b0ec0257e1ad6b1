"""`python -m tests.remotes.speed`: how long 100,000 events take to each remote and back.

Pushing is a turn of `Sync`, from the log to the last object read back, beside what the medium itself takes: bare
fsynced files, obstore's bare put, and a raw COPY of the same events into a staging table.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from time import perf_counter
from typing import Any

from data.case import Case, found
from data.home import Home
from data.log import connect
from data.parcels import parcels, spans
from data.remotes import Remote
from data.remotes.opening import open_remote
from data.remotes.postgres import Postgres
from data.segment import MAX_EVENTS, pack
from data.sync import Sync
from tests.data.sample import FOUNDING, note, project
from tests.remotes import servers
from tests.remotes.conftest import S3

EVENTS = 100_000
ROUNDS = 5

Objects = Sequence[tuple[str, bytes]]


def cases(stack: ExitStack) -> list[tuple[Case, str]]:
    """Cases of 100,000 events, one for each round, each with the replica that wrote it."""
    made = []
    for _ in range(ROUNDS):
        home = Home.open(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wr-speed-"))))
        case = found(home, FOUNDING, project)
        stack.callback(case.close)
        batches = [
            case.append(*[note(f"refund {first + i} of 12.50 EUR sent to acct-{i}; the loop goes on") for i in range(MAX_EVENTS)])
            for first in range(0, EVENTS, MAX_EVENTS)
        ]  # fmt: skip
        for batch in batches:
            batch.result(60)
        made.append((case, home.replica))
    return made


def segments(case: Case) -> Objects:
    """What a case sends."""
    with closing(connect(case.directory / "log.db")) as db:
        return [pack(parcel) for span in spans(db) for parcel in parcels(db, span)]


def timed(work: Callable[[], object]) -> float:
    """Seconds that something takes."""
    start = perf_counter()
    work()
    return perf_counter() - start


def measure(name: str, remote: Remote, rounds: Sequence[tuple[Case, str]], bare: Callable[[], float]) -> None:
    """Push and pull some rounds, with the bare side in between, and print the medians."""
    pushes, pulls, bares = [], [], []
    for case, replica in rounds:
        sync = Sync(case, remote, token_hex(8), replica)
        bares.append(bare())
        pushes.append(timed(sync.turn))
        start = perf_counter()
        for each in sync.shared.names:
            if sha256(remote.get(each)).hexdigest() not in each:
                raise AssertionError(f"{name}: {each} came back as something else")
        pulls.append(perf_counter() - start)
        if sync.outbox().pending:
            raise AssertionError(f"{name}: not all of it got there")
    push, pull, bound = (statistics.median(values) for values in (pushes, pulls, bares))
    spread = f"{min(pushes):.2f} to {max(pushes):.2f}"
    print(
        f"{name:28} push {push:5.2f} s ({spread})  bare {bound:5.2f} s  {push / bound:4.2f}x  pull {pull:5.2f} s",
        flush=True,
    )


def main() -> None:
    """Measure each remote."""
    with ExitStack() as stack:
        rounds = cases(stack)
        objects = segments(rounds[0][0])
        size = sum(len(raw) for _, raw in objects)
        print(f"{EVENTS:,} events, {len(objects)} segments, {size / 1e6:.0f} MB, median of {ROUNDS}")
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
        measure("directory", open_remote(f"dir:{root}/stick"), rounds, files)

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

        measure("S3 (moto)", open_remote("s3://evidence", options), rounds, puts)

        for which, programs in servers.postgres_programs().items():
            url = stack.enter_context(servers.postgres(programs, "max_wal_size=4GB"))
            remote = Postgres(url, {})
            remote.prepare()
            measure(f"PostgreSQL ({which})", remote, rounds, lambda url=url: copy(url, objects))  # type: ignore[misc]
            remote.close()

        for always in (False, True):
            url, _ = stack.enter_context(servers.nats(always))
            nats = open_remote(url)
            measure(f"NATS (sync {'always' if always else 'default'})", nats, rounds, files)
            nats.close()

        (root / "https").mkdir()
        url, token, _ = stack.enter_context(servers.https(root / "https"))
        https = open_remote(url, {"token": token})
        measure("HTTPS (reference server)", https, rounds, files)
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
