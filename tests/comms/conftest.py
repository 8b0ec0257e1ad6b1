"""A local server that takes messages the way the services do, and enforces the limits that they document."""

from __future__ import annotations

import hmac
import http.server
import json
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from console.comms import outbox as outboxes
from console.comms.messenger import Messenger
from console.comms.outbox import Outbox
from console.config import Config, Sender
from console.desk import Desk
from console.room import Room
from data.home import Home
from tests.cli.conftest import Warroom

SECRET = "s3cr3t-0123456789abcdef"
ISO_SEVERITIES = {"critical", "error", "warning", "info"}


class Taken(NamedTuple):
    """A request as the server saw it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def value(self) -> Any:
        return json.loads(self.body)


class Plan(NamedTuple):
    """What the server does with the next request, instead of its duty. `takes`: whether it carries it out first."""

    status: int = 0
    headers: Mapping[str, str] = MappingProxyType({})
    body: bytes = b""
    hangs: bool = False
    cuts: bool = False
    takes: bool = False


class Services:
    """PagerDuty, Slack, Statuspage, Cachet and a webhook behind one address; the path says which."""

    def __init__(self) -> None:
        self.taken: list[Taken] = []
        self.refused: list[str] = []
        self.plans: dict[str, list[Plan]] = {}
        self.pages: list[dict[str, Any]] = []
        self.cachet: list[dict[str, Any]] = []
        self.channel: list[dict[str, Any]] = []
        self.alerts: dict[str, list[dict[str, Any]]] = {}
        self.hooks: dict[str, Any] = {}
        self.hang = threading.Event()
        self.arrived = threading.Event()
        this = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def _do(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                request = Taken(self.command, self.path, dict(self.headers), self.rfile.read(length))
                this.taken.append(request)
                this.arrived.set()
                kind = self.path.strip("/").split("/")[0]
                plan = (this.plans.get(f"{self.command} {kind}") or this.plans.get(kind) or [Plan()])[0]
                for key in (f"{self.command} {kind}", kind):
                    if this.plans.get(key):
                        this.plans[key].pop(0)
                        break
                status, body = 200, b""
                headers: Mapping[str, str] = {}
                if plan.takes or not (plan.status or plan.hangs or plan.cuts):
                    status, headers, body = this.take(request)
                if plan.hangs:
                    this.hang.wait(60)
                    return
                if plan.status:
                    status, headers, body = plan.status, plan.headers, plan.body
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body) + 10 * plan.cuts))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_POST = do_PATCH = do_HEAD = _do

            def log_message(self, *_: object) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                pass  # whoever asked is gone, as some tests want it

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.hang.set()
        self._server.shutdown()
        self._server.server_close()

    def plan(self, kind: str, *plans: Plan) -> None:
        self.plans[kind] = list(plans)

    def asked(self, kind: str, method: str = "") -> list[Taken]:
        return [
            each for each in self.taken
            if each.path.strip("/").split("/")[0] == kind and method in ("", each.method)
        ]  # fmt: skip

    def take(self, request: Taken) -> tuple[int, dict[str, str], bytes]:
        """Do what the service does; a request that breaks its rules is refused and noted."""
        if request.method == "HEAD":
            return 200, {}, b""
        kind, *rest = request.path.strip("/").split("/")
        try:
            return getattr(self, f"_{kind}")(request, rest)  # type: ignore[no-any-return]
        except (AssertionError, KeyError, TypeError, ValueError) as error:
            self.refused.append(f"{kind}: {error!r} {request.body[:300]!r}")
            return 400, {}, b'{"status":"invalid event"}'

    def _pagerduty(self, request: Taken, rest: list[str]) -> tuple[int, dict[str, str], bytes]:
        assert rest == ["v2", "enqueue"]
        assert len(request.body) <= 512 * 1024
        event = request.value
        assert event["routing_key"] == SECRET
        assert event["event_action"] in ("trigger", "acknowledge", "resolve")
        assert 0 < len(event["dedup_key"]) <= 255
        assert set(event) <= {"routing_key", "event_action", "dedup_key", "client", "client_url", "links", "images", "payload"}  # fmt: skip
        if event["event_action"] == "trigger":
            payload = event["payload"]
            assert 0 < len(payload["summary"]) <= 1024
            assert payload["source"]
            assert payload["severity"] in ISO_SEVERITIES
            assert set(payload) <= {"summary", "source", "severity", "timestamp", "component", "group", "class", "custom_details"}  # fmt: skip
            assert "timestamp" not in payload or datetime.fromisoformat(payload["timestamp"]).tzinfo
        self.alerts.setdefault(event["dedup_key"], []).append(event)
        answer = {"status": "success", "message": "Event processed", "dedup_key": event["dedup_key"]}
        return 202, {}, json.dumps(answer).encode()

    def _slack(self, request: Taken, rest: list[str]) -> tuple[int, dict[str, str], bytes]:
        assert rest == [SECRET]
        value = request.value
        assert set(value) == {"text", "blocks"}
        assert 1 <= len(value["blocks"]) <= 50
        total = 0
        for block in value["blocks"]:
            text = block["text"]["text"]
            total += len(text)
            if block["type"] == "header":
                assert block["text"]["type"] == "plain_text"
                assert 1 <= len(text) <= 150
            else:
                assert block["type"] == "section"
                assert block["text"]["type"] == "mrkdwn"
                assert 1 <= len(text) <= 3000
                plain = text.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "")
                assert not set(plain) & set("&<>"), "not escaped"
        assert total <= 13_200, "msg_blocks_too_long"
        self.channel.append(value)
        return 200, {}, b"ok"

    def _statuspage(self, request: Taken, rest: list[str]) -> tuple[int, dict[str, str], bytes]:
        assert request.headers["Authorization"] == f"OAuth {SECRET}"
        assert rest[:3] == ["v1", "pages", "p1"]
        if request.method == "GET":
            return 200, {}, json.dumps(self.pages).encode()
        incident = request.value["incident"]
        assert incident["status"] in ("investigating", "identified", "monitoring", "resolved")
        assert isinstance(incident["deliver_notifications"], bool)
        assert incident["body"]
        assert set(incident) <= {
            "name",
            "status",
            "body",
            "component_ids",
            "deliver_notifications",
            "metadata",
        }
        assert all(isinstance(each, str) for each in incident.get("component_ids", []))
        if request.method == "POST":
            assert rest[3:] == ["incidents"]
            assert incident["name"]
            self.pages.append({"id": f"page{len(self.pages)}", "updates": [], **incident})
            found = self.pages[-1]
        else:
            found = next(each for each in self.pages if each["id"] == rest[4])
            found.update(incident)
        found["updates"].append((incident["status"], incident["body"]))
        return 201 if request.method == "POST" else 200, {}, json.dumps(found).encode()

    def _cachet(self, request: Taken, rest: list[str]) -> tuple[int, dict[str, str], bytes]:
        assert request.headers["Authorization"] == f"Bearer {SECRET}"
        assert rest[:2] == ["api", "incidents"]
        if len(rest) > 2:
            found = next(each for each in self.cachet if each["id"] == rest[2])
            assert rest[3:] == ["updates"]
            if request.method == "GET":
                listed = [{"id": str(at), "attributes": each} for at, each in enumerate(found["updates"])]
                return 200, {}, json.dumps({"data": listed}).encode()
            value = request.value
            assert set(value) == {"status", "message"}
            assert value["status"] in (1, 2, 3, 4)
            assert value["message"]
            found["updates"].append(value)
            return (
                201,
                {},
                json.dumps({"data": {"id": str(len(found["updates"])), "attributes": value}}).encode(),
            )
        if request.method == "GET":
            listed = [{"id": each["id"], "attributes": each} for each in self.cachet]
            return 200, {}, json.dumps({"data": listed}).encode()
        value = request.value
        assert 0 < len(value["name"]) <= 255
        assert value["status"] in (1, 2, 3, 4)
        assert value["message"]
        assert isinstance(value["notifications"], bool)
        assert set(value) <= {
            "name",
            "status",
            "message",
            "visible",
            "stickied",
            "notifications",
            "occurred_at",
        }
        self.cachet.append({"id": str(len(self.cachet) + 1), "updates": [], **value})
        return 201, {}, json.dumps({"data": {"id": self.cachet[-1]["id"], "attributes": value}}).encode()

    def _hook(self, request: Taken, rest: list[str]) -> tuple[int, dict[str, str], bytes]:
        stamp = request.headers["X-Warroom-Timestamp"]
        made = hmac.new(SECRET.encode(), f"{stamp}.".encode() + request.body, sha256).hexdigest()
        assert hmac.compare_digest(request.headers["X-Warroom-Signature"], f"v1={made}")
        assert request.headers["Idempotency-Key"] == request.value["id"]
        self.hooks[request.headers["Idempotency-Key"]] = request.value
        return 204, {}, b""


@pytest.fixture
def services() -> Iterator[Services]:
    made = Services()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_TOKEN", SECRET)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outboxes, "PAUSE", 0.02)
    monkeypatch.setattr(outboxes, "BETWEEN", 0.0)


def settings(services: Services, folder: Path, seconds: float = 5.0) -> tuple[Sender, ...]:
    """One sender of each type, all of them published."""
    from console.config import Duration

    timeout = Duration(int(seconds * 1_000_000_000))
    return (
        Sender("pager", "pagerduty", publish=True, url=f"{services.url}/pagerduty", token_env="TEST_TOKEN",
               contacts=("platform-oncall", "security"), timeout=timeout),
        Sender("chat", "slack", publish=True, token_env="TEST_SLACK", timeout=timeout),
        Sender("status", "statuspage", publish=True, url=f"{services.url}/statuspage", page="p1",
               token_env="TEST_TOKEN", timeout=timeout),
        Sender("cachet", "cachet", publish=True, url=f"{services.url}/cachet", token_env="TEST_TOKEN", timeout=timeout),
        Sender("hook", "webhook", publish=True, url=f"{services.url}/hook", token_env="TEST_TOKEN",
               audiences=("internal", "status-page", "customers"), timeout=timeout),
        Sender("file", "file", path=str(folder / "messages.jsonl")),
    )  # fmt: skip


@pytest.fixture
def config(services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setenv("TEST_SLACK", f"{services.url}/slack/{SECRET}")
    return Config(sender=settings(services, tmp_path))


@pytest.fixture
async def desk(tmp_path: Path, config: Config) -> AsyncIterator[Desk]:
    home = Home.open(tmp_path / "home")
    opened = await Desk.open(home, "ana", outbox=Outbox(home, config.sender, patience=0.5))
    yield opened
    await opened.close()


@pytest.fixture
async def room(desk: Desk) -> Room:
    return await desk.declare("refunds issued twice", 2)


@pytest.fixture
def messenger(room: Room, config: Config) -> Messenger:
    return Messenger(room, config)


@pytest.fixture
def warroom(tmp_path: Path) -> Warroom:
    return Warroom(tmp_path)
