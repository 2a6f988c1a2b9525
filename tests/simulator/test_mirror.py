"""An exchange that follows another one, which plays the venue."""

import asyncio
from decimal import Decimal

import pytest

from fractaltrader.data.synthetic import generated_market
from fractaltrader.errors import UserError
from fractaltrader.exchange.http import HttpTransport
from fractaltrader.exchange.hyperliquid.client import HyperliquidVenue
from fractaltrader.exchange.transport import Transport
from fractaltrader.market import Clock, Timeframe
from fractaltrader.market.universe import instruments_for
from fractaltrader.simulator.faults.injector import Injector
from fractaltrader.simulator.faults.plan import DroppedSocket
from fractaltrader.simulator.feeds.feed import Feed
from fractaltrader.simulator.feeds.mirror import NOBODY, Mirror
from fractaltrader.simulator.local_exchange import LocalExchange
from fractaltrader.simulator.serving.server import Server
from fractaltrader.simulator.serving.transport import InProcessTransport
from fractaltrader.simulator.trading.market_model import MarketModel
from fractaltrader.simulator.virtual_time import LoopClock, run_virtual

INTERVAL = Timeframe.parse("5m")
MARKETS = generated_market(
    ["BTC", "ETH", "SOL"], days=2, timeframe=INTERVAL, seed=5, start_ms=1_735_689_600_000
)


def _public(transport: Transport, clock: Clock) -> HyperliquidVenue:
    """The venue as anybody may read it."""
    return HyperliquidVenue(transport, None, account=NOBODY, clock=clock, mainnet=False)


def test_prices_and_candles_are_the_venues() -> None:
    """Two of the venue's three coins are followed for half a day through dropped sockets: mids,
    closed candles and spread are the venue's at the end, and orders trade at these prices."""

    async def follow() -> None:
        feed = Feed(MARKETS, start_index=400)
        clock = LoopClock(feed.start_ms, 60.0)
        model = MarketModel(spread_bps=Decimal(8), top_notional=Decimal(3_000))
        venue = LocalExchange(
            feed.listings(instruments_for(MARKETS)), clock=clock, seed=1, model=model
        )
        faults = Injector([DroppedSocket(probability=0.02)], seed=3)
        transport = InProcessTransport(venue, clock, faults=faults, limits=False)
        mirror = Mirror(_public(transport, clock), ["SOL", "BTC"], INTERVAL, clock)
        replay = asyncio.create_task(feed.run(venue, clock))
        await asyncio.sleep(1)
        exchange = LocalExchange(await mirror.listings(), clock=clock, seed=2)
        following = asyncio.create_task(mirror.run(exchange))
        await replay
        await asyncio.sleep(60)
        assert faults.counts()["dropped_socket"] > 5
        assert exchange.coins == ["SOL", "BTC"]
        mids, theirs = exchange.info({"type": "allMids"}), venue.info({"type": "allMids"})
        for coin in exchange.coins:
            assert Decimal(mids[coin]) == pytest.approx(Decimal(theirs[coin]), rel=Decimal("1e-4"))
            request = {"coin": coin, "interval": "1h", "startTime": 0}
            ours, wanted = (
                one.info({"type": "candleSnapshot", "req": request}) for one in (exchange, venue)
            )
            keys = ("t", "o", "h", "l", "c", "v")
            assert [[row[key] for key in keys] for row in ours] == [
                [row[key] for key in keys] for row in wanted
            ]
            spreads = []
            for one in (exchange, venue):
                bids, asks = one.info({"type": "l2Book", "coin": coin})["levels"]
                bid, ask = Decimal(bids[0]["px"]), Decimal(asks[0]["px"])
                spreads.append(float((ask - bid) / bid * 10_000))
            assert spreads[0] == pytest.approx(spreads[1], rel=0.35)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)

    run_virtual(follow())


@pytest.mark.integration
def test_a_venue_over_the_network_is_followed() -> None:
    """Over HTTP and WebSocket the first price arrives, and a coin the venue lacks is named."""

    async def follow() -> None:
        feed = Feed(MARKETS, start_index=400)
        clock = LoopClock(feed.start_ms)
        venue = LocalExchange(feed.listings(instruments_for(MARKETS)), clock=clock)
        server = Server(venue, feed, 1.0)
        transport = HttpTransport(await server.start(0))
        try:
            with pytest.raises(UserError, match=r"does not trade 'ETC'; did you mean 'ETH'\?"):
                await Mirror(_public(transport, clock), ["ETC"], INTERVAL, clock).listings()
            mirror = Mirror(_public(transport, clock), ["ETH"], INTERVAL, clock)
            exchange = LocalExchange(await mirror.listings(), clock=clock)
            following = asyncio.create_task(mirror.run(exchange))
            venue.move("ETH", Decimal(3_210))
            async with asyncio.timeout(30):
                while exchange.info({"type": "allMids"})["ETH"] != "3210.0":  # noqa: ASYNC110
                    await asyncio.sleep(0)
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
        finally:
            await transport.close()
            await server.stop()

    asyncio.run(follow())
