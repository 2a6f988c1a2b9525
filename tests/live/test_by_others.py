"""What others did to positions and orders: moved, liquidated, adopted, told late or not at all."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal

import msgspec
from by_hand_world import buy, incidents
from by_kind import Answers, close, desk_by_kind, instead
from hypothesis import given
from hypothesis import strategies as st
from virtual_world import World

from fractaltrader.exchange.port import CandleUpdate, Fill, FillUpdate, Position, Side
from fractaltrader.live.assembly import build_bot
from fractaltrader.live.book import Book
from fractaltrader.live.by_hand import notice_orders
from fractaltrader.live.closed_bars import ClosedBars
from fractaltrader.live.orphans import intent_to_hold, stop_at
from fractaltrader.live.parameters import DataParameters, ReconcileParameters
from fractaltrader.market import Bar, Instrument, Timeframe
from fractaltrader.risk.breaker_parameters import Cause
from fractaltrader.risk.breaker_state import Phase
from fractaltrader.simulator.virtual_time import run_virtual

QUARTER = Timeframe.parse("15m")
COIN = Instrument("BTC", 0, 5, 40)


def test_a_stop_that_was_moved_is_told_once_and_stays(world: World) -> None:
    """Somebody who moves our stop is told on; the new price is left, whatever it is."""

    async def play() -> None:
        desk = await desk_by_kind(world, {}, usd=2_000)
        account, orders = await desk.venue.account(), await desk.venue.open_orders()
        moved = [
            (
                replace(order, trigger_price=order.trigger_price * Decimal("0.99"))
                if order.kind == "sl" and order.trigger_price is not None
                else order
            )
            for order in orders
        ]
        for _ in range(2):
            notice_orders(desk, account, moved)
        close(world, desk)

    run_virtual(play())
    assert incidents(world) == ["stop moved"]


def test_a_liquidation_is_told_as_such() -> None:
    """A trade that the venue ended for want of margin does not count as stopped."""
    position = Position("BTC", Decimal(1), Decimal(100), Decimal(0), 10, None, Decimal(100))
    intent = intent_to_hold("0xabc", position, Decimal(90), 1)
    entry = Fill(
        *("BTC", Side.BUY, Decimal(100), Decimal(1), 1, 1, 1, intent.entry_cloid),
        *(Decimal(0), Decimal(0), Decimal(0), "Open Long", True),
    )
    taken = replace(
        entry, side=Side.SELL, time_ms=2, oid=2, tid=2, cloid=None, start_position=Decimal(1),
        liquidated=True,
    )  # fmt: skip
    book = Book.folded([intent], [entry, taken])
    assert [trade.exit_reason for trade in book.trades] == ["liquidation"]


@given(
    side=st.sampled_from([1, -1]),
    share=st.floats(0.001, 0.3),
    distance=st.floats(0.01, 0.9),
)
def test_an_adopted_positions_stop_is_reached_before_its_liquidation(
    side: int, share: float, distance: float
) -> None:
    """However far away it was asked for, the stop lies between the mark and the liquidation."""
    mid = Decimal(50_000)
    liquidation = mid * (1 - side * Decimal(str(share)))
    position = Position("BTC", Decimal(side), mid, Decimal(0), 10, liquidation, mid)
    stop = stop_at(position, mid, mid * Decimal(str(distance)), COIN)
    assert COIN.is_legal_price(stop)
    assert (mid - stop) * side > 0
    assert (stop - liquidation) * side >= 0


def test_a_probe_under_way_is_waited_for(world: World) -> None:
    """While the entry that the half-open breaker let through has no outcome, no other is made;
    when it came to nothing the next one may be."""

    async def play() -> None:
        desk = await desk_by_kind(world, {}, usd=2_000)
        epoch = desk.book.epochs["BTC"]
        assert epoch.intent is not None
        latch = desk.breaker.state.latches[Cause.CONSECUTIVE_LOSSES]
        latch.phase = Phase.HALF_OPEN
        probe = msgspec.structs.replace(epoch.intent, coin="ETH", entry_cloid="0x" + "7" * 32)
        desk.begin(probe)
        desk.breaker.book()
        assert desk.breaker.state.probe == probe.entry_cloid
        assert desk.breaker.refusal() is not None
        desk.drop("ETH", "the order never reached the venue")
        assert desk.breaker.state.probe == ""
        assert desk.breaker.refusal() is None
        close(world, desk)

    run_virtual(play())


class Shown:
    """A decider that remembers what it was shown."""

    def __init__(self) -> None:
        self.bars: list[Bar] = []

    def next_bar_time(self, coin: str, now_ms: int) -> int:
        return now_ms - 3 * QUARTER.ms

    def observe(self, coin: str, bar: Bar) -> None:
        self.bars.append(bar)


def test_a_bar_that_the_venue_does_not_tell_is_the_one_that_was_seen(world: World) -> None:
    """When the stream skipped bars and the venue shows none of them, the last bar seen and flat
    ones after it are what has closed."""

    async def play() -> None:
        answers: Answers = {}
        desk = await desk_by_kind(world, answers)
        shown = Shown()
        bars = ClosedBars(desk, shown, ["BTC"], QUARTER, DataParameters())  # type: ignore[arg-type]
        await bars.catch_up()
        shown.bars.clear()
        answers["candleSnapshot"] = instead([])
        opened = QUARTER.floor(world.exchange.now_ms())
        seen = Bar(opened, 7.0, 9.0, 6.0, 8.0, 3.0)
        later = Bar(opened + 3 * QUARTER.ms, 8.0, 8.0, 8.0, 8.0, 1.0)
        assert await bars.closed_by(CandleUpdate("BTC", QUARTER, seen, 0.0)) is None
        closed = await bars.closed_by(CandleUpdate("BTC", QUARTER, later, 0.0))
        assert shown.bars[0] == seen
        assert [bar.volume for bar in shown.bars[1:]] == [0.0]
        assert closed == Bar(opened + 2 * QUARTER.ms, 8.0, 8.0, 8.0, 8.0, 0.0)
        close(world, desk)

    run_virtual(play())


def test_a_trade_by_hand_is_looked_after_at_once(world: World) -> None:
    """An execution that is not ours, told by the stream, is followed by a reconciliation without
    waiting for the timer: an adopted position has its stop within seconds."""

    async def play() -> None:
        world.days = 1
        world.reconcile = ReconcileParameters(orphan_positions="adopt")
        world.open()
        desk = world.desk()
        bot = build_bot(world.config, desk)
        told = asyncio.Event()

        async def events() -> AsyncIterator[object]:
            await told.wait()
            yield FillUpdate(tuple(await world.venue().fills(0)), snapshot=False)
            await asyncio.sleep(1e9)

        desk.venue.stream = lambda *_: events()  # type: ignore[method-assign, assignment, return-value]
        running = asyncio.create_task(bot.run(venue_name="world"))
        await asyncio.sleep(10)
        await buy(world, "BTC", 1_000)
        assert world.naked_positions() != []
        told.set()
        await asyncio.sleep(5)
        assert world.naked_positions() == []
        bot.stop()
        await running
        close(world, desk)

    run_virtual(play())
    assert incidents(world)[:1] == ["executed by hand"]
