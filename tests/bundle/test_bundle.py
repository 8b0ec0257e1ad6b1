"""A sealed bundle: the same bytes each time, checked by anybody, and whatever is changed in it is found."""

import asyncio
import io
import os
import random
import shutil
import subprocess
import sys
import tarfile
from base64 import b64decode, b64encode
from collections.abc import Callable
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from console.desk import Desk
from console.events import NoteWritten, RosterAdded, entry
from console.evidence.holding import erase
from console.evidence.redaction import Redaction
from console.evidence.sealing import seal, take_bundle
from console.refusal import Refused
from console.room import Room
from console.timeline import project, trust
from data import bundle, record
from data import standalone_verify as standalone
from data.blobs import Blobs
from data.bundle import BadBundle, write_bundle
from data.case import Case
from data.clock import ManualClock
from data.envelope import Entry
from data.home import Home
from data.identity import Identity, fingerprint, signed
from data.log import connect
from data.parcels import parcels, spans
from data.record import Head
from data.segment import pack, unpack
from data.trouble import StoreTrouble
from data.verify import verify
from tests.bundle.conftest import START, carry, keep
from tests.data.test_hostile_segments import MALLORY, forge, through

VERIFIER = Path(standalone.__file__)
SECRET = "password=tr0ub4dor"


class Sealed(NamedTuple):
    """A bundle and the incident it was made of."""

    path: Path
    directory: Path
    home: Home

    @property
    def identity(self) -> Identity:
        return self.home.identity


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Sealed:
    """Two consoles, blobs, a masked and an erased entry, checkpoints of both: everything a bundle can hold."""
    return asyncio.run(_make(tmp_path_factory.mktemp("sealed")))


async def _make(folder: Path) -> Sealed:
    home = Home.open(folder / "ana", clock=ManualClock(START))
    desk = await Desk.open(home, "ana", "security")
    try:
        room = await desk.declare("refunds in a loop", 2)
        ben = Home.open(folder / "ben", clock=ManualClock(START + 10**9))
        await room.record(RosterAdded(ben.replica, "ben"))
        for number in range(20):
            await room.note(f"line {number}")
        await room.note(f"the agent printed {SECRET}")
        await keep(room, b"a transcript")
        await keep(room, b"with " + SECRET.encode(), "another")
        gone = await keep(room, b"to be erased", "personal")
        await erase(room, [gone.hash], "asked", "court")
        await room.witness()
        other = carry(room.case.directory, ben, project)
        other.append(entry(NoteWritten("from ben"), "ben")).result(10)
        assert await asyncio.wrap_future(other.witness("asked"))
        other.close()
        for parcel in _parcels(other.directory):
            await asyncio.wrap_future(room.case.merge(parcel))
        await desk.refresh()
        await seal(room, home, folder / "a.tar", Redaction("secrets"))
        return Sealed(folder / "a.tar", room.case.directory, home)
    finally:
        await desk.close()


def _parcels(directory: Path) -> list[Any]:
    with closing(connect(directory / "log.db")) as db:
        return [unpack(*pack(parcel)) for span in spans(db) for parcel in parcels(db, span)]


