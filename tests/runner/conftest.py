"""Playbooks of the tests, in an incident on a real store."""

from __future__ import annotations

import asyncio
import http.server
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from console.desk import Desk
from console.room import Room
from console.runner.player import Player, Settings
from data.home import Home
from playbooks.response import Playbook
from tests.cli.conftest import Warroom

FRONT = {
    "owner": "operations",
    "audience": "responders",
    "corrections": "operations",
    "version": "1.0",
    "last_review": "2026-11-21",
    "review_every_days": 60,
    "status": "template",
    "kind": "scenario",
    "severity": 2,
    "summary": "A test.",
}


def step(id: str, **more: Any) -> dict[str, Any]:
    """A step that reaches one tenant, unless `more` says otherwise."""
    plain = {"id": id, "text": f"Do {id}", "role": "ops", "reach": "one tenant", "sources": ["S002-SN-16"]}
    return plain | more


def command(id: str, *argv: str, dry: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    """A step that runs a program."""
    return step(id, command={"argv": list(argv), "dry_run": list(dry)}, **more)


def shell(id: str, script: str, **more: Any) -> dict[str, Any]:
    """A step whose program is a shell: a test needs one to make children that behave badly."""
    return command(id, "/bin/sh", "-c", script, **more)


def book(
    *mitigation: dict[str, Any],
    id: str = "test",
    values: tuple[dict[str, Any], ...] = (),
    **sections: list[dict[str, Any]],
) -> Playbook:
    """A playbook with these steps of mitigation, and other sections by name."""
    parts = {name: {"steps": steps} for name, steps in sections.items()}
    return Playbook.model_validate(
        {**FRONT, "id": id, "title": f"Playbook {id}", "values": list(values)}
        | {"mitigation": {"steps": list(mitigation)}}
        | parts
    )


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    opened = await Desk.open(Home.open(tmp_path / "home"), "ana")
    yield opened
    await opened.close()


@pytest.fixture
async def room(desk: Desk) -> Room:
    return await desk.declare("refunds in a loop", 2)


@pytest.fixture
def player(room: Room, desk: Desk) -> Player:
    return Player(room, desk.home.replica, Settings(announce=0))


async def until(fits: Callable[[], bool]) -> None:
    """Wait for something that will come; the suite's own time limit ends what does not."""
    for _ in range(6000):
        if fits():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come")


class Taken(NamedTuple):
    """A request as the server saw it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Server:
    """A server that takes every request, and answers as it is told."""

    def __init__(self) -> None:
        self.taken: list[Taken] = []
        self.answer: tuple[int, dict[str, str], bytes] = (200, {}, b'{"ok":true}')
        self.hang = threading.Event()
        self.hangs = False
        this = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def _take(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                this.taken.append(Taken(self.command, self.path, dict(self.headers), self.rfile.read(length)))
                if this.hangs:
                    this.hang.wait(60)
                    return
                status, headers, body = this.answer
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _take

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.hang.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@pytest.fixture
def warroom(tmp_path: Path) -> Warroom:
    return Warroom(tmp_path)
