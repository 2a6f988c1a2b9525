"""What a person does on the venue beside the bot is noticed, written down and handled."""

import asyncio
from decimal import Decimal

import pytest
from by_hand_world import (
    buy,
    cancel_all,
    incidents,
    intent_for,
    open_books,
    rest_by_hand,
    trade_by_hand,
)
from virtual_world import World

from fractaltrader.exchange.errors import CriticalError
from fractaltrader.exchange.port import Side
from fractaltrader.live.desk import Desk
from fractaltrader.live.executor import Executor
from fractaltrader.live.intents import decision_of, entry_orders, exit_orders, identity_of
from fractaltrader.live.parameters import OrphanPolicy, ReconcileParameters
from fractaltrader.live.protection import NAKED_BOUND_MS
from fractaltrader.live.reconcile import reconcile
from fractaltrader.simulator.virtual_time import run_virtual


async def entered(world: World, usd: int = 2_000) -> Desk:
    """A desk with an open, protected long in BTC that knows its executions."""
    world.open()
    desk = world.desk()
    intent = await intent_for(world, desk, usd)
    await Executor(desk).enter(intent)
    await reconcile(desk, Executor(desk))
    assert world.naked_positions() == []
    return desk


def close(world: World, desk: Desk) -> None:
    desk.ledger.close()
    world.replay.cancel()


def naked(world: World, coin: str) -> bool:
    """Whether `coin` has a position without a stop, as the exchange sees it."""
    return any(coin in text for text in world.naked_positions())


async def stops(desk: Desk, coin: str = "BTC") -> list[Decimal]:
    """Sizes of the resting stops."""
    orders = await desk.venue.open_orders()
    return [order.size for order in orders if order.coin == coin and order.kind == "sl"]


def test_a_position_closed_by_hand_ends_its_epoch(world: World) -> None:
    """The book closes the trade as closed by hand, and nothing of it rests any more."""

    async def play() -> None:
        desk = await entered(world)
        size = desk.book.epochs["BTC"].size
        await trade_by_hand(world, "BTC", -size, reduce_only=True)
        await reconcile(desk, Executor(desk))
        assert desk.book.epochs == {}
        assert [trade.exit_reason for trade in desk.book.trades] == ["hand"]
        assert await desk.venue.open_orders() == []
        close(world, desk)

    run_virtual(play())
    assert incidents(world).count("executed by hand") >= 1
    assert "position differs" not in incidents(world)


def test_a_position_reduced_by_hand_stays_protected(world: World) -> None:
    """The epoch goes on with the size that is left, under the stop it had."""

    async def play() -> None:
        desk = await entered(world)
        lot = desk.instruments["BTC"]
        size = desk.book.epochs["BTC"].size
        await trade_by_hand(world, "BTC", -lot.round_size(size / 2), reduce_only=True)
        await reconcile(desk, Executor(desk))
        account = await desk.venue.account()
        assert desk.book.epochs["BTC"].size == account.positions["BTC"].size < size
        assert desk.book.epochs["BTC"].intent is not None
        assert world.naked_positions() == []
        close(world, desk)

    run_virtual(play())
    assert "executed by hand" in incidents(world)


@pytest.mark.parametrize("usd", [1_000, 5], ids=["much", "less than the least order"])
def test_a_position_increased_by_hand_gets_the_rest_of_its_stop(world: World, usd: int) -> None:
    """The stops cover exactly the new size, or at least it where the rest is too small a stop."""

    async def play() -> None:
        desk = await entered(world)
        if usd < 10:  # the venue takes no such order, so two make the difference
            await buy(world, "BTC", 20)
            step = desk.instruments["BTC"].round_size(15 / (await desk.venue.mid_prices())["BTC"])
            await trade_by_hand(world, "BTC", -step)
        else:
            await buy(world, "BTC", usd)
        await reconcile(desk, Executor(desk))
        size = (await desk.venue.account()).positions["BTC"].size
        assert desk.book.epochs["BTC"].size == size
        assert world.naked_positions() == []
        assert sum(await stops(desk)) >= size
        assert usd < 10 or sum(await stops(desk)) == size
        close(world, desk)

    run_virtual(play())
    assert "naked position" in incidents(world)
    assert "flattened" not in incidents(world)