def verifier(path: Path, **more: Any) -> "subprocess.CompletedProcess[str]":
    """Run the verifier as a stranger does: alone, without site packages and without this project."""
    alone = path.parent / "verify-alone.py"
    alone.write_bytes(VERIFIER.read_bytes())
    command = [sys.executable, "-I", "-S", str(alone), str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", timeout=120, **more)


def read(path: Path) -> dict[str, bytes]:
    with path.open("rb") as file:
        source = standalone.Archive(file)
        return {name: b"".join(source.pieces(name)) for name in source.sizes}


def write(path: Path, files: dict[str, bytes], top: str = "warroom-aaaaaaaa") -> Path:
    path.write_bytes(
        b"".join(
            standalone.member_header(f"{top}/{name}", len(data)) + data + standalone.padding(len(data))
            for name, data in files.items()
        )
        + standalone.END
    )
    return path


def manifest(files: dict[str, bytes]) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(
        b64decode(msgspec.json.decode(files["manifest.json"])["payload"])
    )
    return found


def sign(files: dict[str, bytes], said: dict[str, Any], by: Identity, *, list_files: bool = True) -> None:
    """Put another manifest in, signed by whomever, over the files as they are now."""
    said["exporter"] = {"public": by.public.hex(), "rep": by.replica}
    if list_files:
        said["files"] = [
            {"path": name, "sha256": sha256(data).hexdigest(), "size": len(data)}
            for name, data in files.items()
            if name != "manifest.json"
        ]
    payload = standalone.canonical(said)
    files["manifest.json"] = standalone.canonical(
        {
            "payload": b64encode(payload).decode(),
            "payloadType": standalone.PAYLOAD_TYPE,
            "signatures": [
                {"keyid": by.replica, "sig": b64encode(by.state(standalone.PAYLOAD_TYPE, payload)).decode()}
            ],
        }
    )


def longest(files: dict[str, bytes]) -> str:
    return max((name for name in files if name.startswith("segments/")), key=lambda name: len(files[name]))


def edit_segment(files: dict[str, bytes], change: Callable[[list[bytes]], list[bytes] | None]) -> None:
    """Change the lines of the longest segment, and give it the name and the first line that go with its new bytes."""
    name = longest(files)
    lines = files.pop(name).split(b"\n")[:-1]
    lines = change(lines) or lines
    head = msgspec.json.decode(lines[0])
    first = msgspec.json.decode(lines[1].split(b"\t")[0])["seq"]
    head |= {"count": len(lines) - 1, "first": first, "last": first + len(lines) - 2}
    lines[0] = standalone.canonical(head)
    raw = b"\n".join(lines) + b"\n"
    place = name.rpartition("/")[0]
    files[f"{place}/{head['first']:012d}-{head['last']:012d}-{sha256(raw).hexdigest()}.seg"] = raw


def _note(lines: list[bytes]) -> int:
    return next(i for i, line in enumerate(lines) if b"line 7" in line)


def _edit_body(lines: list[bytes]) -> None:
    at = _note(lines)
    lines[at] = lines[at].replace(b"line 7", b"line 8")


def _edit_header(lines: list[bytes]) -> None:
    at = _note(lines)
    lines[at] = lines[at].replace(b'"actor":"ana"', b'"actor":"eve"')


def _edit_salt(lines: list[bytes]) -> None:
    at = _note(lines)
    head, salt, body = lines[at].split(b"\t", 2)
    lines[at] = b"\t".join((head, bytes(reversed(salt)), body))


def _take_body(lines: list[bytes]) -> None:
    at = _note(lines)
    lines[at] = lines[at].split(b"\t")[0] + b"\t\t"


def _leave_out(lines: list[bytes]) -> None:
    del lines[_note(lines)]


def _swap(lines: list[bytes]) -> None:
    at = _note(lines)
    lines[at], lines[at + 1] = lines[at + 1], lines[at]


def _cut_tail(lines: list[bytes]) -> None:
    del lines[-2:]


def _twice(lines: list[bytes]) -> None:
    lines.insert(_note(lines), lines[_note(lines)])


def _other_case(lines: list[bytes]) -> None:
    at = _note(lines)
    head = msgspec.json.decode(lines[at].split(b"\t")[0])
    lines[at] = lines[at].replace(head["case"].encode(), b"a" * 26)


@pytest.mark.parametrize(
    "change",
    [_edit_body, _edit_header, _edit_salt, _take_body, _leave_out, _swap, _cut_tail, _twice, _other_case],
)
def test_what_is_changed_in_the_events_is_found_whoever_signs_the_manifest(
    sealed: Sealed, tmp_path: Path, change: Callable[[list[bytes]], None]
) -> None:
    # Even the exporter, with its own key for the manifest, cannot change what was hashed and signed entry by entry.
    for by in (sealed.identity, Identity.make()):
        files = read(sealed.path)
        said = manifest(files)
        edit_segment(files, change)
        sign(files, said, by)
        done = verifier(write(tmp_path / "changed.tar", files))
        assert done.returncode == 1, done
        assert "NOT SOUND" in done.stdout


def _blob(files: dict[str, bytes]) -> str:
    return next(name for name in files if name.startswith("blobs/"))


FILES: dict[str, Callable[[dict[str, bytes]], Any]] = {
    "a blob changed": lambda files: files.update({_blob(files): b"A" + files[_blob(files)][1:]}),
    "a blob left out": lambda files: files.pop(_blob(files)),
    "a segment left out": lambda files: files.pop(longest(files)),
    "the report changed": lambda files: files.update({"report.md": files["report.md"] + b"\n"}),
    "the verifier changed": lambda files: files.update({"verify.py": b"print('SOUND')\n"}),
    "a file added": lambda files: files.update({"extra.md": b"x"}),
    "the roster swapped": lambda files: files.update({"roster.json": b"[]\n"}),
    "a masked text changed": lambda files: files.update(
        {"redacted.jsonl": files["redacted.jsonl"].replace(b"printed", b"deleted")}
    ),
}


@pytest.mark.parametrize("what", FILES)
def test_what_is_changed_in_the_files_is_found(sealed: Sealed, tmp_path: Path, what: str) -> None:
    files = read(sealed.path)
    FILES[what](files)
    done = verifier(write(tmp_path / "changed.tar", files))
    assert done.returncode == 1, done


MANIFESTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "a strand shorter": lambda said: said["strands"][0].update(seq=1),
    "a strand missing": lambda said: said["strands"].pop(),
    "withheld with another commitment": lambda said: said["withheld"][0].update(commitment="0" * 64),
    "not withheld": lambda said: said["withheld"].clear(),
    "a blob not withheld": lambda said: said["withheld_blobs"].clear(),
    "another case": lambda said: said.update(case="a" * 26),
    "another version": lambda said: said.update(v=2),
    "no number": lambda said: said.update(withheld=3),
    "text for a list": lambda said: said.update(files="x"),
}


