"""A served exchange in a thread of its own, for tests of clients in any language."""

import asyncio
import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Self, TypeVar

from fractaltrader.exchange.clock import SystemClock
from fractaltrader.market import Instrument
from fractaltrader.simulator.faults.plan import parse_fault
from fractaltrader.simulator.local_exchange import Listing, LocalExchange
from fractaltrader.simulator.serving.server import Server

T = TypeVar("T")
PATIENCE_SECONDS = 30.0
PRICES = {"BTC": Decimal(100_000), "ETH": Decimal(4_000), "SOL": Decimal(150)}
LISTINGS = [
    Listing(Instrument("BTC", 0, 5, 40)),
    Listing(Instrument("ETH", 1, 4, 25)),
    Listing(Instrument("SOL", 2, 2, 20)),
]


class BackgroundServer:
    """`exchange` served on a free port of 127.0.0.1 while the caller's thread goes on.

    Use it as a context manager, or call `close` at the end. `limits` holds clients to the venue's
    limits of an IP address.
    """

    def __init__(self, exchange: LocalExchange, *, limits: bool = False) -> None:
        """Listens when it returns."""
        self.exchange = exchange
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = Server(exchange, None, 1.0, limits=limits)
        self.url = self._wait(self._server.start(0))

    def _wait(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop serving."""
        if self._thread.is_alive():
            self._wait(self._server.stop())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(PATIENCE_SECONDS)
            self._loop.close()

    def do(self, work: Callable[[LocalExchange], T]) -> T:
        """Call `work` with the exchange between two requests; its result."""

        async def call() -> T:
            return work(self.exchange)

        result: T = self._wait(call())
        return result

    def move(self, coin: str, price: int | str, *, jump: bool = False) -> None:
        """Take the price there, executing what it meets; KeyError for an unknown coin."""
        self.do(lambda exchange: exchange.move(coin, Decimal(price), jump=jump))


class BackgroundExchange(BackgroundServer):
    """BTC at 100000, ETH at 4000 and SOL at 150 in real time; prices stand until `move`.

    `limits` holds clients to the venue's limits of an IP address and an account.
    """

    def __init__(self, *, limits: bool = False, seed: int = 0) -> None:
        """Listens when it returns."""
        exchange = LocalExchange(LISTINGS, clock=SystemClock(), seed=seed)
        exchange.address_limits = limits
        for coin, price in PRICES.items():
            exchange.move(coin, price)
        super().__init__(exchange, limits=limits)

    def fund(self, address: str, usd: int | str = 10_000) -> None:
        """Credit USDC, opening the account; raises UserError for bad input."""
        self.do(lambda exchange: exchange.faucet(address, Decimal(usd)))

    def add_fault(self, kind: str, **fields: object) -> int:
        """Let a fault strike from now on (`faults.plan` has the kinds); its number."""
        fault = parse_fault({"kind": kind, **fields})
        return self.do(lambda _: self._server.faults.add(fault))

    def clear_faults(self) -> None:
        """Everything works again."""
        self.do(lambda _: self._server.faults.clear())

    def struck(self) -> dict[str, int]:
        """How often each kind of fault has struck."""
        return self.do(lambda _: self._server.faults.counts())
