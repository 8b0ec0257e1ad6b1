#!/usr/bin/env python3
"""Check a sealed bundle of evidence: is it whole, unaltered, and signed by those it names?

    python3 verify.py BUNDLE.tar        or the directory that it was unpacked into

Needs Python 3.11 or newer and the `openssl` command (3.0 or newer), and nothing else: no network, no package, no
other file of the program that wrote the bundle. It writes nothing but temporary files, and believes nothing that
the bundle says of itself without checking it.

Exit code 0: everything that can be checked holds. 1: something is wrong, each finding is named. 2: it could not be
checked (no bundle, no openssl).
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import stat
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, NoReturn, Protocol

MANIFEST = "manifest.json"
PAYLOAD_TYPE = "application/vnd.warroom.bundle+json"
EVENT_DOMAIN = b"warroom event 1\n"
STRAND_DOMAIN = b"warroom strand 1\n"

MAX_MEMBERS = 1_000_000
MAX_MANIFEST = 512 * 1024 * 1024
MAX_SEGMENT = 64 * 1024 * 1024
MAX_BLOB = 256 * 1024 * 1024
MAX_EVENTS = 1000
"""Events in one segment."""
MAX_PROBLEMS = 1000
MAX_NAMED = 20
"""Consoles that do not count and are named; there is no limit to the keys that somebody can make."""

_TOP = re.compile(r"warroom-[a-z2-7]{8}", re.ASCII).fullmatch
_PLAIN = re.compile(r"[A-Za-z][a-z0-9A-Z_-]{0,40}\.(?:txt|md|json|jsonl|py)", re.ASCII).fullmatch
_SEGMENT = re.compile(
    r"segments/([a-z2-7]{26})/([0-9a-f]{32})\.([1-9][0-9]{0,15})/([0-9]{12})-([0-9]{12})-([0-9a-f]{64})\.seg",
    re.ASCII,
).fullmatch
_BLOB = re.compile(r"(?:blobs|redacted)/([0-9a-f]{2})/(\1[0-9a-f]{62})", re.ASCII).fullmatch
_HEX32 = re.compile(r"[0-9a-f]{32}", re.ASCII).fullmatch
_HEX64 = re.compile(r"[0-9a-f]{64}", re.ASCII).fullmatch

_CASE = re.compile(r"[a-z2-7]{26}", re.ASCII).fullmatch
_POLICY = re.compile(r"[a-z+]{1,40}", re.ASCII).fullmatch

Head = tuple[str, int, int, str]
"""Replica, incarnation, number and hash of the last event that a checkpoint saw of a strand."""
Signed = Callable[[bytes, bytes, bytes], bool]
"""Whether (public key, 32 bytes; message; signature, 64 bytes) fit together."""


class Unreadable(Exception):
    """This is no bundle, or it cannot be read; the message says why in one sentence."""


# -- the archive: a tar file of which every byte is fixed by the names and contents in it ----------------------


def member_header(name: str, size: int) -> bytes:
    """The 512 bytes before a file in the archive: plain ustar, one owner, one mode, one time.

    Raises:
        ValueError: The name does not fit.
    """
    raw = name.encode("ascii")
    prefix, base = b"", raw
    if len(raw) > 100:
        prefix, _, base = raw.rpartition(b"/")
    if not 0 < len(base) <= 100 or len(prefix) > 155:
        raise ValueError(f"the name {name[:200]} does not fit into an archive")
    fields = [
        base, b"0000644", b"0000000", b"0000000", b"%011o" % size,
        b"02263523000",  # 1980, the earliest that no unpacking tool complains about
        b" " * 8, b"0", b"", b"ustar\0" + b"00", b"", b"", b"0000000", b"0000000", prefix,
    ]  # fmt: skip
    form = "100s8s8s8s12s12s8s1s100s8s32s32s8s8s155s12x"
    header = bytearray(struct.pack(form, *fields))
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


END = bytes(1024)
"""After the last file."""


def padding(size: int) -> bytes:
    """What fills a file up to the next 512 bytes."""
    return bytes(-size % 512)


class Source(Protocol):
    """Where the files of a bundle are read from."""

    sizes: dict[str, int]

    def pieces(self, name: str) -> Iterator[bytes]:
        """The bytes of one file, a mebibyte at a time."""
        ...


class Archive:
    """A bundle as one file. Refuses every archive that is not written byte for byte as ours are.

    Attributes:
        sizes: Name within the bundle to size in bytes.

    Raises:
        Unreadable: It is none.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._at: dict[str, int] = {}
        self.sizes: dict[str, int] = {}
        self.top = ""
        end = file.seek(0, os.SEEK_END)
        at = 0
        while True:
            file.seek(at)
            block = file.read(512)
            if block == END[:512]:
                break
            at += 512
            name, size = self._member(block)
            if at + size > end:
                raise Unreadable(f"the archive is cut off in {name}")
            self._at[name], self.sizes[name] = at, size
            file.seek(at + size)
            if file.read(-size % 512) != padding(size):
                raise Unreadable(f"something is hidden behind {name}")
            at += size + -size % 512
        file.seek(at)
        if end - at != len(END) or file.read(len(END)) != END:
            raise Unreadable("something is hidden behind the end of the archive")

    def _member(self, block: bytes) -> tuple[str, int]:
        if len(block) < 512:
            raise Unreadable("the archive is cut off" if self._at else "this is not a bundle")
        try:
            base, prefix = (part.rstrip(b"\0").decode("ascii") for part in (block[:100], block[345:500]))
            name = f"{prefix}/{base}" if prefix else base
            size = int(block[124:135], 8)
            ours = size >= 0 and member_header(name, size) == block
        except ValueError:
            ours = False
        if not ours:
            raise Unreadable("this is not a bundle, or its archive was written by another program")
        top, _, inner = name.partition("/")
        if not _TOP(top) or (self.top and top != self.top):
            raise Unreadable("its files do not lie in one directory of the right name")
        self.top = top
        _check_name(inner)
        if inner in self._at:
            raise Unreadable(f"{inner} is in it twice")
        if len(self._at) >= MAX_MEMBERS:
            raise Unreadable(f"it holds more than {MAX_MEMBERS:,} files")
        return inner, size

    def pieces(self, name: str) -> Iterator[bytes]:
        """The bytes of one file, a mebibyte at a time."""
        at, left = self._at[name], self.sizes[name]
        while left:
            self._file.seek(at)
            piece = self._file.read(min(left, 1 << 20))
            if not piece:
                raise Unreadable(f"the archive was cut off while {name} was read")
            at, left = at + len(piece), left - len(piece)
            yield piece


