"""The local exchange: matching, orders in process and over HTTP, and a simulated week."""

import asyncio
import multiprocessing
from collections.abc import Iterator
from decimal import Decimal
from itertools import count
from multiprocessing.connection import Connection
from statistics import median
from time import perf_counter, process_time, time
from typing import Any

import msgspec

from benchmarks.signing import KEY, order_action
from benchmarks.timing import Row
from fractaltrader.data.synthetic import generated_market
from fractaltrader.exchange.clock import SystemClock
from fractaltrader.exchange.hyperliquid.signing import Signer
from fractaltrader.exchange.port import Side
from fractaltrader.market import Instrument, Timeframe
from fractaltrader.market.universe import instruments_for
from fractaltrader.simulator.candles import CandleSeries
from fractaltrader.simulator.clearing import transfers
from fractaltrader.simulator.core import Core
from fractaltrader.simulator.feeds.feed import Feed
from fractaltrader.simulator.local_exchange import Listing, LocalExchange
from fractaltrader.simulator.protocol.forms.orders import OrderAction
from fractaltrader.simulator.serving.server import Server
from fractaltrader.simulator.state import ExchangeState, Market, Order
from fractaltrader.simulator.trading import path
from fractaltrader.simulator.trading.lifecycle import enliven, finish, register
from fractaltrader.simulator.trading.market_model import MarketModel
from fractaltrader.simulator.trading.matching import take
from fractaltrader.simulator.trading.order_actions import place
from fractaltrader.simulator.virtual_time import SteppedClock

ORIGIN_MS = 1_750_000_200_000
USERS = [f"0x{number:040x}" for number in range(1, 9)]
PRICE = Decimal(100_000)
RUNS = 5
PLACING_RUNS = 15  # short, and a shared machine's speed drifts
ORDERS = 4_000
SIGNED_ORDERS = 4_000


def rows() -> list[Row]:
    """Everything, from the inside out."""
    matching = median(_matching_seconds() for _ in range(RUNS)) / ORDERS
    placing, cpu = (
        median(times) / ORDERS
        for times in zip(*(_placing_seconds() for _ in range(PLACING_RUNS)), strict=True)
    )
    wall, server = _http_seconds()
    sdk = _sdk_seconds()
    ticks, week = _week_seconds()
    return [
        Row("exchange: match", matching, "order", f"{1 / matching:,.0f} orders/s, CPU"),
        Row(
            "exchange: place in process",
            placing,
            "order",
            f"{1 / placing:,.0f} orders/s; the CPU alone allows {1 / cpu:,.0f}; every check, "
            "half rest, half fill",
        ),
        Row(
            "exchange: signed, over HTTP",
            wall,
            "order",
            f"{1 / wall:,.0f} orders/s; the server's CPU alone allows {1 / server:,.0f}",
        ),
        Row("official SDK: sign and serialise", sdk, "order", f"{1 / sdk:,.0f} orders/s at most"),
        Row("exchange: a week of 3 coins, 1m bars", week, "week", f"{ticks:,} ticks"),
    ]


def _core() -> Core:
    """BTC at 100,000 and eight rich users."""
    market = Market("BTC", 0, 5, 40)
    series = {"BTC": CandleSeries("BTC", Timeframe.parse("1m"))}
    state = ExchangeState(1, False, 0, {"BTC": market})
    core = Core(state, SteppedClock(ORIGIN_MS), MarketModel(), series)
    with core.block():
        path.move(core, "BTC", PRICE, jump=True, volume=Decimal(0))
        for user in USERS:
            transfers.deposit(core, user, Decimal(1_000_000_000))
    return core


def _renew(core: Core) -> None:
    """A tick, and an empty book: what a run of any length would meet again and again."""
    with core.block():
        path.move(core, "BTC", PRICE, jump=True, volume=Decimal(0))
        for user in USERS:
            for order in core.live_orders(user):
                finish(core, order, "canceled")
    core.outbox.clear()


def _matching_seconds() -> float:
    """A maker rests, a taker of another user takes it: ORDERS orders without any check."""
    core, spent = _core(), 0.0
    for start in range(0, ORDERS, 400):
        orders = [_order(core, number) for number in range(start, start + 400)]
        began = process_time()
        for maker, taker in zip(orders[::2], orders[1::2], strict=True):
            enliven(core, maker, "resting")
            take(core, taker, taker.price)
        spent += process_time() - began
        _renew(core)
    return spent


def _order(core: Core, number: int) -> Order:
    order = Order(
        oid=core.new_oid(),
        user=USERS[number % 8],
        coin="BTC",
        side=Side.SELL if number % 2 else Side.BUY,
        price=PRICE - 1,
        size=Decimal("0.001"),
        original_size=Decimal("0.001"),
        tif="Gtc",
        reduce_only=False,
        trigger=None,
        cloid=None,
        placed_ms=ORIGIN_MS,
        status="open",
        status_ms=ORIGIN_MS,
    )
    register(core, order)
    return order


