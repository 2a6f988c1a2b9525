"""The server from start to signal, and the sockets it ends: everything over real connections."""

import asyncio
import json
import os
import signal
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from exchange_world import LISTINGS, Trader

from fractaltrader.data.synthetic import generated_market
from fractaltrader.errors import UserError
from fractaltrader.market import Timeframe
from fractaltrader.simulator.faults.injector import Injector
from fractaltrader.simulator.faults.plan import parse_fault
from fractaltrader.simulator.feeds.feed import Feed
from fractaltrader.simulator.local_exchange import LocalExchange
from fractaltrader.simulator.serving import serve as serving
from fractaltrader.simulator.serving import server as server_module
from fractaltrader.simulator.serving.background import BackgroundExchange
from fractaltrader.simulator.serving.serve import MirrorOptions, ServeOptions, serve
from fractaltrader.simulator.serving.server import Server
from fractaltrader.simulator.virtual_time import SteppedClock

pytestmark = pytest.mark.integration
MINUTE = Timeframe.parse("1m")
USER = "0x" + "12" * 20


def feed(*coins: str) -> Feed:
    return Feed(generated_market(list(coins), days=1, timeframe=MINUTE, seed=3, start_ms=0))


def served(market: Feed | None, options: ServeOptions) -> list[str]:
    """What the server tells until it gets a SIGTERM, right after it is ready."""
    told: list[str] = []

    def tell(text: str) -> None:
        told.append(text)
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    asyncio.run(serve(market, options, tell))
    signal.signal(signal.SIGTERM, before)
    return told


def test_a_state_file_is_taken_up_by_its_own_market_alone(tmp_path: Path) -> None:
    """Stopped by a signal the server saves; started again accounts are there and no faucet fills
    them twice; another market, a damaged file and no market at all are refused in one line."""
    path = tmp_path / "state"
    options = ServeOptions(
        port=0, speed=1.0, seed=1, state_file=path, faucet=[(USER, Decimal(700))]
    )
    for _ in range(2):
        (ready,) = served(feed("BTC", "ETH"), options)
        assert ready.startswith("exchange ready at http://127.0.0.1:")
        exchange = LocalExchange.restored(path.read_bytes(), clock=SteppedClock(0))
        worth = exchange.info({"type": "clearinghouseState", "user": USER})["withdrawable"]
        assert worth == "700.0"
    saved = path.read_bytes()
    with pytest.raises(UserError, match="holds BTC, ETH, the market SOL; give the same market or"):
        served(feed("SOL"), options)
    with pytest.raises(UserError, match="nothing to replay"):
        served(None, options)
    assert path.read_bytes() == saved
    path.write_bytes(saved[:99])
    with pytest.raises(UserError, match=r"cannot be read .*; delete it to start afresh"):
        served(feed("BTC", "ETH"), options)


