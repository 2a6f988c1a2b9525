"""Errors of identity, nonces, leverage, margin, money and TWAPs."""

from decimal import Decimal
from typing import Any

import eth_account
import requests
from hyperliquid.exchange import Exchange
from hyperliquid.utils import signing as sdk_signing
from provoking import (
    GTC,
    IOC,
    NOWHERE,
    Provocation,
    approve,
    change,
    holding,
    market,
    raw,
    said,
    wall_ms,
)
from served_world import ServedWorld, address_of


def as_agent(world: ServedWorld, name: str) -> str:
    _, key = world.sdk(name).approve_agent("bot")
    agent = eth_account.Account.from_key(key)
    text = said(Exchange(agent, world.url).usd_transfer(1.0, NOWHERE))
    assert text.endswith(agent.address.lower())
    return text


def malformed(world: ServedWorld, name: str) -> str:
    world.fund(name)
    signature = {"r": "0x" + "ff" * 32, "s": "0x1", "v": 27}
    body = {"action": {"type": "noop"}, "nonce": wall_ms(), "signature": signature}
    return said(requests.post(f"{world.url}/exchange", json=body, timeout=10).json())


def for_vault(world: ServedWorld, name: str) -> str:
    sdk = world.sdk(name, vault_address=NOWHERE)
    return said(sdk.order("BTC", True, 0.01, 90_000, GTC))


def sub_account(world: ServedWorld, name: str) -> tuple[Exchange, str]:
    """A master with a sub-account."""
    change(world, sub_account_volume=Decimal(0))
    sdk = world.sdk(name)
    return sdk, sdk.create_sub_account("one")["response"]["data"]


def foreign_sub_account(world: ServedWorld, name: str) -> str:
    _, sub = sub_account(world, f"{name} owner")
    return said(world.sdk(name, vault_address=sub).order("BTC", True, 0.01, 90_000, GTC))


def nonces(*offsets: int) -> Provocation:
    """The answer to the last of several nonces, relative to now."""

    def provoke(world: ServedWorld, name: str) -> str:
        sdk, now = world.sdk(name), wall_ms()
        for offset in offsets[:-1]:
            assert sdk.noop(now + offset)["status"] == "ok"
        return said(sdk.noop(now + offsets[-1]))

    return provoke


def stale(world: ServedWorld, name: str) -> str:
    sdk = world.sdk(name)
    sdk.set_expires_after(wall_ms() - 1)
    return said(sdk.order("BTC", True, 0.01, 90_000, GTC))


def out_of_budget(world: ServedWorld, name: str) -> str:
    sdk, user = world.sdk(name), address_of(name)
    world.do(lambda ex: setattr(ex.state.accounts[user], "requests", 10_000))
    assert sdk.update_leverage(5, "BTC")["status"] == "ok"  # one every ten seconds
    return said(sdk.update_leverage(6, "BTC"))


def removing_agent(world: ServedWorld, name: str) -> str:
    sdk = world.sdk(name)
    sdk.approve_agent("bot")
    assert approve(world, name, "0x" + "0" * 40, "bot")["status"] == "ok"
    return said(sdk.approve_agent("bot")[0])


def agent_again(world: ServedWorld, name: str) -> str:
    world.fund(name)
    agent = address_of(f"{name} agent")
    assert approve(world, name, agent, "one")["status"] == "ok"
    return said(approve(world, name, agent, "two"))


def four_agents(world: ServedWorld, name: str) -> str:
    sdk = world.sdk(name)
    for number in range(3):
        assert sdk.approve_agent(f"bot {number}")[0]["status"] == "ok"
    return said(sdk.approve_agent("bot 3")[0])


def agent_sends(world: ServedWorld, name: str) -> str:
    sdk = world.sdk(name)
    _, key = sdk.approve_agent("bot")
    nonce = wall_ms()
    action = {
        "type": "agentSendAsset",
        "destination": NOWHERE,
        "sourceDex": "",
        "destinationDex": "",
        "token": "USDC",
        "amount": "1",
        "fromSubAccount": "",
        "nonce": nonce,
    }
    wallet = eth_account.Account.from_key(key)
    signature = sdk_signing.sign_l1_action(wallet, action, None, nonce, None, False)
    body = {"action": action, "nonce": nonce, "signature": signature}
    return said(requests.post(f"{world.url}/exchange", json=body, timeout=10).json())


