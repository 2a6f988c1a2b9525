"""The guard beside the real bot on the real local exchange, in virtual time."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import eth_account
import msgspec
import pytest
from by_hand_world import buy, cancel_all, incidents, intent_for, rest_by_hand, trade_by_hand
from hyperliquid.utils import signing as sdk
from virtual_world import KEY, FaultyTransport, Killed, World, lost_answer, no_fault

from fractaltrader.errors import UserError
from fractaltrader.exchange.hyperliquid.client import HyperliquidVenue
from fractaltrader.exchange.hyperliquid.signing import Signer
from fractaltrader.exchange.port import Side
from fractaltrader.live.assembly import build_bot
from fractaltrader.live.executor import Executor
from fractaltrader.live.guard import Guard, guard_bound_ms
from fractaltrader.live.heart import Heart
from fractaltrader.live.ledger import Ledger
from fractaltrader.live.lock import only_bot, only_guard
from fractaltrader.live.parameters import GuardParameters, OrphanPolicy
from fractaltrader.live.reconcile import reconcile
from fractaltrader.live.state import BotState
from fractaltrader.live.state_manager import StateManager
from fractaltrader.simulator.serving.transport import InProcessTransport
from fractaltrader.simulator.virtual_time import run_virtual

AGENT = "0x" + "77" * 32
QUICK = GuardParameters(heartbeat_limit_s=5, poll_s=1)


def approve_agent(world: World) -> None:
    """The account's owner lets the guard's own key act for it."""
    action = {
        "type": "approveAgent",
        "agentAddress": Signer(AGENT).address,
        "agentName": "guard",
        "nonce": world.clock.now_ms(),
    }
    signature = sdk.sign_agent(eth_account.Account.from_key(KEY), action, False)
    envelope = {"action": action, "nonce": action["nonce"], "signature": signature}
    assert world.exchange.act(envelope)["status"] == "ok"


def guard_of(
    world: World,
    limits: GuardParameters = QUICK,
    *,
    orphans: OrphanPolicy = "stop",
    fault=no_fault,  # type: ignore[no-untyped-def]
    history: Callable[[], list] = list,  # type: ignore[type-arg]
) -> Guard:
    """A guard with its own key, that watches the world's bot."""
    venue = HyperliquidVenue(
        FaultyTransport(InProcessTransport(world.exchange, world.clock), fault),
        Signer(AGENT),
        account=world.signer.address,
        clock=world.clock,
        mainnet=False,
    )
    return Guard(
        venue,
        StateManager(world.folder, world.clock),
        Ledger(world.folder / "guard"),
        world.clock,
        limits,
        account=world.signer.address,
        orphans=orphans,
        history=history,
    )


@asynccontextmanager
async def watching(guard: Guard) -> AsyncIterator[None]:
    task = asyncio.create_task(guard.run())
    try:
        yield
    finally:
        guard.stop()
        await task


async def position_then_death(world: World, usd: int = 2_000, *, ended: bool = False) -> Decimal:
    """A bot that has entered BTC and then dies: its position's size."""
    desk = world.desk()
    intent = await intent_for(world, desk, usd)
    await Executor(desk).enter(intent)
    await reconcile(desk, Executor(desk))
    if ended:
        desk.end()
    desk.ledger.close()
    return desk.book.epochs["BTC"].size


async def seconds_until(done: Callable[[], bool], patience: float = 120) -> float:
    loop = asyncio.get_running_loop()
    began = loop.time()
    while not done():
        assert loop.time() < began + patience
        await asyncio.sleep(0.1)
    return loop.time() - began


def test_a_killed_bots_naked_position_gets_its_stop_back(world: World) -> None:
    """The real bot is killed with a position open, its stop vanishes, and the guard places the
    stop the bot intended, with its own key, within its bound of the last heartbeat."""

    async def play() -> None:
        world.days = 8
        world.open()
        approve_agent(world)
        guard = guard_of(world)
        async with watching(guard):
            desk = world.desk()
            bot = asyncio.create_task(build_bot(world.config, desk).run(venue_name="world"))
            venue = world.venue()
            while not desk.book.epochs:  # noqa: ASYNC110 - the market decides when
                await asyncio.sleep(0.1)
            coin = next(iter((await venue.account()).positions))
            bot.cancel()
            await asyncio.wait({bot})
            desk.ledger.close()
            await cancel_all(world, coin)
            waited = await seconds_until(lambda: not world.naked_positions())
            assert 0 < waited * 1000 <= guard_bound_ms(QUICK)
            intent = StateManager(world.folder, world.clock).read().epochs[coin].intent
            assert intent is not None
            resting = [o for o in await venue.open_orders() if o.kind == "sl"]
            closed = not (await venue.account()).positions
            assert closed or [o.trigger_price for o in resting] == [intent.stop]
        world.replay.cancel()

    run_virtual(play())
    assert incidents(world, "guard")[0] == "bot dead"


