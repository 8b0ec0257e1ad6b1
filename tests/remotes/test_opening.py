"""Addresses: which remote they mean, and that they hold no secret."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest

from data.remotes import RemoteTrouble
from data.remotes.opening import KINDS, open_remote

SECRET = "hunter2-hunter2"
GOOD = {
    "dir": "dir:/media/stick/warroom",
    "s3": "s3://bucket/some/prefix",
    "gs": "gs://bucket",
    "az": "az://container/prefix",
    "postgresql": "postgresql://me@db.example/evidence?sslmode=verify-full",
    "nats": "nats://nats.example:4222/evidence",
    "tls": "tls://nats.example:4222/evidence",
    "https": "https://evidence.example/warroom",
    "http": "http://127.0.0.1:8443",
}


def test_every_kind_opens_without_reaching_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert GOOD.keys() == KINDS.keys()
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("it reached out"))
    for scheme, url in GOOD.items():
        options = {"account_name": "me", "account_key": "bWU="} if scheme == "az" else {}
        with closing(open_remote(url, options)) as remote:
            assert remote.url == url
    with closing(open_remote(str(tmp_path))) as remote:
        assert remote.url == f"dir:{tmp_path}"


@pytest.mark.parametrize(
    "url",
    [
        f"s3://me:{SECRET}@bucket",
        f"s3://{SECRET}@bucket",
        f"postgresql://me:{SECRET}@db.example/evidence",
        f"postgresql://me@db.example/evidence?password={SECRET}",
        f"postgresql://me@db.example/evidence?passfile=/etc/{SECRET}",
        f"nats://{SECRET}@nats.example",
        f"https://me:{SECRET}@evidence.example/",
        f"https://evidence.example/?token={SECRET}",
        f"https://evidence.example/#{SECRET}",
        f"s3://bucket/prefix?secret_access_key={SECRET}",
    ],
)
def test_a_secret_in_an_address_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(RemoteTrouble) as caught:
        open_remote(url)
    assert SECRET not in str(caught.value)
    assert "options" in caught.value.next_step
    assert not caught.value.passing


@pytest.mark.parametrize(
    "url",
    ["", "ftp://host/", "file:///etc", "relative/path", "dir:relative", "s3:", "s3://", "http://evidence.example/", "https://", "nats://host:99999/x",
     "nats://host/a.b", "https://[::1", "s3://bucket/\x1b[2J", "\x1b]0;x\x07", "https://host/a b"],
)  # fmt: skip
def test_a_wrong_address_is_explained(url: str) -> None:
    with pytest.raises(RemoteTrouble) as caught:
        open_remote(url)
    assert str(caught.value).isprintable()
    assert not caught.value.passing


@pytest.mark.parametrize(
    ("scheme", "options"),
    [
        ("dir", {"token": SECRET}),
        ("s3", {"no_such_key": SECRET}),
        ("s3", {"endpoint": "http://store.example", "secret_access_key": SECRET}),
        ("s3", {"timeout": "soon"}),
        ("postgresql", {"sslmode": SECRET}),
        ("postgresql", {"timeout": "0"}),
        ("nats", {"replicas": "2"}),
        ("nats", {"secret": SECRET}),
        ("https", {"bearer": SECRET}),
        ("https", {"token": f"{SECRET}\r\nX-Evil: 1"}),
        ("https", {"timeout": "nan"}),
    ],
)
def test_a_wrong_option_is_explained(scheme: str, options: Mapping[str, str]) -> None:
    with pytest.raises(RemoteTrouble, match="cannot be used") as caught:
        open_remote(GOOD[scheme], options)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("scheme", "library"), [("s3", "obstore"), ("gs", "obstore"), ("postgresql", "psycopg"), ("nats", "nats")]
)
def test_a_missing_library_is_one_command_away(
    scheme: str, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(RemoteTrouble) as caught:
        open_remote(GOOD[scheme])
    assert caught.value.next_step == f"Run: pip install 'warroom[{KINDS[scheme].extra}]'"


def test_opening_imports_no_library_of_another_kind() -> None:
    import subprocess

    code = (
        "import sys; from data.remotes.opening import open_remote; open_remote('/tmp');"
        "print([m for m in ('obstore', 'psycopg', 'nats', 'httpx', 'aiohttp', 'asyncio') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout.strip() in ("[]", "['asyncio']")


def test_every_kind_has_its_page() -> None:
    pages = Path(__file__).parents[2] / "docs" / "remotes"
    text = "".join(page.read_text() for page in pages.glob("*.md"))
    for scheme, kind in KINDS.items():
        assert f"{scheme}:" in text, scheme
        if kind.extra:
            assert f"warroom[{kind.extra}]" in text
