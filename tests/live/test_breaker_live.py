"""The circuit breaker of the real bot against the real local exchange in virtual time."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path

import pytest
from test_hard_cases import intent_for
from virtual_world import World

from fractaltrader.exchange.errors import CriticalError
from fractaltrader.live.book import Book
from fractaltrader.live.breaker import BreakerStopError
from fractaltrader.live.control import reset_stopped
from fractaltrader.live.desk import Desk
from fractaltrader.live.executor import Executor
from fractaltrader.live.ledger import Ledger
from fractaltrader.risk.breaker import DAY_MS
from fractaltrader.risk.breaker_parameters import BreakerParameters, Cause
from fractaltrader.risk.breaker_state import BreakerEvent
from fractaltrader.simulator.virtual_time import run_virtual

Send = Callable[[], Awaitable[tuple[int, bytes]]]
CALM = {
    "max_drawdown": 0.9,
    "max_daily_loss": 0.5,
    "max_consecutive_losses": 50,
    "max_data_age_bars": 100,
}


def parameters(**changed: object) -> BreakerParameters:
    return BreakerParameters.model_validate(CALM | changed)


def differences(lines) -> list[str]:  # type: ignore[no-untyped-def]
    return [f"{line.what}: {line.ours} / {line.venue}" for line in lines if not line.agrees]


def history(folder: Path) -> tuple[list[BreakerEvent], list[int], Book, dict[str, int]]:
    """Breaker events, times of intentions, the book, and the verdicts on signals."""
    ledger = Ledger(folder)
    intents = ledger.intents()
    book = Book.folded(intents, ledger.fills())
    result = ledger.breaker_events(), [i.created_ms for i in intents], book, dict(ledger.verdicts())
    ledger.close()
    return result


def tripped(events: list[BreakerEvent], cause: Cause) -> list[BreakerEvent]:
    return [event for event in events if event.cause is cause and event.change == "tripped"]


def test_a_daily_loss_blocks_entries_until_midnight(world: World) -> None:
    """Every trip is true by its own stored inputs, nothing is entered until the day is over, and
    afterwards trading goes on."""
    world.days, world.breaker = 4, parameters(max_daily_loss=0.004)

    async def week() -> None:
        world.open()
        assert await world.trade()
        assert differences(await world.audit()) == []

    run_virtual(week())
    events, entered, _, verdicts = history(world.folder)
    trips = tripped(events, Cause.DAILY_LOSS)
    assert trips
    for trip in trips:
        equity, opening = float(trip.inputs["equity"]), float(trip.inputs["opening"])
        assert (opening - equity) / opening >= 0.004
        assert trip.until_ms == (trip.time_ms // DAY_MS + 1) * DAY_MS
        assert [ms for ms in entered if trip.time_ms < ms < trip.until_ms] == []
    assert max(entered) > trips[0].until_ms
    assert verdicts["breaker"] >= 1
    assert world.naked == []


def test_only_executed_entries_count_for_the_day(world: World) -> None:
    """With a limit of one a day, no UTC day has two executed entries, whatever was refused
    before."""
    world.days, world.breaker = 4, parameters(max_trades_per_day=1)
    refused = 0

    async def fault(path: str, send: Send) -> tuple[int, bytes]:
        nonlocal refused
        if path == "/exchange" and refused < 4 and world.exchange.now_ms() > first_hour:
            refused += 1
            text = b"Insufficient margin to place order. asset=0"
            return 200, (
                b'{"status":"ok","response":{"type":"order","data":{"statuses":[{"error":"%s"}]}}}'
                % text
            )
        return await send()

    async def week() -> None:
        nonlocal first_hour
        world.open()
        first_hour = world.feed.start_ms + 3_600_000
        assert await world.trade(fault)
        assert differences(await world.audit()) == []

    first_hour = 0
    run_virtual(week())
    _, _, book, verdicts = history(world.folder)
    opened = [trade.opened_ms for trade in book.trades]
    opened += [epoch.opened_ms for epoch in book.epochs.values()]
    days = Counter(ms // DAY_MS for ms in opened)
    assert refused == 4
    assert set(days.values()) == {1}
    assert len(days) >= 3
    assert verdicts["breaker"] >= 1


def test_a_stop_stays_a_stop_until_it_is_reset(world: World) -> None:
    """The drawdown ends the bot with its reason; started again it protects and ends again; after a
    reset it trades on."""
    world.days, world.breaker = 5, parameters(max_drawdown=0.01)

    async def lives() -> None:
        world.open()
        with pytest.raises(BreakerStopError, match=r"breaker: drawdown: equity .* reset-breaker"):
            await world.trade()
        entered = history(world.folder)[1]
        for _ in range(2):
            await asyncio.sleep(5)
            with pytest.raises(BreakerStopError):
                await world.trade()
        assert history(world.folder)[1] == entered
        assert reset_stopped(world.folder, list(Cause), world.clock) == [Cause.DRAWDOWN]
        world.breaker = parameters()
        assert await world.trade()
        assert differences(await world.audit()) == []
        assert len(history(world.folder)[1]) > len(entered)

    run_virtual(lives())
    assert world.naked == []
    events = [e for e in history(world.folder)[0] if e.cause is Cause.DRAWDOWN]
    assert [event.change for event in events] == ["tripped", "reset"]


def test_flatten_closes_everything_and_never_bares_it(world: World) -> None:
    """After the trip every position is closed reduce-only within a heartbeat, its stop resting
    until then and gone afterwards, and nothing is entered that day."""
    world.days = 4
    world.breaker = parameters(max_daily_loss=0.006, on_daily_loss="flatten")

    async def week() -> None:
        world.open()
        assert await world.trade()
        assert differences(await world.audit()) == []

    run_virtual(week())
    events, entered, book, _ = history(world.folder)
    trips = tripped(events, Cause.DAILY_LOSS)
    flattened = [trade for trade in book.trades if trade.exit_reason == "closed"]
    assert flattened
    two_heartbeats_ms = 2 * 2 * 3_600_000  # two seconds of a loop in which an hour is a second
    for trade in flattened:
        assert any(0 <= trade.closed_ms - trip.time_ms <= two_heartbeats_ms for trip in trips)
    for trip in trips:
        assert [ms for ms in entered if trip.time_ms < ms < trip.until_ms] == []
    assert world.naked == []
    user = {"user": world.signer.address}
    positions = world.exchange.info({"type": "clearinghouseState", **user})["assetPositions"]
    orders = world.exchange.info({"type": "frontendOpenOrders", **user})
    coins = {item["position"]["coin"] for item in positions}
    assert {order["coin"] for order in orders} <= coins


def test_a_critical_error_is_remembered_over_restarts(world: World) -> None:
    """A key that is revoked while the bot trades ends it, and starting again does not trade."""
    world.days, world.breaker = 3, parameters()

    async def fault(path: str, send: Send) -> tuple[int, bytes]:
        if path == "/exchange" and world.exchange.now_ms() > world.feed.start_ms + DAY_MS:
            address = "0x" + "5" * 40
            text = f"User or API Wallet {address} does not exist."
            return 200, f'{{"status":"err","response":"{text}"}}'.encode()
        return await send()

    async def lives() -> None:
        world.open()
        with pytest.raises(CriticalError):
            await world.trade(fault)
        with pytest.raises(BreakerStopError, match="breaker: critical: "):
            await world.trade()
        world.replay.cancel()

    run_virtual(lives())
    (trip,) = tripped(history(world.folder)[0], Cause.CRITICAL)
    assert "does not exist" in str(trip.inputs["error"])


def test_refused_orders_pause_entries_and_a_probe_resumes(world: World) -> None:
    """Entries the venue refuses trip the breaker before the address budget is spent; once it takes
    them again the first one is a probe, and trading goes on at full size."""
    world.days, world.breaker = 4, parameters(max_rejected_orders=3)
    refused: list[int] = []

    async def fault(path: str, send: Send) -> tuple[int, bytes]:
        now = world.exchange.now_ms()
        if path == "/exchange" and 3_600_000 < now - world.feed.start_ms < 2 * DAY_MS:
            refused.append(now)
            return 200, b'{"status":"err","response":"Order has invalid price."}'
        return await send()

    async def week() -> None:
        world.open()
        assert await world.trade(fault)
        assert differences(await world.audit()) == []

    run_virtual(week())
    events, entered, book, _ = history(world.folder)
    changes = [event for event in events if event.cause is Cause.REJECTED_ORDERS]
    assert [event.change for event in changes][:2] == ["tripped", "half_open"]
    assert changes[-1].change == "closed"
    for opened, after in pairwise(changes):
        if opened.change == "tripped":
            assert [ms for ms in entered if opened.time_ms < ms < after.time_ms] == []
    assert len(book.trades) >= 3


def test_an_entry_costs_one_write_of_the_state(world: World) -> None:
    """The order does not wait for the state, which is saved once as its answer is in."""
    world.breaker = parameters()
    saves: list[int] = []

    async def fault(path: str, send: Send) -> tuple[int, bytes]:
        if path == "/exchange":
            saves.append(sequence())
        return await send()

    def sequence() -> int:
        return int(json.loads(desk.state.path.read_bytes())["sequence"])

    async def enter() -> None:
        nonlocal desk
        world.open()
        desk = world.desk(fault)
        intent = await intent_for(world, desk, 1_000)
        before = sequence()
        await Executor(desk).enter(intent)
        assert saves == [before]
        assert sequence() == before + 1
        assert desk.state.load().intents["BTC"] == intent
        desk.ledger.close()
        world.replay.cancel()

    desk: Desk
    run_virtual(enter())
