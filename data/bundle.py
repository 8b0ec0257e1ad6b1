"""Sealed bundles: a case as one file that anybody can check without this program.

A bundle is a plain tar archive of which every byte follows from what is in it: segments as they would go to
a remote, blobs, documents for people, the verifier itself, and at the end a manifest with the SHA-256 of every
file, signed by the console that exported (a DSSE envelope, so that type and exact bytes are signed). The same
case and the same selection give the same bytes.

What is kept back travels like what was erased: as an event without its text, whose header still holds the salted
commitment, so that the chain can be checked and the original compared later.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import stat
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from errno import EEXIST
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO, NamedTuple

import msgspec

from data import record
from data import standalone_verify as standalone
from data.blobs import Blobs, only_of
from data.case import Case, adopt
from data.durable import TEMPORARY, make_directory, publish, sync_directory, write_temporary
from data.envelope import Ref, case_id
from data.home import Home
from data.identity import Identity, signed
from data.line import Counts, Projector, Trust
from data.log import EVENT_COLUMNS, connect, read_row
from data.log import NAME as LOG
from data.parcels import parcels, spans
from data.segment import BadSegment, Parcel, pack, unpack
from data.standalone_verify import Archive, Findings, Unreadable
from data.trouble import StoreTrouble, explain
from data.verify import judged
from data.withholding import Mask, Rendering, withhold

KEPT = "bundles"
"""Directory of a case where the manifests of imported bundles are kept: they say what was withheld, and by whom."""
MAX_KEPT = 100
AGE = b"age-encryption.org/v1"
"""How a file that was encrypted for recipients begins."""


@dataclass
class Contents:
    """What has gone into a bundle so far.

    Attributes:
        case: Case id.
        files: Path, size and SHA-256 of each file.
        ends: Where each strand or branch ends: replica, incarnation, number, hash.
        keys: Public key of each replica, 32 bytes.
        events: How many events.
        erased: Hashes of events whose text was erased.
        withheld: Hash of each event that is kept back, and its commitment.
        fields: How often which kind of thing was masked.
        withheld_blobs: Blobs that are kept back.
        absent_blobs: Blobs that are not to be had here.
        aside: Hashes of checkpoints and erasures that count for nothing, by consoles that are not on the roster.
    """

    case: str = ""
    files: list[tuple[str, int, str]] = field(default_factory=list)
    ends: list[tuple[str, int, int, str]] = field(default_factory=list)
    keys: dict[str, bytes] = field(default_factory=dict)
    events: int = 0
    erased: list[str] = field(default_factory=list)
    withheld: dict[str, str] = field(default_factory=dict)
    fields: dict[str, int] = field(default_factory=dict)
    withheld_blobs: list[str] = field(default_factory=list)
    absent_blobs: list[str] = field(default_factory=list)
    aside: list[str] = field(default_factory=list)

    def count(self, rendering: Rendering) -> None:
        """Count what was masked."""
        for _, kind in rendering.withheld:
            self.fields[kind] = self.fields.get(kind, 0) + 1


@dataclass(frozen=True)
class Written:
    """A bundle that was written: where, its SHA-256 and size as it lies there, and what is in it."""

    path: Path
    sha256: str
    size: int
    contents: Contents


Documents = Callable[[Contents], Mapping[str, bytes]]
"""Makes what people read, by file name, from what the bundle holds."""


def write_bundle(
    directory: Path,
    target: Path,
    identity: Identity,
    *,
    censor: Mask | None = None,
    documents: Documents = lambda _: {},
    said: Mapping[str, str] | None = None,
    recipients: Sequence[str] = (),
    force: bool = False,
    trust: Trust | None = None,
) -> Written:
    """Seal a case into one file.

    Args:
        directory: The case directory; nothing in it is changed.
        target: The file to make, whole or not at all.
        identity: Who signs.
        censor: Decides what is kept back; None keeps nothing back.
        documents: Called once everything else is in.
        said: What else the manifest says, such as why and when; part of what makes the bytes the same.
        recipients: age recipients; with any, the file can be read by them only, and differs each time.
        force: Replace the target.
        trust: Whose word is believed; see `data.verify.verify`.

    Raises:
        StoreTrouble: The case cannot be read, the file cannot be written, or a recipient is none.
        FileExistsError: There is something at the target, and `force` is not given.
    """
    encrypt = _sealer(recipients)
    if not force and os.path.lexists(target):
        raise FileExistsError(EEXIST, os.strerror(EEXIST), str(target))
    try:
        with _Draft(target) as draft:
            if encrypt is None:
                contents = _fill(draft.file, directory, identity, censor, documents, said or {}, trust)
            else:
                # The readable bundle never has a name, and lies where the record lies readable anyway.
                with TemporaryFile(dir=directory) as plain:
                    contents = _fill(plain, directory, identity, censor, documents, said or {}, trust)
                    plain.seek(0)
                    encrypt(plain, draft.file)
            digest, size = draft.publish(force=force)
    except sqlite3.Error as error:
        raise explain(error, directory / LOG) from error
    except FileExistsError:
        raise
    except OSError as error:
        raise StoreTrouble(
            f"{target} cannot be written: {error.strerror}.",
            "The record is not affected, and no half bundle was left behind.",
            "Name another file, or make room.",
        ) from error
    return Written(target, digest, size, contents)


class _Draft:
    """A file under a temporary name beside the target; gone at the end, unless it was published."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._path = target.parent / f"{TEMPORARY}{secrets.token_hex(8)}"
        self.file: BinaryIO = os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b")

    def __enter__(self) -> _Draft:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self._path.unlink(missing_ok=True)

    def publish(self, *, force: bool) -> tuple[str, int]:
        """Make the bytes durable and give the file its name. Returns its SHA-256 and its size."""
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.seek(0)
        digest, size = sha256(), 0
        while piece := self.file.read(1 << 20):
            digest.update(piece)
            size += len(piece)
        if force:
            os.replace(self._path, self._target)
        else:
            try:
                os.link(self._path, self._target)
            except FileExistsError:
                raise
            except OSError:
                # FAT, as on most sticks, has no hard links: what comes between these two lines is replaced.
                if os.path.lexists(self._target):
                    raise FileExistsError(EEXIST, os.strerror(EEXIST), str(self._target)) from None
                os.replace(self._path, self._target)
        sync_directory(self._target.parent)
        return digest.hexdigest(), size