def test_the_state_is_saved_while_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill may come at any time: the file is there and whole before the server ends."""
    monkeypatch.setattr(serving, "SAVE_SECONDS", 0.001)
    path = tmp_path / "state"
    options = ServeOptions(port=0, speed=1.0, seed=1, state_file=path)

    async def world() -> bytes:
        kept = asyncio.Event()

        def save(exchange: LocalExchange, to: Path) -> None:
            write(exchange, to)
            kept.set()

        write = serving.save
        monkeypatch.setattr(serving, "save", save)
        running = asyncio.create_task(serve(feed("BTC"), options, lambda _: None))
        await kept.wait()
        saved = path.read_bytes()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return saved

    assert LocalExchange.restored(asyncio.run(world()), clock=SteppedClock(0)).coins == ["BTC"]


def test_a_mirror_keeps_its_accounts_and_its_coins(tmp_path: Path) -> None:
    """Restarted it goes on with the accounts it had, at the venue's prices; with other coins, or
    one that the venue does not trade, it does not start."""
    path = tmp_path / "state"

    def options(*coins: str) -> ServeOptions:
        mirror = MirrorOptions(venue.url, list(coins), MINUTE)
        return ServeOptions(
            port=0, speed=1.0, seed=1, state_file=path, faucet=[(USER, Decimal(5))], mirror=mirror
        )

    with BackgroundExchange() as venue:
        for _ in range(2):
            served(None, options("ETH", "BTC"))
        exchange = LocalExchange.restored(path.read_bytes(), clock=SteppedClock(0))
        assert exchange.coins == ["ETH", "BTC"]
        assert exchange.state.accounts[USER].cash == 5
        with pytest.raises(UserError, match="holds ETH, BTC, the market BTC"):
            served(None, options("BTC"))
        with pytest.raises(UserError, match="does not trade 'BTX'; did you mean 'BTC'"):
            served(None, options("BTX"))


class Venue:
    """A server in the test's own loop, and a client's session."""

    def __init__(self, clock: SteppedClock, **options: Any) -> None:
        self.exchange = LocalExchange(LISTINGS, clock=clock, seed=7)
        self.exchange.move("BTC", Decimal(100_000))
        self.server = Server(self.exchange, None, 1.0, **options)
        self.sockets: list[aiohttp.ClientWebSocketResponse] = []

    async def __aenter__(self) -> "Venue":
        self.url = await self.server.start(0) + "/ws"
        self.client = aiohttp.ClientSession()
        return self

    async def connect(self) -> aiohttp.ClientWebSocketResponse:
        self.sockets.append(await self.client.ws_connect(self.url))
        return self.sockets[-1]

    async def __aexit__(self, *_: object) -> None:
        for socket in self.sockets:
            await socket.close()
        await self.client.close()
        await self.server.stop()


def in_venue(clock: SteppedClock, do: Callable[[Venue], Any], **options: Any) -> None:
    async def world() -> None:
        async with Venue(clock, **options) as venue:
            await do(venue)

    asyncio.run(world())


def test_the_eleventh_connection_is_refused_until_one_closes(clock: SteppedClock) -> None:
    """An address has ten sockets; a handshake beyond them is HTTP 429."""

    async def do(venue: Venue) -> None:
        sockets = [await venue.connect() for _ in range(10)]
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await venue.connect()
        assert refused.value.status == 429
        await sockets[0].close()
        for _ in range(10_000):  # the server learns of it in its own time
            if venue.exchange.client_limits.meter("127.0.0.1")._open < 10:
                break
            await asyncio.sleep(0)
        # A handshake that fails for another reason does not keep its place.
        async with venue.client.get(venue.url) as plain:
            assert plain.status == 400
        again = await venue.connect()
        await again.send_str('{"method":"ping"}')
        assert await again.receive_json() == {"channel": "pong"}

    in_venue(clock, do, limits=True)


def test_a_client_that_does_not_read_is_dropped(
    clock: SteppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames that pile up beyond the bound end the connection, and nobody else's."""
    monkeypatch.setattr(server_module, "FRAMES_WAITING", 50)

    async def do(venue: Venue) -> None:
        subscribe = {"method": "subscribe", "subscription": {"type": "trades", "coin": "BTC"}}
        slow, other = [await venue.connect() for _ in range(2)]
        await slow.send_str(json.dumps(subscribe))
        assert (await slow.receive_json())["channel"] == "subscriptionResponse"
        for step in range(100):  # no turn of the loop between: nothing can be written
            venue.exchange.move("BTC", Decimal(100_001 + step), volume=Decimal(1))
        heard = [message async for message in slow]
        assert len(heard) <= 51
        assert slow.closed
        await other.send_str('{"method":"ping"}')
        assert await other.receive_json() == {"channel": "pong"}

    in_venue(clock, do)


def test_nothing_answers_where_the_venue_is_unreachable(clock: SteppedClock) -> None:
    """The fault breaks the connection off for a handshake as for a request."""
    faults = Injector([parse_fault({"kind": "unreachable"})])

    async def do(venue: Venue) -> None:
        for _ in range(2):
            with pytest.raises(aiohttp.ClientError):
                await venue.connect()
        alice = Trader(venue.exchange, "alice")
        assert alice.ask("userRole") == {"role": "user"}  # it lives, only the way is broken

    in_venue(clock, do, faults=faults)
