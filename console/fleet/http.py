"""JSON over HTTP/1.1 on loopback with the standard library: a threaded server and one call, both bounded."""

from __future__ import annotations

import hmac
import json
import socket
from collections.abc import Callable
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NoReturn
from urllib.parse import parse_qsl, unquote, urlsplit

ADDRESS = "address"
"""File with `host:port` of the fleet's services."""
TOKEN = "token"  # noqa: S105
"""File, mode 0600, with what everybody shows who changes something."""
LONGEST = 1 << 16
"""Bytes of a body."""
PATIENCE = 10.0
"""Seconds for a request to come in, and for a call."""

Values = dict[str, Any]


class Refusal(Exception):
    """A request that is answered with an error: status and one sentence."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Dropped(Exception):
    """The connection is closed without an answer."""


class Request:
    """One request. `path`: its segments, unquoted. `query`, `body`: values by name. `key`: its idempotency key."""

    def __init__(self, method: str, target: str, body: Values, key: str, *, trusted: bool) -> None:
        parts = urlsplit(target)
        self.method = method
        self.path = tuple(unquote(each) for each in parts.path.split("/") if each)
        self.query = dict(parse_qsl(parts.query))
        self.body = body
        self.key = key
        self.trusted = trusted


Answer = Callable[[Request], Values]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Whoever hung up is no news."""


def listen() -> socket.socket:
    """Return a socket that listens on a free port of the loopback interface."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    listener.set_inheritable(False)
    return listener


def serve(listener: socket.socket, token: str, answer: Answer) -> NoReturn:
    """Answer requests, each on a thread of its own, until the process ends.

    Args:
        listener: where they come in.
        token: who shows it as `Authorization: Bearer` may change something.
        answer: returns what is sent as JSON with status 200; raises `Refusal` or `Dropped`.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = PATIENCE

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def _answer(self) -> None:
            self.close_connection = True
            try:
                status, values = 200, answer(self._request())
            except Refusal as refusal:
                status, values = refusal.status, {"error": str(refusal)}
            except Dropped:
                return
            sent = json.dumps(values, separators=(",", ":")).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(sent)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(sent)

        def _request(self) -> Request:
            length = self.headers.get("Content-Length", "0")
            if not length.isascii() or not length.isdigit() or int(length) > LONGEST:
                raise Refusal(413, "the body is too long or of unknown length")
            raw = self.rfile.read(int(length))
            try:
                body = json.loads(raw) if raw else {}
            except (ValueError, RecursionError):
                body = None
            if not isinstance(body, dict):
                raise Refusal(400, "the body is no JSON object")
            shown = self.headers.get("Authorization", "").encode()
            trusted = hmac.compare_digest(shown, f"Bearer {token}".encode())
            key = self.headers.get("Idempotency-Key", "")
            return Request(self.command, self.path, body, key, trusted=trusted)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = _Server(("127.0.0.1", 0), Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    # The default looks every half second whether to stop, in every agent; the end of the process is enough.
    server.serve_forever(poll_interval=3600)
    raise AssertionError("the server ended")


def call(
    host: str,
    port: int,
    method: str,
    path: str,
    body: Values | None = None,
    *,
    token: str = "",
    key: str = "",
    timeout: float = PATIENCE,
) -> Values:
    """Send one request and return the JSON object of the answer.

    Raises:
        Refusal: the answer is not 200.
        OSError: there was no connection, or no complete answer.
    """
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    if key:
        headers["Idempotency-Key"] = key
    connection = HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request(method, path, json.dumps(body or {}).encode(), headers)
        answer = connection.getresponse()
        raw = answer.read(1 << 20)
    except OSError:
        raise
    except Exception as error:  # http.client has a dozen errors for an answer that is none
        raise ConnectionError(str(error)) from error
    finally:
        connection.close()
    try:
        values = json.loads(raw)
    except ValueError as error:
        raise ConnectionError("the answer is no JSON") from error
    if not isinstance(values, dict):
        raise ConnectionError("the answer is no JSON object")
    if answer.status != 200:
        raise Refusal(answer.status, str(values.get("error", "")))
    return values
