"""Signing an entry with its stop and target: ours against the official SDK."""

from time import thread_time
from typing import Any

from benchmarks.timing import Row, readable, seconds_each
from fractaltrader.exchange.hyperliquid.signing import Signer, recover_action_signer

# Any number on the curve; it has never held a cent.
KEY = "0x" + "17" * 32
NONCE = 1_700_000_000_000


def order_action() -> dict[str, Any]:
    """An entry, its stop and its target in one action, as the bot sends it."""
    entry = {"t": {"limit": {"tif": "Ioc"}}, "r": False, "b": True, "p": "60123"}
    stop = {"t": {"trigger": {"isMarket": True, "triggerPx": "59000", "tpsl": "sl"}}}
    target = {"t": {"trigger": {"isMarket": True, "triggerPx": "63000", "tpsl": "tp"}}}
    legs = [
        entry,
        {**stop, "r": True, "b": False, "p": "53100"},
        {**target, "r": True, "b": False, "p": "56700"},
    ]
    orders = [
        {
            "a": 0,
            "b": leg["b"],
            "p": leg["p"],
            "s": "0.01234",
            "r": leg["r"],
            "t": leg["t"],
            "c": f"0x{number:032x}",
        }
        for number, leg in enumerate(legs)
    ]
    return {"type": "order", "orders": orders, "grouping": "normalTpsl"}


def rows() -> list[Row]:
    """Sign and recover, one action at a time."""
    from eth_account import Account
    from hyperliquid.utils.signing import sign_l1_action

    action, ours, wallet = order_action(), Signer(KEY), Account.from_key(KEY)
    signature = ours.sign_action(action, NONCE, mainnet=True)
    if signature != sign_l1_action(wallet, action, None, NONCE, None, True):
        raise RuntimeError("our signature differs from the official SDK's: nothing to compare")
    envelope = {"action": action, "nonce": NONCE, "signature": signature}
    contestants = [
        lambda: ours.sign_action(action, NONCE, mainnet=True),
        lambda: sign_l1_action(wallet, action, None, NONCE, None, True),
        lambda: recover_action_signer(envelope, mainnet=True),
    ]
    sign, official, recover = seconds_each(contestants, repeat=100)
    cpu, official_cpu, _ = seconds_each(contestants, repeat=100, clock=thread_time)
    return [
        Row(
            "sign an order action", sign, "action",
            f"CPU {readable(cpu)}; {official_cpu / cpu:.1f} x the SDK's speed",
        ),
        Row("the same, official SDK", official, "action", f"CPU {readable(official_cpu)}"),
        Row("recover its signer", recover, "action", "what our local exchange does"),
    ]  # fmt: skip