def test_the_guard_does_nothing_while_the_bot_lives(world: World) -> None:
    """Beside a bot that trades for days the guard sends no action and asks nothing."""
    asked: list[str] = []

    async def fault(path, send):  # type: ignore[no-untyped-def]
        asked.append(path)
        return await send()

    async def play() -> None:
        world.days = 2
        world.open()
        async with watching(guard_of(world, fault=fault)):
            assert await world.trade()
        assert [line for line in await world.audit() if not line.agrees] == []

    run_virtual(play())
    assert asked == []
    assert incidents(world, "guard") == []


def test_a_guard_that_acts_beside_a_living_bot_does_no_harm(world: World) -> None:
    """A guard that takes every pause of a living bot for death, while stops vanish by hand,
    neither closes a position too early nor leaves orders behind, and the books agree."""

    async def slow_to_repair(path, send):  # type: ignore[no-untyped-def]
        if path == "/exchange" and world.naked_positions():
            await asyncio.sleep(0.01)  # 36 s of the market
        return await send()

    async def play() -> None:
        world.days = 2
        world.open()
        approve_agent(world)
        guard = guard_of(world)
        guard._heart.limit_s = 0.0
        trading = asyncio.create_task(world.trade(slow_to_repair))
        while not world.replay.done():
            await asyncio.sleep(1.1)
            for coin in (await world.venue().account()).positions:
                await cancel_all(world, coin)
            for _ in range(10):
                await asyncio.sleep(0.004)
                await guard.look()
        await trading
        lines = [line for line in await world.audit() if not line.agrees]
        assert [line.what for line in lines] == []
        account, orders = await world.venue().account(), await world.venue().open_orders()
        assert {order.coin for order in orders} <= account.positions.keys()

    run_virtual(play())
    assert "stop placed" in incidents(world, "guard")
    assert "position differs" not in incidents(world)


def test_only_what_adds_risk_is_cancelled(world: World) -> None:
    """Resting entries go; stops, targets and reduce-only orders stay."""

    async def play() -> None:
        world.open()
        approve_agent(world)
        size = await position_then_death(world)
        before = {o.oid for o in await world.venue().open_orders()}
        await rest_by_hand(world, "ETH", Side.BUY, Decimal("0.1"), "0.9")
        await rest_by_hand(world, "BTC", Side.SELL, size, "0.9", stop=True)
        async with watching(guard_of(world)):
            await asyncio.sleep(9)
        after = await world.venue().open_orders()
        assert before <= {o.oid for o in after}
        assert all(o.reduce_only for o in after)
        assert len(after) == len(before) + 1
        world.replay.cancel()

    world.speed = 1.0
    run_virtual(play())
    assert incidents(world, "guard") == ["bot dead", "order cancelled"]


def test_beyond_the_stop_the_position_is_closed(world: World) -> None:
    """Where the price is already past the intended stop, which no venue takes then, the guard
    closes the position instead."""

    async def play() -> None:
        world.open()
        approve_agent(world)
        desk = world.desk()
        intent = await intent_for(world, desk, 2_000)
        await Executor(desk).enter(intent)
        await reconcile(desk, Executor(desk))
        await cancel_all(world, "BTC")
        mid = (await desk.venue.mid_prices())["BTC"]
        epoch = desk.book.epochs["BTC"]
        assert epoch.intent is not None
        above = desk.instruments["BTC"].round_price(mid * Decimal("1.01"))
        moved = msgspec.structs.replace(epoch.intent, stop=above)
        desk.book.epochs["BTC"] = msgspec.structs.replace(epoch, intent=moved)
        desk.write()
        desk.ledger.close()
        async with watching(guard_of(world)):
            await asyncio.sleep(9)
        assert (await world.venue().account()).positions == {}
        world.replay.cancel()

    world.speed = 1.0
    run_virtual(play())
    assert incidents(world, "guard") == ["bot dead", "position closed"]


def test_an_entry_that_the_state_never_learned_of_gets_its_own_stop(world: World) -> None:
    """The bot dies as its order leaves, which only its ledger tells: the guard places the stop that
    was intended, not one at its own distance."""

    async def dies(path: str, send):  # type: ignore[no-untyped-def]
        answer = await send()
        if path == "/exchange":
            raise Killed
        return answer

    async def play() -> None:
        world.open()
        approve_agent(world)
        desk = world.desk(dies)
        intent = await intent_for(world, desk, 2_000)
        with pytest.raises(Killed):
            await Executor(desk).enter(intent)
        assert desk.state.read().intents == {}
        decided = desk.ledger.intents()
        desk.ledger.close()
        await cancel_all(world, "BTC")
        async with watching(guard_of(world, history=lambda: decided)):
            await asyncio.sleep(9)
        (stop,) = await world.venue().open_orders()
        assert (stop.trigger_price, stop.size) == (intent.stop, intent.size)
        world.replay.cancel()

    run_virtual(play())


