"""A signal whose stop or target price has reached already."""

from collections.abc import Awaitable, Callable
from decimal import Decimal

import msgspec
from virtual_world import World

from fractaltrader.live.ahead import LEAD_MS
from fractaltrader.live.ledger import Ledger
from fractaltrader.market import Timeframe
from fractaltrader.simulator.virtual_time import run_virtual

FACTOR = Decimal("1.5")
QUARTER = Timeframe.parse("15m")


def test_a_signal_that_price_has_passed_is_not_entered(world: World) -> None:
    """With every price the bot is told far beyond the signal's levels, no order leaves and each
    verdict says why."""
    entries: list[bytes] = []

    async def moved(
        path: str, send: Callable[[], Awaitable[tuple[int, bytes]]]
    ) -> tuple[int, bytes]:
        if path == "/info" and QUARTER.ms - world.exchange.now_ms() % QUARTER.ms <= LEAD_MS:
            return 502, b""  # nothing can be read ahead of the close, so every entry asks
        status, body = await send()
        answer = msgspec.json.decode(body)
        if path == "/exchange" and "statuses" in str(answer):
            entries.append(body)
        if isinstance(answer, dict) and answer.keys() == set(world.coins):
            answer = {coin: str(Decimal(mid) * FACTOR) for coin, mid in answer.items()}
            body = msgspec.json.encode(answer)
        return status, body

    async def play() -> None:
        world.days = 2
        world.open()
        await world.trade(moved)

    run_virtual(play())
    ledger = Ledger(world.folder)
    verdicts = dict(ledger.verdicts())
    ledger.close()
    assert verdicts["price_past"] >= 1
    assert "enter" not in verdicts
    assert entries == []
