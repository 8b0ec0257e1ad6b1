"""The reference service: who gets in, what it refuses, and what it has after a kill."""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from data.remotes import RemoteTrouble
from data.remotes.opening import open_remote
from tests.remotes import servers
from tests.remotes.conftest import Place


@pytest.fixture
def client(https: Place) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=https[0], headers={"Authorization": f"Bearer {https[1]['token']}"}, trust_env=False
    ) as client:
        yield client


@pytest.mark.parametrize("token", [None, "", "Bearer", "Bearer wrong", "Basic eA==", "Bearer \xff"])
def test_nobody_gets_in_without_the_token(https: Place, token: str | None) -> None:
    headers = {b"Authorization": token.encode("latin-1")} if token is not None else {}
    with httpx.Client(base_url=https[0], headers=headers, trust_env=False) as client:
        for method, path in (
            ("GET", "/?list="),
            ("GET", "/case/a"),
            ("PUT", "/case/a"),
            ("DELETE", "/x"),
            ("GET", "/"),
        ):
            assert client.request(method, path, headers={"If-None-Match": "*"}).status_code == 401


def test_it_only_creates(client: httpx.Client, case: str) -> None:
    assert client.put(f"/{case}/a", content=b"x").status_code == 428
    assert client.put(f"/{case}/a", content=b"x", headers={"If-None-Match": '"etag"'}).status_code == 428
    assert client.put(f"/{case}/a", content=b"x", headers={"If-None-Match": "*"}).status_code == 201
    assert client.put(f"/{case}/a", content=b"y", headers={"If-None-Match": "*"}).status_code == 412
    for method in ("DELETE", "PATCH", "POST"):
        assert client.request(method, f"/{case}/a").status_code == 405
    assert client.get(f"/{case}/a").content == b"x"


@pytest.mark.parametrize(
    "path",
    [
        "/../x",
        "/%2e%2e/x",
        "/a/%2e%2e/%2e%2e/x",
        "/A",
        "/.token",
        "/a%00b",
        "/a/.token",
        "//etc/passwd",
        "/a%5cb",
    ],
)
def test_strange_names_are_refused(https: Place, path: str) -> None:
    for method in ("PUT", "GET"):
        assert raw(https[0], method, path, https[1]["token"], b"x") in (400, 404)


def raw(url: str, method: str, path: str, token: str, body: bytes, length: int | None = None) -> int:
    """The status of a request as it stands: a good client would tidy it up first."""
    connection = HTTPConnection(url.removeprefix("http://"), timeout=60)
    try:
        connection.putrequest(method, path)
        connection.putheader("Authorization", f"Bearer {token}")
        connection.putheader("If-None-Match", "*")
        connection.putheader("Content-Length", str(len(body) if length is None else length))
        connection.endheaders(body)
        return connection.getresponse().status
    finally:
        connection.close()


def test_a_body_beyond_the_bound_is_refused_before_it_came(tmp_path: Path) -> None:
    with servers.https(tmp_path) as (url, token, _):
        assert raw(url, "PUT", "/case/a", token, b"x", 300 * 1024 * 1024) == 413
        assert raw(url, "PUT", "/case/a.seg", token, b"x", 65 * 1024 * 1024) == 413
    assert [path.name for path in tmp_path.iterdir()] == [".token"]


def test_the_token_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    with servers.https(tmp_path) as (_, token, _):
        assert len(token) >= 32
        assert stat.S_IMODE((tmp_path / ".token").stat().st_mode) == 0o600
    with servers.https(tmp_path) as (_, again, _):
        assert again == token


