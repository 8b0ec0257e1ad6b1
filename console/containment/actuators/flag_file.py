"""A file of flags in flagd's format: serves the variant that stops to everybody, and what it served before again.

flagd schema v0 (https://flagd.dev/schema/v0/flags.json), as JSON. A flag stays ENABLED: of a disabled one the caller
decides by its own default. Rules of `targeting` would still serve other variants, so they are taken out; what was there is
kept in `metadata` until it is brought back. The probe asks OFREP 0.2 if it has an address, else it reads the file.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import stat
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from console.containment.actuator import Answer, Call, Declined, Reading, Unreachable
from console.containment.actuators import catalogue, template
from console.containment.actuators.api import base, segment, within
from console.containment.actuators.client import Client, Request, field, observing, planning
from console.containment.actuators.options import Access, Line, Setting
from console.refusal import Refused

MOST = 16 << 20
"""Bytes of a file of flags."""
KEPT = "warroom.before"
ORDER = "warroom.order"

Variant = Annotated[str, Meta(min_length=1, max_length=200)]


class Options(Access, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`path`: the file. `flag`: its key, with places. `stopped`, `running`: the variants that stop and let act.

    `ofrep`: where a running flagd answers, such as http://127.0.0.1:8016.
    """

    path: Annotated[str, Meta(min_length=1, max_length=4096)]
    flag: Line = "{target}"
    stopped: Variant = "off"
    running: Variant = "on"
    ofrep: Line = ""


