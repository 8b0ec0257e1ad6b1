"""docs/sources.md says what there is."""

from __future__ import annotations

from pathlib import Path

from console.telemetry.dialects import OWN
from console.telemetry.intake import PORT, Limits

DOC = (Path(__file__).parents[2] / "docs" / "sources.md").read_text()


def test_every_attribute_of_our_own_is_documented() -> None:
    def said(attribute: str) -> bool:
        head, _, tail = attribute.rpartition(".")
        return f"`{attribute}`" in DOC or (f"`{head}." in DOC and f"`.{tail}`" in DOC)

    assert [attribute for attribute in OWN.values() if not said(attribute)] == []


def test_limits_are_documented() -> None:
    limits = Limits()
    assert f"port {PORT}" in DOC
    assert f"{limits.wire // 2**20} MiB as sent, or {limits.body // 2**20} MiB unpacked" in DOC
    assert f"longer than {limits.read:g} s" in DOC
