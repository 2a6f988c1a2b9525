"""The account is read a moment before a bar closes, so that an entry at the close need not wait."""

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal

import msgspec
import pytest
from by_hand_world import intent_for, signal, trade_by_hand
from by_kind import Answers, close, decider, desk_by_kind, instead
from virtual_world import FaultyTransport, World, no_fault

from fractaltrader.exchange.errors import ExchangeError
from fractaltrader.exchange.hyperliquid.client import HyperliquidVenue
from fractaltrader.live.ahead import LEAD_MS, look_ahead
from fractaltrader.live.decide import LONGEST_QUOTE_SECONDS, Quote
from fractaltrader.live.desk import Desk
from fractaltrader.market import Timeframe
from fractaltrader.simulator.serving.transport import InProcessTransport
from fractaltrader.simulator.virtual_time import run_virtual

QUARTER = Timeframe.parse("15m")
Asked = list[tuple[int, str]]  # market time, and what was asked for


Silent = Callable[[int, int], bool]  # whether reads fail: market time, and how long to the close


def left_ms(now: int) -> int:
    """How long the bar of this moment still has."""
    return QUARTER.ms - now % QUARTER.ms


class Listening(FaultyTransport):
    """Writes down what passes; reads fail when `silent` says so."""

    def __init__(self, world: World, silent: Silent) -> None:
        super().__init__(InProcessTransport(world.exchange, world.clock), no_fault)
        self._world = world
        self._silent = silent
        self.asked: Asked = []

    async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        request = msgspec.json.decode(body)
        now = self._world.exchange.now_ms()
        kind = request.get("action", request)
        self.asked.append((now, kind.get("grouping") or kind["type"]))
        if path == "/info" and self._silent(now, left_ms(now)):
            return 502, b""
        return await super().post(path, body)


def traded(world: World, silent: Silent) -> Asked:
    """What a bot asked the venue for in three days."""

    async def play() -> Asked:
        world.days = 3
        world.open()
        transport = Listening(world, silent)
        world.venue = lambda _=None: HyperliquidVenue(  # type: ignore[method-assign, assignment]
            transport,
            world.signer,
            account=world.signer.address,
            clock=world.clock,
            mainnet=False,
        )
        await world.trade()
        return transport.asked

    return run_virtual(play())


def reads_before_entries(asked: Asked) -> list[list[str]]:
    """For the first entry at each close: what was read between the close and its order."""
    found: dict[int, list[str]] = {}
    for place, (now, kind) in enumerate(asked):
        closed = QUARTER.floor(now)
        if kind == "normalTpsl" and closed not in found:
            before = asked[:place]
            found[closed] = [what for at, what in before if closed <= at]
    return list(found.values())


def test_an_entry_at_the_close_asks_nothing(world: World) -> None:
    """The account was read ahead and the frame that closed the bar brought the price. What is read
    of the first coin's bar, for the equity curve, may come before the order of another coin."""
    reads = reads_before_entries(traded(world, lambda _, __: False))
    assert len(reads) >= 10
    assert [] in reads
    assert all(kinds in ([], ["clearinghouseState", "frontendOpenOrders"]) for kinds in reads)


def test_without_an_answer_ahead_the_entry_asks(world: World) -> None:
    """A venue that answers nothing ahead of a close is asked at the close; the bot trades on."""
    reads = reads_before_entries(traded(world, lambda _, left: left <= LEAD_MS))
    assert len(reads) >= 10
    assert all({"clearinghouseState", "allMids"} <= set(kinds) for kinds in reads)


def test_a_venue_that_fails_is_not_asked_ahead(world: World) -> None:
    """While a failure waits to be made good, no close makes the bot ask once more."""
    hours = 6
    begin = 1_735_689_600_000 + 5 * 86_400_000
    end = begin + hours * 3_600_000
    asked = traded(world, lambda now, _: begin <= now < end)
    ahead = [now for now, kind in asked if left_ms(now) <= LEAD_MS and kind == "clearinghouseState"]
    assert sum(begin <= now < end for now in ahead) <= 2
    assert len(ahead) > 200


async def entered(world: World, desk: Desk, quote_age_s: float = 0.0) -> bool:
    """Whether a good signal is entered."""
    mid = float((await world.venue().mid_prices())["BTC"])
    bar = QUARTER.floor(world.exchange.now_ms()) - QUARTER.ms
    quote = Quote(mid, asyncio.get_running_loop().time() - quote_age_s)
    entry = await decider(desk).decide(signal("BTC", bar, mid), quote)
    return entry is not None


async def nothing(_: World, __: Desk) -> None:
    """Leave it as it was read."""


async def executed(world: World, desk: Desk) -> None:
    """Somebody trades, and the stream tells."""
    await trade_by_hand(world, "ETH", Decimal("0.1"))
    for fill in await world.venue().fills(0):
        desk.record(fill)


async def sent(_: World, desk: Desk) -> None:
    """Another entry leaves."""
    (intent,) = desk.intents.values()
    desk.begin(intent)
    desk.intents.clear()
    desk.decided.clear()


async def aged(_: World, __: Desk) -> None:
    """Time passes."""
    await asyncio.sleep(6)


@pytest.mark.parametrize(
    ("happens", "quote_age_s", "asks"),
    [
        (nothing, 0.0, False),
        (nothing, LONGEST_QUOTE_SECONDS + 0.1, True),
        (executed, 0.0, True),
        (sent, 0.0, True),
        (aged, 0.0, True),
    ],
)
def test_what_was_read_is_used_only_while_it_holds(
    world: World,
    happens: Callable[[World, Desk], Awaitable[None]],
    quote_age_s: float,
    asks: bool,
) -> None:
    """An execution, an order, an old price and the age of the account each make the entry ask."""

    async def play() -> None:
        answers: Answers = {}
        desk = await desk_by_kind(world, answers)
        if happens is sent:
            desk.intents["BTC"] = await intent_for(world, desk, 100)
        await look_ahead(desk)
        await happens(world, desk)
        answers["clearinghouseState"] = answers["allMids"] = instead("<html>", status=502)
        assert await entered(world, desk, quote_age_s) is not asks
        close(world, desk)

    run_virtual(play())


def test_a_venue_that_does_not_answer_ahead_leaves_nothing(world: World) -> None:
    """An error and a silence ahead of the close are no incident: the entry will ask. What nobody
    knows is one."""

    async def silent(_: object) -> tuple[int, bytes]:
        await asyncio.sleep(60)
        return 200, b""

    async def play() -> None:
        answers: Answers = {}
        desk = await desk_by_kind(world, answers)
        for answer in (instead("<html>", status=502), silent):
            answers["clearinghouseState"] = answer
            await look_ahead(desk)
            assert desk.looked is None
        answers["clearinghouseState"] = instead({"odd": 1}, status=418)
        with pytest.raises(ExchangeError):
            await look_ahead(desk)
        assert desk.ledger.incidents() == []
        answers.clear()
        assert await entered(world, desk)
        close(world, desk)

    run_virtual(play())
