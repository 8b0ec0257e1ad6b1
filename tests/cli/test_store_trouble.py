"""A store that is full or may not be written: one sentence, and what is on the record stays there."""

import ctypes
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from tests.cli.conftest import Done, Warroom

PR_CAPBSET_DROP = 24
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2


def limited(warroom: Warroom, limit: Callable[[], None], *arguments: str) -> Done:
    """Run a command in a process that `limit` was applied to before it began."""
    done = subprocess.run(
        [*warroom.command, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd="/",
        env=warroom.environment,
        preexec_fn=limit,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def texts(warroom: Warroom) -> list[str]:
    return [line["text"] for line in warroom.ok("log", "--json").values]


def test_a_full_disk_is_said_and_costs_nothing_that_was_saved(declared: Warroom) -> None:
    declared.quick("note", "saved before")

    def no_room() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024, resource.RLIM_INFINITY))

    # Two lines, white space and a secret: what its author typed comes back as it was, not cleaned and not masked.
    text = "x" * 9000 + "\n\n  then\tit printed api_key=9f8a7b6c5d4e, at 10 °C"
    full = limited(declared, no_room, "note", text)
    assert full.code == 4, full
    back, complaint = full.err.rstrip("\n").rsplit("\n", 1)
    assert back == f"warroom: this is not on the record:\n{text}"
    assert complaint.startswith("warroom: ")
    assert "Traceback" not in complaint
    assert len(complaint) < 1000
    declared.ok("note", "saved after")
    assert [text for text in texts(declared) if text.startswith("saved")] == ["saved before", "saved after"]
    assert "sound" in declared.ok("verify").out


def obey_permissions() -> None:
    """Give up root's right to write everywhere, from the next `exec` on; others never had it."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None)
        for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
            libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)


@pytest.fixture
def read_only(declared: Warroom) -> Iterator[Warroom]:
    """A home with an entry on its record that may be read and not be written."""
    declared.quick("note", "saved before")
    paths = [declared.home, *declared.home.rglob("*")]
    modes = {path: path.stat().st_mode for path in paths}
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    probe = [sys.executable, "-c", f"open({str(declared.home / 'home.json')!r}, 'a')"]
    able = subprocess.run(probe, stderr=subprocess.DEVNULL, check=False, preexec_fn=obey_permissions)
    try:
        if able.returncode == 0:
            pytest.skip("this user may write everywhere, and cannot give that up")
        yield declared
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


def test_a_record_that_may_only_be_read_can_be_read(read_only: Warroom) -> None:
    for command in (["log"], ["show"], ["export"], ["verify"], ["incidents"]):
        read = limited(read_only, obey_permissions, *command)
        assert read.code == 0, read
        assert command[0] in ("verify", "show", "incidents") or "saved before" in read.out


def test_a_record_that_may_only_be_read_takes_nothing_and_says_so(read_only: Warroom) -> None:
    for command in (["note", "not saved"], ["tick", "severity"], ["declare", "another one"]):
        refused = limited(read_only, obey_permissions, *command)
        assert refused.code == 4, refused
        assert refused.err.startswith("warroom: ")
        # What somebody wrote comes back before the one sentence.
        written = ["warroom: this is not on the record:", "not saved"] if command[0] == "note" else []
        assert refused.err.splitlines()[:-1] == written
    assert "not saved" not in limited(read_only, obey_permissions, "log").out