def _sealer(recipients: Sequence[str]) -> Callable[[BinaryIO, BinaryIO], None] | None:
    if not recipients:
        return None
    age = _age()
    try:
        keys = [age.x25519.Recipient.from_str(each) for each in recipients]
    except age.RecipientError as error:
        raise StoreTrouble(
            f"One of the recipients is no age recipient ({error}).",
            "Nothing was written.",
            "An age recipient begins with `age1`; `age-keygen` prints it.",
        ) from None
    return lambda plain, sealed: age.encrypt_io(plain, sealed, keys)


def _age() -> Any:
    try:
        return import_module("pyrage")
    except ImportError:
        raise StoreTrouble(
            "Bundles for recipients need the package pyrage, which is not installed.",
            "Nothing was written.",
            "Run `pip install 'warroom[age]'`, or leave the recipients out and encrypt the file with another tool.",
        ) from None


class _Packer:
    """Writes the archive, and keeps the list of what went into it."""

    def __init__(self, file: BinaryIO, case: str) -> None:
        self._file = file
        self._top = f"warroom-{case[:8]}"
        self.files: list[tuple[str, int, str]] = []

    def add(self, name: str, data: bytes) -> None:
        self._file.write(standalone.member_header(f"{self._top}/{name}", len(data)))
        self._file.write(data)
        self._file.write(standalone.padding(len(data)))
        self.files.append((name, len(data), sha256(data).hexdigest()))


