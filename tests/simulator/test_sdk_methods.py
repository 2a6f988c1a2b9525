"""Every method the official SDK offers for perpetuals, unmodified, over HTTP and WebSocket."""

import threading
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import eth_account
import pytest
from exchange_world import ORIGIN_MS
from hyperliquid.exchange import Exchange
from hyperliquid.info import Info
from hyperliquid.utils.types import Cloid
from served_world import ServedWorld, address_of, key_of

from fractaltrader.simulator.serving.background import PATIENCE_SECONDS

pytestmark = pytest.mark.integration

GTC, IOC, ALO = ({"limit": {"tif": tif}} for tif in ("Gtc", "Ioc", "Alo"))
DONE = {"status": "ok", "response": {"type": "default"}}

# Methods of `Exchange` that have no part in trading perpetuals of the first dex.
NOT_PERPS = {
    "post",
    "convert_to_multi_sig_user",
    "multi_sig",
    "token_delegate",
    "gossip_priority_bid",
}
NOT_PERPS_PREFIXES = ("_", "spot_deploy_", "perp_deploy_", "c_signer_", "c_validator_")
# Methods of `Info` about spot deployment, which is not here.
NOT_INFO = {"post", "query_spot_deploy_auction_status", "set_perp_meta"}


def statuses(answer: dict[str, Any]) -> list[Any]:
    """The statuses of an accepted action."""
    assert answer["status"] == "ok", answer
    return answer["response"]["data"]["statuses"]


def resting(answer: dict[str, Any]) -> int:
    """The oid of the one order that rests."""
    (status,) = statuses(answer)
    return status["resting"]["oid"]


def open_oids(world: ServedWorld, name: str) -> list[int]:
    """Open orders of a user, as the SDK reads them."""
    return [order["oid"] for order in world.info().open_orders(address_of(name))]


def placing(world: ServedWorld) -> set[str]:
    """Orders of every kind, modified and cancelled one by one and in bulk."""
    sdk = world.sdk("placing")
    cloid = Cloid.from_int(1)
    first = resting(sdk.order("BTC", True, 0.01, 90_000, GTC))
    second = resting(sdk.order("BTC", True, 0.01, 90_100, ALO, cloid=cloid))
    assert statuses(sdk.order("BTC", True, 0.01, 101_000, IOC))[0]["filled"]["totalSz"] == "0.01"
    assert sorted(open_oids(world, "placing")) == [first, second]
    third = statuses(sdk.modify_order(first, "BTC", True, 0.02, 90_200, GTC))[0]["resting"]["oid"]
    (moved,) = statuses(
        sdk.bulk_modify_orders_new(
            [
                {
                    "oid": cloid,
                    "order": {
                        "coin": "BTC",
                        "is_buy": True,
                        "sz": 0.03,
                        "limit_px": 90_300,
                        "order_type": ALO,
                        "reduce_only": False,
                        "cloid": cloid,
                    },
                }
            ]
        )
    )
    assert moved["resting"]["cloid"] == cloid.to_raw()
    assert statuses(sdk.cancel("BTC", third)) == ["success"]
    assert statuses(sdk.cancel_by_cloid("BTC", cloid)) == ["success"]
    wanted = [
        {
            "coin": coin,
            "is_buy": True,
            "sz": 0.1,
            "limit_px": price,
            "order_type": GTC,
            "reduce_only": False,
            "cloid": Cloid.from_int(number),
        }
        for number, (coin, price) in enumerate((("BTC", 80_000), ("ETH", 3_000)), start=5)
    ]
    placed = [status["resting"]["oid"] for status in statuses(sdk.bulk_orders(wanted))]
    assert statuses(sdk.bulk_cancel([{"coin": "BTC", "oid": placed[0]}])) == ["success"]
    by_cloid = [{"coin": "ETH", "cloid": Cloid.from_int(6)}]
    assert statuses(sdk.bulk_cancel_by_cloid(by_cloid)) == ["success"]
    assert open_oids(world, "placing") == []
    return {
        "order",
        "bulk_orders",
        "modify_order",
        "bulk_modify_orders_new",
        "cancel",
        "cancel_by_cloid",
        "bulk_cancel",
        "bulk_cancel_by_cloid",
    }


