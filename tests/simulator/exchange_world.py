"""Traders with real keys, and shorthand for orders."""

from decimal import Decimal
from typing import Any

from fractaltrader.exchange.hyperliquid.signing import Signer, keccak256
from fractaltrader.market import Instrument
from fractaltrader.simulator.local_exchange import Listing, LocalExchange

ORIGIN_MS = 1_750_000_000_000 // 900_000 * 900_000
LISTINGS = [Listing(Instrument("BTC", 0, 5, 40)), Listing(Instrument("ETH", 1, 4, 25))]


class Trader:
    """A funded key that signs actions for one exchange."""

    def __init__(self, exchange: LocalExchange, name: str, usd: str = "10000") -> None:
        self.exchange = exchange
        self.signer = Signer("0x" + keccak256(name.encode()).hex())
        self.address = self.signer.address
        self.nonce = exchange.now_ms()
        self.exchange.faucet(self.address, Decimal(usd))

    def act(self, action: dict[str, Any], **options: Any) -> dict[str, Any]:
        """Sign and send one action with the next nonce."""
        self.nonce += 1
        nonce = options.pop("nonce", self.nonce)
        signature = self.signer.sign_action(
            action,
            nonce,
            mainnet=False,
            vault_address=options.get("vaultAddress"),
            expires_after=options.get("expiresAfter"),
        )
        envelope = {"action": action, "nonce": nonce, "signature": signature}
        return self.exchange.act(envelope | options)

    def order(self, *orders: dict[str, Any], grouping: str = "na") -> list[Any]:
        """Place orders; the statuses of the answer."""
        action = {"type": "order", "orders": list(orders), "grouping": grouping}
        answer = self.act(action)
        assert answer["status"] == "ok", answer
        return answer["response"]["data"]["statuses"]

    def cancel(self, oid: int, asset: int = 0) -> Any:
        """Cancel one order; its status."""
        answer = self.act({"type": "cancel", "cancels": [{"a": asset, "o": oid}]})
        return answer["response"]["data"]["statuses"][0]

    def ask(self, kind: str, **fields: Any) -> Any:
        """An `/info` query about this trader."""
        return self.exchange.info({"type": kind, "user": self.address} | fields)

    def status(self, reference: int | str) -> str:
        """Last status of an order."""
        return self.ask("orderStatus", oid=reference)["order"]["status"]

    def position(self, coin: str = "BTC") -> Decimal:
        """Signed size of the position."""
        held = self.ask("clearinghouseState")["assetPositions"]
        sizes = [p["position"]["szi"] for p in held if p["position"]["coin"] == coin]
        return Decimal(sizes[0]) if sizes else Decimal(0)


def limit(side: str, size: str, price: str, tif: str = "Gtc", **more: Any) -> dict[str, Any]:
    """A limit order on the wire; `more` may give a (asset), r (reduce only) and c (cloid)."""
    order = {
        "a": more.get("a", 0),
        "b": side == "B",
        "p": price,
        "s": size,
        "r": more.get("r", False),
        "t": {"limit": {"tif": tif}},
    }
    return order | ({"c": more["c"]} if "c" in more else {})


def trigger(side: str, size: str, price: str, kind: str, **more: Any) -> dict[str, Any]:
    """A reduce-only stop (`sl`) or target (`tp`) at `price`, executed at market."""
    order = {
        "a": more.get("a", 0),
        "b": side == "B",
        "p": more.get("p", price),
        "s": size,
        "r": more.get("r", True),
        "t": {"trigger": {"isMarket": more.get("market", True), "triggerPx": price, "tpsl": kind}},
    }
    return order | ({"c": more["c"]} if "c" in more else {})
