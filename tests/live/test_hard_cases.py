"""Cases that cost money elsewhere: late orders, partial fills, holes, foreigners, full disks."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from by_hand_world import buy, intent_for
from virtual_world import World, lost_answer

from fractaltrader.errors import UserError
from fractaltrader.exchange.errors import CriticalError
from fractaltrader.exchange.port import OrderRequest, Side
from fractaltrader.live.assembly import build_bot
from fractaltrader.live.executor import Executor
from fractaltrader.live.ledger import Ledger
from fractaltrader.live.lock import only_trader
from fractaltrader.live.state import Epoch
from fractaltrader.simulator.virtual_time import run_virtual

Send = Callable[[], Awaitable[tuple[int, bytes]]]
HOUR_MS = 3_600_000


def differences(lines) -> list[str]:  # type: ignore[no-untyped-def]
    return [f"{line.what}: {line.ours} / {line.venue}" for line in lines if not line.agrees]


def incidents(world: World) -> set[str]:
    ledger = Ledger(world.folder)
    kinds = {kind for _, kind, _ in ledger.incidents()}
    ledger.close()
    return kinds


async def first_hours(world: World, hours: int) -> None:
    await world.clock.sleep_until(world.feed.start_ms + hours * HOUR_MS)


def test_an_entry_that_arrives_after_it_was_given_up_is_refused(world: World) -> None:
    """A delayed action is dead when the bot has concluded that it never arrived."""
    held: list[Send] = []

    async def fault(path: str, send: Send) -> tuple[int, bytes]:
        if path == "/exchange" and not held:
            held.append(send)
            raise lost_answer()
        return await send()

    async def late() -> None:
        world.open()
        desk = world.desk(fault)
        intent = await intent_for(world, desk, 1_000)
        await Executor(desk).enter(intent)
        assert desk.intents == {}
        _, body = await held[0]()
        assert json.loads(body) == {"status": "err", "response": "Action already expired"}
        assert (await desk.venue.account()).positions == {}
        desk.ledger.close()
        world.replay.cancel()

    run_virtual(late())


def test_a_partial_fill_is_protected_at_once(world: World) -> None:
    """An entry that fills in part loses its bracket; a new stop leaves before any question."""

    async def part() -> None:
        world.open()
        desk = world.desk()
        intent = await intent_for(world, desk, 9_000)
        mid = (await desk.venue.mid_prices())["BTC"]
        # More than the first level of the book holds, at a limit just beyond it.
        intent = msgspec.structs.replace(
            intent,
            size=intent.size * 8,
            limit=desk.instruments["BTC"].round_price(mid * Decimal("1.0002")),
        )
        await Executor(desk).enter(intent)
        position = (await desk.venue.account()).positions["BTC"]
        assert 0 < position.size < intent.size
        assert world.naked_positions() == []
        stop = next(order for order in await desk.venue.open_orders() if order.kind == "sl")
        assert (stop.size, stop.trigger_price) == (position.size, intent.stop)
        desk.ledger.close()
        world.replay.cancel()

    run_virtual(part())
    assert "bracket incomplete" in incidents(world)
    assert "naked position" not in incidents(world)  # the answer told enough to protect at once


def test_a_stop_that_vanished_is_placed_anew(world: World) -> None:
    """When somebody cancels a stop, the next reconciliation puts it back."""

    async def vanish() -> None:
        world.days = 5
        world.open()
        trading = asyncio.create_task(world.trade())
        user = {"user": world.signer.address}
        for hour in range(1, 100):
            await first_hours(world, hour)
            if world.exchange.info({"type": "frontendOpenOrders", **user}):
                break
        venue = world.venue()
        await venue.instruments()
        for order in await venue.open_orders():
            assert order.cloid is not None
            await venue.cancel(order.coin, order.cloid)
        await asyncio.sleep(90)
        assert world.naked_positions() == []
        await trading
        assert not world.naked_positions()

    run_virtual(vanish())
    assert "naked position" in incidents(world)


def test_a_foreign_position_does_not_keep_ours_from_its_stop(world: World) -> None:
    """With a foreign position and a naked one of ours, ours is protected before the bot ends."""

    async def both() -> None:
        world.open()
        desk = world.desk()
        intent = await intent_for(world, desk, 2_000)
        await Executor(desk).enter(intent)
        for order in await desk.venue.open_orders():
            await desk.venue.cancel(order.coin, order.cloid or "")
        desk.ledger.close()
        await buy(world, "ETH", 1_000)
        with pytest.raises(CriticalError, match=r"ETH .* was not opened by this bot"):
            await world.trade()
        assert [text for text in world.naked_positions() if "BTC" in text] == []
        world.replay.cancel()

    run_virtual(both())


def test_accounting_does_not_start_on_somebody_elses_position(world: World) -> None:
    """An account with a position is refused before it is accounted for; flat, it is accepted and
    the audit agrees."""

    async def start() -> None:
        world.days = 2
        world.open()
        order = await buy(world, "BTC", 1_000)
        with pytest.raises(CriticalError, match="BTC"):
            await world.trade()
        venue = world.venue()
        mid = (await venue.mid_prices())["BTC"]
        limit = order.instrument.round_price(mid * Decimal("0.99"))
        close = OrderRequest(
            order.instrument, Side.SELL, order.size, limit, "0x" + "8" * 32, "Ioc", True
        )
        await venue.place([close], bracket=False)
        assert await world.trade()
        assert differences(await world.audit()) == []

    run_virtual(start())


def test_no_decision_without_the_bars_before_it(world: World) -> None:
    """While the history cannot be read nothing is decided; once it can, trading goes on."""
    refused = 0

    async def fault(path: str, send: Send) -> tuple[int, bytes]:
        nonlocal refused
        if path == "/info" and world.exchange.now_ms() < world.feed.start_ms + 24 * HOUR_MS:
            refused += 1
            # Everything but candles is answered.
            status, body = await send()
            return (502, b"<html>") if body.startswith(b'[{"t":') else (status, body)
        return await send()

    async def blind() -> None:
        world.days = 4
        world.open()
        trading = asyncio.create_task(world.trade(fault))
        await first_hours(world, 23)
        ledger = Ledger(world.folder)
        assert ledger.verdicts() == []
        ledger.close()
        await trading
        assert differences(await world.audit()) == []

    run_virtual(blind())
    ledger = Ledger(world.folder)
    assert refused
    assert dict(ledger.verdicts())["enter"] >= 5
    ledger.close()


def test_a_signal_that_is_old_is_not_entered(world: World) -> None:
    """After the venue has kept us waiting for hours, signals of those hours are stale."""
    waited = False

    async def fault(path: str, send: Send) -> tuple[int, bytes]:
        nonlocal waited
        if not waited and world.exchange.now_ms() > world.feed.start_ms + 24 * HOUR_MS:
            waited = True
            await world.clock.sleep_ms(48 * HOUR_MS)
        return await send()

    async def slow() -> None:
        world.days = 5
        world.open()
        await world.trade(fault)
        assert differences(await world.audit()) == []

    run_virtual(slow())
    ledger = Ledger(world.folder)
    assert dict(ledger.verdicts())["stale"] >= 1
    ledger.close()


def test_a_full_disk_does_not_end_the_bot(world: World) -> None:
    """Writes that fail for hours leave positions protected, orders unsent, and books that agree
    once the disk has room again."""

    def full_at_times() -> None:
        elapsed = world.exchange.now_ms() - world.feed.start_ms
        if 24 * HOUR_MS < elapsed < 60 * HOUR_MS:
            raise OSError(28, "No space left on device")

    async def full() -> None:
        world.days = 5
        world.open()
        assert await world.trade(on_write=full_at_times)
        assert differences(await world.audit()) == []

    run_virtual(full())
    assert world.naked == []


def test_the_start_waits_for_the_venue(world: World) -> None:
    """A venue that answers with errors at first does not end the bot."""
    left = 5

    async def fault(_: str, send: Send) -> tuple[int, bytes]:
        nonlocal left
        left -= 1
        return (502, b"<html>") if left > 0 else await send()

    async def start() -> None:
        world.days = 2
        world.open()
        assert await world.trade(fault)
        assert differences(await world.audit()) == []

    run_virtual(start())


def test_an_intention_the_ledger_lost_is_taken_from_the_state(world: World) -> None:
    """After a power loss that cost the ledger its last rows our own position is not foreign."""

    async def lose() -> None:
        world.days = 2
        world.open()
        desk = world.desk()
        intent = await intent_for(world, desk, 2_000)
        await Executor(desk).enter(intent)
        await desk.catch_up()
        epoch = Epoch(intent=intent, size=intent.size, opened_ms=1)
        desk.write(lambda state: state.epochs.update(BTC=epoch))
        desk.ledger.close()
        (world.folder / "ledger.sqlite").unlink()
        assert await world.trade()
        assert differences(await world.audit()) == []

    run_virtual(lose())


def test_two_runs_cannot_trade_one_account(tmp_path: Path) -> None:
    """A second bot on the same account and venue is refused, whatever its run is called."""
    other = only_trader(tmp_path, "0xabc", "http://127.0.0.1:3002")
    with only_trader(tmp_path, "0xabc", "http://127.0.0.1:3001"), other:
        again = only_trader(tmp_path, "0xabc", "http://127.0.0.1:3001")
        with pytest.raises(UserError, match="already trades account 0xabc"), again:
            pytest.fail("two bots hold one account")


def test_a_recovered_state_is_told_once(world: World) -> None:
    """A start that must try again, for the venue does not answer, reports one recovery once."""

    async def damaged() -> None:
        world.open()
        first = world.desk()
        first.open(venue_name="world", pid=1)
        first.ledger.close()
        first.state.path.write_bytes(b"{")
        desk = world.desk()
        for _ in range(3):
            desk.open(venue_name="world", pid=2)
        told = [kind for _, kind, _ in desk.ledger.incidents()]
        assert told.count("state recovered") == 1
        desk.ledger.close()
        world.replay.cancel()

    run_virtual(damaged())


def test_a_silent_venue_is_asked_again_within_half_a_minute(world: World) -> None:
    """A start that the venue does not answer is tried again after 2 s, then less and less often,
    but however long the silence lasts after 30 s."""
    asked: list[float] = []

    async def silent(_: str, __: Send) -> tuple[int, bytes]:
        asked.append(asyncio.get_running_loop().time())
        raise lost_answer()

    async def waiting() -> None:
        world.open()
        world.replay.cancel()
        desk = world.desk(silent)
        bot = build_bot(world.config, desk)
        running = asyncio.create_task(bot.run(venue_name="world"))
        await asyncio.sleep(300)
        bot.stop()
        await running
        desk.ledger.close()

    run_virtual(waiting())
    pauses = [round(later - before) for before, later in pairwise(asked)]
    assert pauses[:6] == [2, 4, 8, 16, 30, 30]
    assert max(pauses) == 30
