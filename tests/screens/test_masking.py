"""What the policy masks is not on any screen, until somebody says why they look; then only that entry is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from console import shown
from console.events import EvidenceCaptured, Unmasked, entry, read
from console.evidence.redaction import Redaction
from data.blobs import Blobs
from screens.dialogs.form import Form
from screens.dialogs.material import MaterialPage, MaterialRows
from screens.dialogs.page import Page
from screens.dialogs.search import Search
from screens.display import fit
from screens.reading import Standing, about_entry
from screens.widgets.alerts import Alerts
from screens.widgets.evidence import EvidenceList
from screens.widgets.sheet import Sheet
from tests.screens.stage import facts, watch
from tests.screens.test_room import Opened, Stage

TOKEN = "ghp_" + "a7" * 18
PASSWORD = "hunter2x9"
KEY = "MIIEabcdefabcdefabcdefabcdefabcdef"
PEM = f"-----BEGIN RSA PRIVATE KEY-----\n{KEY}\n{KEY}\n-----END RSA PRIVATE KEY-----"
SECRETS = (TOKEN, TOKEN[:12], PASSWORD, KEY)


def drawn(stage: Stage) -> str:
    """Return everything that is on the terminal, of every screen that is seen."""
    lines: list[str] = []
    for screen in stage.console.screen_stack:
        lines += [strip.text for strip in screen._compositor.render_strips()]
    return "\n".join(lines)


def clean(stage: Stage) -> str:
    text = drawn(stage)
    assert [secret for secret in SECRETS if secret in text] == []
    return text


async def leaky(stage: Stage) -> None:
    """Write secrets wherever somebody or something may write."""
    room = stage.room
    await room.retitle(f"leak of {TOKEN}")
    await room.note(f"the agent printed password={PASSWORD}\nand\n{PEM}\nafter it")
    await room.assign("comms", f"eve token={PASSWORD}")
    ref = Blobs(room.case.directory).put(f"first\npassword={PASSWORD}\n{PEM}\nlast\n".encode(), "text/plain")
    body = EvidenceCaptured("file", f"printout with {TOKEN}", source="here", reason=f"password={PASSWORD}")
    await room.append(entry(body, room.actor, refs=(ref,)))
    await stage.until(lambda: "printout" in drawn(stage))


async def reasons(stage: Stage) -> list[str]:
    """Return why somebody looked behind a mask, as it is on the record."""
    events = await stage.room._reader.since(0)
    return [body.reason for event in events if isinstance(body := read(event), Unmasked)]


async def says(stage: Stage, screen: type[Any], words: str) -> str:
    await stage.until(lambda: isinstance(stage.console.screen, screen) and words in drawn(stage), words)
    return drawn(stage)


async def looks(stage: Stage, why: str) -> None:
    await stage.press("X")
    await stage.until(lambda: isinstance(stage.console.screen, Form))
    await stage.type(why)
    await stage.press("enter")


async def test_no_screen_shows_a_secret(tmp_path: Path) -> None:
    sentence = f"sent {TOKEN} to paste.example"
    loud = facts(7, pages=True, agent=f"bot-{TOKEN}", sentence=sentence, subject=f"password={PASSWORD}")
    async with Opened(tmp_path) as stage:
        watch(stage.desk.home, loud)
        await leaky(stage)
        text = clean(stage)
        assert "leak of [masked github token]" in text
        assert "password=[masked" in text
        await stage.press("1")
        alerts = stage.screen.query_one(Alerts)

        def place() -> int:
            rows = ((at, alerts.row(at)) for at in range(alerts.count))
            return next(at for at, row in rows if row is not None and TOKEN in str(row))

        await stage.until(lambda: place() >= 0)
        alerts.go(place())
        clean(stage)
        await stage.press("enter")
        await says(stage, Page, "subject, inert")
        assert "password=[masked password]" in clean(stage)
        await stage.press("escape", "5")
        await stage.until(lambda: "EXHIBITS" in drawn(stage))
        clean(stage)
        await stage.press("enter")
        await stage.until(lambda: isinstance(stage.console.screen, Page))
        clean(stage)
        await stage.press("escape", "less_than_sign")
        await stage.until(lambda: "leak of [masked" in drawn(stage))
        clean(stage)


async def test_a_masked_entry_is_found_and_the_find_does_not_show_it(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        await leaky(stage)
        await stage.press("f5")
        await stage.until(lambda: isinstance(stage.console.screen, Search))
        await stage.type("hunter2x9 after")
        await stage.until(lambda: "Find  1" in drawn(stage))
        text = "\n".join(strip.text for strip in stage.console.screen._compositor.render_strips())
        assert "[masked password]" in text
        assert KEY not in text


async def test_what_is_typed_is_not_masked(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        await stage.press("i")
        await stage.type(f"password={PASSWORD}")
        await stage.until(lambda: f"password={PASSWORD}" in drawn(stage))


async def test_looking_behind_the_mask_needs_a_reason_and_stands_on_the_record(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        await leaky(stage)
        await stage.press("2")
        lines = await stage.room.lines.search("after it")
        stage.timeline.jump_to(lines[0].hash)
        await stage.until(lambda: getattr(stage.timeline.selected, "hash", "") == lines[0].hash)
        await stage.press("enter")
        await says(stage, Page, "text, inert")
        assert "password=[masked password]" in clean(stage)
        await stage.press("X")  # from the page, too
        await stage.until(lambda: isinstance(stage.console.screen, Form))
        await stage.press("enter")
        await says(stage, Form, "needs a reason")
        assert await reasons(stage) == []
        await stage.type("whose key is it")
        await stage.press("enter")
        text = await says(stage, Page, "NOT MASKED")
        assert f"password={PASSWORD}" in text
        assert KEY in text
        assert await reasons(stage) == ["whose key is it"]
        await stage.press("escape", "enter")
        await says(stage, Page, "text, inert")
        clean(stage)


async def test_correcting_a_masked_entry_is_looking_at_it(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        await stage.room.note("nothing to hide")
        await stage.press("f4")
        await says(stage, Form, "nothing to hide")
        assert await reasons(stage) == []
        await stage.press("escape")
        await leaky(stage)
        await stage.press("f4")
        await says(stage, Form, KEY)
        assert await reasons(stage) == ["to correct it"]


async def test_a_key_that_goes_over_lines_of_a_file_is_masked_in_each_of_them(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        await leaky(stage)
        await stage.press("5")
        await stage.until(lambda: "EXHIBITS" in drawn(stage))
        rows = stage.console.screen.query_one(EvidenceList)
        rows.go(next(i for i, row in enumerate(rows.all_rows) if row.kind == "exhibit"))
        await stage.press("o")
        await says(stage, MaterialPage, "last")
        text = clean(stage)
        assert text.count("[masked private key]") == PEM.count("\n") + 1
        material = stage.console.screen.query_one(MaterialRows)
        material.go(4)
        await stage.press("enter")
        await stage.until(lambda: isinstance(stage.console.screen, Page))
        page = stage.console.screen.query_one(Sheet)
        await stage.until(lambda: page.count > 0)
        assert "[masked private key]" in " ".join(line.text for line in page.all_rows)
        clean(stage)
        await stage.press("escape", "escape")
        await looks(stage, "to rotate it")
        text = await says(stage, MaterialPage, "NOT MASKED")
        await stage.until(lambda: KEY in drawn(stage))
        assert await reasons(stage) == ["to rotate it"]


def test_half_a_secret_at_the_edge_is_none() -> None:
    for cells in range(4, 60):
        assert TOKEN[:5] not in fit(f"the agent printed {TOKEN} twice", cells)
    assert fit("x" * 200_000 + TOKEN, 80).startswith("xxxx")


@pytest.mark.parametrize("policy", [Redaction("none"), Redaction("secrets+personal", ("acme",))])
def test_the_policy_of_the_configuration_decides(policy: Redaction) -> None:
    shown.mask_by(lambda: policy)
    fit.cache_clear()
    line = f"{TOKEN} of ana@example.org at ACME"
    expected = line if policy.name == "none" else "[masked github token] of [masked email] at [masked listed]"
    assert fit(line, 80).strip() == expected


async def test_an_entry_whose_text_was_kept_back_is_not_called_erased(tmp_path: Path) -> None:
    async with Opened(tmp_path) as stage:
        note = await stage.room.note("what another console does not get")
        bare = msgspec.structs.replace(note, body=None)
        standing = Standing("shared", "ana (0123)", "founded the incident")
        text = " ".join(para.text for para in about_entry([bare], standing))
        assert "WITHHELD: its text is not here" in text
        assert "ERASED" not in text
