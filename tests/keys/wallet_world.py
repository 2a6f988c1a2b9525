"""An exchange in virtual time, a funded master, and venues that sign with any key."""

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import TypeVar

from fractaltrader.exchange.hyperliquid.client import HyperliquidVenue
from fractaltrader.exchange.hyperliquid.signing import Signer, keccak256
from fractaltrader.market import Instrument
from fractaltrader.simulator.local_exchange import Listing, LocalExchange
from fractaltrader.simulator.serving.transport import InProcessTransport
from fractaltrader.simulator.virtual_time import LoopClock, run_virtual

T = TypeVar("T")
ORIGIN_MS = 1_750_000_000_000
DAY_MS = 86_400_000
# Enough to prove the path; the real cost is a hundred thousand times as high.
QUICK_SCRYPT = 2


def key_of(name: str) -> bytes:
    """The private key of a named wallet."""
    return keccak256(name.encode())


def signer_of(name: str) -> Signer:
    return Signer(key_of(name).hex())


class World:
    """A venue of one network, where `master` and `stranger` hold deposits."""

    def __init__(self, mainnet: bool) -> None:
        self.mainnet = mainnet
        self.clock = LoopClock(ORIGIN_MS)
        self.exchange = LocalExchange(
            [Listing(Instrument("BTC", 0, 5, 40))], clock=self.clock, mainnet=mainnet
        )
        self.exchange.move("BTC", Decimal(100_000))
        self.master, self.stranger = signer_of("master"), signer_of("stranger")
        for owner in (self.master, self.stranger):
            self.exchange.faucet(owner.address, Decimal(10_000))

    def venue(self, signer: Signer | None, account: str) -> HyperliquidVenue:
        """The venue as `signer` sees it, for `account`."""
        transport = InProcessTransport(self.exchange, self.clock)
        return HyperliquidVenue(
            transport, signer, account=account, clock=self.clock, mainnet=self.mainnet
        )

    def owned(self, owner: Signer) -> HyperliquidVenue:
        """The venue as an account's own key sees it."""
        return self.venue(owner, owner.address)


def in_world(story: Callable[[World], Awaitable[T]], *, mainnet: bool = False) -> T:
    """Run `story` in virtual time."""

    async def told() -> T:
        return await story(World(mainnet))

    return run_virtual(told())
