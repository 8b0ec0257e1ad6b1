"""What the console does with a warden: real processes, real requests."""

import asyncio

import pytest

from console.containment.actuator import Declined, Unreachable
from console.warden.client import Warden
from tests.warden.conftest import Daemon

ORDER = "00000000000000a1"


async def test_a_halt_has_an_epoch_and_the_same_order_again_has_the_same(warden: Warden) -> None:
    first = await warden.raise_epoch("agent", "refunds", ORDER, "loops")
    again = await warden.raise_epoch("agent", "refunds", ORDER, "loops")
    other = await warden.raise_epoch("all", "", "00000000000000a2", "unclear")
    assert first == again < other
    assert warden.trouble == ""
    found = await warden.report()
    assert [(word.scope, word.subject, word.epoch) for word in found.halts] == [
        ("agent", "refunds", first),
        ("all", "", other),
    ]


async def test_a_delayed_resume_does_not_undo_a_later_halt(warden: Warden) -> None:
    first = await warden.raise_epoch("all", "", ORDER, "one commander")
    second = await warden.raise_epoch("all", "", "00000000000000a2", "another commander")
    with pytest.raises(Declined, match=f"halted again after that, under epoch {second}"):
        await warden.resume("all", "", first, "it is over")
    assert [word.epoch for word in (await warden.report()).halts] == [second]
    assert await warden.resume("all", "", second, "now it is") > second
    assert (await warden.report()).halts == []


async def test_a_halt_that_comes_twice_after_its_resume_is_no_new_halt(warden: Warden) -> None:
    epoch = await warden.raise_epoch("tool", "refund", ORDER, "")
    await warden.resume("tool", "refund", epoch, "")
    with pytest.raises(Declined, match="taken back"):
        await warden.raise_epoch("tool", "refund", ORDER, "a repeat that was under way for long")
    assert (await warden.report()).halts == []


@pytest.mark.req("S003-KS-5")
async def test_an_agent_is_let_out_of_a_halt_of_all_and_the_next_halt_takes_it_in_again(
    warden: Warden, daemon: Daemon
) -> None:
    first = await warden.raise_epoch("all", "", ORDER, "")
    await warden.resume("agent", "search", first, "harmless")
    with pytest.raises(Declined, match="is none of this halt"):
        await warden.resume("agent", "refunds", first + 50, "from nowhere")
    second = await warden.raise_epoch("all", "", "00000000000000a2", "")
    with pytest.raises(Declined):
        await warden.resume("agent", "search", first, "late")
    assert await warden.resume("agent", "search", second, "in time") > second


@pytest.mark.parametrize("token", ["", "wrong" * 8])
async def test_nobody_halts_without_the_token(daemon: Daemon, token: str) -> None:
    stranger = Warden(daemon.url, token)
    for asked in (
        stranger.raise_epoch("all", "", ORDER, ""),
        stranger.resume("all", "", 1, ""),
        stranger.saw("refunds", 1, "verified"),
        stranger.standing(),
    ):
        with pytest.raises(Declined, match="token"):
            await asked
    await stranger.close()


async def test_a_dead_warden_is_unreachable_in_words(daemon: Daemon) -> None:
    warden = daemon.client()
    daemon.kill()
    with pytest.raises(Unreachable, match="cannot be reached"):
        await warden.raise_epoch("all", "", ORDER, "")
    await warden.close()


async def test_a_warden_that_hangs_is_unreachable_in_time() -> None:
    over = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    async with await asyncio.start_server(hang, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        warden = Warden(f"http://127.0.0.1:{port}", "x" * 20, timeout=0.2)
        with pytest.raises(Unreachable, match="no answer in time"):
            await warden.standing()
        await warden.close()
        over.set()