@pytest.mark.parametrize("what", MANIFESTS)
def test_a_manifest_that_does_not_fit_is_found_even_when_it_is_signed(
    sealed: Sealed, tmp_path: Path, what: str
) -> None:
    files = read(sealed.path)
    said = manifest(files)
    MANIFESTS[what](said)
    sign(files, said, sealed.identity, list_files=what != "text for a list")
    assert verifier(write(tmp_path / "changed.tar", files)).returncode == 1


def test_a_changed_manifest_needs_a_signature_that_only_the_exporter_can_make(
    sealed: Sealed, tmp_path: Path
) -> None:
    files = read(sealed.path)
    said = manifest(files)
    said["policy"] = "none"
    envelope = msgspec.json.decode(files["manifest.json"])
    envelope["payload"] = b64encode(standalone.canonical(said)).decode()
    files["manifest.json"] = standalone.canonical(envelope)
    path = write(tmp_path / "changed.tar", files)
    done = verifier(path)
    assert done.returncode == 1
    assert "its signature is not valid" in done.stdout
    # Without that check nobody would notice.
    assert standalone.check(str(path), lambda *_: True).sound


def test_a_good_bundle_is_sound_packed_by_us_by_hand_and_unpacked(sealed: Sealed, tmp_path: Path) -> None:
    done = verifier(sealed.path)
    assert (done.returncode, done.stderr) == (0, ""), done
    assert "other consoles vouch for the first" in done.stdout
    assert "What 1 event said: their text was erased" in done.stdout
    assert "What 1 event said: their text is withheld" in done.stdout
    assert verifier(write(tmp_path / "again.tar", read(sealed.path))).returncode == 0
    subprocess.run(["tar", "-xf", str(sealed.path), "-C", str(tmp_path)], check=True, timeout=60)
    (folder,) = tmp_path.glob("warroom-*")
    unpacked = subprocess.run(
        [sys.executable, "-I", "-S", str(folder / "verify.py"), str(folder)], check=False, capture_output=True
    )
    assert unpacked.returncode == 0, unpacked
    (folder / "extra.md").write_text("x")
    assert verifier(folder).returncode == 1
    (folder / "extra.md").unlink()
    (folder / "report.md").unlink()
    (folder / "report.md").symlink_to("/etc/hostname")
    assert verifier(folder).returncode == 2