def schedule(ahead_ms: int, volume: int) -> Provocation:
    def provoke(world: ServedWorld, name: str) -> str:
        sdk = world.sdk(name)
        change(world, schedule_cancel_volume=Decimal(volume))
        return said(sdk.schedule_cancel(wall_ms() + ahead_ms))

    return provoke


def eleventh_schedule(world: ServedWorld, name: str) -> str:
    sdk = world.sdk(name)
    change(world, schedule_cancel_volume=Decimal(0))
    for _ in range(10):
        assert sdk.schedule_cancel(wall_ms() + 6_000)["status"] == "ok"
        world.later(10_000)
    return said(sdk.schedule_cancel(wall_ms() + 6_000))


def leverage(value: int, coin: str = "BTC") -> Provocation:
    return lambda world, name: said(world.sdk(name).update_leverage(value, coin))


def switched(world: ServedWorld, name: str) -> str:
    return said(holding(world, name).update_leverage(5, "BTC", is_cross=False))


def cross_where_isolated(world: ServedWorld, name: str) -> str:
    sdk = world.sdk(name)
    with market(world, "BTC", margin_mode="noCross"):
        return said(sdk.update_leverage(5, "BTC"))


def lowered(*, cross: bool) -> Provocation:
    def provoke(world: ServedWorld, name: str) -> str:
        sdk = holding(world, name, 1.0, value=20, cross=cross)
        return said(sdk.update_leverage(2, "BTC", is_cross=cross))

    return provoke


def margin_of(usd: float, *, size: float, cross: bool) -> Provocation:
    """Change isolated margin by `usd` with a position of `size`."""

    def provoke(world: ServedWorld, user: str) -> str:
        sdk = world.sdk(user)
        sdk.update_leverage(10, "BTC", is_cross=cross)
        if size:
            sdk.order("BTC", True, size, 101_000, IOC)
        return said(sdk.update_isolated_margin(usd, "BTC"))

    return provoke


def strict(world: ServedWorld, name: str) -> str:
    with market(world, "BTC", margin_mode="strictIsolated"):
        return margin_of(-1.0, size=0.01, cross=False)(world, name)


def built(world: ServedWorld, name: str) -> str:
    builder = {"b": NOWHERE, "f": 10}
    return said(world.sdk(name).order("BTC", True, 0.01, 90_000, GTC, builder=builder))


def unified(world: ServedWorld, name: str) -> str:
    sdk = world.sdk(name)
    assert sdk.user_set_abstraction(address_of(name), "unifiedAccount")["status"] == "ok"
    return said(sdk.usd_class_transfer(1.0, True))


def gated_sub_account(world: ServedWorld, name: str) -> str:
    change(world, sub_account_volume=Decimal(100_000))
    return said(world.sdk(name).create_sub_account("one"))


def bad_sub_account_transfer(world: ServedWorld, name: str) -> str:
    sdk, sub = sub_account(world, name)
    return said(sdk.sub_account_transfer(sub, False, 1_000_000))


def spot_dex(world: ServedWorld, name: str) -> str:
    return said(world.sdk(name).send_asset(NOWHERE, "", "", "PURR:0x00", 1.0))


def twap_order(world: ServedWorld, name: str, **fields: Any) -> Any:
    """The SDK has no TWAP; ccxt's is driven in test_ccxt."""
    wire = {"a": 0, "b": True, "s": "0.1", "r": False, "m": 30, "t": False} | fields
    return raw(world, name, {"type": "twapOrder", "twap": wire})


def twap(**fields: Any) -> Provocation:
    def provoke(world: ServedWorld, name: str) -> str:
        world.fund(name)
        return said(twap_order(world, name, **fields))

    return provoke


def twap_cancel(world: ServedWorld, name: str) -> str:
    world.fund(name)
    return said(raw(world, name, {"type": "twapCancel", "a": 0, "t": 1}))


def many_twaps(world: ServedWorld, name: str) -> str:
    world.fund(name, 1_000_000)
    for _ in range(200):
        answer = twap_order(world, name, s="0.02")
        if "running" not in answer["response"]["data"]["status"]:
            return said(answer)
    return "no limit"


def acts(action: dict[str, Any]) -> Provocation:
    """A raw action of a fresh user."""

    def provoke(world: ServedWorld, name: str) -> str:
        world.fund(name)
        return said(raw(world, name, action))

    return provoke
