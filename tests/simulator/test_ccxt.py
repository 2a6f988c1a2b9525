"""Every method ccxt offers for perpetuals, unmodified, signing as it does for testnet."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import ccxt
import ccxt.pro
import pytest
from served_world import ServedWorld, address_of, key_of

from fractaltrader.simulator.serving.background import PATIENCE_SECONDS

pytestmark = pytest.mark.integration

BTC, ETH = "BTC/USDC:USDC", "ETH/USDC:USDC"
# Public methods of the class that ask nothing of the venue, or of what is not here: vaults.
OFFLINE_PREFIXES = ("parse_", "build_", "handle_", "sign", "calculate_", "create_order_request")
OFFLINE = {
    "action_hash",
    "amount_to_precision",
    "approve_builder_fee",
    "cancel_orders_request",
    "coin_to_market_id",
    "construct_phantom_agent",
    "create_orders_request",
    "describe",
    "edit_orders_request",
    "extract_type_from_delta",
    "format_vault_address",
    "get_dex_from_hip3_symbol",
    "get_dex_from_symbols",
    "hash_message",
    "initialize_client",
    "is_unified_enabled",
    "market",
    "modify_margin_helper",
    "nonce",
    "price_to_precision",
    "set_ref",
    "set_sandbox_mode",
    "update_spot_currency_code",
}
NOT_HERE = {"create_vault"}


def pointed(client: Any, url: str) -> Any:
    """A ccxt client at the local server, with the sandbox's signatures."""
    client.set_sandbox_mode(True)
    client.urls["api"] = {
        "public": url,
        "private": url,
        "ws": {"public": url.replace("http", "ws") + "/ws"},
    }
    return client


def options_of(world: ServedWorld, name: str, usd: int = 10_000) -> dict[str, Any]:
    """Credentials of a funded user."""
    return {
        "walletAddress": world.fund(name, usd),
        "privateKey": key_of(name),
        "enableRateLimit": False,
    }