def _fill(
    file: BinaryIO,
    directory: Path,
    identity: Identity,
    censor: Mask | None,
    documents: Documents,
    said: Mapping[str, str],
    trust: Trust | None,
) -> Contents:
    with closing(connect(directory / LOG)) as db:
        db.execute("BEGIN")  # one moment of the record, whatever is appended meanwhile
        (founding,) = db.execute("SELECT hash FROM events WHERE n = 1").fetchone()
        contents = Contents(case=case_id(bytes(founding)))
        packer = _Packer(file, contents.case)
        contents.files = packer.files
        # The first, so that the file begins like none other.
        packer.add("verify.py", Path(standalone.__file__).read_bytes())
        counts = judged(db, trust)
        refs = _segments(db, packer, contents, censor, counts)
    _blobs(directory, packer, contents, refs, censor, counts)
    for name, data in sorted(documents(contents).items()):
        packer.add(name, data)
    manifest = {
        "absent_blobs": sorted(contents.absent_blobs),
        "aside": sorted(contents.aside),
        "case": contents.case,
        "erased": sorted(contents.erased),
        "events": contents.events,
        "exporter": {"public": identity.public.hex(), "rep": identity.replica},
        "files": [{"path": path, "sha256": digest, "size": size} for path, size, digest in packer.files],
        "policy": censor.name if censor else "none",
        "said": dict(said),
        "strands": [{"hash": h, "inc": inc, "rep": rep, "seq": seq} for rep, inc, seq, h in contents.ends],
        "v": 1,
        "withheld": [{"commitment": c, "event": event} for event, c in sorted(contents.withheld.items())],
        "withheld_blobs": sorted(contents.withheld_blobs),
    }
    payload = standalone.canonical(manifest)
    signature = identity.state(standalone.PAYLOAD_TYPE, payload)
    envelope = {
        "payload": b64encode(payload).decode(),
        "payloadType": standalone.PAYLOAD_TYPE,
        "signatures": [{"keyid": identity.replica, "sig": b64encode(signature).decode()}],
    }
    packer.add(standalone.MANIFEST, standalone.canonical(envelope))
    packer.files.pop()  # it cannot vouch for itself
    file.write(standalone.END)
    file.flush()
    findings = standalone.Check(Archive(file), signed).run()
    if not findings.sound:
        raise StoreTrouble(
            f"The bundle would not hold together: {findings.problems[0]}.",
            "Nothing was written.",
            "Run `warroom verify`; if the record is sound, report this as a fault of the program.",
        )
    return contents


def _segments(
    db: sqlite3.Connection, packer: _Packer, contents: Contents, censor: Mask | None, counts: Counts
) -> dict[Ref, set[str]]:
    """Put every event in, and return the blobs that they speak of with the events that do."""
    refs: dict[Ref, set[str]] = {}
    bare: dict[str, str] = {}
    ends: dict[str, tuple[str, int, int, str]] = {}
    followed: set[str] = set()
    erased: set[str] = set()
    rendered: list[bytes] = []
    # In an order that does not depend on who arrived first.
    ordered = sorted(
        (
            span.rep,
            span.inc,
            span.first,
            *db.execute("SELECT hash FROM strands WHERE id = ?", (span.id,)).fetchone(),
            span,
        )
        for span in spans(db)
    )
    for *_, span in ordered:
        for whole in parcels(db, span):
            parcel, renderings = withhold(whole, censor)
            name, raw = pack(parcel)
            packer.add(f"segments/{name}", raw)
            contents.keys[parcel.rep] = parcel.public
            contents.events += len(parcel.events)
            for event in parcel.events:
                digest, header = event.hash.hex(), event.header
                ends[digest] = (header.rep, header.inc, header.seq, digest)
                followed.add(header.prev or "")
                for ref in header.refs:
                    refs.setdefault(ref, set()).add(digest)
                if not event.salt:
                    bare[digest] = header.body_h
                elif header.kind in (record.CHECKPOINT, record.ERASED) and not counts(event.event(0)):
                    contents.aside.append(digest)
                elif header.kind == record.ERASED and (body := record.read_erased(event.body)) is not None:
                    erased.update(body.targets)
            for digest, rendering in renderings.items():
                contents.count(rendering)
                rendered.append(
                    standalone.canonical(
                        {
                            "body": msgspec.json.decode(rendering.shown),
                            "commitment": bare[digest],
                            "event": digest,
                            "withheld": [{"field": name, "kind": kind} for name, kind in rendering.withheld],
                        }
                    )
                )
    contents.ends = sorted(end for digest, end in ends.items() if digest not in followed)
    contents.erased = sorted(bare.keys() & erased)
    contents.withheld = {digest: promise for digest, promise in bare.items() if digest not in erased}
    if rendered:
        packer.add("redacted.jsonl", b"\n".join(rendered) + b"\n")
    gone = set(contents.erased)
    return {ref: events for ref, events in refs.items() if not events <= gone}


