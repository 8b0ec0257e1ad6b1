"""Power cuts: the product's own writes, recorded, and cut off everywhere.

strace records what a process writes and syncs. A cut after any call leaves what was synced, and of what was not
any part, in any order, down to a sector. Nothing that was acknowledged before the cut may be missing then, the
record must hold together, and every blob is whole or absent. `WARROOM_CUTS=10000` cuts more often.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pytest

from data.log import connect
from data.trouble import StoreTrouble
from data.verify import verify
from tests.faults.conftest import ROOT

CUTS = int(os.environ.get("WARROOM_CUTS", "300"))
ROUNDS = 60 if CUTS > 1000 else 24
SECTOR = 512
CALLS = "open,openat,creat,write,pwrite64,ftruncate,fsync,fdatasync,link,linkat,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat"
SHELF = Path("/dev/shm")


@dataclass(eq=False)
class File:
    """What was written to one file: `synced` is on the disk, `loose` may be."""

    synced: bytearray = field(default_factory=bytearray)
    loose: list[tuple[int, int, bytes | None]] = field(default_factory=list)
    """Call, offset and bytes; without bytes the file was cut to that length."""

    def sync(self, begun: int) -> None:
        """What was written before the call began is on the disk when it returns."""
        for _, at, data in [each for each in self.loose if each[0] < begun]:
            _apply(self.synced, at, data)
        self.loose = [each for each in self.loose if each[0] >= begun]

    def after_cut(self, chance: random.Random) -> bytes:
        """One of the contents that a cut may leave."""
        raw = bytearray(self.synced)
        keep = chance.choice((0.0, 0.5, 0.9, 1.0))
        for _, at, data in self.loose:
            if data is None:
                if chance.random() < keep:
                    _apply(raw, at, None)
                continue
            for start in range(0, len(data), SECTOR):
                if chance.random() < keep:
                    _apply(raw, at + start, data[start : start + SECTOR])
        return bytes(raw)


def _apply(raw: bytearray, at: int, data: bytes | None) -> None:
    if data is None:
        del raw[at:]
        raw.extend(bytes(max(0, at - len(raw))))
        return
    raw.extend(bytes(max(0, at - len(raw))))
    raw[at : at + len(data)] = data


@dataclass
class Call:
    """One system call: when it began and ended, counted in lines of the trace."""

    begun: int
    done: int
    name: str
    args: str
    result: str


_LINE = re.compile(r"(\d+) +(.*)")
_WHOLE = re.compile(r"(\w+)\((.*)\) += (-?\w+)(?:<(.*)>)?.*")
_FD = re.compile(r"(?:\d+|AT_FDCWD)<([^>]*)>")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


def calls(trace: Path) -> list[Call]:
    """The calls of a trace, in the order in which they were done."""
    begun: dict[str, tuple[int, str]] = {}
    found = []
    for number, line in enumerate(trace.read_text().splitlines()):
        match = _LINE.fullmatch(line)
        if match is None:
            continue
        thread, text = match.groups()
        start = number
        if text.endswith("<unfinished ...>"):
            begun[thread] = (number, text.removesuffix("<unfinished ...>").rstrip())
            continue
        if text.startswith("<... "):
            start, before = begun.pop(thread)
            text = before + text.partition("resumed>")[2]
        whole = _WHOLE.fullmatch(text)
        if whole is not None and not whole[3].startswith("-"):
            found.append(Call(start, number, whole[1], whole[2], whole[4] or ""))
    return found


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


class Disk:
    """The disk under one directory while calls go by.

    `names` is what a program sees. A name is on the disk for sure once its directory was synced after it
    changed; until then any beginning of the changes may be.
    """

    def __init__(self, root: str) -> None:
        self.root = root
        self.names: dict[str, File] = {}
        self.durable: dict[str, File] = {}
        self.pending: list[tuple[int, str, File | None]] = []
        self.said: list[bytes] = []
        self._at: dict[str, int] = {}

    def step(self, call: Call) -> None:
        paths = [self._path(each) for each in _FD.findall(call.args)]
        texts = [_bytes(each) for each in _TEXT.findall(call.args)]
        kind = call.name
        if kind in {"write", "pwrite64"} and paths[0].endswith("/said"):
            self.said.extend(texts[0].split())
        elif kind in {"open", "openat", "creat"} and "O_CREAT" in call.args:
            self._create(call, self._path(call.result))
        elif kind == "pwrite64" and paths[0] in self.names:
            offset = int(call.args.rpartition(",")[2])
            self.names[paths[0]].loose.append((call.begun, offset, texts[0]))
        elif kind == "write" and paths[0] in self.names:
            # Files here are written once, from their beginning, or through pwrite.
            at = self._at.get(paths[0], 0)
            self.names[paths[0]].loose.append((call.begun, at, texts[0]))
            self._at[paths[0]] = at + len(texts[0])
        elif kind == "ftruncate" and paths[0] in self.names:
            length = int(call.args.rpartition(",")[2])
            self.names[paths[0]].loose.append((call.begun, length, None))
        elif kind in {"fsync", "fdatasync"}:
            if paths[0] in self.names:
                self.names[paths[0]].sync(call.begun)
            else:
                self._sync_names(call, paths[0])
        elif kind.startswith(("link", "rename")):
            old, new = (os.path.normpath(os.path.join(self.root, os.fsdecode(each))) for each in texts)
            if old in self.names:
                self._name(call, new, self.names[old])
                if kind.startswith("rename"):
                    self._name(call, old, None)
        elif kind.startswith("unlink"):
            path = os.path.normpath(os.path.join(self.root, os.fsdecode(texts[-1])))
            if path in self.names:
                self._name(call, path, None)

    def _path(self, text: str) -> str:
        return os.fsdecode(_bytes(text)) if text.startswith("\\x") else text

    def _create(self, call: Call, path: str) -> None:
        if path.startswith(self.root + "/") and path not in self.names:
            self._name(call, path, File())
            self._at[path] = 0

    def _name(self, call: Call, path: str, file: File | None) -> None:
        if file is None:
            self.names.pop(path, None)
        else:
            self.names[path] = file
        self.pending.append((call.begun, path, file))

    def _sync_names(self, call: Call, directory: str) -> None:
        rest = []
        for begun, path, file in self.pending:
            if begun < call.begun and os.path.dirname(path) == directory:
                self._keep(self.durable, path, file)
            else:
                rest.append((begun, path, file))
        self.pending = rest

    def _keep(self, names: dict[str, File], path: str, file: File | None) -> None:
        if file is None:
            names.pop(path, None)
        else:
            names[path] = file

    def after_cut(self, chance: random.Random, to: Path) -> None:
        """Lay out one of the states that a cut may leave."""
        names = dict(self.durable)
        for _, path, file in self.pending[: chance.randint(0, len(self.pending))]:
            self._keep(names, path, file)
        for path, file in names.items():
            target = to / os.path.relpath(path, self.root)
            if not target.name.startswith(("view.db", "lock")) and not target.name.endswith("-shm"):
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(file.after_cut(chance))


def strace() -> str:
    """Where strace is; skips where it is not, or may not trace."""
    found = shutil.which("strace")
    if found is None:
        pytest.skip(
            "strace is not installed: power cuts are replayed from a trace of the product's own writes"
        )
    if subprocess.run([found, "-o", os.devnull, "true"], capture_output=True).returncode:
        pytest.skip("strace may not trace processes here, so no writes can be recorded")
    return found


def record(at: Path, variant: str = "") -> list[Call]:
    """Let the product write under strace."""
    trace = at / "trace"
    subprocess.run(
        [
            strace(), "-f", "-y", "-xx", "-s", "2000000", "-e", f"trace={CALLS}", "-o", str(trace),
            sys.executable, "-m", "tests.faults.recorded", str(at / "home"), str(ROUNDS), variant,
        ],
        cwd=ROOT, check=True, stdin=subprocess.DEVNULL, timeout=300,
    )  # fmt: skip
    return calls(trace)


def faults(disk: Path, said: list[bytes]) -> list[str]:
    """What is wrong with what a cut left."""
    wrong = []
    for path in disk.rglob("*"):
        blob = path.parent.parent.name == "blobs" and not path.name.startswith(".")
        if blob and sha256(path.read_bytes()).hexdigest() != path.name:
            wrong.append("torn blob")
    case = next((path.parent for path in disk.glob("home/cases/*/log.db")), None)
    if case is None:
        return wrong + (["lost"] if said else [])
    try:
        damage = verify(case).damage
        db = connect(case / "log.db")
        there = {row[0].hex() for row in db.execute("SELECT hash FROM events")}
        db.close()
    except StoreTrouble as trouble:
        return [*wrong, f"unreadable: {trouble.what}"]
    wrong += [f"damage: {each.kind}" for each in damage]
    wrong += ["lost"] * any(digest.decode() not in there for digest in said)
    return wrong


def cuts(trace: list[Call], root: Path, many: int) -> Iterator[tuple[Disk, random.Random, list[bytes]]]:
    """The disk at `many` moments spread over all calls, several outcomes each if there are more than calls."""
    chance = random.Random(7)
    ordered = sorted(trace, key=lambda call: call.begun if "write" in call.name else call.done)
    each = Counter(chance.choices(range(1, len(ordered) + 1), k=many)) if many < len(ordered) else None
    disk = Disk(str(root))
    for index, call in enumerate(ordered, 1):
        disk.step(call)
        repeats = each[index] if each is not None else -(-many // len(ordered))
        for _ in range(repeats):
            yield disk, chance, list(disk.said)


def play(at: Path, variant: str, many: int, until: Callable[[Counter[str]], bool] = bool) -> Counter[str]:
    """Cut; what went wrong how often. Stops early when `until` says that this is enough."""
    found: Counter[str] = Counter()
    shelf = SHELF if SHELF.is_dir() and os.access(SHELF, os.W_OK) else None
    trace = record(at, variant)
    assert len(trace) > 200, "the trace holds hardly anything"
    done = 0
    for disk, chance, said in cuts(trace, at, many):
        with tempfile.TemporaryDirectory(prefix="warroom-", dir=shelf) as directory:
            disk.after_cut(chance, Path(directory))
            found.update(faults(Path(directory), said))
        done += 1
        if until(found):
            break
    assert done >= min(many, 1)
    return found


def test_nothing_acknowledged_is_lost_by_a_power_cut(tmp_path: Path) -> None:
    assert play(tmp_path, "", CUTS) == {}


@pytest.mark.parametrize(("variant", "fault"), [("normal", "lost"), ("no-fsync", "torn blob")])
def test_a_product_that_does_not_sync_is_caught(tmp_path: Path, variant: str, fault: str) -> None:
    """The controls: the same cuts find a log that waits for nothing, and blobs that are only renamed."""
    assert play(tmp_path, variant, 3000, lambda found: found[fault] > 0)[fault]
