"""Keys of named traders and agents, and approvals signed by the official SDK."""

from typing import Any

import eth_account
from exchange_world import Trader
from hyperliquid.utils import signing as sdk

from fractaltrader.exchange.hyperliquid.signing import Signer, keccak256
from fractaltrader.simulator.local_exchange import LocalExchange


def key_of(name: str) -> str:
    """The private key of a named trader or agent."""
    return "0x" + keccak256(name.encode()).hex()


class Agent(Trader):
    """A key without money of its own."""

    def __init__(self, exchange: LocalExchange, name: str) -> None:
        self.exchange = exchange
        self.signer = Signer(key_of(name))
        self.address = self.signer.address
        self.nonce = exchange.now_ms()


def approve(trader: Trader, name: str, agent: str, text: str = "") -> dict[str, Any]:
    """`name` (a trader's) approves the address `agent` as its agent called `text`."""
    trader.nonce += 1
    action = {
        "type": "approveAgent",
        "agentAddress": agent,
        "agentName": text,
        "nonce": trader.nonce,
    }
    wallet = eth_account.Account.from_key(key_of(name))
    signature = sdk.sign_agent(wallet, action, False)
    if not text:
        del action["agentName"]
    return trader.exchange.act({"action": action, "nonce": trader.nonce, "signature": signature})