class Folder:
    """A bundle that was unpacked.

    Attributes:
        sizes: Name within the bundle to size in bytes.

    Raises:
        Unreadable: It is none.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self.sizes: dict[str, int] = {}
        for directory, folders, files in os.walk(path):
            folders.sort()
            for file in sorted(
                files + [each for each in folders if os.path.islink(os.path.join(directory, each))]
            ):
                full = os.path.join(directory, file)
                name = os.path.relpath(full, path).replace(os.sep, "/")
                found = os.lstat(full)
                if not stat.S_ISREG(found.st_mode):
                    raise Unreadable(f"{name!a} is not a plain file")
                _check_name(name)
                self.sizes[name] = found.st_size

    def pieces(self, name: str) -> Iterator[bytes]:
        """The bytes of one file, a mebibyte at a time."""
        with open(os.path.join(self._path, name), "rb") as file:
            while piece := file.read(1 << 20):
                yield piece


def _check_name(name: str) -> None:
    if not (_PLAIN(name) or _SEGMENT(name) or _BLOB(name)):
        raise Unreadable(f"{ascii(name)[:200]} is no name of a file in a bundle")


def read_whole(source: Source, name: str, limit: int) -> bytes:
    """The bytes of one file.

    Raises:
        Unreadable: It is not there, or larger than `limit`.
    """
    size = source.sizes.get(name)
    if size is None:
        raise Unreadable(f"{name} is missing")
    if size > limit:
        raise Unreadable(f"{name} has {size} bytes, more than the {limit} allowed")
    return b"".join(source.pieces(name))


# -- canonical JSON and signatures -------------------------------------------------------------------------------


def _no_float(text: str) -> NoReturn:
    raise ValueError("a number is not whole")


def canonical(value: object) -> bytes:
    """The one spelling of a value: sorted keys, no white space, no needless escape."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def exact(raw: bytes) -> Any:
    """Read canonical JSON.

    Raises:
        ValueError: These bytes are another spelling, or no JSON.
    """
    try:
        value = json.loads(raw, parse_float=_no_float, parse_constant=_no_float)
        same = canonical(value) == raw
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not same:
        raise ValueError("it is not in canonical form")
    return value