def _blobs(
    directory: Path,
    packer: _Packer,
    contents: Contents,
    refs: Iterable[Ref],
    censor: Mask | None,
    counts: Counts,
) -> None:
    store = Blobs(directory)
    withheld = withheld_here(directory, counts).blobs
    of: dict[str, list[Ref]] = {}
    for ref in sorted(refs, key=lambda ref: (ref.sha256, ref.size, ref.media)):
        of.setdefault(ref.sha256, []).append(ref)
    for digest, named in of.items():
        try:
            # Anybody can name a file of ours with a size that it does not have.
            size = store.path(digest).stat().st_size
            ref = next(each for each in named if each.size == size)
            data = store.read(ref)
        except (OSError, StopIteration, StoreTrouble):
            (contents.withheld_blobs if digest in withheld else contents.absent_blobs).append(digest)
            continue
        rendering = censor.blob(ref, data) if censor else None
        path = f"{ref.sha256[:2]}/{ref.sha256}"
        if rendering is None:
            packer.add(f"blobs/{path}", data)
            continue
        contents.count(rendering)
        contents.withheld_blobs.append(ref.sha256)
        packer.add(f"redacted/{path}", rendering.shown)


# -- reading a bundle back -----------------------------------------------------------------------------------


class BadBundle(Exception):
    """A bundle that does not hold together; `findings` says what is wrong."""

    def __init__(self, findings: Findings) -> None:
        super().__init__(findings.problems[0])
        self.findings = findings


def check(path: Path) -> Findings:
    """Check a bundle, packed or unpacked, as `verify.py` does.

    Raises:
        StoreTrouble: It is none, or cannot be read.
    """
    try:
        return standalone.check(str(path), signed)
    except Unreadable as error:
        raise _no_bundle(path, str(error)) from None
    except OSError as error:
        raise explain(error, path) from error


def _no_bundle(path: Path, why: str) -> StoreTrouble:
    return StoreTrouble(
        f"{path} is no bundle that can be read: {why}.",
        "Nothing was changed here.",
        "Ask whoever gave it to you for another copy; one that ends in .age must be opened with --identity.",
    )


@dataclass(frozen=True)
class Loaded:
    """What taking a bundle in did: where the case lies, what was new, and whether it was unknown before."""

    directory: Path
    case: str
    events: int
    blobs: int
    founded: bool
    refused: tuple[str, ...]


class Bundle:
    """A bundle that was checked, open for taking it in; made by `open_bundle`.

    Attributes:
        findings: What the check found.
        founding: The parcel that begins with the founding event.
    """

    def __init__(self, source: Archive, findings: Findings) -> None:
        self.findings = findings
        self._source = source
        self._names = sorted((n for n in source.sizes if n.startswith("segments/")), key=standalone.in_order)
        founding = next((p for p in self._parcels() if p.events[0].header.case is None), None)
        if founding is None:
            raise Unreadable("the event that founded the incident is not in it")
        self.founding = founding

    def _parcels(self) -> Iterator[Parcel]:
        for name in self._names:
            try:
                yield unpack(
                    name.removeprefix("segments/"),
                    standalone.read_whole(self._source, name, standalone.MAX_SEGMENT),
                )
            except BadSegment as bad:
                raise Unreadable(f"{name}: {bad}") from None

    def take_in(self, home: Home, project: Projector) -> Loaded:
        """Merge what the bundle holds into a home, through the same door as everything from other consoles.

        Nothing that is there is overwritten. Interrupted, it can be repeated.

        Raises:
            StoreTrouble: It cannot be written, or another process writes this case.
            Unreadable: The file was changed since it was checked.
        """
        directory = home.case_dir(self.findings.case)
        founded = not (directory / LOG).exists()
        if founded:
            adopt(home, self.founding)
        case = Case.open(directory, home, project)
        try:
            events, refused = 0, []
            for parcel in self._parcels():
                merged = case.merge(parcel).result()
                events += merged.added
                if merged.refused or merged.after is not None:
                    refused.append(merged.refused or "what it goes on from is not here")
            blobs = self._take_blobs(directory)
            self._keep_manifest(directory)
        finally:
            case.close()
        return Loaded(directory, self.findings.case, events + founded, blobs, founded, tuple(refused))

    def _take_blobs(self, directory: Path) -> int:
        store, count = Blobs(directory), 0
        with closing(connect(directory / LOG)) as db:
            erased = only_of(db, {digest.hex() for (digest,) in db.execute("SELECT hash FROM erased")})
        for name in self._source.sizes:
            digest = name.rpartition("/")[2]
            if name.startswith("blobs/") and digest not in erased and not store.path(digest).exists():
                data = standalone.read_whole(self._source, name, standalone.MAX_BLOB)
                if sha256(data).hexdigest() != digest:
                    raise Unreadable(f"{name} was changed while it was read")
                store.put(data)
                count += 1
        return count

    def _keep_manifest(self, directory: Path) -> None:
        raw = standalone.read_whole(self._source, standalone.MANIFEST, standalone.MAX_MANIFEST)
        kept = directory / KEPT
        try:
            make_directory(kept)
            if len(os.listdir(kept)) < MAX_KEPT:
                publish(write_temporary(kept, raw), kept / f"{sha256(raw).hexdigest()}.json")
        except OSError as error:
            raise explain(error, kept) from error