@pytest.mark.parametrize("history", [True, False], ids=["ledger left", "nothing left"])
def test_without_the_bots_state_a_stop_is_placed_all_the_same(world: World, history: bool) -> None:
    """With a destroyed state the stop comes from the ledger, and without that from the rule."""

    async def play() -> None:
        world.open()
        approve_agent(world)
        await position_then_death(world)
        await cancel_all(world, "BTC")
        (world.folder / ".trading_state.json").write_bytes(b"{")
        ledger = Ledger(world.folder)
        intents = ledger.intents()
        ledger.close()
        async with watching(guard_of(world, history=lambda: intents if history else [])):
            await asyncio.sleep(9)
        (stop,) = await world.venue().open_orders()
        entry = (await world.venue().account()).positions["BTC"].entry_price
        assert stop.trigger_price is not None
        away = float(1 - stop.trigger_price / entry)
        assert away == pytest.approx(0.02 if history else 0.05, abs=0.005)
        assert world.naked_positions() == []
        world.replay.cancel()

    world.speed = 1.0
    run_virtual(play())


def test_a_bot_that_comes_back_keeps_the_guards_rescue_stop(world: World) -> None:
    """A stop placed without knowing the decision protects the position until the bot's own
    knowledge is back, and dies with the position."""

    async def play() -> None:
        world.open()
        approve_agent(world)
        size = await position_then_death(world)
        await cancel_all(world, "BTC")
        state = (world.folder / ".trading_state.json").read_bytes()
        (world.folder / ".trading_state.json").write_bytes(b"{")
        async with watching(guard_of(world)):
            await asyncio.sleep(9)
        (world.folder / ".trading_state.json").write_bytes(state)
        desk = world.desk()
        desk.instruments = await desk.venue.instruments()
        desk.open(venue_name="world", pid=2)
        await reconcile(desk, Executor(desk))
        assert [o.size for o in await desk.venue.open_orders()] == [size]
        await trade_by_hand(world, "BTC", -size, reduce_only=True)
        await reconcile(desk, Executor(desk))
        assert await desk.venue.open_orders() == []
        desk.ledger.close()
        world.replay.cancel()

    world.speed = 1.0
    run_virtual(play())


@pytest.mark.parametrize("ended", [False, True], ids=["died", "stopped by its operator"])
def test_flattening_is_for_the_dead_only(world: World, ended: bool) -> None:
    """With the policy flatten a dead bot's positions are closed after the wait; a bot that ended as
    it was told to keeps them."""

    async def play() -> None:
        world.open()
        approve_agent(world)
        await position_then_death(world, ended=ended)
        limits = GuardParameters(
            heartbeat_limit_s=5, poll_s=1, policy="flatten", flatten_after_s=30
        )
        async with watching(guard_of(world, limits)):
            await asyncio.sleep(20)
            assert (await world.venue().account()).positions
            await asyncio.sleep(20)
        assert bool((await world.venue().account()).positions) is ended
        world.replay.cancel()

    world.speed = 1.0
    run_virtual(play())


def test_a_foreign_position_is_touched_as_the_policy_says(world: World) -> None:
    """With ignore-and-never-touch somebody's naked position stays as it is; else it gets a stop."""

    async def play() -> None:
        world.open()
        approve_agent(world)
        await buy(world, "ETH", 1_000)
        async with watching(guard_of(world, orphans="ignore-and-never-touch")):
            await asyncio.sleep(9)
        assert await world.venue().open_orders() == []
        async with watching(guard_of(world)):
            await asyncio.sleep(9)
        assert world.naked_positions() == []
        world.replay.cancel()

    world.speed = 1.0
    run_virtual(play())


def test_lost_answers_make_no_second_stop(world: World) -> None:
    """When the answer to the guard's order is lost, the next look finds the stop and places none;
    when the order never left, it is placed again."""
    lost = 0

    async def fault(path, send):  # type: ignore[no-untyped-def]
        nonlocal lost
        if path == "/exchange":
            lost += 1
            if lost == 1:
                raise lost_answer()
            if lost == 2:
                await send()
                raise lost_answer()
        return await send()

    async def play() -> None:
        world.open()
        approve_agent(world)
        await position_then_death(world)
        await cancel_all(world, "BTC")
        async with watching(guard_of(world, fault=fault)):
            await asyncio.sleep(20)
        assert len(await world.venue().open_orders()) == 1
        assert world.naked_positions() == []
        world.replay.cancel()

    world.speed = 1.0
    run_virtual(play())
    assert lost == 2


def test_two_guards_of_one_bot_are_refused(tmp_path: Path) -> None:
    """The second guard names the first; a bot may run beside."""
    with only_bot(tmp_path), only_guard(tmp_path):
        again = only_guard(tmp_path)
        with pytest.raises(UserError, match="already watches over"), again:
            pytest.fail("two guards watch one bot")


def test_a_heart_beats_by_change_alone() -> None:
    """Only a changing heartbeat is life, whatever its clock says; an unreadable state is none."""
    heart = Heart(10.0)
    assert heart.dead_for(BotState(pid=1, heartbeat_ms=99), 0.0) is None
    assert heart.dead_for(None, 9.9) is None
    assert heart.dead_for(BotState(pid=1, heartbeat_ms=99), 10.0) == 10.0
    assert heart.dead_for(BotState(pid=1, heartbeat_ms=50), 11.0) is None
    assert heart.dead_for(BotState(pid=2, heartbeat_ms=50), 21.0) is None
    assert heart.dead_for(None, 31.0) == 10.0