def pae(kind: str, body: bytes) -> bytes:
    """What is signed of a statement (DSSE): its type and its exact bytes, each with its length before it."""
    name = kind.encode()
    return b"DSSEv1 %d %s %d %s" % (len(name), name, len(body), body)


class OpenSSL:
    """Checks Ed25519 signatures with the `openssl` command.

    Raises:
        Unreadable: There is none, or it cannot.
    """

    _KEY = bytes.fromhex("302a300506032b6570032100")
    # RFC 8032, test 2: if the command says yes to this and no to a change of it, its answers mean something.
    _TEST = (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    )

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._command = shutil.which("openssl") or ""
        public, message, signature = map(bytes.fromhex, self._TEST)
        if not self._command:
            raise Unreadable("there is no `openssl` command here, and without it no signature can be checked")
        if not self(public, message, signature) or self(public, message + b"x", signature):
            raise Unreadable("this `openssl` cannot check Ed25519 signatures; version 3.0 or newer can")

    def __call__(self, public: bytes, message: bytes, signature: bytes) -> bool:
        """Whether the three fit together."""
        pem = base64.b64encode(self._KEY + public).decode()
        parts = {
            "key.pem": f"-----BEGIN PUBLIC KEY-----\n{pem}\n-----END PUBLIC KEY-----\n".encode(),
            "message": message,
            "signature": signature,
        }
        paths = {name: os.path.join(self._directory, name) for name in parts}
        for name, raw in parts.items():
            with open(paths[name], "wb") as file:
                file.write(raw)
        verify = [self._command, "pkeyutl", "-verify", "-pubin", "-inkey", paths["key.pem"], "-rawin"]
        done = subprocess.run(
            [*verify, "-in", paths["message"], "-sigfile", paths["signature"]],
            capture_output=True,
            check=False,
        )
        return done.returncode == 0


# -- what was found ----------------------------------------------------------------------------------------------


@dataclass
class Strand:
    """The events of one writer in a row: who, where they end, and up to where others vouch for them."""

    rep: str
    inc: int
    seq: int
    hash: str
    sealed: int = 0


@dataclass
class Findings:
    """What a check found.

    Attributes:
        case: Case id.
        exporter: Who made the bundle, 32 hex digits.
        key: Their public key, 32 bytes.
        policy: What was withheld by rule.
        events: Events read.
        strands: Where each writer's events end.
        blobs: Files of evidence that are here and are what they were.
        erased: Events whose text was erased, as an entry says.
        withheld: Events whose text is kept back from this copy.
        withheld_blobs: Files that are kept back.
        absent_blobs: Files that were not to be had when the bundle was made.
        unseen: Events that a checkpoint has seen and that had not reached the exporter.
        aside: Consoles that the exporter does not count, and how many events they say they saw that are not here.
        problems: What is wrong; empty if everything holds.
    """

    case: str = ""
    exporter: str = ""
    key: bytes = b""
    policy: str = ""
    events: int = 0
    strands: list[Strand] = field(default_factory=list)
    blobs: int = 0
    erased: int = 0
    withheld: int = 0
    withheld_blobs: int = 0
    absent_blobs: int = 0
    unseen: int = 0
    aside: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def proven(self) -> list[str]:
        """What holds, in plain words."""
        lines = [
            f"The bundle is as the console {self.exporter} made and signed it: no file was changed, added or removed.",
            f"{_many(self.events, 'event')} of incident {self.case}, in unbroken chains, each chain signed by the key"
            " of the console that wrote it; no event was changed, left out, moved or put in between.",
        ]
        lines += [
            f"  console {s.rep} (incarnation {s.inc}): {_many(s.seq, 'event')}, the last one {s.hash}"
            + (f"; other consoles vouch for the first {s.sealed:,}" if s.sealed else "")
            for s in self.strands
        ]
        if self.blobs:
            lines.append(f"{_many(self.blobs, 'file')} of evidence: byte for byte what the events speak of.")
        return lines

    def unproven(self) -> list[str]:
        """What this check cannot tell, in plain words."""
        lines = [
            "Who the people are: compare the console numbers above, or the words in roster.json, with them.",
            "That the times are right: they are what each console's clock said.",
            "That what the events say is true: only that it was written so, and not changed since.",
        ]
        open_ends = sum(s.seq - s.sealed for s in self.strands)
        if open_ends:
            lines.append(
                f"That a writer did not rewrite its own newest events before anybody else saw them: no checkpoint of"
                f" another console is over {_many(open_ends, 'event')}."
            )
        if self.unseen:
            lines.append(
                f"{_many(self.unseen, 'event')} that other consoles had seen had not reached the exporter."
            )
        lines += [
            f"What console {witness} says: it is not on the exporter's roster, and saw {_many(count, 'event')} not here."
            for witness, count in sorted(self.aside.items())[:MAX_NAMED]
            if count
        ]
        if self.erased:
            lines.append(
                f"What {_many(self.erased, 'event')} said: their text was erased, as an entry of the record says."
            )
        if self.withheld:
            lines.append(
                f"What {_many(self.withheld, 'event')} said: their text is withheld from this copy. What stands in"
                " redacted.jsonl in its place is the exporter's word; the original can be compared with the commitment."
            )
        if self.withheld_blobs:
            lines.append(
                f"What is in {_many(self.withheld_blobs, 'file')} of evidence withheld from this copy."
            )
        if self.absent_blobs:
            lines.append(
                f"What is in {_many(self.absent_blobs, 'file')} of evidence that the exporter did not have."
            )
        return lines