class Actuator:
    """See `Options`."""

    def __init__(self, options: Options, setting: Setting) -> None:
        self._options = options
        self._path = setting.path(options.path)
        self._flag = template.line("flag", options.flag)
        self._client = Client(options, setting, marked=False)
        self._ofrep = base("ofrep", options.ofrep) if options.ofrep else ""
        if self._ofrep:
            self._client.check(self._ofrep)
        if options.stopped == options.running:
            raise Refused("The options `stopped` and `running` are the same variant.")
        if self._path.suffix in (".yaml", ".yml"):
            raise Refused("The option `path` names a YAML file.", "flagd reads JSON as well.")
        # One after the other in any case; and whoever holds the file up keeps no other actuator waiting.
        self._thread = ThreadPoolExecutor(1, "flag-file")
        self._lifting = catalogue.lifting()
        self.verbs = catalogue.stopping() | self._lifting

    @planning
    def plan(self, call: Call) -> str:
        """Return what would be written."""
        variant = self._options.running if call.verb in self._lifting else self._options.stopped
        return f"{self._path}: flag {self._key(call)} serves {variant!r} to everybody"

    async def apply(self, call: Call) -> Answer:
        """Write the file anew: whole or not at all, and on the disk."""
        loop = asyncio.get_running_loop()
        try:
            async with within(call):
                return await loop.run_in_executor(self._thread, self._write, call)
        except OSError as error:
            raise Unreachable(f"{self._path} cannot be written ({error.strerror}).") from None

    @observing
    async def probe(self, call: Call) -> Reading:
        """Ask what is served, or read what is in the file."""
        if self._ofrep:
            return await self._asked(call)
        try:
            flags = await asyncio.get_running_loop().run_in_executor(self._thread, self._read)
        except OSError as error:
            return Reading("unknown", f"{self._path} cannot be read ({error.strerror}).")
        flag = _flag(flags, self._key(call))
        return self._judged(
            "" if flag.get("state") != "ENABLED" or flag.get("targeting") else flag.get("defaultVariant"),
            "The file has it; no process was asked",
        )

    async def close(self) -> None:
        """Let go of connections."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        await self._client.close()

    async def _asked(self, call: Call) -> Reading:
        """OFREP: POST /ofrep/v1/evaluate/flags/{key} with a context, answered with value, variant and reason."""
        body = json.dumps({"context": {"targetingKey": call.agent or call.target}})
        address = f"{self._ofrep}/ofrep/v1/evaluate/flags/{segment(self._key(call))}"
        request = Request("POST", address, {"Content-Type": "application/json"}, body)
        reply = await self._client.ask(call, request)
        if reply.status != 200 or field(reply.value, "reason") == "DISABLED":
            said = self._client.said(reply)
            return Reading("unknown", f"OFREP answered {reply.status}: callers take their own default{said}")
        return self._judged(field(reply.value, "variant"), "OFREP says what is served")

    def _judged(self, variant: object, how: str) -> Reading:
        if variant == self._options.stopped:
            return Reading("stopped", f"{how}: {self._options.stopped}.")
        if variant == self._options.running:
            return Reading("running", f"{how}: {self._options.running}.")
        return Reading("unknown", f"{how}: neither {self._options.stopped} nor {self._options.running}.")

    def _key(self, call: Call) -> str:
        return self._flag.fill(template.values(call))

    def _read(self) -> dict[str, Any]:
        # Without blocking: a pipe that nobody writes would hold us up for ever.
        handle = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise Declined(f"{self._path} is no ordinary file.")
            raw = file.read(MOST + 1)
        try:
            value = json.loads(raw) if len(raw) <= MOST else None
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict) or not isinstance(value.get("flags"), dict):
            raise Declined(f"{self._path} is no file of flags as flagd has it.")
        return value

    def _write(self, call: Call) -> Answer:
        path = self._path.resolve()
        with _locked(path, call.timeout):
            flags = self._read()
            changed = self._changed(_flag(flags, self._key(call)), call)
            if not changed:
                return Answer(False, "The file has it already.")
            _replace(path, (json.dumps(flags, indent=2, ensure_ascii=False) + "\n").encode())
        return Answer(False, "The file is written.")

    def _changed(self, flag: dict[str, Any], call: Call) -> bool:
        """Change a flag in place. Returns whether anything had to be."""
        before = json.dumps(flag, sort_keys=True)
        metadata = flag.get("metadata")
        metadata = dict(metadata) if isinstance(metadata, dict) else {}
        if call.verb in self._lifting:
            self._bring_back(flag, metadata)
        else:
            variants = flag.get("variants")
            if not isinstance(variants, dict) or self._options.stopped not in variants:
                raise Declined(f"The flag {self._key(call)[:100]} has no variant {self._options.stopped}.")
            was = {name: flag[name] for name in ("state", "defaultVariant", "targeting") if name in flag}
            metadata.setdefault(KEPT, json.dumps(was))
            metadata.setdefault(ORDER, call.order)
            flag.pop("targeting", None)
            flag |= {"state": "ENABLED", "defaultVariant": self._options.stopped}
        flag["metadata"] = metadata
        if not metadata:
            del flag["metadata"]
        return json.dumps(flag, sort_keys=True) != before

    def _bring_back(self, flag: dict[str, Any], metadata: dict[str, Any]) -> None:
        kept = metadata.pop(KEPT, None)
        metadata.pop(ORDER, None)
        was: object = None
        if isinstance(kept, str):
            with suppress(ValueError, RecursionError):
                was = json.loads(kept)
        if isinstance(was, dict):
            flag |= {name: was[name] for name in ("state", "defaultVariant", "targeting") if name in was}
        elif flag.get("defaultVariant") == self._options.stopped:
            flag["defaultVariant"] = self._options.running


def _flag(flags: dict[str, Any], key: str) -> dict[str, Any]:
    found = flags["flags"].get(key)
    if not isinstance(found, dict):
        raise Declined(f"There is no flag {key[:100]} in the file.")
    return found


class _locked:
    """Keeps other consoles from writing at the same time (raises Unreachable when they take too long)."""

    def __init__(self, path: Path, seconds: float) -> None:
        self._place, self._seconds = path.with_name(f".{path.name}.lock"), seconds
        self._handle = -1

    def __enter__(self) -> None:
        self._handle = os.open(self._place, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        until = time.monotonic() + self._seconds
        while True:
            try:
                return fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                if time.monotonic() > until:
                    os.close(self._handle)
                    raise Unreachable(f"Somebody else holds {self._place}.") from None
                time.sleep(0.01)

    def __exit__(self, *_: object) -> None:
        os.close(self._handle)


def _replace(path: Path, content: bytes) -> None:
    """Put a file in the place of another, with its mode and owner; a reader sees the one or the other."""
    found = path.stat()
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), stat.S_IMODE(found.st_mode))
            with suppress(PermissionError):
                os.fchown(file.fileno(), found.st_uid, found.st_gid)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
    directory = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
