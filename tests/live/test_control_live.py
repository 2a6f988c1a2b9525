"""Commands to the running bot, its signals and its life as systemd sees it."""

import asyncio
import os
import signal
import socket
from pathlib import Path

import pytest
from virtual_world import Killed, World

from fractaltrader.live.assembly import build_bot
from fractaltrader.live.control import Verb, acknowledgement, request
from fractaltrader.live.ledger import Ledger
from fractaltrader.live.notify import Notifier
from fractaltrader.live.signals import stop_on_signals
from fractaltrader.live.state import ALL_COINS, BotState
from fractaltrader.live.state_manager import StateManager
from fractaltrader.simulator.virtual_time import run_virtual

HOUR_MS = 3_600_000
HEARTBEATS = 5.0  # seconds of the loop: two heartbeats and a bit


def entered(world: World) -> list[int]:
    ledger = Ledger(world.folder)
    times = [intent.created_ms for intent in ledger.intents()]
    ledger.close()
    return times


def held(world: World) -> set[str]:
    """Coins with a position, as the exchange sees it."""
    user = {"user": world.signer.address}
    state = world.exchange.info({"type": "clearinghouseState", **user})
    return {item["position"]["coin"] for item in state["assetPositions"]}


async def told(world: World, verb: Verb, argument: str = "") -> BotState:
    """Ask as the command line does, wait, and find it acknowledged exactly once."""
    manager = StateManager(world.folder, world.clock)
    number = request(manager, verb, argument, world.clock.now_ms())
    await asyncio.sleep(HEARTBEATS)
    state = manager.load()
    done = acknowledgement(state, number)
    assert done is not None
    assert (done.verb, done.result) == (verb, "done")
    assert state.control.pending == []
    assert [d.number for d in state.control.acknowledged].count(number) == 1
    return state


def test_pause_resume_and_flatten(world: World) -> None:
    """Paused it enters nothing for two days, resumed it does; flattened it is flat with nothing
    resting, never bare on the way, and paused; the audit agrees."""
    world.days = 6

    async def operate() -> None:
        world.open()
        trading = asyncio.create_task(world.trade())
        await world.clock.sleep_until(world.feed.start_ms + 30 * HOUR_MS)
        assert (await told(world, Verb.PAUSE)).paused
        paused_ms = world.clock.now_ms()
        await world.clock.sleep_ms(48 * HOUR_MS)
        assert not (await told(world, Verb.RESUME)).paused
        resumed_ms = world.clock.now_ms()
        assert [ms for ms in entered(world) if paused_ms < ms < resumed_ms - 12 * HOUR_MS] == []
        user = {"user": world.signer.address}
        while not held(world):
            await world.clock.sleep_ms(HOUR_MS)
        assert [ms for ms in entered(world) if ms > resumed_ms - 12 * HOUR_MS]
        state = await told(world, Verb.FLATTEN, ALL_COINS)
        await asyncio.sleep(HEARTBEATS)
        state = StateManager(world.folder, world.clock).load()
        assert (state.flattening, state.epochs, state.paused) == ([], {}, True)
        assert held(world) == set()
        assert not world.exchange.info({"type": "frontendOpenOrders", **user})
        assert await trading
        audit = [line for line in await world.audit() if not line.agrees]
        assert audit == []

    run_virtual(operate())
    assert world.naked == []


def test_flattening_one_coin_leaves_the_others(world: World) -> None:
    """Only the coin named is closed, and the bot goes on entering."""
    world.days = 5

    async def operate() -> None:
        world.open()
        trading = asyncio.create_task(world.trade())
        manager = StateManager(world.folder, world.clock)
        await asyncio.sleep(HEARTBEATS)
        while len(coins := held(world)) < 2:
            await world.clock.sleep_ms(HOUR_MS)
        coin = min(coins)
        state = await told(world, Verb.FLATTEN, coin)
        await asyncio.sleep(HEARTBEATS)
        state = manager.load()
        assert not state.paused
        assert state.flattening == []
        await trading
        assert [line for line in await world.audit() if not line.agrees] == []

    run_virtual(operate())
    ledger = Ledger(world.folder)
    flattened = [detail for _, kind, detail in ledger.incidents() if kind == "flattening"]
    ledger.close()
    assert len({detail.split()[0] for detail in flattened}) == 1
    assert world.naked == []