# -- the check ---------------------------------------------------------------------------------------------------

_FIELDS = {
    "actor": str, "at": str, "body_h": str, "body_len": int, "case": (str, type(None)), "clk": str, "hlc": str,
    "inc": int, "kind": str, "prev": (str, type(None)), "refs": list, "rep": str, "role": str, "seq": int,
    "v": int, "wall": str,
}  # fmt: skip


@dataclass
class _Seen:
    """An event that was read: whose, which number, and its clock."""

    rep: str
    inc: int
    seq: int
    hlc: str


def envelope(raw: bytes, signed: Signed) -> dict[str, Any]:
    """Open the signed manifest: check its signature and return what it says.

    Raises:
        ValueError: It is not signed by the key it names, or is no manifest.
    """
    outer = json.loads(raw)
    if not isinstance(outer, dict) or outer.get("payloadType") != PAYLOAD_TYPE:
        raise ValueError("it is no manifest of a bundle")
    payload = base64.b64decode(outer["payload"], validate=True)
    (only,) = outer["signatures"]
    signature = base64.b64decode(only["sig"], validate=True)
    manifest = exact(payload)
    if not isinstance(manifest, dict) or manifest.get("v") != 1:
        raise ValueError("it is of another version than this program reads")
    public = bytes.fromhex(manifest["exporter"]["public"])
    rep = hashlib.sha256(public).hexdigest()[:32]
    if len(public) != 32 or manifest["exporter"]["rep"] != rep or only["keyid"] != rep:
        raise ValueError("its key is not that of the console it names")
    if not signed(public, pae(PAYLOAD_TYPE, payload), signature):
        raise ValueError("its signature is not valid: it was changed, or not made by the console it names")
    return manifest


