"""What the venue refuses or does not tell is written down, made good later, and never guessed."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal

import msgspec
import pytest
from by_hand_world import buy, incidents, trade_by_hand
from by_kind import Answers, close, desk_by_kind, instead, refused, venue_by_kind
from virtual_world import World

from fractaltrader.errors import UserError
from fractaltrader.exchange.errors import CriticalError
from fractaltrader.exchange.port import Disconnected, OrderRequest, Side
from fractaltrader.live.assembly import build_bot
from fractaltrader.live.control import carry_out, request
from fractaltrader.live.executor import Executor
from fractaltrader.live.flatten import flatten
from fractaltrader.live.intents import Role, client_order_id, decision_of
from fractaltrader.live.ledger import Ledger
from fractaltrader.live.leverage import set_leverage, verify_leverage
from fractaltrader.live.parameters import ReconcileParameters
from fractaltrader.live.reconcile import reconcile
from fractaltrader.live.state import ALL_COINS
from fractaltrader.live.state_manager import StateManager
from fractaltrader.market import Timeframe
from fractaltrader.risk.breaker_parameters import BreakerParameters
from fractaltrader.simulator.virtual_time import run_virtual

QUARTER = Timeframe.parse("15m")
BROKEN = instead("<html>", status=502)


def details(world: World, kind: str) -> list[str]:
    """What was written down of incidents of this kind."""
    ledger = Ledger(world.folder)
    found = [detail for _, one, detail in ledger.incidents() if one == kind]
    ledger.close()
    return found


def test_a_leverage_the_venue_refuses_bars_the_coin(world: World) -> None:
    """The refusal and what the venue has instead are told once, and nothing is entered there."""

    async def play() -> None:
        desk = await desk_by_kind(
            world, {"updateLeverage": refused("Cannot switch leverage type with open position.")}
        )
        await set_leverage(desk, "BTC", 7)
        await verify_leverage(desk, "BTC", 7)
        assert "sizes assume" in desk.blocked["BTC"]
        close(world, desk)

    run_virtual(play())
    assert incidents(world) == ["leverage refused", "leverage differs"]


def test_flattening_goes_on_until_the_venue_takes_it(world: World) -> None:
    """When the order is refused the position keeps its stop and the reason is told; with the next
    try it is closed, though the venue tells no price of the coin."""

    async def play() -> None:
        answers: Answers = {}
        desk = await desk_by_kind(world, answers, usd=2_000)
        answers["order"] = refused()
        assert not await flatten(desk, {ALL_COINS})
        assert world.naked_positions() == []
        answers.clear()
        answers["allMids"] = instead({})
        assert not await flatten(desk, {"BTC"})
        assert await flatten(desk, {"BTC"})
        assert (await desk.venue.account()).positions == {}
        assert len(desk.breaker.state.errors) > 0
        close(world, desk)

    run_virtual(play())
    (said,) = details(world, "flatten refused")
    assert "Insufficient margin" in said


def test_a_stray_order_that_cannot_be_cancelled_is_tried_again(world: World) -> None:
    """An order of ours without a position or a decision under way is cancelled, if not now then
    at the next reconciliation; orders of others are left alone."""

    async def play() -> None:
        answers: Answers = {"cancel": refused("Cannot cancel for now")}
        desk = await desk_by_kind(world, answers, usd=2_000)
        intent = desk.book.epochs["BTC"].intent
        assert intent is not None
        await trade_by_hand(world, "BTC", -desk.book.epochs["BTC"].size, reduce_only=True)
        instrument = desk.instruments["BTC"]
        cloid = client_order_id(decision_of(intent), Role.ENTRY, 3)
        price = instrument.round_price(intent.limit / 2)
        order = OrderRequest(instrument, Side.BUY, intent.size, price, cloid)
        await desk.venue.place([order], bracket=False)
        await reconcile(desk, Executor(desk))
        assert [one.cloid for one in await desk.venue.open_orders()] == [cloid]
        answers.clear()
        await reconcile(desk, Executor(desk))
        assert await desk.venue.open_orders() == []
        close(world, desk)

    run_virtual(play())
    first, second = details(world, "stray order")
    assert "Cannot cancel for now" in first
    assert "cancelled" in second


def test_executions_the_venue_does_not_tell_yet(world: World) -> None:
    """A position that executions cannot explain is told as a difference, and agrees again once
    they are there."""

    async def play() -> None:
        answers: Answers = {}
        desk = await desk_by_kind(world, answers, usd=2_000)
        size = desk.book.epochs["BTC"].size
        answers["userFillsByTime"] = instead([])
        lot = desk.instruments["BTC"].round_size(size / 2)
        await trade_by_hand(world, "BTC", -lot, reduce_only=True)
        await reconcile(desk, Executor(desk))
        assert desk.breaker.state.mismatches > 0
        answers.clear()
        await reconcile(desk, Executor(desk))
        assert desk.book.epochs["BTC"].size == size - lot
        assert desk.breaker.state.mismatches == 0
        close(world, desk)

    run_virtual(play())
    (difference,) = details(world, "position differs")
    assert difference.startswith("BTC: ours ")


def test_adopting_without_candles_or_price(world: World) -> None:
    """Somebody's position gets its stop at once though neither candles nor prices can be read, by
    percent of what the venue values it at; in a coin that is not listed the bot does not go on."""

    async def play() -> None:
        world.days = 1
        world.reconcile = ReconcileParameters(orphan_positions="adopt")
        world.open()
        answers: Answers = {}
        desk = await desk_by_kind(world, answers)
        answers.update({"candleSnapshot": BROKEN, "allMids": BROKEN})
        desk.timeframe = QUARTER
        await buy(world, "BTC", 1_000)
        unlisted = desk.instruments.pop("BTC")
        with pytest.raises(CriticalError, match="was not opened by this bot"):
            await reconcile(desk, Executor(desk))
        assert world.naked_positions() != []
        desk.instruments["BTC"] = unlisted
        await reconcile(desk, Executor(desk))
        assert world.naked_positions() == []
        (stop,) = [o for o in await desk.venue.open_orders() if o.kind == "sl"]
        mark = (await desk.venue.account()).positions["BTC"].mark_price
        assert stop.trigger_price is not None
        assert abs(stop.trigger_price / mark - Decimal("0.95")) < Decimal("0.001")
        close(world, desk)

    run_virtual(play())
    untold, adopted = details(world, "orphan position")
    assert "no longer lists it" in untold
    assert "adopted with a stop at" in adopted


def test_commands_of_another_version_are_answered(world: World) -> None:
    """A command or a cause that this bot does not know is acknowledged with what is wrong."""

    async def play() -> None:
        desk = await desk_by_kind(world, {})
        manager = StateManager(world.folder, world.clock)
        request(manager, "dance", "", 1)  # type: ignore[arg-type]
        request(manager, "reset-breaker", "drawdwn", 1)  # type: ignore[arg-type]
        assert carry_out(desk) == []
        answers = [done.result for done in manager.read().control.acknowledged]
        assert answers[0] == "unknown command"
        assert answers[1].startswith("cause: 'drawdwn' is unknown; known are daily_loss")
        close(world, desk)

    run_virtual(play())


def test_another_accounts_state_stays_as_it_is(world: World) -> None:
    """A folder that belongs to one account is not opened with another's key."""

    async def play() -> None:
        desk = await desk_by_kind(world, {})
        before = StateManager(world.folder, world.clock).path.read_bytes()
        desk.account = "0x" + "ab" * 20
        with pytest.raises(UserError, match=f"belongs to {world.signer.address}, the key given"):
            desk.open(venue_name="world", pid=2)
        assert StateManager(world.folder, world.clock).path.read_bytes() == before
        close(world, desk)

    run_virtual(play())