class Used:
    """A client that notes which of its methods were called."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.names: set[str] = set()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        self.names.add(name)
        method: Callable[..., Any] = getattr(self.client, name)
        return method


def markets_and_account(api: Used) -> None:
    """What can be read before the first trade."""
    assert set(api.client.load_markets()) == {BTC, ETH}
    assert api.fetch_status()["status"] == "ok"
    assert api.fetch_time() > 0
    assert "USDC" in api.fetch_currencies()
    assert {m["symbol"] for m in api.fetch_markets()} == {BTC, ETH}
    assert {m["symbol"] for m in api.fetch_swap_markets()} == {BTC, ETH}
    assert api.fetch_spot_markets() == []
    assert api.fetch_hip3_markets() == []
    assert api.fetch_balance()["USDC"]["total"] == 10_000
    book = api.fetch_order_book(BTC)
    assert book["bids"][0][0] < 100_000 < book["asks"][0][0]
    assert set(api.fetch_tickers()) == {BTC, ETH}
    assert api.fetch_funding_rate(BTC)["fundingRate"] == 0.0000125
    assert set(api.fetch_funding_rates()) == {BTC, ETH}
    assert api.fetch_ohlcv(BTC, "1h")[-1][4] == 100_000
    assert api.fetch_trading_fee(BTC)["taker"] == 0.00045
    assert set(api.fetch_open_interests()) == {BTC, ETH}
    assert api.fetch_open_interest(BTC)["openInterestAmount"] >= 0


def trading(api: Used) -> None:
    """Orders of every kind, their life and their history."""
    first = api.create_order(BTC, "limit", "buy", 0.01, 90_000)["id"]
    assert api.fetch_order(first, BTC)["status"] == "open"
    moved = api.edit_order(first, BTC, "limit", "buy", 0.02, 90_100)["id"]
    assert [order["id"] for order in api.fetch_open_orders(BTC)] == [moved]
    wanted = {"symbol": BTC, "id": moved, "type": "limit", "side": "buy"}
    (again,) = api.edit_orders([wanted | {"amount": 0.03, "price": 90_200}])
    api.cancel_order(again["id"], BTC)
    batch = [wanted | {"amount": 0.01, "price": price} for price in (90_000, 90_001)]
    placed = [order["id"] for order in api.create_orders(batch)]
    api.cancel_orders(placed[:1], BTC)
    api.cancel_orders_for_symbols([{"symbol": BTC, "id": placed[1]}])
    assert {o["id"] for o in api.fetch_canceled_orders(BTC)} >= {again["id"], *placed}
    api.create_order(BTC, "market", "buy", 0.01, 100_000)
    assert api.fetch_position(BTC)["contracts"] == 0.01
    stop = api.create_order(
        BTC, "market", "sell", 0.01, 100_000, {"reduceOnly": True, "stopLossPrice": 90_000}
    )
    assert api.fetch_order(stop["id"], BTC)["triggerPrice"] == 90_000
    api.create_order(
        BTC, "limit", "sell", 0.01, 110_000, {"reduceOnly": True, "takeProfitPrice": 109_000}
    )
    bracket = {"stopLoss": {"triggerPrice": 80_000}, "takeProfit": {"triggerPrice": 120_000}}
    api.create_order(BTC, "limit", "buy", 0.01, 95_000, bracket)
    assert len(api.fetch_open_orders(BTC)) == 5
    api.create_order(BTC, "market", "sell", 0.01, 100_000, {"reduceOnly": True})
    assert api.fetch_positions([BTC]) == []
    assert len(api.fetch_my_trades(BTC)) == 2
    assert len(api.fetch_closed_orders(BTC)) == 2
    assert len(api.fetch_orders(BTC)) > len(api.fetch_canceled_and_closed_orders(BTC))
    assert api.fetch_my_liquidations(BTC) == []
    twap = api.create_twap_order(BTC, "buy", 0.2, 30 * 60_000)
    api.cancel_twap_order(twap["id"], BTC)
    assert len(api.fetch_trades(BTC)) >= 2


def margin_and_money(world: ServedWorld, api: Used) -> None:
    """Leverage, isolated margin, transfers, the dead man's switch, account modes."""
    api.set_leverage(7, BTC)
    api.set_margin_mode("isolated", ETH, {"leverage": 5})
    api.create_order(ETH, "market", "buy", 0.1, 4_000)
    api.add_margin(ETH, 10)
    api.reduce_margin(ETH, 5)
    held = api.fetch_position(ETH)
    assert (held["marginMode"], round(held["initialMargin"])) == ("isolated", 85)
    api.transfer("USDC", 10, "swap", "spot")
    api.transfer("USDC", 4, "spot", "swap")
    api.withdraw("USDC", 20, address_of("cold"))
    assert [row["amount"] for row in api.fetch_withdrawals("USDC")] == [20]
    assert api.fetch_deposits("USDC")[0]["amount"] == 10_000
    assert len(api.fetch_ledger("USDC")) == 4
    assert api.fetch_funding_history(ETH) == []
    assert isinstance(api.fetch_funding_rate_history(BTC), list)
    api.reserve_request_weight(100)

    def lower_gates(exchange: Any) -> None:
        exchange.state.schedule_cancel_volume = Decimal(0)
        exchange.state.sub_account_volume = Decimal(0)

    world.do(lower_gates)
    api.cancel_all_orders_after(60_000)
    sub = api.create_sub_account("one")["response"]["data"]
    api.transfer("USDC", 100, "main", sub)
    api.create_order(BTC, "limit", "buy", 0.001, 90_000, {"vaultAddress": sub})
    assert len(api.fetch_open_orders(BTC, None, None, {"user": sub})) == 1
    api.set_user_abstraction("disabled")
    api.enable_user_dex_abstraction(True)
    api.set_agent_abstraction("i")


def test_every_ccxt_method_for_perps_works(world):
    """Each does what it says, and no method of the class is left out unnoticed."""
    api = Used(pointed(ccxt.hyperliquid(options_of(world, "ccxt")), world.url))
    markets_and_account(api)
    trading(api)
    margin_and_money(world, api)
    offered = {
        name
        for name in vars(ccxt.hyperliquid)
        if callable(getattr(ccxt.hyperliquid, name))
        and not name.startswith(("_", *OFFLINE_PREFIXES))
        and "_" in name
        and name.islower()
    }
    assert offered - OFFLINE - NOT_HERE <= api.names