class Check:
    """One check of one bundle; `findings` holds the result."""

    def __init__(self, source: Source, signed: Signed) -> None:
        self.findings = Findings()
        self._source = source
        self._signed = signed
        self._events: dict[bytes, _Seen] = {}
        self._followed: set[bytes] = set()
        self._bare: dict[str, str] = {}
        self._erased: set[str] = set()
        self._checkpoints: list[tuple[str, str, list[Head]]] = []
        self._refs: dict[str, dict[int, set[str]]] = {}
        self._aside: frozenset[str] = frozenset()

    def problem(self, text: str) -> None:
        """Note that something is wrong."""
        if len(self.findings.problems) < MAX_PROBLEMS:
            self.findings.problems.append(text)

    def run(self) -> Findings:
        """Check everything.

        Raises:
            Unreadable: It is no bundle.
        """
        raw = read_whole(self._source, MANIFEST, MAX_MANIFEST)
        try:
            manifest = envelope(raw, self._signed)
            files = {
                str(each["path"]): (int(each["size"]), str(each["sha256"])) for each in manifest["files"]
            }
            self.findings.case, self.findings.policy = manifest["case"], manifest["policy"]
            self.findings.exporter = manifest["exporter"]["rep"]
            self.findings.key = bytes.fromhex(manifest["exporter"]["public"])
            if not _CASE(manifest["case"]) or not _POLICY(manifest["policy"]):
                raise ValueError("its case or its policy is not spelled as they are")
            withheld = {each["event"]: each["commitment"] for each in manifest["withheld"]}
            kept_back, absent = set(manifest["withheld_blobs"]), set(manifest["absent_blobs"])
            ends = {(s["rep"], s["inc"], s["seq"], s["hash"]) for s in manifest["strands"]}
            # Whom the exporter counts is the exporter's word, as the roster is; what was left aside is told.
            self._aside = frozenset(map(str, manifest.get("aside", ())))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            self.problem(f"{MANIFEST}: {_said(error)}")
            return self.findings
        self._files(files)
        for name in sorted((name for name in files if _SEGMENT(name)), key=in_order):
            if name in self._source.sizes:
                try:
                    self._segment(name)
                except (ValueError, KeyError, TypeError, RecursionError) as error:
                    self.problem(f"{name}: {_said(error)}")
        self.findings.events = len(self._events)
        self._strands(ends)
        self._bodies(withheld)
        self._blobs(kept_back, absent)
        self._witnesses()
        if "redacted.jsonl" in files:
            self._renderings(withheld)
        return self.findings

    def _files(self, files: dict[str, tuple[int, str]]) -> None:
        for name in sorted(self._source.sizes.keys() - files.keys() - {MANIFEST}):
            self.problem(f"{name}: it is not in the manifest, so nobody vouches for it")
        for name, (size, digest) in sorted(files.items()):
            if name not in self._source.sizes:
                self.problem(f"{ascii(name)[:200]}: it is in the manifest, and missing here")
                continue
            found = hashlib.sha256()
            for piece in self._source.pieces(name):
                found.update(piece)
            if self._source.sizes[name] != size or found.hexdigest() != digest:
                self.problem(f"{name}: it is not the file that the manifest vouches for")

    def _segment(self, name: str) -> None:
        case, rep, inc, first, last, digest = _named(name)
        raw = read_whole(self._source, name, MAX_SEGMENT)
        if hashlib.sha256(raw).hexdigest() != digest:
            raise ValueError("its bytes are not those that its name was made of")
        lines = raw.split(b"\n")
        if lines.pop() or not 2 <= len(lines) <= MAX_EVENTS + 1:
            raise ValueError("it is cut off, or holds no event, or too many")
        head = exact(lines[0])
        public, signature = bytes.fromhex(head["public"]), bytes.fromhex(head["signature"])
        told = (head["v"], head["case"], head["rep"], head["inc"], head["first"], head["last"], head["count"])
        if told != (1, case, rep, int(inc), int(first), int(last), len(lines) - 1):
            raise ValueError("its first line contradicts its name or what it holds")
        if case != self.findings.case:
            raise ValueError("it belongs to another incident")
        if hashlib.sha256(public).hexdigest()[:32] != rep:
            raise ValueError("its public key is not that of the console it names")
        before = b""
        for number, line in enumerate(lines[1:], int(first)):
            before = self._event(line, number, rep, int(inc), before)
        if not self._signed(public, STRAND_DOMAIN + before, signature):
            raise ValueError("its signature is not one by the console it names")

    def _event(self, line: bytes, number: int, rep: str, inc: int, before: bytes) -> bytes:
        where = f"event {number}"
        raw, salt_hex, body = line.split(b"\t", 2)
        header = exact(raw)
        if header.keys() != _FIELDS.keys() or not all(isinstance(header[k], t) for k, t in _FIELDS.items()):  # type: ignore[arg-type]
            raise ValueError(f"{where}: its header is not that of an event")
        digest = hashlib.sha256(EVENT_DOMAIN + raw).digest()
        if digest in self._events:
            raise ValueError(f"{where}: it is here twice")
        if (header["v"], header["rep"], header["inc"], header["seq"]) != (1, rep, inc, number):
            raise ValueError(f"{where}: it belongs elsewhere")
        founding = header["case"] is None
        case = base64.b32encode(digest).decode().lower()[:26] if founding else header["case"]
        if case != self.findings.case or (founding and (number != 1 or header["prev"] is not None)):
            raise ValueError(f"{where}: it belongs to another incident")
        if number == 1:
            if header["prev"] is not None:
                raise ValueError(f"{where}: it is the first of its strand, and says that it follows another")
        else:
            follows = bytes.fromhex(header["prev"] or "")
            seen = self._events.get(follows)
            if (before and follows != before) or seen is None:
                raise ValueError(f"{where}: it does not hold on to the event before it")
            if (seen.rep, seen.inc, seen.seq) != (rep, inc, number - 1) or header["hlc"] <= seen.hlc:
                raise ValueError(f"{where}: it does not follow the event that it holds on to")
            self._followed.add(follows)
        self._body(where, header, digest.hex(), bytes.fromhex(salt_hex.decode("ascii")), body)
        self._events[digest] = _Seen(rep, inc, number, header["hlc"])
        return digest

    def _body(self, where: str, header: dict[str, Any], digest: str, salt: bytes, body: bytes) -> None:
        for ref in header["refs"]:
            self._refs.setdefault(ref["sha256"], {}).setdefault(ref["size"], set()).add(digest)
        if not salt and not body:
            self._bare[digest] = header["body_h"]
            return
        fits = hashlib.sha256(salt + body).hexdigest() == header["body_h"]
        if len(salt) != 16 or len(body) != header["body_len"] or not fits:
            raise ValueError(f"{where}: its text is not the one that its header vouches for")
        value = exact(body)
        if header["kind"] == "record.checkpoint":
            self._checkpoints.append((digest, header["rep"], _heads(value)))
        elif header["kind"] == "record.erased" and digest not in self._aside:
            self._erased.update(_targets(value))

    def _strands(self, ends: set[tuple[str, int, int, str]]) -> None:
        found = {
            (seen.rep, seen.inc, seen.seq, digest.hex())
            for digest, seen in self._events.items()
            if digest not in self._followed
        }
        for rep, inc, seq, digest in sorted(ends - found, key=repr):
            self.problem(f"console {rep!a}.{inc!a} should end with event {seq!a}, {digest!a}, and does not")
        for rep, inc, seq, digest in sorted(found - ends):
            self.problem(
                f"console {rep}.{inc} ends with event {seq}, {digest}, which the manifest does not say"
            )
        self.findings.strands = [Strand(*end) for end in sorted(found)]
        if not any(seen.seq == 1 and self._founds(digest) for digest, seen in self._events.items()):
            self.problem("the event that founded the incident is not here")

    def _founds(self, digest: bytes) -> bool:
        return base64.b32encode(digest).decode().lower()[:26] == self.findings.case

    def _bodies(self, withheld: dict[str, str]) -> None:
        for digest, promised in self._bare.items():
            if digest in self._erased:
                self.findings.erased += 1
            elif withheld.get(digest) == promised:
                self.findings.withheld += 1
            else:
                self.problem(f"event {digest}: its text is missing, and neither erased nor withheld")

    def _blobs(self, kept_back: set[str], absent: set[str]) -> None:
        gone = self._erased & self._bare.keys()
        for digest, sizes in sorted(self._refs.items()):
            name = f"blobs/{digest[:2]}/{digest}"
            if name in self._source.sizes:
                found = hashlib.sha256()
                for piece in self._source.pieces(name):
                    found.update(piece)
                # An event that gives another size speaks of nothing; those that give this one speak of the file.
                if found.hexdigest() != digest or self._source.sizes[name] not in sizes:
                    self.problem(f"{name}: it is not the file that an event speaks of")
                else:
                    self.findings.blobs += 1
            elif digest in kept_back:
                self.findings.withheld_blobs += 1
            elif digest in absent:
                self.findings.absent_blobs += 1
            elif not set().union(*sizes.values()) <= gone:
                self.problem(f"{name}: an event speaks of it, and it is missing")
        for name in self._source.sizes:
            if name.startswith("blobs/") and name.rpartition("/")[2] not in self._refs:
                self.problem(f"{name}: no event speaks of it")

    def _witnesses(self) -> None:
        reached: dict[tuple[str, int], int] = {}
        for seen in self._events.values():
            reached[seen.rep, seen.inc] = max(reached.get((seen.rep, seen.inc), 0), seen.seq)
        sealed: dict[tuple[str, int], int] = {}
        unseen: dict[tuple[str, int], int] = {}
        for event, witness, heads in self._checkpoints:
            if event in self._aside:
                unlike = {head for head in heads if not self._holds(*head)}
                self.findings.aside[witness] = self.findings.aside.get(witness, 0) + len(unlike)
                continue
            for rep, inc, seq, digest in heads:
                key = (rep, inc)
                if self._holds(rep, inc, seq, digest):
                    if rep != witness:
                        sealed[key] = max(sealed.get(key, 0), seq)
                    continue
                who = f"console {witness} saw event {seq} of console {rep}.{inc}"
                if reached.get(key, 0) >= seq:
                    self.problem(f"{who} as another one than the one that is here: history was rewritten")
                elif rep in (witness, self.findings.exporter):
                    self.problem(f"{who}, and here they end with {reached.get(key, 0)}: the end was cut off")
                else:
                    unseen[key] = max(unseen.get(key, 0), seq - reached.get(key, 0))
        for strand in self.findings.strands:
            strand.sealed = min(sealed.get((strand.rep, strand.inc), 0), strand.seq)
        self.findings.unseen = sum(unseen.values())

    def _holds(self, rep: str, inc: int, seq: int, digest: str) -> bool:
        here = self._events.get(bytes.fromhex(digest))
        return here is not None and (here.rep, here.inc, here.seq) == (rep, inc, seq)

    def _renderings(self, withheld: dict[str, str]) -> None:
        try:
            for line in read_whole(self._source, "redacted.jsonl", MAX_MANIFEST).splitlines():
                each = exact(line)
                if withheld.get(each["event"]) != each["commitment"]:
                    self.problem(f"redacted.jsonl: {ascii(each['event'])[:80]} is not withheld here")
        except (Unreadable, ValueError, KeyError, TypeError, RecursionError) as error:
            self.problem(f"redacted.jsonl: {_said(error)}")


