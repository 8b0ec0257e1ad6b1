"""A war room with telemetry, and systems of record that really change: a folder of files, and a payment service."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from console.evidence.capture import window_of
from console.evidence.window import Window
from console.telemetry.action import Action
from data.clock import SystemClock
from data.home import Home
from tests.cli.conftest import Warroom, declared, warroom

__all__ = ["declared", "warroom"]

MINUTE = 60 * 1_000_000_000


def action(number: int = 0, ago: int = 1, **fields: object) -> Action:
    """Something that `bot` did, `ago` minutes ago, in the class of that number."""
    plain: dict[str, object] = {
        "at": SystemClock().now() - ago * MINUTE,
        "agent": "bot",
        "kind": "tool",
        "action_class": number or None,
        "side_effect": "done",
    }
    return Action(**(plain | fields))  # type: ignore[arg-type]


def fill(warroom: Warroom, *actions: Action) -> None:
    """Put telemetry into the rolling window, as the watcher does."""
    window = Window(window_of(Home.open(warroom.home)), SystemClock(), most=2**29, keep=10**18)
    window.append(actions)
    window.close()


def configure(warroom: Warroom, text: str) -> None:
    """Write the configuration."""
    path = warroom.folder / "config" / "warroom" / "config.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


class Payments:
    """A payment service on a free port of this machine, with refunds that are idempotent by their key.

    Attributes:
        refunded: payment to the keys under which it was refunded.
        asked: how often each payment was asked to be refunded.
        breaks: payments for which the service fails after it did its work.
    """

    def __init__(self) -> None:
        self.refunded: dict[str, set[str]] = {}
        self.asked: dict[str, int] = {}
        self.breaks: set[str] = set()
        payments = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                payment = self.path.rpartition("/")[2]
                payments.asked[payment] = payments.asked.get(payment, 0) + 1
                payments.refunded.setdefault(payment, set()).add(self.headers["Idempotency-Key"])
                self._answer(500 if payment in payments.breaks else 200, f"refund re-{payment}")

            def do_GET(self) -> None:
                payment = self.path.rpartition("/")[2]
                self._answer(200 if payment in payments.refunded else 404, payment)

            def _answer(self, status: int, text: str) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def configuration(self) -> str:
        return f"""
[[reversal]]
class = "external-calls"
url = "{self.url}/refunds/{{key}}"
check_url = "{self.url}/refunds/{{key}}"
warns = "this writes into the books of the payment service"
"""


@pytest.fixture
def payments() -> Iterator[Payments]:
    service = Payments()
    yield service
    service.close()


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    """Documents that the agent published, each a file; undoing one moves it away."""
    place = tmp_path / "public"
    place.mkdir()
    return place


def unpublishing(place: Path) -> str:
    """The configuration that undoes a publication with programs."""
    return f"""
[[reversal]]
class = "documents"
command = ["sh", "-c", 'mv "$1/$2" "$1/.gone-$2" && echo "gone $2"', "unpublish", "{place}", "{{target}}"]
dry_run = ["test", "-e", "{place}/{{target}}"]
check = ["test", "!", "-e", "{place}/{{target}}"]
"""
