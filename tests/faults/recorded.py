"""A process whose writes are recorded: founds a case, appends with and without blobs, and says what was acknowledged.

`python -m tests.faults.recorded HOME ROUNDS [VARIANT]`; the acknowledgements go to the file `said` beside HOME,
in the same order of system calls as everything else.
"""

from __future__ import annotations

import os
import random
import sqlite3
import sys
from pathlib import Path

from data import log, writer
from data.blobs import Blobs
from data.case import found
from data.envelope import Entry, Ref
from data.home import Home
from data.trouble import StoreTrouble
from tests.data.sample import FOUNDING, note, project


def main(home: str, rounds: str, variant: str = "") -> None:
    """Write, and acknowledge as the product does."""
    # Small, so that pages move from the write-ahead log into the file often.
    writer.CHECKPOINT_BYTES = 30_000
    if variant == "normal":
        configure = log._configure

        def loose(db: sqlite3.Connection, write: bool) -> None:
            configure(db, write)
            db.execute("PRAGMA synchronous = NORMAL")

        log._configure = loose
    refused = 0
    if variant == "no-fsync":
        os.fsync = lambda _: None  # type: ignore[assignment]  # SQLite calls the system itself
    chance = random.Random(1)
    said = os.open(Path(home).with_name("said"), os.O_WRONLY | os.O_CREAT, 0o600)
    case = found(Home.open(Path(home)), FOUNDING, project)
    blobs = Blobs(case.directory)
    for i in range(int(rounds)):
        refs: tuple[Ref, ...] = ()
        if i % 3 == 0:
            refs = (blobs.put(chance.randbytes(chance.choice((10, 5000, 20_000))), "text/plain"),)
        group = [
            Entry("note", note(f"{i}/{j}").body, "mira", refs=refs) for j in range(chance.choice((1, 1, 5)))
        ]
        try:
            events = case.append(*group).result(30)
        except StoreTrouble:
            refused += 1
            continue
        os.write(said, "".join(f"{event.hash}\n" for event in events).encode())
    print(refused, case.trouble)
    case.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