@pytest.mark.parametrize(
    ("prepare", "flags", "said"),
    [
        (None, ["--host", "0.0.0.0"], "needs TLS"),
        ("missing", [], "no directory"),
        ("readable", [], "chmod 600"),
        ("short", [], "fewer than 16"),
        (None, ["--cert", "/nowhere.pem"], "cannot start"),
    ],
)
def test_it_does_not_start_in_an_unsafe_way(
    tmp_path: Path, prepare: str | None, flags: list[str], said: str
) -> None:
    directory = tmp_path / "missing" if prepare == "missing" else tmp_path
    if prepare in ("readable", "short"):
        (tmp_path / ".token").write_text("short" if prepare == "short" else "x" * 40)
        (tmp_path / ".token").chmod(0o600 if prepare == "short" else 0o644)
    done = subprocess.run(
        [sys.executable, "-m", "data.remotes.server", directory, "--port", "0", *flags],
        capture_output=True, text=True, timeout=60, cwd=servers.ROOT, check=False,
    )  # fmt: skip
    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ca.pem, and server.pem and client.pem (chain and key) that it signed, and stranger.pem that it did not."""
    place = tmp_path_factory.mktemp("tls")

    def make(
        name: str, issuer: tuple[x509.Name, ec.EllipticCurvePrivateKey] | None
    ) -> tuple[x509.Name, ec.EllipticCurvePrivateKey]:
        key, subject = (
            ec.generate_private_key(ec.SECP256R1()),
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]),
        )
        now = dt.datetime.now(dt.UTC)
        by, signer = issuer or (subject, key)
        certificate = (
            x509.CertificateBuilder(
                by,
                subject,
                key.public_key(),
                x509.random_serial_number(),
                now - dt.timedelta(1),
                now + dt.timedelta(1),
            )
            .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
                critical=False,
            )
            .sign(signer, hashes.SHA256())
        )
        pem = serialization.Encoding.PEM
        raw = certificate.public_bytes(pem)
        if issuer is not None or name == "stranger":
            raw += key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        (place / f"{name}.pem").write_bytes(raw)
        return subject, key

    ca = make("ca", None)
    make("server", ca)
    make("client", ca)
    make("stranger", None)
    return place


def test_with_tls_and_a_certificate_for_each_side(tmp_path: Path, authority: Path, case: str) -> None:
    ca, mine = str(authority / "ca.pem"), str(authority / "client.pem")
    with servers.https(tmp_path, "--cert", authority / "server.pem", "--client-ca", ca) as (url, token, _):
        assert url.startswith("https://")
        with closing(open_remote(url, {"token": token, "ca": ca, "cert": mine})) as remote:
            assert remote.put(f"{case}/a", b"x")
            assert remote.get(f"{case}/a") == b"x"
        wrong = [
            {"token": token, "ca": ca},
            {"token": token, "cert": mine},
            {"token": token, "ca": ca, "cert": str(authority / "stranger.pem")},
            {"token": token, "ca": "/nowhere.pem"},
        ]
        for options in wrong:
            with closing(open_remote(url, options)) as remote, pytest.raises(RemoteTrouble):
                remote.get(f"{case}/a")


def test_a_server_killed_in_the_middle_has_whole_objects_only(tmp_path: Path) -> None:
    data = os.urandom(20_000_000)
    for _ in range(3):
        with (
            servers.https(tmp_path) as (url, token, pid),
            closing(open_remote(url, {"token": token})) as remote,
        ):
            failed: list[RemoteTrouble] = []

            def send(remote=remote, failed=failed) -> None:  # type: ignore[no-untyped-def]
                for i in range(20):
                    try:
                        remote.put(f"case/{i}", data)
                    except RemoteTrouble as trouble:
                        failed.append(trouble)
                        return

            thread = Thread(target=send)
            thread.start()
            while thread.is_alive() and not list(tmp_path.rglob(".tmp-*")):
                pass  # until it writes
            os.kill(pid, signal.SIGKILL)
            thread.join()
            assert failed
            assert failed[0].passing
    with servers.https(tmp_path) as (url, token, _), closing(open_remote(url, {"token": token})) as remote:
        for name in remote.list("case/"):
            assert remote.get(name) == data
        assert remote.put("case/after", data)
