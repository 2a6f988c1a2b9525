"""Runs a served exchange from start to signal: replay, periodic snapshots, graceful end."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from fractaltrader.durable import write_file
from fractaltrader.errors import UserError
from fractaltrader.exchange.budget_parameters import Priority
from fractaltrader.exchange.clock import SystemClock
from fractaltrader.exchange.errors import ExchangeError
from fractaltrader.exchange.http import HttpTransport
from fractaltrader.exchange.hyperliquid.connect import connect
from fractaltrader.home import fractal_home
from fractaltrader.market import Timeframe
from fractaltrader.market.bars import utc
from fractaltrader.simulator.faults.injector import Injector
from fractaltrader.simulator.faults.plan import Fault
from fractaltrader.simulator.feeds.feed import Feed
from fractaltrader.simulator.feeds.mirror import NOBODY, Mirror
from fractaltrader.simulator.feeds.tape import Tape
from fractaltrader.simulator.local_exchange import LocalExchange
from fractaltrader.simulator.serving.server import Server
from fractaltrader.simulator.virtual_time import LoopClock

SAVE_SECONDS = 5.0

# Told the URL once requests are answered, and the end of the market.
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class MirrorOptions:
    """Which venue to follow, which coins of it, and the interval of the base candles."""

    url: str
    coins: list[str]
    timeframe: Timeframe


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """What `fractal exchange` was asked for;

    `limits` are the venue's, of IP and address; `faults` strike by `seed`.
    """

    port: int
    speed: float
    seed: int
    state_file: Path | None = None
    faucet: list[tuple[str, Decimal]] = field(default_factory=list)
    limits: bool = True
    faults: list[Fault] = field(default_factory=list)
    mirror: MirrorOptions | None = None


async def serve(market: Feed | Tape | None, options: ServeOptions, tell: Tell) -> None:
    """Serve until SIGINT or SIGTERM; `market` is what to replay, None for a mirrored venue.

    Raises UserError when the port is taken or the state file belongs to another market.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if options.mirror is not None:
        exchange, follow = await _mirroring(options.mirror, options)
    else:
        exchange, follow = _replaying(_given(market), options, tell)
    exchange.address_limits = options.limits
    faults = Injector(options.faults, options.seed)
    server = Server(exchange, market, options.speed, limits=options.limits, faults=faults)
    try:
        for address, usd in options.faucet:
            if address.lower() not in exchange.state.accounts:
                exchange.faucet(address, usd)
        url = await server.start(options.port)
    except UserError:
        follow.close()
        raise
    tasks = [asyncio.create_task(follow)]
    if options.state_file is not None:
        tasks.append(asyncio.create_task(_keep_saving(exchange, options.state_file)))
    tell(f"exchange ready at {url}")
    try:
        await _until(stop, tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.stop()
        if options.state_file is not None:
            save(exchange, options.state_file)


def _given(market: Feed | Tape | None) -> Feed | Tape:
    if market is None:
        raise UserError("market: nothing to replay; give a feed, a tape or a venue to mirror")
    return market


async def _replay(feed: Feed | Tape, exchange: LocalExchange, clock: LoopClock, tell: Tell) -> None:
    await feed.run(exchange, clock)
    tell(f"market ended at {utc(feed.end_ms)}; prices stand still, orders are still answered")


async def _until(stop: asyncio.Event, tasks: list[asyncio.Task[None]]) -> None:
    """Wait for the signal; a task that fails ends the server with its error."""
    signalled = asyncio.create_task(stop.wait())
    waiting: set[asyncio.Task[None] | asyncio.Task[bool]] = {signalled, *tasks}
    try:
        while signalled in waiting:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
    finally:
        signalled.cancel()


def _replaying(
    feed: Feed | Tape, options: ServeOptions, tell: Tell
) -> tuple[LocalExchange, Coroutine[Any, Any, None]]:
    """The exchange, afresh or from its state file, and the replay that goes on from there."""
    saved = _saved(options)
    if saved is None:
        clock = LoopClock(feed.start_ms, options.speed)
        listings = feed.listings(feed.instruments())
        exchange = LocalExchange(
            listings, clock=clock, nonce_clock=SystemClock(), seed=options.seed
        )
    else:
        clock = LoopClock(LocalExchange.time_of(saved), options.speed)
        exchange = LocalExchange.restored(saved, clock=clock, nonce_clock=SystemClock())
        _require_coins(exchange, feed.coins, options)
        feed.skip_until(exchange.state.last_move_ms)
    return exchange, _replay(feed, exchange, clock, tell)


async def _mirroring(
    mirrored: MirrorOptions, options: ServeOptions
) -> tuple[LocalExchange, Coroutine[Any, Any, None]]:
    """The exchange at another venue's prices, in real time; raises UserError when it is silent."""
    clock = SystemClock()
    transport = HttpTransport(mirrored.url)
    venue = connect(
        transport,
        mirrored.url,
        None,
        account=NOBODY,
        home=fractal_home(),
        spender="mirror",
        priority=Priority.INFORM,
    )
    mirror = Mirror(venue, mirrored.coins, mirrored.timeframe, clock)

    async def follow(exchange: LocalExchange) -> None:
        try:
            await mirror.run(exchange)
        finally:
            await transport.close()

    try:
        listings = await mirror.listings()
        saved = _saved(options)
        if saved is None:
            exchange = LocalExchange(listings, clock=clock, seed=options.seed)
        else:
            exchange = LocalExchange.restored(saved, clock=clock)
            _require_coins(exchange, mirrored.coins, options)
    except ExchangeError as error:
        await transport.close()
        raise UserError(f"mirror: {mirrored.url} does not answer as a venue ({error})") from None
    except UserError:
        await transport.close()
        raise
    return exchange, follow(exchange)


def _saved(options: ServeOptions) -> bytes | None:
    path = options.state_file
    return path.read_bytes() if path is not None and path.exists() else None


def _require_coins(exchange: LocalExchange, coins: list[str], options: ServeOptions) -> None:
    if exchange.coins != coins:
        raise UserError(
            f"state: {options.state_file} holds {', '.join(exchange.coins)}, the market "
            f"{', '.join(coins)}; give the same market or delete the file"
        )


def save(exchange: LocalExchange, path: Path) -> None:
    """Replace the state file in one step."""
    write_file(path, exchange.snapshot())


async def _keep_saving(exchange: LocalExchange, path: Path) -> None:
    while True:
        await asyncio.sleep(SAVE_SECONDS)
        save(exchange, path)
