"""The watcher: takes telemetry in, runs the tripwires, puts alerts on its own case.

It is a process of its own, so that no load of telemetry ever reaches the screen. The console starts one as a
child when none runs; a team runs one under its service manager.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import signal
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic
from typing import TypeVar

from msgspec.structs import replace

from console.config import Config, inventory, load, rules
from console.config import Intake as IntakeSettings
from console.events import WatchFounded, WatchStarted, WatchStopped, entry
from console.evidence.window import NAME as WINDOW
from console.evidence.window import Window
from console.plain import visible
from console.refusal import Refused
from console.telemetry.attribution import Attribution
from console.telemetry.intake import Intake, Taken
from console.telemetry.otlp import Content
from console.telemetry.otlp_record import Signal
from console.telemetry.refused import RefusedStore
from console.timeline import project
from console.tripwires.engine import Engine
from console.tripwires.rules import COST_RATE
from console.watching import status
from console.watching.baselines import NAME as BASELINES
from console.watching.baselines import Baselines, Saved
from console.watching.detection import ACTOR, Detection
from console.watching.door import TOKEN, listen
from console.watching.following import TICK, Failing, Following
from console.watching.garbage import seldom
from console.watching.journal import NAME as JOURNAL
from console.watching.journal import Journal
from console.watching.otlp_feed import OtlpFeed
from console.watching.replay import watch_until_end
from console.watching.sources import FileSource, Source, StdinSource
from console.watching.steady import Steady
from data.case import Case, found
from data.home import Home
from data.lock import Lock
from data.trouble import StoreTrouble

__all__ = ["Watcher", "main", "run", "watch_until_end"]

Say = Callable[[str], None]
T = TypeVar("T")


def run(
    home: Home,
    config: Config,
    *,
    files: Sequence[Path] = (),
    stdin: bool = False,
    services: Mapping[str, str] | None = None,
    child_of: int | None = None,
    say: Say | None = None,
) -> None:
    """Watch until told to stop: SIGTERM, SIGINT, or the end of the parent.

    Args:
        home: whose clock it goes by and where its case is.
        config: rules, inventory, intake and sources.
        files: files of actions to follow, besides those of the configuration.
        stdin: whether actions come on standard input too.
        services: agent by service name, for telemetry that names no agent; None = as configured.
        child_of: a file descriptor whose other end the parent holds; the watcher ends when it is closed.
        say: takes messages for people, one line each; None = standard error.

    Raises:
        Refused: another watcher runs on this home.
        StoreTrouble: the watcher's case cannot be opened.
    """
    seldom()
    watcher = Watcher(home, config, files=files, stdin=stdin, services=services, say=say)
    try:
        asyncio.run(watcher.watch(child_of))
    finally:
        watcher.close()


class Watcher:
    """One watcher on one home; `watch` runs it. The arguments are those of `run`.

    Raises:
        Refused: another watcher runs on this home.
        StoreTrouble: the watcher's case cannot be opened.
    """

    def __init__(
        self,
        home: Home,
        config: Config,
        *,
        files: Sequence[Path] = (),
        stdin: bool = False,
        services: Mapping[str, str] | None = None,
        say: Say | None = None,
    ) -> None:
        self._home = home
        # The time of a drill is made, and leaps at nobody's mistake.
        self._clock = home.clock if home.mode == "drill" else Steady(home.clock)
        if home.mode == "drill":
            # Whichever configuration a drill is opened with: nothing that real agents send may end up in it.
            config = replace(config, intake=IntakeSettings(enabled=False), source=())
        self._config = config
        self._directory = home.watch_dir
        self._say = say or _to_stderr
        self._case: Case = found(
            home, entry(WatchFounded(home.mode), ACTOR), project, directory=self._directory
        )
        self._lock = self._take_lock()
        self._stop = asyncio.Event()
        self._why = "told to stop"
        self._started_at = self._clock.now()
        self._addresses: list[str] = []
        self._port = 0
        self._complaints: set[str] = set()
        self._known = False
        """Whether the tripwires go on from a snapshot, and sources therefore from their positions."""
        self._states: dict[str, int] = {}
        self._count_after = 0.0
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="detection")
        self._senders = status.Senders()
        self._notes: list[str] = []
        self._beat = Failing("The watcher's beat")
        try:
            self._restore(services or config.services)
            self._followings = [
                Following(
                    source,
                    self._senders.of(source.kind, source.name),
                    self._detection,
                    self._clock,
                    self._in_detection,
                )
                for source in self._open_sources(files, stdin)
            ]
        except (OSError, sqlite3.Error) as error:
            self.close()
            raise StoreTrouble(
                f"The watcher cannot write under {self._directory} ({error}).",
                "It would forget its baselines and what it accepted when it restarts, so it does not start.",
                "Free space or correct the permissions there, and start it again.",
            ) from error
        except BaseException:
            self.close()
            raise

    def _take_lock(self) -> Lock:
        path = self._directory / status.LOCK
        try:
            lock = Lock.take(path)
        except OSError as error:
            self._case.close()
            raise StoreTrouble(
                f"{path} cannot be opened ({error.strerror}).",
                "Without it, two watchers could count the same telemetry twice.",
                "Correct the permissions of the directory, and start the watcher again.",
            ) from error
        if lock is None:
            self._case.close()
            holder = status.running(self._directory)
            who = f" (process {holder.pid})" if holder and holder.pid else ""
            raise Refused(
                f"A watcher already runs on {self._home.path}{who}.",
                "Use that one, or stop it first; `warroom doctor` shows what it receives.",
            )
        return lock

    def _restore(self, services: Mapping[str, str]) -> None:
        directory = self._directory
        self._baselines = Baselines(directory / BASELINES)
        if self._baselines.damaged:
            self._note(f"{self._baselines.damaged}; the tripwires learn again from the sources")
        saved = self._baselines.load()
        engine = self._engine(saved)
        self._attribution = Attribution(services)
        self._refused = RefusedStore(directory / "refused.db", lambda *told: self._detection.told(*told))
        self._detection = Detection(
            engine,
            self._case,
            self._clock,
            Journal(directory / JOURNAL, saved.journal if saved else 1),
            self._baselines,
            self._refused,
            self._attribution,
            self._window(),
        )
        if saved and self._known:
            self._detection.positions = dict(saved.positions)
            self._detection.saved_at = saved.at
            self._attribution.load(saved.attribution)
        if recovered := self._detection.recover():
            self._note(f"{recovered} actions accepted before the last end were read again")

    def _window(self) -> Window | None:
        settings = self._config.window
        if not settings.enabled:
            return None
        most = settings.max_mib * 2**20
        return Window(self._directory / WINDOW, self._clock, most=most, keep=settings.keep)

    def _engine(self, saved: Saved | None) -> Engine:
        wanted, declared = rules(self._config), inventory(self._config)
        if saved is not None:
            try:
                engine = Engine.restore(wanted, declared, saved.engine)
                self._known = True
                return engine
            except Refused as refused:
                self._note(f"{refused.what} The tripwires learn again from the sources".rstrip("."))
        return Engine(wanted, declared)

    def _open_sources(self, files: Sequence[Path], stdin: bool) -> list[Source]:
        paths = [Path(each.path).expanduser() for each in self._config.source]
        paths += files
        sources: list[Source] = [
            FileSource(path.absolute(), self._detection.positions) for path in dict.fromkeys(paths)
        ]
        if stdin:
            sources.append(StdinSource())
        return sources

    async def watch(self, child_of: int | None = None) -> None:
        """Watch until told to stop; see `run` for `child_of`. Leaves everything written."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop, signal.Signals(number).name)
        if child_of is not None:
            loop.add_reader(child_of, self._parent, child_of)
        intake = None
        tasks: list[asyncio.Task[None]] = []
        try:
            intake = await self._listen()
            names = (*self._addresses, *(each.source.name for each in self._followings))
            self._started(names)
            tasks = [asyncio.create_task(each.run()) for each in self._followings]
            tasks.append(asyncio.create_task(self._tick()))
            tasks.append(asyncio.create_task(self._stopped()))
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            while not self._stop.is_set() and not any(task.exception() for task in done):
                # A source that has come to its end, such as standard input, does not end the watch.
                tasks = [task for task in tasks if not task.done()]
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)
            if child_of is not None:
                loop.remove_reader(child_of)
            if intake is not None:
                await intake.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for each in self._followings:
                each.source.close()
            await self._in_detection(self._finish)

    def stop(self, why: str = "told to stop") -> None:
        """End the watch in good order."""
        self._why = why
        self._stop.set()

    def close(self) -> None:
        """Give everything back; idempotent."""
        self._pool.shutdown()
        for name in ("_detection", "_refused", "_baselines"):
            if (part := getattr(self, name, None)) is not None:
                part.close()
        self._case.close()
        self._lock.release()

    async def _listen(self) -> Intake | None:
        if not self._config.intake.enabled:
            return None
        feed = OtlpFeed(self._detection, self._attribution, self._senders, self._clock.now)
        door = self._senders.of("otlp", "(at the door)")
        loop = asyncio.get_running_loop()

        async def sink(body: bytes, signal: Signal, content: Content) -> Taken:
            return await loop.run_in_executor(self._pool, feed.take, body, signal, content)

        def refuse(reason: str, raw: bytes) -> None:
            door.last_seen = self._clock.now()
            self._pool.submit(self._detection.refuse, door, reason, raw)

        intake = await listen(self._directory, self._config.intake, sink, refuse, self._note)
        if intake is not None:
            self._addresses, self._port = intake.addresses, intake.port
            self._say(f"OTLP at {' and '.join(intake.addresses)}, token in {self._directory / TOKEN}")
        return intake

    async def _tick(self) -> None:
        while True:
            pause = TICK
            try:
                await self._in_detection(self._turn)
                self._beat.worked()
            except Exception as error:  # whatever it is, the sources must be read on
                pause = self._beat.failed(error)
                self._complain(self._beat.trouble)
            await asyncio.sleep(pause)

    def _turn(self) -> None:
        if not any(each.behind for each in self._followings):
            self._detection.advance()
        self._detection.settle()
        self._write_status(self._addresses)

    async def _stopped(self) -> None:
        await self._stop.wait()

    def _parent(self, pipe: int) -> None:
        if not os.read(pipe, 4096):
            self.stop("the console that started it ended")

    def _started(self, sources: Iterable[str]) -> None:
        names = tuple(name[:512] for name in sources)
        body = WatchStarted(self._detection.engine.rules.version, names, ". ".join(self._notes)[:4000])
        self._case.append(entry(body, ACTOR))
        self._say(f"watching {self._home.path}: {', '.join(names) or 'no source of telemetry'}")

    def _finish(self) -> None:
        # What is said last must be on the record before the snapshot, or the snapshot would not be taken.
        self._detection.settle()
        self._detection.wait(5.0)
        self._detection.settle(save=True)
        self._write_status([])
        try:
            self._case.append(entry(WatchStopped(self._why), ACTOR)).result(5.0)
        except (StoreTrouble, TimeoutError):
            self._say("the end of the watch could not be put on the record")

    def _write_status(self, addresses: list[str]) -> None:
        if monotonic() >= self._count_after:
            started = monotonic()
            self._states = dict(Counter(agent.state for agent in self._detection.engine.agents()))
            # Looking at a hundred thousand agents takes time that detection should have most of.
            self._count_after = monotonic() + 20 * (monotonic() - started)
        trouble = self._trouble()
        for sentence in trouble:
            self._complain(sentence)
        said = status.Status(
            pid=os.getpid(),
            started_at=self._started_at,
            at=self._clock.now(),
            addresses=addresses,
            port=self._port,
            senders=self._senders.all(),
            agents=self._states,
            blind=self._blind(),
            journal_bytes=self._detection.journal_bytes,
            saved_at=self._detection.saved_at,
            trouble=[*self._notes, *trouble],
        )
        try:
            status.write(self._directory, said)
        except OSError as error:
            self._complain(f"{status.NAME} cannot be written ({error.strerror})")

    def _trouble(self) -> list[str]:
        """Return what is wrong now, one sentence each."""
        found = [self._beat.trouble, self._clock.trouble if isinstance(self._clock, Steady) else ""]
        found += (sentence for each in self._followings for sentence in each.trouble())
        return [sentence for sentence in found if sentence] + self._detection.trouble()

    def _blind(self) -> list[str]:
        """Return what the tripwires cannot see, and why."""
        blind = [f"{rule}: {why}" for rule, why in self._detection.engine.blind.items()]
        return blind + [
            f"{COST_RATE}: {sender.name} sent {sender.unknown_cost:,} model calls without their cost"
            for sender in self._senders.all()
            if sender.unknown_cost
        ]

    def _note(self, text: str) -> None:
        """Say something that people must know, here and in the status."""
        self._notes.append(text[:1].upper() + text[1:] + ".")
        self._say(text)

    def _complain(self, text: str) -> None:
        # A sentence with another number in it is the same complaint.
        kind = re.sub(r"[\d,]+", "0", text)
        if kind not in self._complaints:
            self._complaints.add(kind)
            self._say(text)

    async def _in_detection(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)


def _to_stderr(text: str) -> None:
    print(f"warroom watch: {visible(text, 2000)}", file=sys.stderr, flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a watcher as a process of its own. Returns its exit code: 0 ended as told, 1 could not run."""
    parser = argparse.ArgumentParser(prog="python -m console.watch", description="Run the watcher of a home.")
    parser.add_argument("home", type=Path)
    parser.add_argument("--drill", action="store_true", help="the home is one for drills")
    parser.add_argument("--jsonl", type=Path, action="append", default=[], help="follow this file of actions")
    parser.add_argument("--config", type=Path, help="the configuration; default: as for the console")
    parser.add_argument(
        "--child-of-fd", type=int, metavar="FD", help="end when the other end of FD is closed"
    )
    given = parser.parse_args(argv)
    config = load(given.config)
    for problem in config.problems:
        _to_stderr(str(problem))
    try:
        home = Home.open(given.home, "drill" if given.drill else "live")
        run(home, config, files=given.jsonl, child_of=given.child_of_fd)
    except (Refused, StoreTrouble) as error:
        _to_stderr(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