@contextmanager
def open_bundle(path: Path) -> Iterator[Bundle]:
    """Open and check a bundle from anywhere.

    Raises:
        BadBundle: It does not hold together.
        StoreTrouble: It is none, or cannot be read.
    """
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise Unreadable("it is not a plain file")
            source = Archive(file)
            findings = standalone.Check(source, signed).run()
            if not findings.sound:
                raise BadBundle(findings)
            yield Bundle(source, findings)
    except Unreadable as error:
        raise _no_bundle(path, str(error)) from None
    except OSError as error:
        raise explain(error, path) from error


def unseal(path: Path, identity: str, into: BinaryIO) -> None:
    """Decrypt a bundle that was made for recipients.

    Args:
        path: The file.
        identity: A secret key of age, `AGE-SECRET-KEY-1…`.
        into: Gets the bundle.

    Raises:
        StoreTrouble: It cannot be opened with this key, or pyrage is not installed.
    """
    age = _age()
    try:
        key = age.x25519.Identity.from_str(identity)
        with path.open("rb") as file:
            age.decrypt_io(file, into, [key])
    except (age.IdentityError, age.DecryptError) as error:
        raise StoreTrouble(
            f"{path} cannot be opened with this key: {error}.",
            "Nothing was changed here.",
            "Give the file with the secret key that belongs to one of its recipients.",
        ) from None
    except OSError as error:
        raise explain(error, path) from error


class Withheld(NamedTuple):
    """What was kept back from this console: hashes of events, and of blobs."""

    events: frozenset[str]
    blobs: frozenset[str]


def withheld_here(directory: Path, counts: Counts) -> Withheld:
    """What the manifests of imported bundles say was withheld, as far as a console whose word counts here signed it."""
    events: set[str] = set()
    blobs: set[str] = set()
    manifests = sorted((directory / KEPT).glob("*.json"))[:MAX_KEPT]
    if not manifests:
        return Withheld(frozenset(), frozenset())
    with closing(connect(directory / LOG)) as db:
        # A manifest is no event: its console is believed if what it wrote here first counts.
        first = db.execute(
            f"SELECT {EVENT_COLUMNS} FROM events WHERE n IN ("  # noqa: S608
            "SELECT min(e.n) FROM events e JOIN strands s ON s.id = e.strand GROUP BY s.rep)"
        )
        consoles = {event.rep for event in map(read_row, first) if counts(event)}
    for path in manifests:
        with suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
            manifest = standalone.envelope(path.read_bytes(), signed)
            if manifest["exporter"]["rep"] in consoles:
                events.update(str(each["event"]) for each in manifest["withheld"])
                blobs.update(map(str, manifest["withheld_blobs"]))
    return Withheld(frozenset(events), frozenset(blobs))
