from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.blobs import Blobs
from data.envelope import Ref
from data.trouble import StoreTrouble


@given(data=st.binary(max_size=2000))
def test_what_is_put_is_read(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    blobs = Blobs(tmp_path_factory.mktemp("case"))
    ref = blobs.put(data, "text/plain")
    assert blobs.put(data, "text/plain") == ref
    assert blobs.read(ref) == data
    assert [p.name for p in blobs.path(ref.sha256).parent.iterdir()] == [ref.sha256]


@pytest.mark.parametrize("damage", [b"", b"changed", b"original and more"])
def test_a_damaged_blob_is_not_shown_and_mended_by_the_original(tmp_path: Path, damage: bytes) -> None:
    blobs = Blobs(tmp_path)
    ref = blobs.put(b"original")
    blobs.path(ref.sha256).write_bytes(damage)
    with pytest.raises(StoreTrouble, match="not what was stored"):
        blobs.read(ref)
    blobs.put(b"original")
    assert blobs.read(ref) == b"original"


def test_a_missing_blob_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreTrouble, match="missing"):
        Blobs(tmp_path).read(Ref(sha256="0" * 64, size=1, media=""))


def test_a_link_in_place_of_a_blob_is_not_followed(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    ref = blobs.put(b"original")
    (tmp_path / "elsewhere").write_bytes(b"original")
    blobs.path(ref.sha256).unlink()
    blobs.path(ref.sha256).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreTrouble):
        blobs.read(ref)


def test_a_blob_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "blobs").write_bytes(b"a file where a directory should be")
    with pytest.raises(StoreTrouble):
        Blobs(tmp_path).put(b"x")
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["blobs"]