@pytest.mark.parametrize("policy", ["stop", "adopt"])
def test_a_position_turned_by_hand_is_somebody_elses(world: World, policy: OrphanPolicy) -> None:
    """The old trade is closed to the cent, and the other side is treated as the policy says."""

    async def play() -> None:
        desk = await entered(world)
        desk.reconcile = ReconcileParameters(orphan_positions=policy)
        size = desk.book.epochs["BTC"].size
        await trade_by_hand(world, "BTC", -2 * size)
        if policy == "stop":
            with pytest.raises(CriticalError, match="BTC"):
                await reconcile(desk, Executor(desk))
        else:
            await reconcile(desk, Executor(desk))
            assert world.naked_positions() == []
        assert [trade.exit_reason for trade in desk.book.trades] == ["hand"]
        assert desk.book.epochs["BTC"].size == -size
        fills = desk.ledger.fills()
        paid = sum((fill.closed_pnl - fill.fee for fill in fills), Decimal(0))
        assert desk.book.trades[0].pnl + desk.book.epochs["BTC"].realized_pnl == paid
        close(world, desk)

    run_virtual(play())


def test_a_stop_replaced_by_hand_is_taken_as_protection(world: World) -> None:
    """A stop that somebody put in the place of ours is reported once and not doubled."""

    async def play() -> None:
        desk = await entered(world)
        size = desk.book.epochs["BTC"].size
        await cancel_all(world, "BTC")
        await rest_by_hand(world, "BTC", Side.SELL, size, "0.95", stop=True)
        for _ in range(3):
            await reconcile(desk, Executor(desk))
        assert await stops(desk) == [size]
        close(world, desk)

    run_virtual(play())
    assert incidents(world).count("stop by hand") == 1
    assert "naked position" not in incidents(world)


def test_an_order_by_hand_is_reported_once_and_left_alone(world: World) -> None:
    """A resting order of somebody else's is written down and stays."""

    async def play() -> None:
        desk = await entered(world)
        order = await rest_by_hand(world, "ETH", Side.BUY, Decimal("0.1"), "0.9")
        for _ in range(3):
            await reconcile(desk, Executor(desk))
        assert order.cloid in {resting.cloid for resting in await desk.venue.open_orders()}
        close(world, desk)

    run_virtual(play())
    assert incidents(world).count("order by hand") == 1


def test_protection_of_an_old_epoch_never_closes_a_new_one(world: World) -> None:
    """A stop left over from an earlier decision does not count as protection and is cancelled,
    while the new position has a stop of its own throughout."""

    async def play() -> None:
        desk = await entered(world)
        size = desk.book.epochs["BTC"].size
        old = await intent_for(world, desk, 2_000)
        (stale,) = exit_orders(old, desk.instruments["BTC"], size, Decimal(0), attempt=7)
        await desk.venue.place([stale], bracket=False)
        (own,) = [
            o for o in await desk.venue.open_orders() if o.kind == "sl" and o.cloid != stale.cloid
        ]
        await desk.venue.cancel("BTC", own.oid)
        await reconcile(desk, Executor(desk))
        assert world.naked_positions() == []
        epoch = desk.book.epochs["BTC"]
        assert epoch.intent is not None
        for order in await desk.venue.open_orders():
            identity = identity_of(order.cloid)
            assert identity is not None
            assert identity.decision == decision_of(epoch.intent)
        close(world, desk)

    run_virtual(play())
    assert "stray order" in incidents(world)


@pytest.mark.parametrize("policy", ["stop", "adopt", "ignore-and-never-touch"])
def test_a_position_from_before_the_bot(world: World, policy: OrphanPolicy) -> None:
    """At the start somebody's position ends the bot, gets a stop, or is never touched; where the
    bot goes on, its books agree with the venue to the cent."""

    async def play() -> None:
        world.days, world.coins = 2, ("BTC", "ETH")
        world.open()
        order = await buy(world, "ETH", 1_000)
        world.reconcile = ReconcileParameters(orphan_positions=policy)
        if policy == "stop":
            with pytest.raises(CriticalError, match="ETH"):
                await world.trade()
            world.replay.cancel()
            return
        trading = asyncio.create_task(world.trade())
        await asyncio.sleep(1)
        orders = [o for o in await world.venue().open_orders() if o.coin == "ETH"]
        assert len(orders) == (1 if policy == "adopt" else 0)
        await trading
        position = (await world.venue().account()).positions.get("ETH")
        if policy == "ignore-and-never-touch":
            assert position is not None
            assert position.size == order.size
        audit = await world.audit()
        assert [line for line in audit if not line.agrees] == []

    run_virtual(play())
    assert ("orphan position" in incidents(world)) is (policy != "stop")


