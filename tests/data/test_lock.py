from pathlib import Path
from threading import Event, Thread

from data.lock import Lock, holder


def test_who_only_looks_keeps_nobody_from_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    enough = Event()

    def look() -> None:
        while not enough.is_set():
            holder(path)

    looking = Thread(target=look)
    looking.start()
    try:
        for _ in range(300):
            taken = Lock.take(path)
            assert taken is not None
            taken.release()
    finally:
        enough.set()
        looking.join()


def test_a_lock_that_somebody_has_is_not_given_twice(tmp_path: Path) -> None:
    taken = Lock.take(tmp_path / "lock")
    assert taken is not None
    assert Lock.take(tmp_path / "lock") is None
    taken.release()
    assert holder(tmp_path / "lock") is None
