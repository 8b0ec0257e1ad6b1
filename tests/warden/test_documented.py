"""docs/warden.md: the worked example does what the page says, and what porters are told is so."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from console.warden.leases import DOMAIN
from tests.warden.conftest import ROOT, Daemon, soon

PAGE = (ROOT / "docs" / "warden.md").read_text()


def blocks(language: str) -> list[str]:
    """The code blocks of a language on the page, in order."""
    found = re.findall(r"^```(\w*)\n(.*?)^```\n", PAGE, re.MULTILINE | re.DOTALL)
    return [text for named, text in found if named == language]


def asked(path: str) -> dict[str, Any]:
    """The body of the page's own request to a path."""
    (body,) = (re.findall(r"-d '(.*)'", block)[0] for block in blocks("") if f"4320{path} " in block)
    found = json.loads(body)
    assert isinstance(found, dict)
    return found


async def test_the_worked_example_does_what_the_page_says(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    page = blocks("toml")[0].replace('lease = "10 s"', 'lease = "2 s"')
    daemon.configure = lambda: (tmp_path / "config.toml").write_text(  # type: ignore[assignment, method-assign]
        page.replace("4320", str(daemon.port)).replace('"warden"', f'"{daemon.place}"')
    )
    daemon.start()
    (tmp_path / "refunds.py").write_text(blocks("python")[0].replace("4320", str(daemon.port)))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    said = tmp_path / "said"

    async def ask(path: str) -> Any:
        headers = {"Authorization": f"Bearer {(daemon.place / 'token').read_text().strip()}"}
        async with (
            aiohttp.ClientSession() as session,
            session.post(daemon.url + path, data=json.dumps(asked(path)), headers=headers) as answer,
        ):
            return await answer.json()

    with said.open("wb") as out:
        agent = subprocess.Popen(  # noqa: ASYNC220
            [sys.executable, "refunds.py"], cwd=tmp_path, env=environment, stdout=out, stderr=out
        )
    try:
        await soon(lambda: "refunded A-17" in said.read_text())
        answer = await ask("/halt")
        assert f"The answer is `{json.dumps(answer, separators=(',', ':'))}`" in PAGE
        await soon(lambda: said.read_text().endswith("refused: halted under epoch 101\n"))
        shown = daemon.cli().stdout
        assert re.search(r"^HALTED agent refunds, epoch 101, since \S+Z: it loops$", shown, re.MULTILINE)
        assert re.search(
            r"^refunds · [0-9a-f]{8} · (says it stopped|stopped, its lease is over) \(agent refunds\)",
            shown,
            re.MULTILINE,
        )
        assert (await ask("/resume"))["durable"] is True
        await soon(lambda: said.read_text().endswith("refunded A-17\n"))
        daemon.kill()
        await soon(
            lambda: said.read_text().endswith(
                "refused: there is no fresh lease: the warden cannot be reached\n"
            )
        )
        assert agent.poll() is None
    finally:
        agent.kill()
        agent.wait()
        daemon.kill()


async def test_a_port_written_from_the_page_alone_gets_a_lease(daemon: Daemon) -> None:
    """Rules 3, 4 and 8 with nothing of the guard's code."""
    question = {
        "agent": "ported",
        "guard": "1" * 32,
        "nonce": "2" * 32,
        "tools": ["x"],
        "queues": [],
        "epoch": 0,
    }
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{daemon.url}/lease", json=question) as answer,
    ):
        outer = await answer.json()
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(daemon.key))
    key.verify(bytes.fromhex(outer["signature"]), b"warroom-warden-1\n" + outer["signed"].encode())
    lease = json.loads(outer["signed"])
    example = json.loads(json.loads(blocks("json")[0].splitlines()[0])["signed"])
    assert list(lease) == list(example)
    assert (lease["agent"], lease["guard"], lease["nonce"]) == ("ported", "1" * 32, "2" * 32)


def test_the_page_names_the_domain_of_signatures_and_every_state() -> None:
    from typing import get_args

    from console.warden.protocol import GuardState

    assert DOMAIN.decode().strip() in PAGE
    assert [state for state in get_args(GuardState) if f"| `{state}` |" not in PAGE] == []