def test_a_bot_that_is_stopped_while_the_venue_is_silent(world: World) -> None:
    """A stop during the wait for the venue ends the bot at once, and it never says ready; a kill
    of a bot that does not run does nothing."""
    told: list[str] = []

    async def play() -> None:
        world.days = 1
        world.open()
        desk = world.desk()
        desk.venue = venue_by_kind(world, {"meta": BROKEN})
        bot = build_bot(world.config, desk, notify=told.append)
        bot.kill()
        running = asyncio.create_task(bot.run(venue_name="world"))
        await asyncio.sleep(30)
        bot.stop()
        await asyncio.wait_for(running, 1)
        close(world, desk)

    run_virtual(play())
    assert told == ["STOPPING=1"]


def test_a_stream_that_breaks_is_told_and_a_bug_ends_the_bot(world: World) -> None:
    """A lost connection counts as an error; a failure in our own reading of the stream is not
    lived with: the bot ends with it, positions keep their stops."""

    async def broken() -> AsyncIterator[object]:
        yield Disconnected("reset by peer")
        await asyncio.sleep(5)
        raise KeyError("our own bug")

    async def play() -> None:
        world.days = 1
        world.open()
        desk = world.desk()
        bot = build_bot(world.config, desk)
        desk.venue.stream = lambda *_: broken()  # type: ignore[method-assign, assignment, return-value]
        with pytest.raises(KeyError, match="our own bug"):
            await bot.run(venue_name="world")
        close(world, desk)

    run_virtual(play())
    assert details(world, "stream lost") == ["reset by peer"]


