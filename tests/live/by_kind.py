"""A venue whose answers a test changes by what is asked for, and a desk that asks it."""

from collections.abc import Awaitable, Callable
from decimal import Decimal

import msgspec
from by_hand_world import intent_for
from virtual_world import KEY, FaultyTransport, World

from fractaltrader.exchange.hyperliquid.client import HyperliquidVenue
from fractaltrader.exchange.hyperliquid.signing import Signer
from fractaltrader.live.decide import Decider
from fractaltrader.live.desk import Desk
from fractaltrader.live.executor import Executor
from fractaltrader.live.freshness import Freshness
from fractaltrader.live.parameters import DataParameters
from fractaltrader.live.reconcile import reconcile
from fractaltrader.market import Timeframe
from fractaltrader.risk.portfolio import PortfolioLimits
from fractaltrader.risk.sizing import RiskParameters
from fractaltrader.simulator.serving.transport import InProcessTransport
from fractaltrader.strategies import load_strategy

Send = Callable[[], Awaitable[tuple[int, bytes]]]
Answer = Callable[[Send], Awaitable[tuple[int, bytes]]]
Answers = dict[str, Answer]


class ByKind(FaultyTransport):
    """The in-process transport; what is asked for under a name in `answers` is answered so."""

    answers: Answers

    async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        request = msgspec.json.decode(body)
        kind = request.get("action", request)["type"]

        async def send() -> tuple[int, bytes]:
            return await self._inner.post(path, body)

        return await self.answers[kind](send) if kind in self.answers else await send()


def venue_by_kind(world: World, answers: Answers, key: str = KEY) -> HyperliquidVenue:
    """The venue as `key` sees it; `answers` may be changed meanwhile."""
    transport = ByKind(InProcessTransport(world.exchange, world.clock), lambda _, send: send())
    transport.answers = answers
    return HyperliquidVenue(
        transport, Signer(key), account=world.signer.address, clock=world.clock, mainnet=False
    )


def instead(document: object, status: int = 200) -> Answer:
    """This answer, and nothing happens at the exchange."""

    async def answer(_: Send) -> tuple[int, bytes]:
        return status, msgspec.json.encode(document)

    return answer


def marked(price: Decimal) -> Answer:
    """The account as it is, its positions valued at `price`."""

    async def answer(send: Send) -> tuple[int, bytes]:
        status, body = await send()
        state = msgspec.json.decode(body)
        for held in state["assetPositions"]:
            size = abs(Decimal(held["position"]["szi"]))
            held["position"]["positionValue"] = str(size * price)
        return status, msgspec.json.encode(state)

    return answer


def refused(text: str = "Insufficient margin to place order.") -> Answer:
    """The whole action is refused."""
    return instead({"status": "err", "response": text})


async def desk_by_kind(world: World, answers: Answers, usd: int = 0) -> Desk:
    """A desk that keeps books; with `usd` it holds a protected long in BTC of that worth."""
    if not hasattr(world, "exchange"):
        world.days = 1
        world.open()
    desk = world.desk()
    desk.venue = venue_by_kind(world, answers)
    intent = await intent_for(world, desk, usd or 100)
    if usd:
        await Executor(desk).enter(intent)
        await reconcile(desk, Executor(desk))
        assert desk.book.epochs["BTC"].size > Decimal(0)
    return desk


def decider(desk: Desk) -> Decider:
    """What decides on the signals that a test makes up."""
    quarter = Timeframe.parse("15m")
    return Decider(
        desk,
        load_strategy("liquidity_sweep", {}),
        quarter,
        risk=RiskParameters(),
        limits=PortfolioLimits(),
        slippage=0.002,
        freshness=Freshness(DataParameters(), quarter, venue_time=False),
    )


def close(world: World, desk: Desk) -> None:
    """End what the test has begun."""
    desk.ledger.close()
    world.replay.cancel()