def _named(name: str) -> tuple[str, ...]:
    found = _SEGMENT(name)
    if found is None:
        raise ValueError("its name is not that of a segment")
    return found.groups()


def in_order(name: str) -> tuple[str, int, int, str]:
    """Sorts the names of segments so that each comes after the one that it goes on from."""
    _, rep, inc, first, _, _ = _named(name)
    return (rep, int(inc), int(first), name)


def _heads(value: dict[str, Any]) -> list[Head]:
    """What a checkpoint saw; nothing if it cannot be read, for it may come from anybody."""
    try:
        heads = [(each["rep"], each["inc"], each["seq"], each["hash"]) for each in value["heads"]]
    except (KeyError, TypeError):
        return []
    good = all(
        isinstance(rep, str) and _HEX32(rep) and type(inc) is int and type(seq) is int and isinstance(digest, str)
        and _HEX64(digest)
        for rep, inc, seq, digest in heads
    )  # fmt: skip
    return heads if good else []


def _targets(value: Any) -> list[str]:
    """What an erasure names; nothing if it cannot be read, for it may come from anybody."""
    targets = value.get("targets") if isinstance(value, dict) else None
    return [each for each in targets if isinstance(each, str)] if isinstance(targets, list) else []


def _many(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def _said(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"it has no {ascii(error.args[0])[:80]}"
    return ascii(str(error))[1:-1][:400]


def check(path: str, signed: Signed) -> Findings:
    """Check a bundle, packed or unpacked.

    Args:
        path: The archive, or the directory that it was unpacked into.
        signed: Checks a signature.

    Raises:
        Unreadable: It is no bundle.
        OSError: It cannot be read.
    """
    if os.path.isdir(path):
        return Check(Folder(path), signed).run()
    # O_NONBLOCK: opening a FIFO must not wait for ever.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise Unreadable("it is not a plain file")
        return Check(Archive(file), signed).run()


def main(arguments: list[str]) -> int:
    """Check the bundle that is named, print what was found, and return the exit code."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print(__doc__)
        return 0 if arguments in (["-h"], ["--help"]) else 2
    try:
        with tempfile.TemporaryDirectory() as scratch:
            found = check(arguments[0], OpenSSL(scratch))
    except (Unreadable, OSError) as error:
        print(f"CANNOT BE CHECKED: {ascii(str(error))[1:-1]}.", file=sys.stderr)
        return 2
    if not found.sound:
        print(f"NOT SOUND: {_many(len(found.problems), 'finding')}.")
        for problem in found.problems:
            print(f"  {problem}")
        print("Keep this file as it is, and ask whoever gave it to you for another copy.")
        return 1
    print("SOUND. What this proves:")
    for line in found.proven():
        print(f"  {line}")
    print("What it does not prove:")
    for line in found.unproven():
        print(f"  {line}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