def test_without_openssl_it_says_so_and_proves_nothing(sealed: Sealed, tmp_path: Path) -> None:
    for tool in (None, "#!/bin/sh\nexit 0\n", "#!/bin/sh\nexit 1\n"):
        place = tmp_path / "bin"
        place.mkdir(exist_ok=True)
        if tool:
            (place / "openssl").write_text(tool)
            (place / "openssl").chmod(0o755)
        done = verifier(sealed.path, env={"PATH": str(place)})
        assert done.returncode == 2, done
        assert "openssl" in done.stderr
        assert "SOUND" not in done.stdout


async def test_the_same_case_gives_the_same_bytes_also_while_it_is_written(
    room: Room, home: Home, tmp_path: Path
) -> None:
    await room.note(SECRET)
    await keep(room, b"blob")
    digests = {
        write_bundle(room.case.directory, tmp_path / f"{n}.tar", home.identity, censor=Redaction()).sha256
        for n in range(3)
    }
    assert len(digests) == 1
    before = await asyncio.to_thread(write_bundle, room.case.directory, tmp_path / "none.tar", home.identity)
    assert before.sha256 not in digests, "another selection, other bytes"
    writing = asyncio.create_task(
        asyncio.to_thread(write_bundle, room.case.directory, tmp_path / "busy.tar", home.identity)
    )
    while not writing.done():
        await room.note("meanwhile")
    assert standalone.check(str((await writing).path), signed).sound


async def test_a_bundle_comes_back_as_it_left(sealed: Sealed, tmp_path: Path) -> None:
    cem = Home.open(tmp_path / "cem", clock=ManualClock(START))
    opened = take_bundle(cem, sealed.path)
    assert opened.loaded.founded
    assert opened.loaded.refused == ()
    assert opened.verdict.sound, opened.verdict.damage
    assert (opened.verdict.withheld, opened.verdict.erased) == (1, 1)
    assert opened.words == fingerprint(sealed.identity.public)
    again = write_bundle(cem.case_dir(opened.loaded.case), tmp_path / "b.tar", cem.identity)
    evidence = ("segments/", "blobs/")
    kept = {file for file in read(sealed.path).items() if file[0].startswith(evidence)}
    assert kept <= set(read(again.path).items())
    assert standalone.check(str(again.path), signed).sound
    # Once more changes nothing.
    repeated = take_bundle(cem, sealed.path)
    assert (repeated.loaded.events, repeated.loaded.blobs, repeated.loaded.founded) == (0, 0, False)


async def test_what_was_withheld_comes_back_with_a_fuller_copy(sealed: Sealed, tmp_path: Path) -> None:
    cem = Home.open(tmp_path / "cem", clock=ManualClock(START))
    take_bundle(cem, sealed.path)
    whole = write_bundle(sealed.directory, tmp_path / "whole.tar", sealed.identity)
    opened = take_bundle(cem, whole.path)
    assert opened.verdict.sound
    assert opened.verdict.withheld == 0
    assert opened.loaded.blobs == 1


async def test_without_the_signed_manifest_a_missing_text_is_damage(sealed: Sealed, tmp_path: Path) -> None:
    cem = Home.open(tmp_path / "cem", clock=ManualClock(START))
    directory = take_bundle(cem, sealed.path).loaded.directory
    (kept,) = (directory / bundle.KEPT).iterdir()
    files = {"manifest.json": kept.read_bytes()}
    said = manifest(files)
    sign(files, said, Identity.make(), list_files=False)
    kept.write_bytes(files["manifest.json"])
    verdict = verify(directory)
    assert {each.kind for each in verdict.damage} == {"body"}
    assert verdict.missing_blobs == 1, "files come after the events that speak of them"


