"""Accounts in a wanted condition, and actions that a wallet signs itself."""

from decimal import Decimal
from typing import Any

import msgspec
from exchange_world import ORIGIN_MS, Trader, limit

from fractaltrader.market import Instrument
from fractaltrader.simulator.local_exchange import Listing, LocalExchange
from fractaltrader.simulator.protocol.forms.user_signed import USER_SIGNED
from fractaltrader.simulator.trading.market_model import MarketModel
from fractaltrader.simulator.virtual_time import SteppedClock

HOUR_MS = 3_600_000


class Market:
    """An exchange of chosen coins with its clock and a rich trader to deal with."""

    def __init__(self, *listings: Listing, seed: int = 5, model: MarketModel | None = None) -> None:
        self.clock = SteppedClock(ORIGIN_MS)
        self.exchange = LocalExchange(list(listings), clock=self.clock, seed=seed, model=model)
        self.core = self.exchange._core
        self.rich = Trader(self.exchange, "rich", "100000000000")

    def price(self, coin: str, price: str) -> None:
        """Jump the feed to `price`."""
        self.exchange.move(coin, Decimal(price), jump=True)

    def later(self, ms: int) -> None:
        """Let time pass; whatever is due by then happens."""
        self.clock.set(self.clock.now_ms() + ms)
        self.exchange.advance()

    def trade(self, trader: Trader, asset: int, side: str, size: str, price: str) -> None:
        """Execute exactly at `price` against the rich trader, who rests there."""
        other = "A" if side == "B" else "B"
        resting = self.rich.order(limit(other, size, price, "Alo", a=asset))
        assert "resting" in resting[0], resting
        done = trader.order(limit(side, size, price, "Ioc", a=asset))
        assert Decimal(done[0]["filled"]["totalSz"]) == Decimal(size), done
        assert Decimal(done[0]["filled"]["avgPx"]) == Decimal(price), done


def coin(name: str, decimals: int, leverage: int, asset: int = 0, **terms: Any) -> Listing:
    """A listing without history."""
    return Listing(Instrument(name, asset, decimals, leverage), **terms)


def wallet(trader: Trader, kind: str, **fields: Any) -> dict[str, Any]:
    """Send an action that the wallet signs as typed data; `time` or `nonce` repeats the nonce."""
    trader.nonce += 1
    stamp = "time" if kind in ("usdSend", "withdraw3") else "nonce"
    action = {
        "type": kind,
        "hyperliquidChain": "Testnet",
        "signatureChainId": "0x66eee",
        **fields,
        stamp: trader.nonce,
    }
    form = msgspec.convert(action, USER_SIGNED)
    signature = trader.signer.sign_digest(form.digest(trader.nonce, mainnet=False))
    return trader.exchange.act({"action": action, "nonce": trader.nonce, "signature": signature})
