"""Remotes that are down, slow, endless, lying or careless: each ends in plain words, in time, without secrets."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from obstore.store import S3Store

from data.remotes import Absent, Remote, RemoteTrouble, headers
from data.remotes.opening import open_remote
from tests.remotes import servers
from tests.remotes.conftest import S3, Place

SECRET = "hunter2-hunter2"
NETWORKED = ("s3", "postgresql", "nats", "http")


def place(kind: str, port: int) -> Place:
    """The address of something on a port of this machine, with a secret and little patience."""
    return {
        "s3": ("s3://evidence", {"endpoint": f"http://127.0.0.1:{port}", "secret_access_key": SECRET, "access_key_id": "me", "timeout": "0.5"}),
        "postgresql": (f"postgresql://me@127.0.0.1:{port}/postgres", {"password": SECRET, "timeout": "0.5"}),
        "nats": (f"nats://127.0.0.1:{port}/evidence", {"token": SECRET, "timeout": "0.5"}),
        "http": (f"http://127.0.0.1:{port}", {"token": SECRET, "timeout": "0.5"}),
    }[kind]  # fmt: skip


def requests(remote: Remote) -> tuple[Callable[[], object], ...]:
    return (
        lambda: remote.put("case/a", b"x"),
        lambda: remote.get("case/a"),
        lambda: list(remote.list("case/")),
        remote.probe,
    )


def plain(trouble: RemoteTrouble) -> None:
    """Three sentences, nothing that a terminal would obey, and no secret."""
    assert SECRET not in str(trouble)
    assert str(trouble).isprintable()
    assert trouble.__cause__ is None, "the library's own words would be printed with a traceback"
    assert trouble.__suppress_context__ or trouble.__context__ is None
    for sentence in (trouble.what, trouble.meaning, trouble.next_step):
        assert sentence[0].isupper() or sentence.startswith(
            ("s3:", "postgresql:", "nats:", "http:", "https:", "dir:")
        )
        assert len(sentence) < 400


@contextmanager
def listening(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that does `answer` with each connection, on a thread; its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        open_lines: list[socket.socket] = []

        def serve() -> None:
            while True:
                try:
                    line, _ = server.accept()
                except OSError:
                    return
                open_lines.append(line)
                threading.Thread(target=_ignoring, args=(answer, line), daemon=True).start()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            for line in open_lines:
                line.close()
            thread.join()


def _ignoring(answer: Callable[[socket.socket], None], line: socket.socket) -> None:
    try:
        answer(line)
    except OSError:
        pass


@pytest.mark.parametrize("kind", NETWORKED)
def test_nobody_listens(kind: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with closing(open_remote(*place(kind, port))) as remote:
        for request in requests(remote):
            with pytest.raises(RemoteTrouble) as caught:
                request()
            plain(caught.value)
            assert caught.value.passing
            assert not isinstance(caught.value, Absent)


@pytest.mark.parametrize("kind", NETWORKED)
def test_somebody_listens_and_never_answers(kind: str) -> None:
    with listening(lambda line: None) as port, closing(open_remote(*place(kind, port))) as remote:
        for request in requests(remote)[:1] if kind == "postgresql" else requests(remote):
            with pytest.raises(RemoteTrouble) as caught:
                request()
            plain(caught.value)
            assert caught.value.passing


@pytest.mark.parametrize("kind", NETWORKED)
@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\x00" * 4096,
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x1b]0;owned\x07\r\n" * 100,
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe",
    ],
)
def test_somebody_else_answers(kind: str, said: bytes) -> None:
    def answer(line: socket.socket) -> None:
        if kind in ("s3", "http"):
            line.recv(65536)
        line.sendall(said)
        line.close()

    with listening(answer) as port, closing(open_remote(*place(kind, port))) as remote:
        for request in requests(remote)[1:4]:
            with pytest.raises(RemoteTrouble) as caught:
                request()
            plain(caught.value)


class Web:
    """What an HTTP service answers: set `status`, `headers` and `body`, or `reply`."""

    def __init__(self) -> None:
        self.status, self.body, self.headers = 200, b"", dict[str, str]()
        self.reply: Callable[[BaseHTTPRequestHandler], None] | None = None
        self.seen: list[str] = []
        self.port = 0


@pytest.fixture
def web() -> Iterator[Web]:
    said = Web()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            said.seen.append(f"{self.command} {self.path}")
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if said.reply:
                said.reply(self)
                return
            self.send_response(said.status)
            for key, value in {"Content-Length": str(len(said.body)), **said.headers}.items():
                self.send_header(key, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(said.body)

        do_GET = do_PUT = do_HEAD = answer

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            pass

    with Quiet(("127.0.0.1", 0), Handler) as server:
        said.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield said
        server.shutdown()
        thread.join()


@pytest.fixture
def client(web: Web) -> Iterator[Remote]:
    with closing(open_remote(*place("http", web.port))) as remote:
        yield remote


def test_a_service_that_trickles_is_given_up(web: Web, client: Remote) -> None:
    stop = threading.Event()

    def trickle(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while not stop.wait(0.02):  # a limit on each read would never see this as slow
            handler.wfile.write(b"x")

    web.reply = trickle
    with pytest.raises(RemoteTrouble, match="did not answer within"):
        client.get("case/a")
    stop.set()


def test_an_answer_without_end_is_cut(web: Web, client: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = threading.Event()

    def flood(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        try:
            while True:
                handler.wfile.write(b"x" * 65536)
        finally:
            sent.set()

    web.reply = flood
    monkeypatch.setattr("data.blobs.MAX_BYTES", 1_000_000)
    with pytest.raises(RemoteTrouble, match="more than the 1000000 bytes"):
        client.get("case/a")
    assert sent.wait(30), "it still reads"


def test_a_compressed_answer_is_not_unpacked(web: Web, client: Remote) -> None:
    import gzip

    web.body, web.headers = gzip.compress(b"0" * 10_000_000), {"Content-Encoding": "gzip"}
    assert len(client.get("case/a")) < 20_000


def test_a_listing_without_end_is_cut(web: Web, client: Remote) -> None:
    web.body = b"case/a\ncase/b\n"
    with pytest.raises(RemoteTrouble, match="does not end"):
        list(client.list("case/"))
    assert len(web.seen) == 2


def test_strange_names_in_a_listing_are_passed_over(web: Web, client: Remote) -> None:
    strange = [
        "../../etc/passwd",
        "case/\x1b]52;c;aGk=\x07",
        "case/" + "a" * 5000,
        "case/A",
        "CASE/a",
        "other/a",
        "case/ü",
    ]

    def reply(handler: BaseHTTPRequestHandler) -> None:
        body = "\n".join(["case/good", *strange]).encode() if "after=&" in handler.path + "&" else b""
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    web.reply = reply
    assert list(client.list("case/")) == ["case/good"]


@pytest.mark.parametrize("status", [301, 302, 307])
def test_a_redirect_is_not_followed(web: Web, client: Remote, status: int) -> None:
    web.status, web.headers = status, {"Location": f"http://127.0.0.1:{web.port}/stolen"}
    for request in requests(client)[:1] + requests(client)[2:4]:
        with pytest.raises(RemoteTrouble, match=f"status {status}"):
            request()
    assert not any("stolen" in line for line in web.seen)


@pytest.mark.parametrize(
    ("status", "passing"), [(401, False), (403, False), (429, True), (500, True), (503, True), (400, False)]
)
def test_what_a_status_means(web: Web, client: Remote, status: int, passing: bool) -> None:
    web.status, web.body = status, SECRET.encode() + b"\x1b[2J"
    for request in (*requests(client)[:1], *requests(client)[2:4]):
        with pytest.raises(RemoteTrouble, match=f"status {status}") as caught:
            request()
        assert caught.value.passing is passing
        plain(caught.value)


def test_a_service_that_acknowledges_and_stores_nothing_is_found_out(web: Web, client: Remote) -> None:
    def lie(handler: BaseHTTPRequestHandler) -> None:
        status = {"PUT": 201, "GET": 200 if "list=" in handler.path else 404}[handler.command]
        handler.wfile.write(b"HTTP/1.1 %d It\r\nContent-Length: 0\r\n\r\n" % status)

    web.reply = lie
    found = client.probe()
    assert (found.create, found.reads_back, found.lists) == ("none", False, False)
    assert len(found.warnings) == 3


def test_a_store_that_overwrites_is_found_out() -> None:
    with (
        servers.rclone() as endpoint,
        closing(open_remote("s3://evidence", {"endpoint": endpoint, **S3})) as remote,
    ):
        found = remote.probe()
        assert found.create == "none"
        assert found.reads_back
        assert any("overwrites" in warning for warning in found.warnings)


def test_a_store_that_repeats_our_secrets_is_not_quoted(web: Web) -> None:
    web.status = 403
    web.body = b"<Error><Code>AccessDenied</Code><Message>%s \x1b[2J</Message></Error>" % SECRET.encode()
    with closing(open_remote(*place("s3", web.port))) as remote:
        for request in requests(remote):
            with pytest.raises(RemoteTrouble) as caught:
                request()
            plain(caught.value)
            assert not caught.value.passing


def test_a_bucket_that_is_not_there(s3: Place) -> None:
    url, options = s3
    with closing(open_remote(f"{url}-of-others", options)) as remote:
        for request in requests(remote):
            with pytest.raises(RemoteTrouble, match="NoSuchBucket") as caught:
                request()
            assert not isinstance(caught.value, Absent), "a missing bucket is not a lost object"
            assert "bucket" in caught.value.next_step


def test_versions_of_a_bucket_are_seen() -> None:
    with (
        servers.s3("--versions") as endpoint,
        closing(open_remote("s3://evidence", {"endpoint": endpoint, **S3})) as remote,
    ):
        assert remote.probe().locked == "versions are kept"


def test_locks_of_an_object_are_seen(web: Web) -> None:
    web.headers = {
        "Date": "Sat, 21 Nov 2026 14:02:31 GMT",
        "x-amz-object-lock-retain-until-date": "2033-11-21T00:00:00Z",
        "x-amz-object-lock-legal-hold": "ON",
    }
    place = f"http://127.0.0.1:{web.port}"
    store = S3Store(
        "evidence",
        config={"endpoint": place, "access_key_id": "a", "secret_access_key": "b", "region": "eu-west-1"},
        client_options={"allow_http": True},
    )
    assert asyncio.run(headers.ask(store, "probe"))[1] == (
        "object lock until 2033-11-21T00:00:00Z",
        "legal hold ON",
    )


def test_a_wrong_token_is_said(https: Place) -> None:
    with closing(open_remote(https[0], {"token": "wrong-wrong-wrong"})) as remote:
        with pytest.raises(RemoteTrouble, match="status 401") as caught:
            remote.get("case/a")
        assert "token" in caught.value.next_step
        assert not caught.value.passing


def test_a_wrong_token_of_nats_is_said(tmp_path: Path) -> None:
    with servers.nats(token=SECRET) as (url, _):
        with closing(open_remote(f"{url}/evidence", {"token": "wrong-wrong-wrong"})) as remote:
            with pytest.raises(RemoteTrouble) as caught:
                remote.get("case/a")
            plain(caught.value)
            assert "credentials" in caught.value.next_step
        with closing(open_remote(f"{url}/evidence", {"token": SECRET})) as remote:
            assert remote.put("case/a", json.dumps({}).encode())