async def strange(room: Room, *entries: Entry, hlc: int = START // 1_000_000 << 16) -> None:
    """Let somebody who is not on the roster write to the record, through the door that a remote is."""
    merged = await asyncio.wrap_future(room.case.merge(through(forge(room.case.id, *entries, hlc=hlc))))
    assert merged.added == len(entries)


def checked(path: Path) -> str:
    """What the verifier says, run alone."""
    done = verifier(path)
    assert done.returncode == 0, done.stdout
    return done.stdout


async def test_what_a_stranger_claims_neither_stops_a_bundle_nor_counts_in_it(
    room: Room, home: Home, tmp_path: Path
) -> None:
    mine = await room.note("the true story")
    await keep(room, b"the exhibit")
    await strange(
        room,
        record.checkpoint([Head(mine.rep, mine.inc, mine.seq, "0" * 64)], "asked"),
        record.checkpoint([Head(mine.rep, mine.inc, 2**40, "1" * 64)], "asked"),
        record.entry(record.ERASED, record.Erased((mine.hash,), "so they say")),
        Entry(record.ERASED, b"{}", "eve"),
        Entry(record.ERASED, b'{"targets":[1]}', "eve"),
    )
    assert not verify(room.case.directory).sound, "as long as everybody's word is believed"
    found = verify(room.case.directory, trust=trust)
    assert (found.damage, found.missing) == ([], 0)
    assert f"{MALLORY.replica[:8]} says that it saw events that are not here (2)" in found.note
    written = await seal(room, home, tmp_path / "a.tar", Redaction())
    assert len(written.contents.aside) == 5
    said = checked(written.path)
    assert f"console {MALLORY.replica} says: it is not on the exporter's roster, and saw 2 events" in said


async def test_a_stranger_cannot_keep_an_exhibit_out_by_giving_it_another_size(
    room: Room, home: Home, tmp_path: Path
) -> None:
    event = await keep(room, b"the exhibit")
    (ref,) = event.refs
    for size in (0, 5, 2**40):
        wrong = msgspec.structs.replace(ref, size=size, media="a/a")
        await strange(
            room, Entry("note", b"{}", "eve", refs=(wrong,)), hlc=START // 1_000_000 << 16 | size % 7
        )
    found = verify(room.case.directory, trust=trust)
    assert found.damage == []
    assert "another size than they have" in found.note
    written = await seal(room, home, tmp_path / "a.tar", Redaction())
    assert written.contents.absent_blobs == []
    assert f"blobs/{ref.sha256[:2]}/{ref.sha256}" in read(written.path)
    assert "1 file of evidence: byte for byte" in checked(written.path)


async def test_importing_overwrites_nothing(sealed: Sealed) -> None:
    home = sealed.home
    desk = await Desk.open(home, "ana", "security")
    room = await desk.enter()
    await room.note("newer than the bundle")
    await desk.close()
    before = {path: path.read_bytes() for path in (sealed.directory / "blobs").rglob("*") if path.is_file()}
    events = verify(sealed.directory).events
    opened = take_bundle(home, sealed.path)
    assert opened.loaded.events == 0
    assert opened.verdict.sound
    assert opened.verdict.events == events
    assert all(path.read_bytes() == data for path, data in before.items())


async def test_a_drill_does_not_get_into_a_live_home(sealed: Sealed, tmp_path: Path) -> None:
    drill = Home.open(tmp_path / "drill", "drill")
    with pytest.raises(Refused, match="real incident"):
        take_bundle(drill, sealed.path)
    assert drill.cases() == []


async def test_a_bundle_that_is_not_sound_is_not_taken_in(sealed: Sealed, tmp_path: Path) -> None:
    files = read(sealed.path)
    FILES["a blob changed"](files)
    cem = Home.open(tmp_path / "cem")
    with pytest.raises(BadBundle):
        take_bundle(cem, write(tmp_path / "changed.tar", files))
    assert cem.cases() == []


def tar_of(name: str, data: bytes = b"x", **more: Any) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=more.pop("format", tarfile.USTAR_FORMAT)) as tar:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        for key, value in more.items():
            setattr(info, key, value)
        tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