def _wires() -> Iterator[dict[str, Any]]:
    """Orders on both sides in turn: two that rest at various prices, two that fill."""
    for number in count():
        is_buy, rests = number % 2 == 0, number % 4 < 2
        distance = 100 + number % 53 if rests else -300
        price = 100_000 - distance if is_buy else 100_000 + distance
        tif = "Gtc" if rests else "Ioc"
        order = {"a": 0, "b": is_buy, "p": str(price), "s": "0.001", "r": False}
        yield {
            "type": "order",
            "orders": [order | {"t": {"limit": {"tif": tif}}}],
            "grouping": "na",
        }


def _placing_seconds() -> tuple[float, float]:
    """The order action as the exchange executes it once it knows the user: by clock and in CPU."""
    core, wires, wall, cpu = _core(), _wires(), 0.0, 0.0
    for _ in range(0, ORDERS, 400):
        batch = [next(wires) for _ in range(400)]
        began, cpu_began = perf_counter(), process_time()
        for number, wire in enumerate(batch):
            action = msgspec.convert(wire, OrderAction)
            action.normalise()
            with core.block():
                place(core, USERS[number % 8], action)
            core.outbox.clear()
        wall += perf_counter() - began
        cpu += process_time() - cpu_began
        _renew(core)
    return wall, cpu


def _signers() -> list[Signer]:
    return [Signer(f"0x{number:064x}") for number in range(1, 9)]


def _serve(pipe: Connection) -> None:
    """The server's process: tell the URL, serve until told to stop, tell the CPU seconds used."""

    async def serve() -> None:
        listing = Listing(Instrument("BTC", 0, 5, 40))
        exchange = LocalExchange([listing], clock=SystemClock(), seed=1)
        exchange.address_limits = False
        exchange.move("BTC", PRICE)
        for signer in _signers():
            exchange.faucet(signer.address, Decimal(1_000_000_000))
        server = Server(exchange, None, 1.0)
        pipe.send(await server.start(0))
        began = process_time()
        await asyncio.get_running_loop().run_in_executor(None, pipe.recv)
        pipe.send(process_time() - began)
        await server.stop()

    asyncio.run(serve())


def _requests() -> list[list[bytes]]:
    """Signed orders as HTTP requests, one list for each signer and connection."""
    wires, signers, nonce = _wires(), _signers(), int(time() * 1000)
    requests: list[list[bytes]] = [[] for _ in signers]
    for number in range(SIGNED_ORDERS):
        action = next(wires)
        signature = signers[number % 8].sign_action(action, nonce + number, mainnet=False)
        body = msgspec.json.encode(
            {"action": action, "nonce": nonce + number, "signature": signature}
        )
        head = (
            "POST /exchange HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        requests[number % 8].append(head.encode() + body)
    return requests


async def _converse(port: int, requests: list[bytes]) -> None:
    """Send one request after the other over one connection; RuntimeError when one is refused."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for request in requests:
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        body = await reader.readexactly(length)
        if b'"ok"' not in body or b"error" in body:
            raise RuntimeError(f"refused: {body.decode()}")
    writer.close()


def _http_seconds() -> tuple[float, float]:
    """Seconds an order by the clock, and of the server's CPU; both ends share the machine."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs,))
    requests = _requests()
    process.start()
    port = int(ours.recv().rpartition(":")[2])

    async def everything() -> None:
        await asyncio.gather(*(_converse(port, part) for part in requests))

    began = perf_counter()
    asyncio.run(everything())
    wall = perf_counter() - began
    ours.send("stop")
    cpu = ours.recv()
    process.join()
    return wall / SIGNED_ORDERS, cpu / SIGNED_ORDERS


def _sdk_seconds() -> float:
    """What the official SDK needs to sign and serialise one order: no client of it is faster."""
    import json

    from eth_account import Account
    from hyperliquid.utils.signing import sign_l1_action

    wallet, action = Account.from_key(KEY), order_action()
    action = action | {"orders": action["orders"][:1], "grouping": "na"}
    times = []
    for nonce in range(1_700_000_000_000, 1_700_000_000_000 + 300):
        began = process_time()
        signature = sign_l1_action(wallet, action, None, nonce, None, False)
        json.dumps({"action": action, "nonce": nonce, "signature": signature})
        times.append(process_time() - began)
    return median(times)


def _week_seconds() -> tuple[int, float]:
    """Ticks of a week of three coins at 1-minute bars, and the CPU seconds to replay it."""
    coins = ["BTC", "ETH", "SOL"]
    markets = generated_market(
        coins, days=8, timeframe=Timeframe.parse("1m"), seed=1, start_ms=1_640_995_200_000
    )
    feed = Feed(markets, start_index=1_440)
    clock = SteppedClock(feed.start_ms)
    exchange = LocalExchange(feed.listings(instruments_for(markets)), clock=clock, seed=1)
    ticks, began = 0, process_time()
    while (time_ms := feed.next_ms) is not None:
        clock.set(time_ms)
        feed.step(exchange)
        ticks += 1
    return ticks, process_time() - began
