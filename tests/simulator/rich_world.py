"""An exchange in which every kind of answer has something to show."""

import json
from decimal import Decimal
from typing import Any

import eth_account
from exchange_world import LISTINGS, ORIGIN_MS, Trader, limit, trigger
from hyperliquid.utils import signing as sdk
from wallets import Agent, approve, key_of

from fractaltrader.simulator.local_exchange import LocalExchange
from fractaltrader.simulator.protocol.gateway import WebSocketSession
from fractaltrader.simulator.virtual_time import SteppedClock

HOUR_MS = 3_600_000
CLOID, RESTING_CLOID = "0x" + "cd" * 16, "0x" + "02" * 16
FRIEND = "0x" + "f1" * 20


class RichWorld:
    """Alice has positions (cross BTC, isolated ETH), orders of every kind, TWAPs, an agent, a
    sub-account, funding and a ledger; Carol was liquidated; both made what history there is."""

    def __init__(self) -> None:
        self.clock = SteppedClock(ORIGIN_MS)
        self.exchange = LocalExchange(LISTINGS, clock=self.clock, seed=7)
        self.move("BTC", "100000")
        self.move("ETH", "4000")
        self.alice = Trader(self.exchange, "alice", "100000")
        self.carol = Trader(self.exchange, "carol", "1000")
        self._identity()
        self._positions()
        self._orders()
        self.pass_time(2 * HOUR_MS + 60_000)
        self.resting_fill("99000")

    def move(self, coin: str, price: str) -> None:
        """The market price goes there, with some volume."""
        self.exchange.move(coin, Decimal(price), volume=Decimal(1))

    def pass_time(self, milliseconds: int) -> None:
        """Market time passes, with a price at the end."""
        self.clock.set(self.clock.now_ms() + milliseconds)
        self.exchange.advance()
        self.move("BTC", "100000")

    def _identity(self) -> None:
        self.bot = Agent(self.exchange, "bot")
        approve(self.alice, "alice", self.bot.address, "ok")
        self.exchange.state.sub_account_volume = Decimal(0)
        self.sub = self.alice.act({"type": "createSubAccount", "name": "Test"})["response"]["data"]
        transfer = {"type": "subAccountTransfer", "subAccountUser": self.sub}
        self.alice.act(transfer | {"isDeposit": True, "usd": 29_780_010})
        self.send("usdClassTransfer", sdk.sign_usd_class_transfer_action, amount="12", toPerp=False)
        self.send(
            "spotSend",
            sdk.sign_spot_transfer_action,
            destination=FRIEND,
            token="USDC:0xeb62eee3685fc4c43992febcd9e75443",
            amount="2.5",
        )

    def send(self, kind: str, sign: Any, **fields: Any) -> Any:
        """Alice's wallet signs and sends an action."""
        self.alice.nonce += 1
        clock = "nonce" if kind == "usdClassTransfer" else "time"
        action = {"type": kind, **fields, clock: self.alice.nonce}
        signature = sign(eth_account.Account.from_key(key_of("alice")), action, False)
        body = {"action": action, "nonce": self.alice.nonce, "signature": signature}
        return self.exchange.act(body)

    def _positions(self) -> None:
        isolated = {"type": "updateLeverage", "asset": 1, "isCross": False, "leverage": 10}
        self.alice.act(isolated)
        self.alice.order(limit("B", "0.05", "101000", "FrontendMarket", c=CLOID))
        self.alice.order(limit("B", "1", "4050", "Ioc", a=1))
        self.alice.order(limit("B", "0.01", "90000", "Ioc"))  # finds nobody
        self.carol.act({"type": "updateLeverage", "asset": 0, "isCross": True, "leverage": 40})

    def _orders(self) -> None:
        self.alice.order(
            limit("B", "0.01", "95000", c="0x" + "01" * 16),
            trigger("A", "0.01", "90000", "sl"),
            trigger("A", "0.01", "110000", "tp"),
            grouping="normalTpsl",
        )
        self.alice.order(limit("B", "0.01", "94000", "Alo", c=RESTING_CLOID))
        self.alice.order(limit("A", "0.01", "120000", r=True))
        self.alice.order(trigger("A", "0.05", "80000", "sl"))
        wire = {"a": 0, "b": True, "s": "0.2", "r": False, "m": 4_320, "t": True}
        details = {"t": {"p": "90000", "a": True}, "s": "50000"}
        self.alice.act({"type": "twapOrder", "twap": wire, "details": details})
        ended = self.alice.act({"type": "twapOrder", "twap": wire | {"s": "0.3"}})
        twap = ended["response"]["data"]["status"]["running"]["twapId"]
        self.pass_time(120_000)
        self.alice.act({"type": "twapCancel", "a": 0, "t": twap})

    def resting_fill(self, price: str) -> None:
        """A resting order of Alice's is filled by the market."""
        self.alice.order(limit("B", "0.01", price))
        self.move("BTC", str(int(price) - 100))
        self.move("BTC", "100000")

    def liquidate(self) -> None:
        """Carol's position is liquidated, with an order of hers."""
        self.carol.order(limit("B", "0.2", "101000", "Ioc"))
        self.carol.order(limit("B", "0.001", "70000"))
        self.move("BTC", "96000")
        self.move("BTC", "100000")

    def hear(self, *subscriptions: dict[str, Any]) -> list[dict[str, Any]]:
        """Frames heard from now on."""
        frames: list[dict[str, Any]] = []
        session = WebSocketSession(self.exchange, lambda text: frames.append(json.loads(text)))
        for one in subscriptions:
            session.receive(json.dumps({"method": "subscribe", "subscription": one}))
        return frames
