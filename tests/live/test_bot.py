"""The real bot against the real local exchange in virtual time: calm, lost answers, kills."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest
from virtual_world import Killed, World, lost_answer

from fractaltrader.exchange.errors import CriticalError
from fractaltrader.live.book import Book
from fractaltrader.live.ledger import Ledger
from fractaltrader.simulator.virtual_time import run_virtual

Send = Callable[[], Awaitable[tuple[int, bytes]]]


def differences(lines) -> list[str]:  # type: ignore[no-untyped-def]
    return [f"{line.what}: {line.ours} / {line.venue}" for line in lines if not line.agrees]


def test_a_week_of_trading_agrees_with_the_exchange(world: World) -> None:
    """After a calm week ledger, state and exchange agree, no position was ever naked, and the
    ledger's log, begun anew with every bar, is a quarter of what it would grow to."""

    world.folder.mkdir(exist_ok=True)
    ledger = Ledger(world.folder)  # the log is deleted when nobody has the file open

    async def week() -> None:
        world.open()
        assert await world.trade()
        assert differences(await world.audit()) == []

    run_virtual(week())
    assert (world.folder / "ledger.sqlite-wal").stat().st_size < 1_000_000
    book = Book.folded(ledger.intents(), ledger.fills())
    assert len(book.trades) >= 20
    assert {trade.exit_reason for trade in book.trades} == {"stop", "target"}
    assert ledger.incidents() == []
    assert world.naked == []
    ledger.close()


def test_the_same_seed_trades_the_same(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """Two runs from one seed make the same fills, to the last digit and millisecond."""
    runs = []
    for name in ("first", "second"):
        world = World(tmp_path / name, days=3)

        async def play(world: World = world) -> None:
            world.open()
            await world.trade()

        run_virtual(play())
        ledger = Ledger(world.folder)
        runs.append(ledger.fills())
        ledger.close()
    assert runs[0] == runs[1]
    assert runs[0]


@pytest.mark.parametrize("arrives", [True, False], ids=["executed", "never arrived"])
def test_a_lost_answer_neither_doubles_nor_loses_an_order(world: World, arrives: bool) -> None:
    """When every third action's answer is lost, the venue is asked and the books still agree."""
    rng = random.Random(5)
    lost = 0

    async def fault(path: str, send: Send) -> tuple[int, bytes]:
        nonlocal lost
        if path != "/exchange" or rng.random() > 0.33:
            return await send()
        lost += 1
        if arrives:
            await send()
        raise lost_answer()

    async def week() -> None:
        world.open()
        # Leverage is set at the start without faults, so that the bot comes up.
        calm = True

        async def later(path: str, send: Send) -> tuple[int, bytes]:
            nonlocal calm
            if world.exchange.now_ms() > world.feed.start_ms + 3_600_000:
                calm = False
            return await (send() if calm else fault(path, send))

        assert await world.trade(later)
        assert differences(await world.audit()) == []

    run_virtual(week())
    assert lost >= 5
    assert world.naked == []


@pytest.mark.parametrize("seed", range(12))
def test_killed_at_any_request_or_write_it_comes_back_whole(world: World, seed: int) -> None:
    """Killed again and again around requests and durable writes, it never doubles an order, never
    forgets a position, and every position keeps its stop."""
    rng = random.Random(seed)
    world.days = 3
    world.seed = 100 + seed
    kills = 0

    async def life() -> bool:
        nonlocal kills
        left, writes = rng.randint(1, 120), rng.randint(1, 60)

        def on_write() -> None:
            nonlocal writes, kills
            writes -= 1
            if writes == 0 and kills < 12:
                kills += 1
                raise Killed

        async def fault(path: str, send: Send) -> tuple[int, bytes]:
            nonlocal left, kills
            # Actions are rare and delicate, so each may be the last.
            deadly = path == "/exchange" and rng.random() < 0.25
            left -= 1
            if left > 0 and not deadly:
                return await send()
            kills += 1
            if rng.random() < 0.5:
                await send()
            raise Killed

        return await world.trade(fault if kills < 12 else _calm, on_write)

    async def lives() -> None:
        world.open()
        for downtime in iter(rng.random, None):
            if await life():
                break
            await asyncio.sleep(downtime)
        assert differences(await world.audit()) == []

    run_virtual(lives())
    assert kills >= 3
    assert world.naked == []


async def _calm(_: str, send: Send) -> tuple[int, bytes]:
    return await send()


def test_a_foreign_position_stops_the_bot(world: World) -> None:
    """A position that somebody else opened on the account ends the bot with its reason."""

    async def start() -> None:
        world.open()
        venue = world.venue()
        instruments = await venue.instruments()
        from decimal import Decimal

        from fractaltrader.exchange.port import OrderRequest, Side

        order = OrderRequest(
            instruments["BTC"], Side.BUY, Decimal("0.01"), Decimal(90_000), "0x" + "9" * 32, "Ioc"
        )
        (outcome,) = await venue.place([order], bracket=False)
        assert outcome.filled == Decimal("0.01")
        with pytest.raises(CriticalError, match=r"BTC 0\.01 was not opened by this bot"):
            await world.trade()
        world.replay.cancel()

    run_virtual(start())
