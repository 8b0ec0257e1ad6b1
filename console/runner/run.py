"""Doing it: one program or one request, within its time, with what it said.

Nothing here knows the record: `console.runner.player` writes the start before and the end after.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from console.refusal import Refused
from console.runner import processes
from console.runner.document import Http
from console.runner.fill import Filled
from console.runner.output import Kept, Tell

if TYPE_CHECKING:
    from console.events import RunOutcome

PASSED_ON = (
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)
"""What a program inherits of the console's environment, beside what the configuration names."""
STUCK = 1.0
"""Seconds that the outputs of a program that ended are waited for: who still holds them is ended."""
SAFE = frozenset({"GET"})
"""Methods that change nothing, whatever becomes of the answer."""


OUTPUTS = ("stdout", "stderr", "answer")
"""What a run may print or be answered, by name."""
Keep = Callable[[str], Path | None]


T = TypeVar("T")


def in_memory(_: str) -> None:
    """Keep an output in no file."""


class Ended(NamedTuple):
    """How it ended. `outputs`: what was kept, with its name."""

    outcome: RunOutcome
    exit: int | None = None
    status: int = 0
    milliseconds: int = 0
    note: str = ""
    outputs: tuple[tuple[str, bytes], ...] = ()


def environment(run: str, names: Sequence[str] = ()) -> dict[str, str]:
    """Return what a program of a run gets to see of the environment."""
    kept = {name: os.environ[name] for name in (*PASSED_ON, *names) if name in os.environ}
    return {"PATH": os.defpath, **kept, processes.MARK: run}


def program(name: str) -> str:
    """Return where a program is.

    Raises:
        Refused: there is none of that name, or its place depends on where the console was started.
    """
    if os.sep in name and not os.path.isabs(name):
        raise Refused(f"{name[:80]} depends on where the console was started.", "Name its whole path.")
    found = shutil.which(name)
    if found is None:
        raise Refused(
            f"There is no program {name[:80]} here.", "Install it, or do the step by hand and tick it."
        )
    return os.path.abspath(found)


def headers(filled: Filled, run: str) -> dict[str, str]:
    """Return the headers of a request as they are sent, with what the environment holds.

    Raises:
        Refused: a variable of the environment is not set.
    """
    if filled.http is None:
        return {}
    made = dict(filled.http.headers)
    for header, variable in filled.environment.items():
        secret = os.environ.get(variable, "")
        if not secret or not secret.isascii() or not secret.isprintable():
            raise Refused(
                f"The header {header} needs {variable}, which the environment does not hold.",
                f"Set {variable}, and start the console again.",
            )
        made[header] = made[header].removesuffix(f"env:{variable}") + secret
    return {"Idempotency-Key": run, "Accept-Encoding": "identity"} | made


def clear(run: str) -> None:
    """Remove the directory that a run worked in, if whoever ran it could not."""
    for left in Path(tempfile.gettempdir()).glob(f"{_prefix(run)}*"):
        shutil.rmtree(left, ignore_errors=True)


def _prefix(run: str) -> str:
    return f"warroom-run-{run}-"


def ready(filled: Filled, run: str) -> None:
    """Refuse what could not even begin, while nothing is on the record yet (raises Refused)."""
    if filled.kind == "command":
        program(filled.argv[0])
    elif filled.kind == "http":
        headers(filled, run)


async def command(
    argv: Sequence[str],
    run: str,
    seconds: float,
    tell: Tell,
    *,
    names: Sequence[str] = (),
    why: Callable[[], str] = str,
    keep: Keep = in_memory,
    grace: float = processes.GRACE,
) -> Ended:
    """Run a program with its own group, no input, an empty directory, and hardly any environment.

    Whatever happens, none of its processes is left when this returns, or the note names them. Cancelled, it is
    ended and the outcome says so: a cancellation is never lost, and `why` says the reason.

    Args:
        argv: the program and its arguments.
        run: id of the run; its children can be told by it.
        seconds: how long it may take.
        tell: gets the output.
        names: further variables of the environment that it may see.
        why: called when it was cancelled.
        keep: says where the output of a name is kept as it comes.
        grace: seconds that it is given to finish when it is ended.
    """
    out, err = (Kept(run, name, tell, keep(name)) for name in OUTPUTS[:2])
    place = await asyncio.to_thread(tempfile.mkdtemp, prefix=_prefix(run))
    began = time.monotonic()
    try:
        try:
            # Unbroken: a program that was started and whose number got lost could not be ended.
            process = await unbroken(
                asyncio.create_subprocess_exec(
                    program(argv[0]), *argv[1:],
                    stdin=DEVNULL, stdout=PIPE, stderr=PIPE, cwd=place, env=environment(run, names),
                    start_new_session=True,
                )
            )  # fmt: skip
        except (OSError, ValueError, Refused) as error:
            return Ended("failed", note=f"It could not be started: {_reason(error)}.")
        ended = await _attend(process, run, seconds, (out, err), why, grace)
    finally:
        await asyncio.to_thread(shutil.rmtree, place, ignore_errors=True)
    notes = [ended.note]
    for kept, name in ((out, "output"), (err, "error output")):
        kept.end()
        if kept.dropped:
            notes.append(f"{kept.dropped:,} bytes of its {name} are not kept.")
    outputs = tuple(
        (name, kept.content) for name, kept in zip(OUTPUTS, (out, err), strict=False) if kept.total
    )
    out.close()
    err.close()
    return ended._replace(milliseconds=_since(began), note=" ".join(filter(None, notes)), outputs=outputs)


