"""The remotes that the contract is held against, each with a real server that starts when it is first wanted."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from secrets import token_hex

import pytest

from data.remotes import Remote, files
from data.remotes.opening import open_remote
from data.remotes.postgres import Postgres
from tests.remotes import servers
from tests.remotes.faulty import Faulty, Memory

Place = tuple[str, Mapping[str, str]]
"""An address and its options."""

S3 = {"access_key_id": "test", "secret_access_key": "test-secret", "region": "us-east-1", "timeout": "60"}
KINDS = (
    "memory", "faulty", "directory", "directory-fat", "directory-plain", "s3", "s3-unconditional", "postgres-wheel",
    "postgres-system", "nats", "https",
)  # fmt: skip


def impossible(*_: object) -> None:
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))


@pytest.fixture(scope="session")
def s3() -> Iterator[Place]:
    with servers.s3() as endpoint:
        yield "s3://evidence", {"endpoint": endpoint, **S3}


@pytest.fixture(scope="session")
def s3_unconditional() -> Iterator[Place]:
    with servers.s3("--no-conditional") as endpoint:
        yield "s3://evidence", {"endpoint": endpoint, **S3}


def _postgres(which: str) -> Iterator[Place]:
    programs = servers.postgres_programs()
    if which not in programs:
        pytest.skip(f"the {which} PostgreSQL is not installed")
    with servers.postgres(programs[which]) as url:
        owner = Postgres(url, {})
        owner.prepare()
        owner.close()
        yield url, {}


@pytest.fixture(scope="session")
def postgres_wheel() -> Iterator[Place]:
    yield from _postgres("wheel")


@pytest.fixture(scope="session")
def postgres_system() -> Iterator[Place]:
    yield from _postgres("system")


@pytest.fixture(scope="session")
def nats() -> Iterator[Place]:
    with servers.nats() as (url, monitor):
        yield f"{url}/evidence", {"monitor": monitor}


@pytest.fixture(scope="session")
def https(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with servers.https(tmp_path_factory.mktemp("https")) as (url, token, _):
        yield url, {"token": token}


@pytest.fixture
def opened() -> Iterator[Callable[[Place], Remote]]:
    """Opens remotes that are closed after the test."""
    remotes: list[Remote] = []

    def again(place: Place) -> Remote:
        remotes.append(open_remote(*place))
        return remotes[-1]

    yield again
    for remote in remotes:
        remote.close()


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def reopen(
    kind: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    opened: Callable[[Place], Remote],
) -> Callable[[], Remote]:
    """Opens the remote of this run, again and again: the same place each time."""
    if kind in ("memory", "faulty"):
        memory = Memory()
        return lambda: Faulty(memory) if kind == "faulty" else memory
    if kind.startswith("directory"):
        if kind != "directory":
            monkeypatch.setattr(os, "link", impossible)
        if kind == "directory-plain":
            monkeypatch.setattr(files, "_rename_noreplace", impossible)
        return lambda: opened((f"dir:{tmp_path}", {}))
    place: Place = request.getfixturevalue(kind.replace("-", "_"))
    return lambda: opened(place)


@pytest.fixture
def remote(reopen: Callable[[], Remote]) -> Remote:
    return reopen()


@pytest.fixture
def case() -> str:
    """A folder of the remote that no other test uses."""
    return f"case-{token_hex(8)}"
