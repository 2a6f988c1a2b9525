"""A served exchange whose market a test moves by hand, for clients that block."""

import asyncio
import threading
from collections.abc import Callable
from decimal import Decimal
from typing import TypeVar

import eth_account
from exchange_world import LISTINGS, ORIGIN_MS
from hyperliquid.exchange import Exchange
from hyperliquid.info import Info

from fractaltrader.exchange.clock import SystemClock
from fractaltrader.exchange.hyperliquid.signing import keccak256
from fractaltrader.simulator.local_exchange import LocalExchange
from fractaltrader.simulator.serving.server import Server
from fractaltrader.simulator.virtual_time import SteppedClock

T = TypeVar("T")
PATIENCE_SECONDS = 30


def key_of(name: str) -> str:
    """The private key of a named user."""
    return "0x" + keccak256(name.encode()).hex()


def address_of(name: str) -> str:
    """The address of a named user, lower-case."""
    return str(eth_account.Account.from_key(key_of(name)).address).lower()


class ServedWorld:
    """BTC at 100000 and ETH at 4000 on a free port, in a thread of its own.

    Market time stands at ORIGIN_MS until `later`; nonces are the wall clock's.
    """

    def __init__(self, *, limits: bool = False) -> None:
        self.clock = SteppedClock(ORIGIN_MS)
        self.exchange = LocalExchange(LISTINGS, clock=self.clock, nonce_clock=SystemClock(), seed=7)
        self.exchange.move("BTC", Decimal(100_000))
        self.exchange.move("ETH", Decimal(4_000))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = Server(self.exchange, None, 1.0, limits=limits)
        self.url = asyncio.run_coroutine_threadsafe(self._server.start(0), self._loop).result(
            PATIENCE_SECONDS
        )

    def close(self) -> None:
        """Stop serving."""
        asyncio.run_coroutine_threadsafe(self._server.stop(), self._loop).result(PATIENCE_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_SECONDS)
        self._loop.close()

    def do(self, work: Callable[[LocalExchange], T]) -> T:
        """Do something to the exchange between two requests."""

        async def call() -> T:
            return work(self.exchange)

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(PATIENCE_SECONDS)

    def move(self, coin: str, price: int | str) -> None:
        """Take the price there."""
        self.do(lambda exchange: exchange.move(coin, Decimal(price)))

    def later(self, milliseconds: int) -> None:
        """Let market time pass."""

        def pass_time(exchange: LocalExchange) -> None:
            self.clock.set(self.clock.now_ms() + milliseconds)
            exchange.advance()

        self.do(pass_time)

    def fund(self, name: str, usd: int = 10_000) -> str:
        """A funded user; the address."""
        self.do(lambda exchange: exchange.faucet(address_of(name), Decimal(usd)))
        return address_of(name)

    def info(self) -> Info:
        """The official SDK's reader without a socket."""
        return Info(self.url, skip_ws=True)

    def sdk(self, name: str, usd: int = 10_000, **options: object) -> Exchange:
        """The official SDK signing for a funded user."""
        if usd:
            self.fund(name, usd)
        wallet = eth_account.Account.from_key(key_of(name))
        return Exchange(wallet, self.url, **options)
