"""A directory: whole files under names that are never taken away, on whatever file system it stands."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer

from data.remotes import Absent, RemoteTrouble, files
from data.remotes.directory import Directory
from data.remotes.server import application
from tests.remotes.conftest import impossible


def test_a_stick_that_is_not_plugged_in_is_not_made_up(tmp_path: Path) -> None:
    remote = Directory(tmp_path / "stick")
    for request in (
        lambda: remote.put("case/a", b"x"),
        lambda: remote.get("case/a"),
        lambda: list(remote.list("")),
        remote.probe,
    ):
        with pytest.raises(RemoteTrouble, match="is not there") as caught:
            request()
        assert not isinstance(caught.value, Absent), "pulled out is not lost"
        assert caught.value.passing
    assert not (tmp_path / "stick").exists()


def test_it_goes_on_when_it_is_plugged_in_again(tmp_path: Path) -> None:
    stick, drawer = tmp_path / "stick", tmp_path / "drawer"
    stick.mkdir()
    remote = Directory(stick)
    remote.put("case/a", b"x")
    stick.rename(drawer)
    with pytest.raises(RemoteTrouble, match="is not there"):
        remote.get("case/a")
    drawer.rename(stick)
    assert remote.get("case/a") == b"x"


def test_unfinished_and_foreign_files_are_not_listed(tmp_path: Path) -> None:
    remote = Directory(tmp_path)
    remote.put("case/a", b"x")
    for foreign in (
        ".tmp-0123",
        "case/.tmp-0123",
        "case/A.txt",
        "case/Thumbs.db ",
        ".Trash-1000/a",
        "case/a b",
    ):
        (tmp_path / foreign).parent.mkdir(exist_ok=True)
        (tmp_path / foreign).write_bytes(b"x")
    os.mkfifo(tmp_path / "case/pipe")
    assert list(remote.list("")) == ["case/a"]
    with pytest.raises(RemoteTrouble, match="no file"):
        remote.get("case/pipe")


def test_links_lead_nowhere(tmp_path: Path) -> None:
    outside, stick = tmp_path / "outside", tmp_path / "stick"
    outside.mkdir()
    stick.mkdir()
    (outside / "secret").write_text("x")
    (stick / "case").symlink_to(outside)
    (stick / "link").symlink_to(outside / "secret")
    remote = Directory(stick)
    assert list(remote.list("")) == []
    assert list(remote.list("case/")) == []
    assert list(remote.list("../outside/")) == []
    for request in (
        lambda: remote.get("case/secret"),
        lambda: remote.get("link"),
        lambda: remote.put("case/b", b"x"),
        lambda: remote.put("case/new/b", b"x"),
    ):
        with pytest.raises(RemoteTrouble):
            request()
    assert [path.name for path in outside.iterdir()] == ["secret"]


def test_bytes_are_synced_before_they_have_a_name_and_the_name_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    fsync, link = os.fsync, os.link

    def synced(handle: int) -> None:
        steps.append(
            "directory" if stat.S_ISDIR(os.fstat(handle).st_mode) else f"{os.fstat(handle).st_size} bytes"
        )
        fsync(handle)

    def linked(source: Path, target: Path) -> None:
        steps.append("name")
        link(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "link", linked)
    (tmp_path / "case").mkdir()
    Directory(tmp_path).put("case/a", b"123")
    assert steps == ["3 bytes", "name", "directory"]
    steps.clear()
    Directory(tmp_path).put("other/0.1/b", b"12345")
    assert steps == ["directory", "directory", "5 bytes", "name", "directory"], (
        "new folders need their names too"
    )


@pytest.mark.parametrize("where", ["write", "_publish_link", "sync"])
def test_a_full_stick_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    remote = Directory(tmp_path)
    remote.put("case/a", b"x")
    with monkeypatch.context() as patched:
        target = {"write": (os, "fsync"), "_publish_link": (os, "link"), "sync": (files, "sync")}[where]
        patched.setattr(*target, full)
        with pytest.raises(RemoteTrouble, match="is full"):
            remote.put("case/b", b"x" * 1000)
    left = [path.name for path in (tmp_path / "case").iterdir() if path.name.startswith(".")]
    assert left == []
    assert remote.put("case/c", b"x"), "it goes on once there is room"


@pytest.mark.parametrize("unable", [("link",), ("link", "renameat2")])
def test_without_hard_links_the_name_is_still_never_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unable: tuple[str, ...]
) -> None:
    monkeypatch.setattr(os, "link", impossible)
    if "renameat2" in unable:
        monkeypatch.setattr(files, "_rename_noreplace", impossible)
    remote = Directory(tmp_path)
    assert remote.put("case/a", b"first")
    temporary = files.write(tmp_path / "case", b"second")
    assert files.publish(temporary, tmp_path / "case/a") is False
    assert remote.get("case/a") == b"first"
    assert [path.name for path in (tmp_path / "case").iterdir()] == ["a"]


def test_what_others_may_read_is_decided_by_the_group(tmp_path: Path) -> None:
    Directory(tmp_path).put("case/a", b"x")
    assert not stat.S_IMODE((tmp_path / "case/a").stat().st_mode) & 0o007
    assert not stat.S_IMODE((tmp_path / "case").stat().st_mode) & 0o007


def test_a_read_only_stick_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_only(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "read-only")

    remote = Directory(tmp_path)
    remote.put("case/a", b"x")
    monkeypatch.setattr(files, "write", read_only)
    with pytest.raises(RemoteTrouble, match="Read-only") as caught:
        remote.put("case/b", b"x")
    assert not caught.value.passing
    assert remote.get("case/a") == b"x"


def test_the_probe_leaves_no_temporary_file(tmp_path: Path) -> None:
    Directory(tmp_path).probe()
    assert not list(tmp_path.rglob(".*"))


def test_a_copied_directory_is_the_same_remote(tmp_path: Path) -> None:
    first = Directory(tmp_path / "a")
    (tmp_path / "a").mkdir()
    first.put("case/0.1/a", b"x")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert Directory(tmp_path / "b").get("case/0.1/a") == b"x"


@pytest.fixture
def unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with a bad sector, beside a good one; the directory lists both."""
    remote = Directory(tmp_path)
    remote.put("case/bad", b"x")
    remote.put("case/good", b"x")
    opened = os.open

    def read(path: str | Path, *rest: int, **more: int) -> int:
        if Path(path).name == "bad":
            raise OSError(errno.EIO, "bad sector")
        return opened(path, *rest, **more)

    monkeypatch.setattr(os, "open", read)
    return tmp_path