def positions(world: ServedWorld) -> set[str]:
    """A position with leverage, brackets and isolated margin, opened and closed at market."""
    sdk = world.sdk("positions")
    assert sdk.update_leverage(10, "ETH") == DONE
    assert sdk.update_leverage(5, "BTC", is_cross=False) == DONE
    assert statuses(sdk.market_open("BTC", True, 0.01))[0]["filled"]["totalSz"] == "0.01"
    assert sdk.update_isolated_margin(25, "BTC") == DONE
    held = world.info().user_state(address_of("positions"))["assetPositions"][0]["position"]
    assert held["leverage"]["type"] == "isolated"
    assert float(held["marginUsed"]) > 220
    stop = {"trigger": {"isMarket": True, "triggerPx": 90_000, "tpsl": "sl"}}
    goal = {"trigger": {"isMarket": False, "triggerPx": 110_000, "tpsl": "tp"}}
    orders = [
        {
            "coin": "BTC",
            "is_buy": False,
            "sz": 0.01,
            "limit_px": price,
            "order_type": kind,
            "reduce_only": True,
        }
        for price, kind in ((85_000, stop), (109_000, goal))
    ]
    for grouping in ("na", "positionTpsl"):
        for status in statuses(sdk.bulk_orders(orders, grouping=grouping)):
            assert status == "waitingForTrigger" or "resting" in status
    parent = dict(orders[0], is_buy=True, limit_px=95_000, order_type=GTC, reduce_only=False)
    bracket = statuses(sdk.bulk_orders([parent, *orders], grouping="normalTpsl"))
    assert "resting" in bracket[0]
    assert bracket[1:] == ["waitingForFill"] * 2
    assert statuses(sdk.market_close("BTC"))[0]["filled"]["totalSz"] == "0.01"
    assert world.info().user_state(address_of("positions"))["assetPositions"] == []
    world.do(lambda exchange: setattr(exchange.state, "schedule_cancel_volume", Decimal(0)))
    assert sdk.schedule_cancel(int(time.time() * 1_000) + 60_000)["status"] == "ok"
    assert sdk.schedule_cancel(None) == DONE
    return {
        "update_leverage",
        "update_isolated_margin",
        "market_open",
        "market_close",
        "schedule_cancel",
    }


def money(world: ServedWorld) -> set[str]:
    """Transfers to others, to spot and back, out, and to a sub-account; vaults do not exist."""
    sdk = world.sdk("money")
    friend = address_of("friend")
    assert sdk.usd_transfer(100.0, friend) == DONE
    assert sdk.usd_class_transfer(50.0, False) == DONE
    assert sdk.usd_class_transfer(20.0, True) == DONE
    usdc = world.info().spot_meta()["tokens"][0]
    token = f"{usdc['name']}:{usdc['tokenId']}"
    assert sdk.spot_transfer(5.0, friend, token) == DONE
    assert sdk.send_asset(friend, "", "", token, 7.0) == DONE
    assert sdk.withdraw_from_bridge(10.0, address_of("money")) == DONE
    world.do(lambda exchange: setattr(exchange.state, "sub_account_volume", Decimal(0)))
    sub = sdk.create_sub_account("one")["response"]["data"]
    assert sdk.sub_account_transfer(sub, True, 200_000_000) == DONE
    assert sdk.sub_account_spot_transfer(sub, True, token, 1.0) == DONE
    (listed,) = world.info().query_sub_accounts(address_of("money"))
    assert listed["subAccountUser"] == sub
    assert listed["clearinghouseState"]["marginSummary"]["accountValue"] == "200.0"
    wallet = eth_account.Account.from_key(key_of("money"))
    for_sub = Exchange(wallet, world.url, vault_address=sub)
    assert "resting" in statuses(for_sub.order("BTC", True, 0.001, 90_000, GTC))[0]
    vault = "0x" + "ab" * 20
    refused = sdk.vault_usd_transfer(vault, True, 1_000_000)
    assert refused == {"status": "err", "response": f"Vault not registered: {vault}"}
    value = float(world.info().user_state(address_of("money"))["marginSummary"]["accountValue"])
    assert value == 10_000 - 100 - 50 + 20 - 7 - 10 - 200
    return {
        "usd_transfer",
        "usd_class_transfer",
        "spot_transfer",
        "send_asset",
        "withdraw_from_bridge",
        "create_sub_account",
        "sub_account_transfer",
        "sub_account_spot_transfer",
        "vault_usd_transfer",
    }


