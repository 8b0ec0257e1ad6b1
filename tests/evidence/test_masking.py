"""Big files are looked into by another process, with the same outcome."""

from __future__ import annotations

from hashlib import sha256

import pytest

from console.evidence import masking
from console.evidence.masking import Apart
from console.evidence.redaction import Redaction
from data.envelope import Ref

SECRET = "password=hunter2x9 "
LINE = "nothing to see here, 12.50 EUR\n"


@pytest.fixture
def policy() -> Redaction:
    return Redaction("secrets+personal", ("Project Heron",))


def ref(data: bytes) -> Ref:
    return Ref(media="text/plain", sha256=sha256(data).hexdigest(), size=len(data))


def big(text: str) -> bytes:
    return (LINE * (masking.LARGE // len(LINE)) + text + LINE).encode()


@pytest.mark.parametrize("text", [SECRET, "project heron", "nothing"])
def test_what_it_says_is_what_the_policy_says(policy: Redaction, text: str) -> None:
    with policy.apart() as apart:
        for data in (big(text), text.encode(), big(LINE), big(text) + b"\xff"):
            assert apart.blob(ref(data), data) == policy.blob(ref(data), data)
        assert (apart.id, apart.name) == (policy.id, policy.name)


def test_no_big_text_is_searched_here(policy: Redaction, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Redaction, "find", lambda *_: pytest.fail("it was searched here"))
    with policy.apart() as apart:
        found = apart.blob(ref(big(SECRET)), big(SECRET))
        assert found is not None
        assert b"hunter2x9" not in found.shown
        assert apart.blob(ref(big("")), big("")) is None


@pytest.mark.parametrize("when", ["before", "never started"])
def test_without_the_process_nothing_goes_out_unseen(
    policy: Redaction, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    with policy.apart() as apart:
        if when == "before":
            apart.blob(ref(big("")), big(""))
            assert isinstance(apart, Apart)
            helper = apart._helper
            assert helper is not None
            helper.process.kill()
            helper.process.wait()
        else:

            def none(*_: object) -> None:
                raise OSError("no more processes")

            monkeypatch.setattr(masking, "Helper", none)
        found = apart.blob(ref(big(SECRET)), big(SECRET))
        assert found is not None
        assert b"hunter2x9" not in found.shown
