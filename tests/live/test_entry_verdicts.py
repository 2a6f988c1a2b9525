"""Every reason not to enter has its own verdict in the ledger, and no order leaves."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from by_hand_world import buy, signal
from by_kind import Answer, Answers, Send, close, decider, desk_by_kind, instead
from virtual_world import World

from fractaltrader.live.decide import Quote
from fractaltrader.live.desk import Desk
from fractaltrader.market import Timeframe
from fractaltrader.simulator.virtual_time import run_virtual
from fractaltrader.strategies import Signal

QUARTER = Timeframe.parse("15m")


def unknown_equity(shown: dict[str, Any]) -> None:
    shown["marginSummary"]["accountValue"] = "NaN"


def changed(change: Callable[[dict[str, Any]], None]) -> Answer:
    """The exchange's answer after `change`."""

    async def answer(send: Send) -> tuple[int, bytes]:
        status, body = await send()
        document = msgspec.json.decode(body)
        change(document)
        return status, msgspec.json.encode(document)

    return answer


def nothing(_: Desk) -> None:
    return


def acted_on(desk: Desk) -> None:
    desk.decided["BTC"] = 2**50


def not_swept(desk: Desk) -> None:
    desk.unswept.add("BTC")


def closing(desk: Desk) -> None:
    desk.flattening.add("ETH")


def paused(desk: Desk) -> None:
    desk.paused = True


def somebody_elses(desk: Desk) -> None:
    desk.untouchable.add("BTC")


CASES: list[tuple[Callable[[Desk], None], Answers, str, str]] = [
    (nothing, {}, "enter", ""),
    (acted_on, {}, "repeated", "already acted on"),
    (not_swept, {}, "unswept", "may still rest"),
    (closing, {}, "flattening", "ETH"),
    (paused, {}, "paused", "by the operator"),
    (somebody_elses, {}, "orphan", "somebody else has a position"),
    (nothing, {"allMids": instead("<html>", status=502)}, "venue_unavailable", "502"),
    (nothing, {"allMids": instead({})}, "price_past", "already beyond"),
    (nothing, {"clearinghouseState": changed(unknown_equity)}, "equity", "so it is unknown"),
]


async def verdict(world: World, desk: Desk, wanted: Signal | None = None) -> tuple[bool, str, str]:
    """Whether an entry was decided on, and what the ledger says of it."""
    mid = float((await world.venue().mid_prices())["BTC"])
    bar = QUARTER.floor(world.exchange.now_ms()) - QUARTER.ms
    deciding = decider(desk)
    quote = Quote(mid, asyncio.get_running_loop().time())
    entry = await deciding.decide(wanted or signal("BTC", bar, mid), quote)
    if entry is not None:
        deciding.entered(entry)
    rows = desk.ledger._db.execute("SELECT verdict, detail FROM decisions").fetchall()
    ((name, detail),) = rows
    return entry is not None, name, msgspec.json.decode(detail)["why"]


@pytest.mark.parametrize(("prepare", "answers", "name", "why"), CASES)
def test_a_refusal_has_its_name(
    world: World, prepare: Callable[[Desk], None], answers: Answers, name: str, why: str
) -> None:
    """The ledger tells the verdict and why; only `enter` brings an intention."""

    async def play() -> None:
        given: Answers = {}
        desk = await desk_by_kind(world, given)
        prepare(desk)
        given.update(answers)
        entered, found, reason = await verdict(world, desk)
        assert (entered, found) == (name == "enter", name)
        assert why in reason
        close(world, desk)

    run_virtual(play())


def test_a_decision_waits_for_one_answer_only(world: World) -> None:
    """Account and prices are asked for at once: two slow answers take no longer than one."""

    async def late(send: Send) -> tuple[int, bytes]:
        await asyncio.sleep(0.02)
        return await send()

    async def play() -> None:
        given: Answers = {}
        desk = await desk_by_kind(world, given)
        given.update({"clearinghouseState": late, "allMids": late})
        now = asyncio.get_running_loop().time
        began = now()
        assert await verdict(world, desk) == (True, "enter", "")
        assert now() - began < 0.03
        close(world, desk)

    run_virtual(play())


def test_a_position_that_only_the_venue_shows(world: World) -> None:
    """Before the book knows of a position, the account does, and no second one is opened."""

    async def play() -> None:
        desk = await desk_by_kind(world, {})
        await buy(world, "BTC", 500)
        assert await verdict(world, desk) == (
            False,
            "one_per_coin",
            "the venue shows a position in BTC already",
        )
        close(world, desk)

    run_virtual(play())


def test_a_coin_cheaper_than_its_tick(world: World) -> None:
    """Where the venue's ticks leave no legal stop the size is decided, but nothing is sent."""

    async def play() -> None:
        answers: Answers = {}
        desk = await desk_by_kind(world, answers)
        answers["allMids"] = instead({"BTC": "0.06"})
        bar = QUARTER.floor(world.exchange.now_ms()) - QUARTER.ms
        entered, name, reason = await verdict(world, desk, signal("BTC", bar, 0.06))
        assert (entered, name) == (False, "illegal")
        assert "stop 0.0" in reason
        assert "one is no price" in reason
        close(world, desk)

    run_virtual(play())