def identity(world: ServedWorld) -> set[str]:
    """An agent trades for its master; builder, referrer, modes, expiry and a burnt nonce."""
    sdk = world.sdk("identity")
    approved, agent_key = sdk.approve_agent("bot")
    assert approved == DONE
    agent = Exchange(
        eth_account.Account.from_key(agent_key),
        world.url,
        account_address=address_of("identity"),
    )
    assert "resting" in statuses(agent.order("ETH", True, 0.1, 3_000, GTC))[0]
    assert [a["name"] for a in world.info().extra_agents(address_of("identity"))] == ["bot"]
    builder = world.fund("builder", 100)
    assert sdk.approve_builder_fee(builder, "0.01%") == DONE
    built = sdk.order("ETH", True, 0.1, 4_100, IOC, builder={"b": builder, "f": 10})
    assert "filled" in statuses(built)[0]
    assert sdk.set_referrer("NOBODY")["response"] == "Referral code not registered"
    assert sdk.agent_enable_dex_abstraction() == DONE
    assert sdk.user_dex_abstraction(address_of("identity"), False) == DONE
    assert sdk.agent_set_abstraction("i") == DONE
    assert sdk.user_set_abstraction(address_of("identity"), "disabled") == DONE
    assert sdk.use_big_blocks(True) == DONE
    nonce = int(time.time() * 1_000) + 5_000
    assert sdk.noop(nonce) == DONE
    assert sdk.noop(nonce)["response"] == f"Invalid nonce: duplicate nonce {nonce}"
    sdk.set_expires_after(int(time.time() * 1_000) - 1)
    assert sdk.order("ETH", True, 0.1, 3_000, GTC)["response"] == "Action already expired"
    return {
        "approve_agent",
        "approve_builder_fee",
        "set_referrer",
        "agent_enable_dex_abstraction",
        "user_dex_abstraction",
        "agent_set_abstraction",
        "user_set_abstraction",
        "use_big_blocks",
        "noop",
        "set_expires_after",
    }


def test_every_exchange_method_for_perps_works(world):
    """Each does what it says, and no public method of the SDK is left out unnoticed."""
    used = placing(world) | positions(world) | money(world) | identity(world)
    offered = {
        name
        for name in vars(Exchange)
        if callable(getattr(Exchange, name)) and not name.startswith(NOT_PERPS_PREFIXES)
    }
    assert used == offered - NOT_PERPS