HOSTILE = {
    "empty": b"",
    "no tar": b"PK\x03\x04" + bytes(600),
    "pax": tar_of("warroom-aaaaaaaa/" + "n" * 300, format=2),
    "symlink": tar_of("warroom-aaaaaaaa/report.md", b"", type=b"2", linkname="/etc/passwd"),
    "device": tar_of("warroom-aaaaaaaa/report.md", b"", type=b"3"),
    "another owner": tar_of("warroom-aaaaaaaa/report.md", uid=1000, mode=0o644, mtime=315532800),
    "set-uid": tar_of("warroom-aaaaaaaa/report.md", mode=0o4755, mtime=315532800),
}
for _name in ("../x.md", "/etc/x.md", "warroom-aaaaaaaa/../x.md", "warroom-aaaaaaaa/a/b.md", "warroom-aaaaaaaa/x.exe",
              "warroom-aaaaaaaa/\x1b[2Jx.md", "warroom-aaaaaaaa/manifest.json/x.md", "x.md"):  # fmt: skip
    HOSTILE[f"name {_name!r}"] = standalone.member_header(_name, 1) + b"x" + bytes(511) + standalone.END
HOSTILE["larger than it is"] = (
    standalone.member_header("warroom-aaaaaaaa/x.md", 8**11 - 1) + b"x" + bytes(511)
)
HOSTILE["something hidden"] = (
    standalone.member_header("warroom-aaaaaaaa/x.md", 1) + b"x" + b"hidden" + bytes(505) + standalone.END
)
HOSTILE["twice"] = (
    2 * (standalone.member_header("warroom-aaaaaaaa/x.md", 1) + b"x" + bytes(511)) + standalone.END
)
HOSTILE["no manifest"] = (
    standalone.member_header("warroom-aaaaaaaa/x.md", 1) + b"x" + bytes(511) + standalone.END
)


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_files_are_refused_in_one_sentence(tmp_path: Path, what: str) -> None:
    path = tmp_path / "hostile.tar"
    path.write_bytes(HOSTILE[what])
    home = Home.open(tmp_path / "home")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(StoreTrouble) as caught:
        take_bundle(home, path)
    assert str(caught.value).isprintable()
    assert sorted(tmp_path.rglob("*")) == before
    done = verifier(path)
    assert done.returncode == 2, done
    assert done.stderr.isascii()
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("seed", range(4))
def test_no_flipped_byte_goes_unnoticed(sealed: Sealed, seed: int) -> None:
    raw = sealed.path.read_bytes()
    choice = random.Random(seed)
    for _ in range(100):
        at = choice.randrange(len(raw))
        changed = bytearray(raw)
        changed[at] ^= 1 << choice.randrange(8)
        try:
            found = standalone.Check(standalone.Archive(io.BytesIO(bytes(changed))), signed).run()
        except standalone.Unreadable:
            continue
        assert not found.sound, at


@pytest.mark.parametrize("seed", range(4))
def test_no_cut_goes_unnoticed(sealed: Sealed, seed: int) -> None:
    raw = sealed.path.read_bytes()
    choice = random.Random(seed)
    for size in [len(raw) - 1, len(raw) - 512, *(choice.randrange(len(raw)) for _ in range(60))]:
        with pytest.raises(standalone.Unreadable):
            standalone.Archive(io.BytesIO(raw[:size]))


