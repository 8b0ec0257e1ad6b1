"""Certificates: an own authority is trusted where it is named, and nothing else is."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from console.containment.actuator import Unreachable
from console.refusal import Refused
from tests.actuators.conftest import Make, Seen, Site, call, said


def issued(name: str, addresses: list[str]) -> tuple[str, str]:
    """A certificate that signed itself, and its key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    named = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    alternative = x509.SubjectAlternativeName(
        [x509.IPAddress(ipaddress.ip_address(each)) for each in addresses]
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(named)
        .issuer_name(named)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    )
    if addresses:
        builder = builder.add_extension(alternative, critical=False)
    made = builder.sign(key, hashes.SHA256())
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made.public_bytes(serialization.Encoding.PEM).decode(), secret.decode()


class Secured(Site):
    async def answer(self, request: Seen) -> web.Response:
        return said({"ok": True})


async def secured(tmp_path: Path, address: str) -> Secured:
    certificate, key = issued("gateway", [address])
    (tmp_path / "gateway.pem").write_text(certificate)
    (tmp_path / "gateway.key").write_text(key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "gateway.pem", tmp_path / "gateway.key")
    site = Secured()
    await site.start(tls=context)
    return site


async def test_only_an_authority_that_is_named_is_trusted(tmp_path: Path, made: Make) -> None:
    site = await secured(tmp_path, "127.0.0.1")
    try:
        options = {"token_env": "TEST_TOKEN", "stop": {"url": f"{site.url}/stop"}}
        with pytest.raises(Unreachable, match="not trusted"):
            await made("http", options).apply(call())
        assert not site.seen
        await made("http", options | {"ca_file": "gateway.pem"}).apply(call())
        assert len(site.seen) == 1
    finally:
        await site.close()


async def test_a_certificate_for_another_name_is_not_trusted(tmp_path: Path, made: Make) -> None:
    site = await secured(tmp_path, "127.0.0.2")
    try:
        options = {"stop": {"url": f"{site.url}/stop"}, "ca_file": "gateway.pem"}
        with pytest.raises(Unreachable, match="not trusted"):
            await made("http", options).apply(call())
        assert not site.seen
    finally:
        await site.close()


def test_a_file_without_a_certificate_is_refused(tmp_path: Path, made: Make) -> None:
    (tmp_path / "empty.pem").write_text("nothing")
    with pytest.raises(Refused, match=r"`ca_file`.*no certificate"):
        made("http", {"stop": {"url": "https://a/"}, "ca_file": "empty.pem"})