def test_ccxt_pays_its_builder_once_it_is_funded(world):
    """With a builder who can be approved ccxt attaches it to every order, and its fee is taken."""
    builder = world.fund("ccxt-builder", 100)
    options = options_of(world, "built") | {"options": {"builder": builder}}
    api = pointed(ccxt.hyperliquid(options), world.url)
    api.create_order(BTC, "market", "buy", 0.01, 100_000)
    (fill,) = api.fetch_my_trades(BTC)
    assert api.options["approvedBuilderFee"] is True
    assert float(fill["info"]["builderFee"]) > 0
    fees = world.info().query_referral_state(address_of("ccxt-builder"))
    assert fees["referredBy"] is None


ERRORS = [
    (ccxt.InvalidOrder, "minimum value of $10", ("limit", "buy", 0.0001, 90_000)),
    (ccxt.InsufficientFunds, "Insufficient margin", ("limit", "buy", 5, 90_000)),
    (ccxt.InvalidOrder, "would have immediately matched", ("limit", "buy", 0.01, 101_000, "Alo")),
    (ccxt.InvalidOrder, "could not immediately match", ("limit", "buy", 0.01, 90_000, "Ioc")),
]


@pytest.mark.parametrize(("kind", "text", "order"), ERRORS, ids=[e[1] for e in ERRORS])
def test_ccxt_knows_our_refusals_for_the_venues(world, kind, text, order):
    """The texts are the venue's to the letter: ccxt maps them to its own exceptions."""
    api = pointed(ccxt.hyperliquid(options_of(world, f"refused: {text}")), world.url)
    order_type, side, size, price, *tif = order
    parameters = {"timeInForce": tif[0]} if tif else {}
    with pytest.raises(kind, match=text.replace("$", r"\$")):
        api.create_order(BTC, order_type, side, size, price, parameters)
    with pytest.raises(ccxt.OrderNotFound):
        api.cancel_order("1", BTC)


def test_ccxt_pro_trades_and_watches_over_the_socket(world):
    """Orders by post requests, and every stream ccxt.pro has for perpetuals."""
    world.fund("pro")

    async def run() -> None:
        api = pointed(ccxt.pro.hyperliquid(options_of(world, "pro", 10_000)), world.url)
        try:
            await api.load_markets()
            async with asyncio.timeout(PATIENCE_SECONDS):
                await watch_everything(api)
        finally:
            await api.close()

    async def watch_everything(api: Any) -> None:
        book = await api.watch_order_book(BTC)
        assert book["bids"][0][0] < book["asks"][0][0]
        assert (await api.watch_ticker(BTC))["symbol"] == BTC
        assert set(await api.watch_tickers([BTC, ETH])) >= {BTC}
        watches = [
            asyncio.ensure_future(call)
            for call in (
                api.watch_orders(BTC),
                api.watch_my_trades(BTC),
                api.watch_trades(BTC),
                api.watch_ohlcv(BTC, "1m"),
            )
        ]
        await asyncio.sleep(0)
        order = await api.create_order_ws(BTC, "limit", "buy", 0.01, 90_000)
        edited = await api.edit_order_ws(order["id"], BTC, "limit", "buy", 0.02, 90_100)
        await api.cancel_order_ws(edited["id"], BTC)
        both = await api.create_orders_ws(
            [
                {"symbol": BTC, "type": "limit", "side": "buy", "amount": 0.01, "price": price}
                for price in (90_000, 90_001)
            ]
        )
        await api.cancel_orders_ws([one["id"] for one in both], BTC)
        await api.create_order_ws(BTC, "limit", "buy", 0.01, 101_000)
        results = await asyncio.gather(*watches)
        assert all(results)
        await api.un_watch_order_book(BTC)

    asyncio.run(run())
