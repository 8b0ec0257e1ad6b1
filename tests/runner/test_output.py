"""What a program prints, kept within bounds: in memory and in a file the same."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from console.runner import output
from console.runner.output import Kept, left


def expected(printed: bytes, head: int, tail: int) -> bytes:
    """The slow, obvious way."""
    dropped = len(printed) - head - tail
    if dropped <= 0:
        return printed
    gap = f"\n[... {dropped:,} bytes are not kept ...]\n".encode()
    return printed[:head] + gap + printed[-tail:]


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("on_disk", [True, False])
def test_the_beginning_and_the_end_are_kept_however_it_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, on_disk: bool
) -> None:
    monkeypatch.setattr(output, "HEAD", 50)
    monkeypatch.setattr(output, "TAIL", 70)
    chance = random.Random(seed)
    place = tmp_path / "stdout" if on_disk else None
    kept = Kept("run", "stdout", lambda _: None, place)
    printed = b""
    for _ in range(chance.randrange(1, 40)):
        chunk = chance.randbytes(chance.choice([1, 3, 20, 69, 70, 71, 300]))
        kept.feed(chunk)
        printed += chunk
        assert kept.content == expected(printed, 50, 70)
        if place is not None:
            assert left(place) == kept.content, "a console that is killed now leaves the same"
    assert (kept.total, kept.dropped) == (len(printed), max(len(printed) - 120, 0))
    kept.close()


def test_a_full_disk_ends_neither_the_program_nor_what_is_kept(tmp_path: Path) -> None:
    kept = Kept("run", "stdout", lambda _: None, tmp_path / "stdout")
    kept.feed(b"before ")
    kept._file.close()
    kept._file = open("/dev/full", "r+b", buffering=0)  # noqa: SIM115 - closed by what is tested
    kept.total = 0
    kept.feed(b"after")
    assert kept.content == b"after"


def test_where_nothing_was_printed_nothing_is_left(tmp_path: Path) -> None:
    assert left(tmp_path / "none") == b""
    Kept("run", "stdout", lambda _: None, tmp_path / "made").close()
    assert left(tmp_path / "made") == b""
