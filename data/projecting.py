"""Bringing a view up to a log that is far ahead, in a process of its own.

After a long catch-up, or when the view is made again, tens of thousands of lines are due. Made here they would
take the interpreter from the screen and from whoever waits for an acknowledgement.
"""

from __future__ import annotations

import os
from contextlib import closing, suppress
from importlib import import_module
from pathlib import Path
from time import monotonic, sleep

import msgspec

from data.helper import Helper, Pipes
from data.line import Projector
from data.log import NAME, connect
from data.projection import NAME as VIEW
from data.projection import Projection

FAR = 3000
"""From so many events on it is worth starting a process. A catch-up brings more with one commit: however slowly
the commits follow each other, the lines are not made beside the screen then."""
BATCH = 2000
PATIENCE_SECONDS = 1.0
"""So long nothing must have come before the process ends."""


class Job(msgspec.Struct, frozen=True, array_like=True):
    """A case directory, and the module and name of what turns its events into lines."""

    directory: str
    module: str
    name: str


def can_be_named(project: Projector) -> bool:
    """Whether another process can import this very projection."""
    name = getattr(project, "__qualname__", "")
    if not name.isidentifier():
        return False
    return getattr(import_module(project.__module__), name, None) is project


class Elsewhere(Helper):
    """A process that projects until the view has everything; to be used in a `with` statement.

    The view must not be open for writing here meanwhile.
    """

    def __init__(self) -> None:
        super().__init__("data.projecting")

    def project(self, directory: Path, project: Projector) -> bool:
        """Wait until it is done.

        Args:
            directory: The case directory.
            project: One that `can_be_named`.

        Returns:
            False if the process died; what it did not do is still due.
        """
        name = getattr(project, "__qualname__", "")
        try:
            self.send(msgspec.msgpack.encode(Job(str(directory), project.__module__, name)))
            self.receive()
        except EOFError:
            return False
        return True


def serve(pipes: Pipes) -> None:
    """Do one job. Whatever goes wrong is found again, and told, by whoever asked."""
    job = msgspec.msgpack.decode(pipes.receive(), type=Job)
    with suppress(OSError):
        os.nice(5)  # the screen and the writer come first
    project = getattr(import_module(job.module), job.name)
    directory = Path(job.directory)
    with closing(connect(directory / NAME)) as log:
        view = Projection(directory / VIEW, log, project)
        try:
            # A catch-up that goes on brings more before this one is worth ending.
            until = monotonic() + PATIENCE_SECONDS
            while monotonic() < until:
                if view.follow(BATCH):
                    until = monotonic() + PATIENCE_SECONDS
                else:
                    sleep(PATIENCE_SECONDS / 20)
        finally:
            view.close()
    pipes.send(b"")