def test_a_file_that_cannot_be_read_is_no_fault_of_the_stick(unreadable: Path) -> None:
    remote = Directory(unreadable)
    with pytest.raises(RemoteTrouble, match="cannot read case/bad") as caught:
        remote.get("case/bad")
    assert not caught.value.passing
    assert remote.get("case/good") == b"x"


def test_where_nothing_can_be_read_the_stick_is_at_fault(
    unreadable: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError(errno.EIO, "no stick")

    monkeypatch.setattr(os, "scandir", broken)
    with pytest.raises(RemoteTrouble, match="Check the stick") as caught:
        Directory(unreadable).get("case/bad")
    assert caught.value.passing


async def test_the_service_says_which_faults_pass(unreadable: Path) -> None:
    drawer = unreadable.with_name("drawer")
    async with TestClient(
        TestServer(application(Directory(unreadable), "x" * 32)),
        headers={"Authorization": f"Bearer {'x' * 32}", "If-None-Match": "*"},
    ) as client:
        assert (await client.get("/case/bad")).status == 410
        assert (await client.get("/case/good")).status == 200
        os.rename(unreadable, drawer)
        assert (await client.get("/case/good")).status == 503
        assert (await client.get("/?list=")).status == 503
        assert (await client.put("/case/new", data=b"x")).status == 507
        os.rename(drawer, unreadable)


@pytest.mark.parametrize("home", ["/nonexistent/home", None])
def test_it_is_probed_by_somebody_without_a_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str | None
) -> None:
    def homeless() -> Path:
        if home is None:
            raise RuntimeError("nobody knows it")
        return Path(home)

    monkeypatch.setattr(Path, "home", homeless)
    assert Directory(tmp_path).probe().reads_back