def test_a_fifo_or_a_directory_is_no_bundle(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    home = Home.open(tmp_path / "home")
    for path in (tmp_path / "fifo", tmp_path / "nowhere", tmp_path):
        with pytest.raises(StoreTrouble):
            take_bundle(home, path)


async def test_nothing_is_replaced_unless_asked_and_nothing_half_stays(
    room: Room, home: Home, tmp_path: Path
) -> None:
    target = tmp_path / "a.tar"
    target.write_text("of yesterday")
    with pytest.raises(Refused, match="exists already"):
        await seal(room, home, target, Redaction())
    assert target.read_text() == "of yesterday"
    await seal(room, home, target, Redaction(), force=True)
    assert standalone.check(str(target), signed).sound
    assert target.stat().st_mode & 0o077 == 0
    with pytest.raises(StoreTrouble, match="cannot be written"):
        await seal(room, home, tmp_path / "nowhere" / "a.tar", Redaction())
    assert [name for name in os.listdir(tmp_path) if name.startswith(".tmp-")] == []


async def test_a_damaged_record_is_not_sealed(room: Room, home: Home, tmp_path: Path) -> None:
    event = await keep(room, b"material")
    (ref,) = event.refs
    Blobs(room.case.directory).path(ref.sha256).write_bytes(b"other")
    with pytest.raises(Refused, match="damaged"):
        await seal(room, home, tmp_path / "a.tar", Redaction())
    assert not (tmp_path / "a.tar").exists()


async def test_recipients_alone_can_read_it(room: Room, home: Home, tmp_path: Path) -> None:
    age = pytest.importorskip("pyrage")
    await room.note("for the court only")
    key = age.x25519.Identity.generate()
    path = tmp_path / "a.tar.age"
    await seal(room, home, path, Redaction("none"), recipients=[str(key.to_public())])
    raw = path.read_bytes()
    assert raw.startswith(bundle.AGE)
    assert b"for the court only" not in raw
    with (tmp_path / "plain.tar").open("xb") as file:
        bundle.unseal(path, str(key), file)
    assert standalone.check(str(tmp_path / "plain.tar"), signed).sound
    with pytest.raises(StoreTrouble, match="cannot be opened with this key"):
        bundle.unseal(path, str(age.x25519.Identity.generate()), io.BytesIO())
    with pytest.raises(StoreTrouble, match="no age recipient"):
        await seal(room, home, tmp_path / "b.age", Redaction(), recipients=["age1nobody"])
    assert not (tmp_path / "b.age").exists()


async def test_without_pyrage_recipients_are_one_clear_sentence(
    room: Room, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyrage", None)
    with pytest.raises(StoreTrouble, match=r"pip install 'warroom\[age\]'"):
        await seal(room, home, tmp_path / "a.age", Redaction(), recipients=["age1x"])


async def test_a_fork_and_ten_thousand_events_go_through(home: Home, tmp_path: Path) -> None:
    desk = await Desk.open(home, "ana")
    room = await desk.declare("refunds", 2)
    directory = room.case.directory
    await desk.close()
    shutil.copytree(home.path, tmp_path / "copy")
    twin = Home.open(tmp_path / "copy", clock=ManualClock(START + 10**12))
    one = Case.open(directory, home, project)
    for start in range(0, 5000, 1000):
        one.append(*(entry(NoteWritten(f"here {start + n}"), "ana") for n in range(1000))).result(30)
    two = Case.open(twin.case_dir(one.id), twin, project)
    two.append(entry(NoteWritten("there"), "ana")).result(10)
    two.close()
    forked = [one.merge(parcel).result(10).forked for parcel in _parcels(two.directory)]
    assert any(forked)
    one.append(entry(NoteWritten("after"), "ana")).result(10)
    one.close()
    written = write_bundle(directory, tmp_path / "a.tar", home.identity)
    found = standalone.check(str(written.path), signed)
    assert found.sound, found.problems
    assert len(found.strands) == 3
    dee = Home.open(tmp_path / "dee", clock=ManualClock(START))
    opened = take_bundle(dee, written.path)
    assert opened.verdict.sound, opened.verdict.damage
    kept = {file for file in read(written.path).items() if file[0].startswith("segments/")}
    again = write_bundle(dee.case_dir(opened.loaded.case), tmp_path / "b.tar", dee.identity)
    assert kept <= set(read(again.path).items())