def test_every_info_method_answers(world):
    """Every question of the SDK has an answer that is JSON and not an error."""
    sdk, info, user = world.sdk("asker"), world.info(), address_of("asker")
    opened = statuses(sdk.market_open("BTC", True, 0.001))[0]["filled"]
    cloid = Cloid.from_int(9)
    sdk.order("BTC", True, 0.001, 90_000, GTC, cloid=cloid)
    of_user = (user,)
    since = (user, 0)
    arguments: dict[str, tuple[Any, ...]] = {
        "all_mids": (),
        "meta": (),
        "meta_and_asset_ctxs": (),
        "perp_dexs": (),
        "spot_meta": (),
        "spot_meta_and_asset_ctxs": (),
        "query_perp_deploy_auction_status": (),
        "funding_history": ("BTC", 0),
        "l2_snapshot": ("BTC",),
        "candles_snapshot": ("BTC", "1h", 0, ORIGIN_MS),
        "name_to_asset": ("BTC",),
        "query_order_by_oid": (user, opened["oid"]),
        "query_order_by_cloid": (user, cloid),
        "user_fills_by_time": since,
        "user_funding_history": since,
        "user_non_funding_ledger_updates": since,
        "query_user_to_multi_sig_signers": of_user,
        "query_user_dex_abstraction_state": of_user,
    }
    nullable = {
        "query_sub_accounts",
        "query_user_to_multi_sig_signers",
        "query_user_dex_abstraction_state",
    }
    sockets = {"subscribe", "unsubscribe", "disconnect_websocket"}
    for name in vars(Info):
        if name.startswith("_") or name in NOT_INFO | sockets:
            continue
        answer = getattr(info, name)(*arguments.get(name, of_user))
        assert not (isinstance(answer, dict) and "error" in answer), (name, answer)
        assert answer is not None or name in nullable, name
    assert info.query_order_by_cloid(user, cloid)["order"]["order"]["cloid"] == cloid.to_raw()
    assert info.query_order_by_oid(user, opened["oid"])["order"]["status"] == "filled"
    assert info.user_fills(user)[0]["oid"] == opened["oid"]


class Heard:
    """What the SDK's socket thread delivers."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.news = threading.Condition()

    def __call__(self, message: dict[str, Any]) -> None:
        with self.news:
            self.messages.append(message)
            self.news.notify_all()

    def wait(self, wanted: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        """All messages once they are as wanted; fails after a deadline."""
        with self.news:
            assert self.news.wait_for(
                lambda: wanted(self.messages), PATIENCE_SECONDS
            ), self.messages
            return list(self.messages)


SUBSCRIPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"type": "allMids"}, "allMids"),
    ({"type": "l2Book", "coin": "BTC"}, "l2Book"),
    ({"type": "bbo", "coin": "BTC"}, "bbo"),
    ({"type": "trades", "coin": "BTC"}, "trades"),
    ({"type": "candle", "coin": "BTC", "interval": "1m"}, "candle"),
    ({"type": "activeAssetCtx", "coin": "BTC"}, "activeAssetCtx"),
    ({"type": "activeAssetData", "coin": "BTC"}, "activeAssetData"),
    ({"type": "userEvents"}, "user"),
    ({"type": "userFills"}, "userFills"),
    ({"type": "orderUpdates"}, "orderUpdates"),
    ({"type": "userFundings"}, "userFundings"),
    ({"type": "userNonFundingLedgerUpdates"}, "userNonFundingLedgerUpdates"),
    ({"type": "webData2"}, "webData2"),
]


def test_every_subscription_of_the_sdk_is_heard(world):
    """Each of the SDK's subscriptions delivers on its channel while its user trades."""
    sdk, user = world.sdk("listener"), address_of("listener")
    info = Info(world.url)
    try:
        heard = {}
        for subscription, channel in SUBSCRIPTIONS:
            if "coin" not in subscription and channel != "allMids":
                subscription = subscription | {"user": user}
            if channel == "activeAssetData":
                subscription = subscription | {"user": user}
            heard[channel] = Heard()
            info.subscribe(subscription, heard[channel])
        heard["webData2"].wait(bool)
        sdk.order("BTC", True, 0.001, 101_000, IOC)
        world.move("BTC", 100_010)
        world.later(6_000)
        world.move("BTC", 100_000)
        for channel, one in heard.items():
            messages = one.wait(bool)
            assert messages[0]["channel"] == channel
        for channel in ("allMids", "l2Book", "activeAssetCtx", "activeAssetData", "webData2"):
            heard[channel].wait(lambda messages: len(messages) > 1)
        (update,) = heard["orderUpdates"].messages
        assert [item["status"] for item in update["data"]] == ["open", "filled"]
        fills = heard["userFills"].wait(lambda messages: len(messages) > 1)
        assert fills[0]["data"]["isSnapshot"] is True
        assert "isSnapshot" not in fills[1]["data"]
    finally:
        info.disconnect_websocket()
