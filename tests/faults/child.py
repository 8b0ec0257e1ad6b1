"""A process that forks workers to be killed: forking is faster than starting Python anew each time.

Reads one JSON command a line, forks, and answers with the worker's process id. A worker reports
through a pipe that its killer holds the other end of.
"""

import asyncio
import json
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from threading import BoundedSemaphore
from time import monotonic, sleep
from typing import Any

from data.case import Case, found
from data.drafts import Drafts
from data.envelope import Event
from data.home import Home
from data.strands import Log
from data.trouble import StoreTrouble
from data.view import Lines
from tests.data.sample import FOUNDING, clock, note, project

Say = Callable[[str], object]


def append(say: Say, home: str, case: str, name: str, limit: int, keyed: bool) -> None:
    """Append notes as fast as they are acknowledged, and say each one that was."""
    opened = Home.open(Path(home))
    with_room = BoundedSemaphore(32)
    record = Case.open(opened.case_dir(case), opened, project, patience=60)

    def acknowledged(text: str, answer: Any) -> None:
        answer.result()
        say(text)
        with_room.release()

    for i in range(limit) if limit else count():
        with_room.acquire()
        text = f"{name}/{i}"
        entry = note(text, key=text if keyed else "")
        record.append(entry).add_done_callback(partial(acknowledged, text))
    record.close()


def append_and_lie(say: Say, home: str, case: str, name: str) -> None:
    """The control: acknowledges when an event is made and not when it is on the disk."""
    stage = Log.stage

    def early(self: Log, groups: Any) -> Any:
        staged = stage(self, groups)
        for answer in staged.answers:
            for event in answer:
                say(json.loads(event.body or b"{}")["text"])
        return staged

    Log.stage = early  # type: ignore[method-assign]
    append(lambda _: None, home, case, name, 0, False)


def draft(say: Say, directory: str) -> None:
    """Type without end, and say which text counts as saved."""
    drafts = Drafts.open(Path(directory), clock())
    for i in count():
        drafts.put("note", str(i), 1)
        while i % 4 == 0 and not drafts.saved_at("note"):
            os.sched_yield()
        if i % 4 == 0:
            say(str(i))


def fill(say: Say, home: str, limit: int) -> None:
    """Append until files may not grow any more, then let them grow and append again."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    opened = Home.open(Path(home))
    case = found(opened, FOUNDING, project)
    say(case.id)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    saved, refusals = 1, 0
    while refusals < 3:
        try:
            saved = case.append(note("x" * 5000)).result(30)[0].n
        except StoreTrouble as trouble:
            refusals += 1
            say(json.dumps({"what": str(trouble), "shown": case.trouble, "saved": saved}))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    (event,) = case.append(note("there is room again")).result(30)
    deadline = monotonic() + 20
    while case.trouble and monotonic() < deadline:
        sleep(0.01)  # the timeline catches up by itself
    say(json.dumps({"n": event.n, "prev": event.prev, "shown": case.trouble}))
    case.close()


def only_read(say: Say, home: str, case: str) -> None:
    """Open a case as a user who may read it and not write it."""
    opened = Home.open(Path(home))
    if os.geteuid() == 0:
        os.seteuid(65534)
    record = Case.open(opened.case_dir(case), opened, project)
    try:
        event: Event | None = record.append(note("x")).result(10)[0]
    except StoreTrouble as trouble:
        event = None
        say(trouble.next_step)

    async def count_lines() -> int:
        lines = await Lines.open(record.directory)
        try:
            return await lines.count()
        finally:
            await lines.close()

    say(str(asyncio.run(count_lines())))
    say(json.dumps([event is None, record.trouble]))
    record.close()


DEEDS = {deed.__name__: deed for deed in (append, append_and_lie, draft, fill, only_read)}


def speaker(path: str) -> Say:
    """Open our end of the pipe; a line goes out in one write, so it is heard whole or not at all."""
    pipe = os.open(path, os.O_WRONLY)
    return lambda text: os.write(pipe, text.encode() + b"\n")


def main() -> None:
    """Fork a worker for each command until the input ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        command = json.loads(line)
        pid = os.fork()
        if pid:
            print(pid, flush=True)
            continue
        try:
            DEEDS[command["do"]](speaker(command["pipe"]), *command["args"])
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)


if __name__ == "__main__":
    main()
