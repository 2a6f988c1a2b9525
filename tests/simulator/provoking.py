"""Shared means to provoke errors: raw signing, state of markets, faults, reading the answer.

A provocation takes the served world and the name of a fresh user and returns the text it was told.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import eth_account
import requests
from hyperliquid.exchange import Exchange
from hyperliquid.utils import signing as sdk_signing
from served_world import ServedWorld, key_of

Provocation = Callable[[ServedWorld, str], str]
GTC, IOC, ALO = ({"limit": {"tif": tif}} for tif in ("Gtc", "Ioc", "Alo"))
NOWHERE = "0x" + "77" * 20
DAY_MS = 86_400_000


def wall_ms() -> int:
    """The clients' clock."""
    return int(time.time() * 1_000)


def trigger(price: float, kind: str, *, market: bool = True) -> dict[str, Any]:
    """A trigger as the SDK takes it."""
    return {"trigger": {"isMarket": market, "triggerPx": price, "tpsl": kind}}


def leg(
    is_buy: bool, size: float, price: float, kind: Any, *, only: bool = False
) -> dict[str, Any]:
    """One BTC order of a batch."""
    return {
        "coin": "BTC",
        "is_buy": is_buy,
        "sz": size,
        "limit_px": price,
        "order_type": kind,
        "reduce_only": only,
    }


def said(answer: Any) -> str:
    """The error that an answer of /exchange carries, wherever it stands."""
    if answer["status"] == "err":
        return str(answer["response"])
    data = answer["response"]["data"]
    statuses = data["statuses"] if "statuses" in data else [data["status"]]
    return str(next(item["error"] for item in statuses if "error" in item))


def raw(world: ServedWorld, name: str, action: dict[str, Any], **envelope: Any) -> Any:
    """Sign an L1 action that the SDK has no method for, and send it."""
    nonce = envelope.pop("nonce", wall_ms())
    wallet = eth_account.Account.from_key(key_of(name))
    signature = sdk_signing.sign_l1_action(
        wallet, action, envelope.get("vaultAddress"), nonce, None, False
    )
    body = {"action": action, "nonce": nonce, "signature": signature} | envelope
    return requests.post(f"{world.url}/exchange", json=body, timeout=10).json()


def approve(world: ServedWorld, name: str, agent: str, text: str) -> Any:
    """Approve a given agent address; the SDK's own method draws a new one."""
    action = {
        "type": "approveAgent",
        "agentAddress": agent,
        "agentName": text,
        "nonce": wall_ms(),
    }
    wallet = eth_account.Account.from_key(key_of(name))
    signature = sdk_signing.sign_agent(wallet, action, False)
    body = {"action": action, "nonce": action["nonce"], "signature": signature}
    return requests.post(f"{world.url}/exchange", json=body, timeout=10).json()


def change(world: ServedWorld, **values: Any) -> None:
    """Set fields of the exchange's state."""
    for key, value in values.items():
        world.do(lambda exchange, k=key, v=value: setattr(exchange.state, k, v))


@contextmanager
def market(world: ServedWorld, coin: str, **values: Any) -> Iterator[None]:
    """Set fields of a market for a while."""
    record = world.exchange.state.markets[coin]
    before = {key: getattr(record, key) for key in values}
    for key, value in values.items():
        setattr(record, key, value)
    try:
        yield
    finally:
        for key, value in before.items():
            setattr(record, key, value)


@contextmanager
def fault(world: ServedWorld, **fields: Any) -> Iterator[None]:
    """A fault through the admin endpoint, for a while."""
    added = requests.post(f"{world.url}/admin/faults", json=fields, timeout=10)
    assert added.status_code == 200, added.text
    try:
        yield
    finally:
        requests.delete(f"{world.url}/admin/faults", timeout=10)


def holding(world: ServedWorld, name: str, size: float = 0.01, **leverage: Any) -> Exchange:
    """A user long `size` BTC."""
    sdk = world.sdk(name)
    if leverage:
        sdk.update_leverage(leverage["value"], "BTC", is_cross=leverage["cross"])
    sdk.order("BTC", True, size, 101_000, IOC)
    return sdk