def test_the_running_bot_repairs_what_is_done_by_hand_within_its_bound(world: World) -> None:
    """Every stop cancelled by hand while the bot trades is back within NAKED_BOUND_MS."""
    naked_ms: list[float] = []

    async def play() -> None:
        world.days = 3
        world.open()
        trading = asyncio.create_task(world.trade())
        loop = asyncio.get_running_loop()
        while not world.replay.done():
            await asyncio.sleep(0.7)
            for coin in (await world.venue().account()).positions:
                await cancel_all(world, coin)
                began = loop.time()
                while naked(world, coin):  # noqa: ASYNC110 - no event tells of the new stop
                    await asyncio.sleep(0.01)
                naked_ms.append((loop.time() - began) * 1000)
        await trading
        assert [
            line for line in await world.audit() if not line.agrees and "stop" not in line.what
        ] == []

    run_virtual(play())
    assert len(naked_ms) >= 10
    assert max(naked_ms) <= NAKED_BOUND_MS


def test_an_entry_given_up_too_early_is_ours_all_the_same(world: World) -> None:
    """When our clock jumps and an entry is given up that executes later, it is recognised, kept
    under its stop and accounted for."""

    async def play() -> None:
        world.open()
        desk = world.desk()
        intent = await intent_for(world, desk, 2_000)
        desk.begin(intent)
        desk.drop("BTC", "given up")
        await desk.venue.place(entry_orders(intent, desk.instruments["BTC"]), bracket=True)
        await reconcile(desk, Executor(desk))
        assert desk.book.epochs["BTC"].intent == intent
        assert world.naked_positions() == []
        close(world, desk)

    run_virtual(play())
    assert "executed by hand" not in incidents(world)


def test_books_open_twice_are_the_same(world: World) -> None:
    """An adopted position survives a restart of the bot with its stop and its price."""

    async def play() -> None:
        world.open()
        await buy(world, "ETH", 1_000)
        desk = world.desk()
        desk.reconcile = ReconcileParameters(orphan_positions="adopt")
        await open_books(world, desk)
        await reconcile(desk, Executor(desk))
        first = desk.book.epochs["ETH"]
        desk.ledger.close()
        again = world.desk()
        await open_books(world, again)
        await reconcile(again, Executor(again))
        assert again.book.epochs["ETH"] == first
        assert len(await stops(again, "ETH")) == 1
        close(world, again)

    run_virtual(play())
    assert incidents(world).count("orphan position") == 1


def test_executions_told_twice_and_backwards_make_the_same_book(world: World) -> None:
    """Whatever order and however often the stream tells executions, reconciled books are those of
    the venue."""

    async def play() -> None:
        desk = await entered(world)
        size = desk.book.epochs["BTC"].size
        for step in (-size, size, -size / 2):
            await trade_by_hand(world, "BTC", desk.instruments["BTC"].round_size(step))
        fills = await desk.venue.fills(desk.since_ms)
        for fill in [*reversed(fills), *fills]:
            desk.record(fill)
        await reconcile(desk, Executor(desk))
        account = await desk.venue.account()
        assert desk.ledger.fills() == fills
        assert {c: e.size for c, e in desk.book.epochs.items()} == {
            c: p.size for c, p in account.positions.items()
        }
        assert desk.breaker.state.mismatches == 0
        close(world, desk)

    world.reconcile = ReconcileParameters(orphan_positions="adopt")
    run_virtual(play())


def test_an_adopted_position_closed_while_the_bot_was_down_is_gone(world: World) -> None:
    """Executions that the ledger has and the state has not end the adoption at the next start."""

    async def play() -> None:
        world.open()
        order = await buy(world, "ETH", 1_000)
        world.reconcile = ReconcileParameters(orphan_positions="adopt")
        desk = world.desk()
        await open_books(world, desk)
        await reconcile(desk, Executor(desk))
        await trade_by_hand(world, "ETH", -order.size)
        for fill in await desk.venue.fills(desk.since_ms):
            desk.ledger.add_fill(fill)  # and then the power failed
        desk.ledger.close()
        again = world.desk()
        await open_books(world, again)
        await reconcile(again, Executor(again))
        assert again.book.epochs == {}
        assert again.adopted == {}
        assert await again.venue.open_orders() == []
        close(world, again)

    run_virtual(play())
    assert "position differs" not in incidents(world)