@pytest.mark.parametrize("kill_at", range(1, 5))
def test_a_command_acts_exactly_once_whenever_the_bot_dies(world: World, kill_at: int) -> None:
    """Killed around the write that takes a command, the bot has either taken it and acknowledged
    it, or finds it when it starts again; never both, never neither."""
    world.days = 1
    left = -1

    def on_write() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise Killed

    async def lives() -> None:
        nonlocal left
        world.open()
        first = asyncio.create_task(world.trade(on_write=on_write))
        await asyncio.sleep(HEARTBEATS)
        manager = StateManager(world.folder, world.clock)
        number = request(manager, Verb.PAUSE, "", world.clock.now_ms())
        left = kill_at
        assert not await first
        between = manager.load()
        done = acknowledgement(between, number) is not None
        assert between.paused == done == (between.control.pending == [])
        assert await world.trade()
        state = manager.load()
        assert state.paused
        assert [d.number for d in state.control.acknowledged] == [number]

    run_virtual(lives())


def test_a_stop_meant_for_a_dead_bot_does_not_end_the_next_one(world: World) -> None:
    """An ending that nobody took is discarded at the start, and says so."""
    world.days = 1

    async def lives() -> None:
        world.open()
        manager = StateManager(world.folder, world.clock)
        number = request(manager, Verb.STOP, "", world.clock.now_ms())
        assert await world.trade()
        done = acknowledgement(manager.load(), number)
        assert done is not None
        assert done.result.startswith("discarded")

    run_virtual(lives())


def test_kill_ends_at_once(world: World) -> None:
    """The command kill ends the run without its last reconciliation, as a cancellation."""
    world.days = 3

    async def operate() -> None:
        world.open()
        desk = world.desk()
        running = asyncio.create_task(build_bot(world.config, desk).run(venue_name="world"))
        await asyncio.sleep(HEARTBEATS)
        request(StateManager(world.folder, world.clock), Verb.KILL, "", world.clock.now_ms())
        with pytest.raises(asyncio.CancelledError):
            await running
        desk.ledger.close()
        world.replay.cancel()

    run_virtual(operate())
    assert world.naked == []


def test_the_second_signal_ends_what_the_first_could_not(world: World) -> None:
    """SIGTERM asks; while the venue keeps the bot waiting, SIGINT ends it at once."""
    world.days = 3

    async def operate() -> None:
        world.open()
        stuck = asyncio.Event()

        async def fault(_: str, send):  # type: ignore[no-untyped-def]
            if stuck.is_set():
                await asyncio.sleep(1e9)
            return await send()

        desk = world.desk(fault)
        bot = build_bot(world.config, desk)
        stop_on_signals(asyncio.get_running_loop(), bot)
        running = asyncio.create_task(bot.run(venue_name="world"))
        await asyncio.sleep(HEARTBEATS)
        stuck.set()
        await asyncio.sleep(90)
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(HEARTBEATS)
        assert not running.done()
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(asyncio.CancelledError):
            await running
        desk.ledger.close()
        world.replay.cancel()

    run_virtual(operate())


def test_systemd_hears_of_the_bots_life(world: World, tmp_path: Path) -> None:
    """Ready once it trades, alive with every heartbeat, stopping at its end, on a real socket."""
    world.days = 2
    path = tmp_path / "notify"
    heard: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(str(path))
        supervisor.setblocking(False)
        notifier = Notifier({"NOTIFY_SOCKET": str(path)})

        def notify(state: str) -> None:
            notifier(state)
            heard.append(supervisor.recv(100).decode())

        async def live() -> None:
            world.open()
            desk = world.desk()
            bot = build_bot(world.config, desk, notify=notify)
            running = asyncio.create_task(bot.run(venue_name="world"))
            await asyncio.sleep(HEARTBEATS)
            bot.stop()
            await running
            desk.ledger.close()
            world.replay.cancel()

        run_virtual(live())
    assert heard[0] == "READY=1"
    assert heard[-1] == "STOPPING=1"
    assert set(heard[1:-1]) == {"WATCHDOG=1"}
    notifier("WATCHDOG=1")  # the supervisor is gone, and nothing happens
    notifier.close()
    Notifier({})("READY=1")
