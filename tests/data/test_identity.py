"""The key of a console: in a file, behind a passphrase, or in the keyring of the system."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import PasswordDeleteError

from data.home import FILE, PASSPHRASE, Home
from data.identity import FILE as PEM
from data.identity import Identity, Locked, fingerprint, keep, load, signed_by
from data.trouble import StoreTrouble

DIGEST = bytes(range(32))


class Memory(KeyringBackend):
    """A keyring that forgets everything with the test."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.held: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.held.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.held[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.held.pop((service, username), None) is None:
            raise PasswordDeleteError


@pytest.fixture
def ring() -> Iterator[Memory]:
    before, memory = keyring.get_keyring(), Memory()
    keyring.set_keyring(memory)
    yield memory
    keyring.set_keyring(before)


def test_a_key_signs_and_nobody_else_does() -> None:
    ana, ben = Identity.make(), Identity.make()
    signature = ana.sign(DIGEST)
    assert signed_by(ana.public, DIGEST, signature)
    assert not signed_by(ben.public, DIGEST, signature)
    assert not signed_by(ana.public, DIGEST[::-1], signature)
    assert not signed_by(ana.public, DIGEST, signature[:-1] + b"x")
    assert not signed_by(b"short", DIGEST, signature)


def test_a_fingerprint_is_eight_words_and_another_for_another_key() -> None:
    ana = Identity.make()
    words = fingerprint(ana.public)
    assert len(words) == 8
    assert all(word.isalpha() and word.islower() for word in words)
    assert words == fingerprint(ana.public) != fingerprint(Identity.make().public)


def test_a_key_behind_a_passphrase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home.open(tmp_path / "home")
    home.keep_key("file", "correct horse")
    assert b"ENCRYPTED" in (home.path / PEM).read_bytes()
    monkeypatch.delenv(PASSPHRASE, raising=False)
    again = Home.open(home.path)
    with pytest.raises(Locked, match="needs its passphrase"):
        assert again.identity
    with pytest.raises(Locked, match="does not open"):
        again.unlock("wrong horse")
    again.unlock("correct horse")
    assert again.identity.replica == home.replica
    monkeypatch.setenv(PASSPHRASE, "correct horse")
    third = Home.open(home.path)
    assert third.identity.public == home.identity.public
    third.keep_key("file")
    monkeypatch.delenv(PASSPHRASE)
    assert Home.open(home.path).identity.public == home.identity.public


def test_a_key_in_the_keyring_and_back(tmp_path: Path, ring: Memory) -> None:
    home = Home.open(tmp_path / "home")
    public = home.identity.public
    home.keep_key("keyring")
    assert not (home.path / PEM).exists()
    again = Home.open(home.path)
    assert (again.place, again.replica, again.identity.public) == ("keyring", home.replica, public)
    again.keep_key("file", "words")
    assert not ring.held
    third = Home.open(home.path)
    third.unlock("words")
    assert (third.place, third.identity.public) == ("file", public)


def test_a_keyring_that_lost_the_key_is_named_and_nobody_else_is_made(tmp_path: Path, ring: Memory) -> None:
    home = Home.open(tmp_path / "home")
    home.keep_key("keyring")
    ring.held.clear()
    again = Home.open(home.path)
    with pytest.raises(StoreTrouble, match="holds no key") as caught:
        assert again.identity
    assert caught.value.next_step
    assert again.replica == home.replica


def test_a_keyring_that_does_not_keep_changes_nothing(
    tmp_path: Path, ring: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home.open(tmp_path / "home")
    monkeypatch.setattr(Memory, "set_password", lambda *_: None)
    with pytest.raises(StoreTrouble, match="holds no key"):
        home.keep_key("keyring")
    assert Home.open(home.path).identity.public == home.identity.public


def test_without_the_package_one_sentence_says_how(
    tmp_path: Path, ring: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home.open(tmp_path / "home")
    home.keep_key("keyring")
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(StoreTrouble, match="pip install"):
        assert Home.open(home.path).identity


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    home = Home.open(tmp_path / "home")
    (home.path / PEM).chmod(0o644)
    with pytest.raises(StoreTrouble, match="read by others"):
        assert Home.open(home.path).identity


def test_a_key_of_another_home_is_refused(tmp_path: Path) -> None:
    one, two = Home.open(tmp_path / "one"), Home.open(tmp_path / "two")
    (one.path / PEM).write_bytes((two.path / PEM).read_bytes())
    with pytest.raises(StoreTrouble, match=FILE):
        assert Home.open(one.path).identity


@pytest.mark.parametrize(
    "raw", [b"", b"nothing", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
)
def test_what_is_no_key_is_named(tmp_path: Path, raw: bytes) -> None:
    home = Home.open(tmp_path / "home")
    (home.path / PEM).write_bytes(raw)
    with pytest.raises(StoreTrouble, match="not the key"):
        assert Home.open(home.path).identity


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    first = Identity.make()
    assert keep(tmp_path, first)
    assert not keep(tmp_path, Identity.make())
    assert load(tmp_path).public == first.public


def test_reading_needs_no_cryptography(tmp_path: Path) -> None:
    """Opening a home and looking around costs nobody the import of a crypto library."""
    Home.open(tmp_path / "home")
    code = (
        "import sys; from pathlib import Path; from data.home import Home;"
        f"Home.open(Path({str(tmp_path / 'home')!r})).cases();"
        "assert not {'cryptography', 'keyring', 'mnemonic'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
