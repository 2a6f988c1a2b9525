"""Runs a served exchange from start to signal: replay, periodic snapshots, graceful end."""

import asyncio
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from fractaltrader.durable import write_file
from fractaltrader.errors import UserError
from fractaltrader.exchange.clock import SystemClock
from fractaltrader.market import Candles
from fractaltrader.market.bars import utc
from fractaltrader.market.universe import instruments_for
from fractaltrader.simulator.feeds.feed import Feed
from fractaltrader.simulator.local_exchange import LocalExchange
from fractaltrader.simulator.serving.server import Server
from fractaltrader.simulator.virtual_time import LoopClock

SAVE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """What `fractal exchange` was asked for; `start_row` is where the replay begins."""

    port: int
    speed: float
    start_row: int
    seed: int
    state_file: Path | None = None
    faucet: list[tuple[str, Decimal]] = field(default_factory=list)


async def serve(
    markets: dict[str, Candles], options: ServeOptions, tell: Callable[[str], None]
) -> None:
    """Serve until SIGINT or SIGTERM; `tell` gets the URL once requests are answered, and the end
    of the market.

    Raises UserError when the port is taken or the state file belongs to another market.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    exchange, feed, clock = _opened(markets, options)
    for address, usd in options.faucet:
        if address.lower() not in exchange.state.accounts:
            exchange.faucet(address, usd)
    server = Server(exchange, feed, options.speed)
    url = await server.start(options.port)
    tasks = [asyncio.create_task(_replay(feed, exchange, clock, tell))]
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


async def _replay(
    feed: Feed, exchange: LocalExchange, clock: LoopClock, tell: Callable[[str], None]
) -> None:
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


def _opened(
    markets: dict[str, Candles], options: ServeOptions
) -> tuple[LocalExchange, Feed, LoopClock]:
    """The exchange, afresh or from its state file, and the replay that goes on from there."""
    feed = Feed(markets, start_index=options.start_row)
    path = options.state_file
    if path is None or not path.exists():
        clock = LoopClock(feed.start_ms, options.speed)
        listings = feed.listings(instruments_for(markets))
        exchange = LocalExchange(
            listings, clock=clock, nonce_clock=SystemClock(), seed=options.seed
        )
        return exchange, feed, clock
    saved = path.read_bytes()
    saved_ms = LocalExchange.time_of(saved)
    clock = LoopClock(saved_ms, options.speed)
    exchange = LocalExchange.restored(saved, clock=clock, nonce_clock=SystemClock())
    if exchange.coins != list(markets):
        raise UserError(
            f"state: {path} holds {', '.join(exchange.coins)}, the market {', '.join(markets)}; "
            "give the same market or delete the file"
        )
    feed.skip_until(exchange.state.last_move_ms)
    return exchange, feed, clock


def save(exchange: LocalExchange, path: Path) -> None:
    """Replace the state file in one step."""
    write_file(path, exchange.snapshot())


async def _keep_saving(exchange: LocalExchange, path: Path) -> None:
    while True:
        await asyncio.sleep(SAVE_SECONDS)
        save(exchange, path)
