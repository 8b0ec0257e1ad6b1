"""The parent of a fleet: starts its processes, watches over them, and leaves none behind.

The parent has one thread and imports little, so that a fork is cheap and safe. Every child holds the reading end of a
pipe that only the parent can write to, and goes when it closes; on Linux the kernel also ends them with the parent.
"""

from __future__ import annotations

import ctypes
import fcntl
import gc
import json
import os
import resource
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from secrets import token_hex
from threading import Thread
from typing import NoReturn

from console.fleet import agent, configuration, http, services, systems, tally, tools, undo
from console.fleet.plan import Plan
from console.fleet.tally import Tally

LOCK = "fleet.pid"
"""File with the id of the parent, who holds its lock while it lives."""
READY = "ready"
"""File that says how long the start took, once every agent acts."""
STEP = 0.2
"""Seconds between two looks at the children."""
PATIENCE = 5.0
"""Seconds that children get to finish what they do, until they are killed."""
_DEATH_SIGNAL = 1
"""PR_SET_PDEATHSIG of Linux."""


class Busy(Exception):
    """A fleet runs in this directory already."""


def running(root: Path) -> int:
    """Return the process id of the fleet's parent; 0 when none runs."""
    try:
        with (root / LOCK).open("r+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return int(file.read() or 0)
    except (OSError, ValueError):
        pass
    return 0


@contextmanager
def claim(root: Path) -> Iterator[None]:
    """Hold the fleet's directory.

    Raises:
        Busy: somebody else does.
    """
    with (root / LOCK).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Busy from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


class Yard:
    """A running fleet; `run` returns when it was told to end.

    Args:
        root: the fleet's directory, which has a plan.
        say: takes a line for people.
    """

    def __init__(self, root: Path, say: Callable[[str], None]) -> None:
        self._root, self._say = root, say
        self._plan = Plan.load(root)
        self._children: dict[int, str] = {}
        self._ports: dict[str, int] = {}
        self._waiting = {row for row, each in enumerate(self._plan.agents) if each.behaviour == "late"}
        self._halted_at = 0.0

    def run(self) -> None:
        """Start everything, go on until SIGINT, SIGTERM or SIGHUP, and end everything."""
        begun = time.monotonic()
        _more_files()
        root, plan = self._root, self._plan
        with claim(root), _signals() as told:
            self._life, self._pulse = os.pipe()
            try:
                self._prepare()
                service = http.listen()
                _write(root / http.ADDRESS, "{}:{}".format(*service.getsockname()))
                # What is there by now is shared by all children, not copied by the first collection in each.
                gc.freeze()
                self._fork("services", lambda: _serve(root, plan, self._tally, service, self._life))
                service.close()
                for row in range(len(plan.agents)):
                    if row not in self._waiting:
                        self._start(row)
                self._tell()
                configuration.write(root, plan)
                self._until(told, lambda: self._up() == len(plan.agents) - len(self._waiting))
                up = f"{self._up()} agents act after {time.monotonic() - begun:.1f} s; services at http://"
                _write(root / READY, up + (root / http.ADDRESS).read_text())
                self._say((root / READY).read_text())
                self._until(told, lambda: False)
            finally:
                (root / READY).unlink(missing_ok=True)
                os.close(self._pulse)
                self._end()

    def _prepare(self) -> None:
        root = self._root
        (root / READY).unlink(missing_ok=True)
        systems.prepare(root)
        undo.write(root)
        _write(root / http.TOKEN, token_hex(16))
        tools.set_halted(root, set())
        if self._plan.warden:
            import_module("console.guard")  # once here, instead of in every agent
        configuration.past(root, self._plan)
        self._tally = Tally(root / tally.FILE, len(self._plan.agents))

    def _start(self, row: int) -> None:
        plan, name = self._plan, self._plan.agents[row].name
        listener = None if plan.agents[row].behaviour == "deaf" else http.listen()
        self._fork(name, lambda: agent.run(self._root, plan, row, self._tally, listener, self._life))
        if listener is not None:
            self._ports[name] = listener.getsockname()[1]
            listener.close()

    def _tell(self) -> None:
        """Say who is there: for the services, and for the configuration's points."""
        _write(self._root / services.PORTS, json.dumps(self._ports))
        started = [each.name for row, each in enumerate(self._plan.agents) if row not in self._waiting]
        configuration.targets(self._root, self._plan, started, self._ports)

    def _fork(self, name: str, be: Callable[[], None]) -> None:
        parent = os.getpid()
        child = os.fork()
        if child:
            self._children[child] = name
            return
        code = 1
        try:
            os.close(self._pulse)
            _die_with(parent)
            for number in (signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)  # Ctrl+C is for the parent, which ends everybody
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.set_wakeup_fd(-1)
            be()
            code = 0
        except BaseException as error:
            print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        finally:
            os._exit(code)

    def _until(self, told: int, done: Callable[[], bool]) -> None:
        """Watch over the children until `done`, or until a signal says to end."""
        while not done():
            if select.select([told], [], [], STEP)[0]:
                raise SystemExit(0)
            self._reap()
            self._late()

    def _reap(self) -> None:
        while self._children:
            child, status = os.waitpid(-1, os.WNOHANG)
            if not child:
                return
            name = self._children.pop(child)
            self._say(f"{name} ended by itself ({os.waitstatus_to_exitcode(status)})")
            for row, each in enumerate(self._plan.agents):
                if each.name == name:
                    self._tally.move(row, "ended")

    def _late(self) -> None:
        """Start those that come late, some time after the first halt."""
        if not self._waiting:
            return
        if not self._halted_at:
            if any(self._tally[row].state == "halted" for row in range(self._tally.rows)):
                self._halted_at = time.monotonic()
        elif time.monotonic() > self._halted_at + self._plan.late_after:
            for row in sorted(self._waiting):
                self._start(row)
            self._waiting.clear()
            self._tell()

    def _up(self) -> int:
        return sum(self._tally[row].state in ("running", "halted") for row in range(self._tally.rows))

    def _end(self) -> None:
        ends = time.monotonic() + PATIENCE
        while self._children and time.monotonic() < ends:
            child, _ = os.waitpid(-1, os.WNOHANG)
            if child:
                del self._children[child]
            else:
                time.sleep(0.01)
        for child in self._children:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        self._children.clear()


def _serve(root: Path, plan: Plan, counters: Tally, listener: socket.socket, life: int) -> None:
    """Be the process with the fleet's services."""
    made = services.Services(root, plan, counters)
    Thread(
        target=http.serve, args=(listener, (root / http.TOKEN).read_text(), made.answer), daemon=True
    ).start()
    Thread(target=made.queue.run, daemon=True).start()
    select.select([life], [], [])


@contextmanager
def _signals() -> Iterator[int]:
    """Turn the signals that end a fleet into something to wait for: a file descriptor that becomes readable."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    before = {
        number: signal.signal(number, lambda number, frame: None)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    signal.set_wakeup_fd(writing)
    try:
        yield reading
    finally:
        signal.set_wakeup_fd(-1)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(reading)
        os.close(writing)


def _die_with(parent: int) -> None:
    """Let the kernel kill this process with its parent, where it can; the pipe does it everywhere else."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)  # it was gone before that


def _more_files() -> None:
    """Allow as many open files as the system lets."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _write(path: Path, text: str) -> None:
    """Replace a file that only its owner reads."""
    temporary = path.with_name(f"{path.name}.new")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    temporary.replace(path)


def main(root: Path) -> NoReturn:
    """Run the fleet of a directory in the foreground."""
    try:
        Yard(root, lambda line: print(line, file=sys.stderr, flush=True)).run()
    except Busy:
        print(f"a fleet runs in {root} already", file=sys.stderr)
        sys.exit(3)
    sys.exit(0)