async def _attend(
    process: Process,
    run: str,
    seconds: float,
    kept: tuple[Kept, Kept],
    why: Callable[[], str],
    grace: float,
) -> Ended:
    assert process.stdout is not None and process.stderr is not None  # noqa: S101, PT018 - both are pipes
    readers = asyncio.gather(_take(process.stdout, kept[0]), _take(process.stderr, kept[1]))
    ended = Ended("done")
    try:
        if (task := asyncio.current_task()) is not None and task.cancelling():
            raise asyncio.CancelledError
        async with asyncio.timeout(seconds):
            await _exited(process)
        # By itself a program closes its outputs; what it left behind may hold them open for ever.
        await asyncio.wait([readers], timeout=STUCK)
    except TimeoutError:
        ended = Ended("timed_out", note=f"It did not end within {seconds:g} s and was ended.")
    except asyncio.CancelledError:
        ended = Ended("cancelled", note=why() or "It was stopped.")
    code = process.returncode if ended.outcome == "done" else None
    left = await unbroken(_over(process, run, readers, grace))
    if left.alive:
        pids = ", ".join(map(str, sorted(left.alive)))
        return Ended("unknown", note=f"{ended.note} It could not be ended: {pids} still run.".strip())
    if ended.outcome == "done":
        ended = ended._replace(outcome="failed" if code else "done", exit=code)
        if code is not None and code < 0:
            ended = ended._replace(note=f"It was ended by signal {-code}.")
        if left.ended:
            ended = ended._replace(
                note=f"{ended.note} It left {left.ended} processes behind, which were ended.".strip()
            )
    return ended


class _Left(NamedTuple):
    ended: int
    alive: set[int]


async def _over(
    process: Process, run: str, readers: asyncio.Future[tuple[None, None]], grace: float
) -> _Left:
    """End what is left of a run, and let go of its outputs."""
    there = await asyncio.to_thread(processes.members, run, process.pid)
    alive = await processes.end(run, process.pid, grace) if there else set()
    with suppress(asyncio.TimeoutError, asyncio.CancelledError):
        await asyncio.wait_for(readers, 1.0)  # what it had printed by then
    process._transport.close()  # type: ignore[attr-defined] # else a process that got away holds us up
    if process.pid not in alive:
        await process.wait()
    return _Left(len(there), alive)


async def unbroken(work: Coroutine[object, object, T]) -> T:
    """Wait to the end, however often somebody cancels: half a start or half an end is none."""
    task = asyncio.ensure_future(work)
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([task])
    return task.result()


async def _exited(process: Process) -> None:
    """Wait for the program itself; `Process.wait` may also wait for whoever holds its outputs."""
    pause = 0.002
    while process.returncode is None:
        await asyncio.sleep(pause)
        pause = min(pause * 2, 0.05)


async def _take(stream: asyncio.StreamReader, kept: Kept) -> None:
    while chunk := await stream.read(1 << 16):
        kept.feed(chunk)
        await asyncio.sleep(0)  # a flood must not keep the screen from being drawn


async def request(
    http: Http,
    sent: Mapping[str, str],
    run: str,
    seconds: float,
    tell: Tell,
    *,
    why: Callable[[], str] = str,
    keep: Keep = in_memory,
) -> Ended:
    """Send one request and keep the beginning and the end of its answer. Redirects are not followed.

    What broke off after it was sent may have taken effect, unless its method changes nothing.
    """
    import httpx  # HTTP is not on the path of those who only read

    answer = Kept(run, OUTPUTS[2], tell, keep(OUTPUTS[2]))
    began = time.monotonic()
    maybe: RunOutcome = "failed" if http.method in SAFE else "unknown"
    status = 0
    try:
        async with (
            asyncio.timeout(seconds),
            httpx.AsyncClient(follow_redirects=False, timeout=seconds) as client,
        ):
            body = http.body.encode() if http.body else None
            async with client.stream(http.method, http.url, headers=sent, content=body) as response:
                status = response.status_code
                # As it was sent: what a small answer unpacks to has no bound.
                async for chunk in response.aiter_raw():
                    answer.feed(chunk)
        ended = _judge(http, status, response.headers.get("location", ""))
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
        ended = Ended("failed", note=f"It was not sent: {_reason(error)}.")
    except (TimeoutError, httpx.TimeoutException):
        outcome: RunOutcome = "failed" if http.method in SAFE else "timed_out"
        ended = Ended(outcome, status=status, note=f"There was no whole answer within {seconds:g} s.")
    except (httpx.HTTPError, ValueError) as error:
        ended = Ended(maybe, status=status, note=f"It was sent, and the answer broke off: {_reason(error)}.")
    except asyncio.CancelledError:
        ended = Ended("cancelled", status=status, note=why() or "It was stopped.")
    answer.end()
    note = ended.note
    if answer.dropped:
        note = f"{note} {answer.dropped:,} bytes of the answer are not kept.".strip()
    outputs = ((OUTPUTS[2], answer.content),) if answer.total else ()
    answer.close()
    return ended._replace(milliseconds=_since(began), note=note, outputs=outputs)


def _judge(http: Http, status: int, location: str) -> Ended:
    if status in http.expects:
        return Ended("done", status=status)
    wanted = ", ".join(map(str, http.expects))
    note = f"The answer was {status}, expected {wanted}."
    if location:
        note += f" It points to {location[:300]}; redirects are not followed."
    # A server or a gateway that gives up in the middle says nothing of what it had done by then.
    unclear = status >= 500 and http.method not in SAFE
    return Ended("unknown" if unclear else "failed", status=status, note=note)


def _since(began: float) -> int:
    return int((time.monotonic() - began) * 1000)


def _reason(error: Exception) -> str:
    said = error.what if isinstance(error, Refused) else getattr(error, "strerror", None) or str(error)
    return (said or type(error).__name__).rstrip(".")[:300]