def test_a_critical_error_is_remembered_even_when_nothing_can_be_closed(world: World) -> None:
    """With `on_critical = "flatten"` and a venue that takes nothing, the bot ends with the first
    error, and the breaker keeps the next start from trading."""

    async def play() -> None:
        world.days = 1
        world.breaker = BreakerParameters(on_critical="flatten", max_data_age_bars=100)
        answers: Answers = {}
        desk = await desk_by_kind(world, answers, usd=2_000)
        desk.ledger.close()
        desk = world.desk()
        desk.venue = venue_by_kind(world, answers)
        bot = build_bot(world.config, desk)
        running = asyncio.create_task(bot.run(venue_name="world"))
        await asyncio.sleep(5)
        answers["clearinghouseState"] = answers["order"] = instead("gone", status=404)
        with pytest.raises(CriticalError):
            await asyncio.wait_for(running, 300)
        close(world, desk)
        assert world.naked_positions() == []

    run_virtual(play())
    state = StateManager(world.folder, world.clock).read()
    assert state.breaker.latches["critical"].phase == "open"  # type: ignore[index]


def test_the_audit_tells_what_differs(world: World) -> None:
    """A fee that the ledger has wrong and an entry whose stop did not come with it are each a
    line of their own."""

    async def play() -> None:
        desk = await desk_by_kind(world, {}, usd=2_000)
        fill, *_ = desk.ledger.fills()
        desk.ledger._db.execute("UPDATE fills SET fee = '9'")
        intent = desk.book.epochs["BTC"].intent
        assert intent is not None
        other = msgspec.structs.replace(intent, stop_cloid="0x" + "9" * 32)
        document = msgspec.json.encode(other).decode()
        desk.ledger._db.execute("UPDATE intents SET document = ?", (document,))
        desk.ledger.close()
        world.replay.cancel()
        lines = {line.what: line for line in await world.audit() if not line.agrees}
        assert lines.keys() == {
            "fees, USDC",
            f"fill {fill.tid}",
            "equity, USDC",
            "entries whose stop came with them",
        }
        stop = lines["entries whose stop came with them"]
        assert (lines["fees, USDC"].ours, stop.ours, stop.venue) == ("9", "1", "0")

    run_virtual(play())
