"""A served exchange whose market a test moves by hand, for clients that block."""

from decimal import Decimal

import eth_account
from exchange_world import LISTINGS, ORIGIN_MS
from hyperliquid.exchange import Exchange
from hyperliquid.info import Info

from fractaltrader.exchange.clock import SystemClock
from fractaltrader.exchange.hyperliquid.signing import keccak256
from fractaltrader.simulator.local_exchange import LocalExchange
from fractaltrader.simulator.serving.background import BackgroundServer
from fractaltrader.simulator.virtual_time import SteppedClock


def key_of(name: str) -> str:
    """The private key of a named user."""
    return "0x" + keccak256(name.encode()).hex()


def address_of(name: str) -> str:
    """The address of a named user, lower-case."""
    return str(eth_account.Account.from_key(key_of(name)).address).lower()


class ServedWorld(BackgroundServer):
    """BTC at 100000 and ETH at 4000.

    Market time stands at ORIGIN_MS until `later`; nonces are the wall clock's.
    """

    def __init__(self, *, limits: bool = False) -> None:
        self.clock = SteppedClock(ORIGIN_MS)
        exchange = LocalExchange(LISTINGS, clock=self.clock, nonce_clock=SystemClock(), seed=7)
        exchange.move("BTC", Decimal(100_000))
        exchange.move("ETH", Decimal(4_000))
        super().__init__(exchange, limits=limits)

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
