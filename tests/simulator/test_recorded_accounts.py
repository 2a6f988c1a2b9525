"""Recorded accounts rebuilt on the local exchange: the same trades give the same figures."""

import json
from decimal import Decimal
from pathlib import Path

import pytest
from exchange_world import Trader, limit
from money_world import Market, coin

from fractaltrader.simulator.clearing import funding, margin, tiers

D = Decimal


def recorded(shared_folder: Path, name: str):
    """The body of a recorded `/info` answer."""
    path = shared_folder / "fixtures" / "http_info" / f"{name}.json"
    return json.loads(path.read_text())["response"]["body"]


def test_the_recorded_isolated_position_comes_out_to_the_last_digit(shared_folder):
    """Depositing, buying 2 HYPE isolated 10x at 37.829 and a mark of 37.826 give every figure of
    the recorded account: fee out of the margin, raw USD, liquidation price, both summaries."""
    wanted = recorded(shared_folder, "clearinghouseState_isolated_position")
    market = Market(coin("HYPE", 2, 10))
    market.price("HYPE", "37.829")
    alice = Trader(market.exchange, "alice", "83.347684")
    alice.act({"type": "updateLeverage", "asset": 0, "isCross": False, "leverage": 10})
    market.trade(alice, 0, "B", "2", "37.829")
    market.price("HYPE", "37.826")
    ours = alice.ask("clearinghouseState")
    ours["time"] = wanted["time"]
    # What the account had paid in funding before its recording cannot be known from it.
    ours["assetPositions"][0]["position"]["cumFunding"]["allTime"] = "4.966798"
    assert ours == wanted


def test_a_recorded_cross_short_and_its_liquidation_price(shared_folder):
    """The recorded SAGA short within an account of 43452.92 maintenance: value, margin used, ROE
    from the exact entry notional and the liquidation price that the whole account stands behind."""
    frames = shared_folder / "fixtures" / "ws" / "clearinghouseState_cross_and_isolated.json"
    state = json.loads(frames.read_text())["frames"][0]["json"]["data"]["clearinghouseState"]
    wanted = state["assetPositions"][0]["position"]
    market = Market(coin("SAGA", 1, 50), coin("REST", 2, 50, 1))
    alice = Trader(market.exchange, "alice", "10000000")
    core, account = market.core, market.exchange.state.accounts[alice.address]
    market.price("SAGA", "0.01662")
    market.price("REST", "100")
    market.trade(alice, 0, "A", "103774.5", "0.01662")
    market.trade(alice, 1, "B", "43427.64", "100")
    market.price("SAGA", "0.02436")
    # The other positions, the exact entry and the balance are the recording's.
    account.positions["REST"].size = D("43427.63938236")
    account.positions["SAGA"].entry_notional = D("1725.720483")
    rest = account.positions["REST"].entry_notional
    value = D(state["crossMarginSummary"]["accountValue"])
    account.cash = value + D("802.226337") - (D("4342763.938236") - rest)
    ours = alice.ask("clearinghouseState")
    held = next(p["position"] for p in ours["assetPositions"] if p["position"]["coin"] == "SAGA")
    for key in ("szi", "positionValue", "unrealizedPnl", "returnOnEquity", "marginUsed"):
        assert D(held[key]) == D(wanted[key]), key
    assert held["entryPx"] == "0.01663"  # recorded rounded otherwise: 0.01662
    assert abs(D(held["liquidationPx"]) - D(wanted["liquidationPx"])) < D("1e-6")
    for key in ("accountValue", "totalNtlPos"):
        assert abs(D(ours["crossMarginSummary"][key]) - D(state["crossMarginSummary"][key])) < D(
            "1e-6"
        )
    # The venue floors each of some eighty positions at six decimals, we two.
    used = D(ours["crossMarginSummary"]["totalMarginUsed"])
    assert abs(used - D(state["crossMarginSummary"]["totalMarginUsed"])) < D("1e-4")
    maintained = D(ours["crossMaintenanceMarginUsed"])
    assert abs(maintained - D(state["crossMaintenanceMarginUsed"])) < D("1e-4")
    assert abs(D(ours["withdrawable"]) - D(state["withdrawable"])) < D("1e-4")
    assert core.state.accounts[alice.address] is account


def test_the_recorded_negative_raw_balance(shared_folder):
    """Longs of 24094.9691 on an equity of 1736.030875 have the recorded negative raw USD and margin
    used; what is withdrawable follows today's tenth-of-notional rule, the recording the older."""
    body = recorded(shared_folder, "clearinghouseState_negative_totalRawUsd")
    wanted = body["crossMarginSummary"]
    market = Market(coin("ETH", 4, 25))
    market.price("ETH", "3000")
    alice = Trader(market.exchange, "alice", "5000")
    alice.act({"type": "updateLeverage", "asset": 0, "isCross": True, "leverage": 25})
    market.trade(alice, 0, "B", "8", "3000")
    account = market.exchange.state.accounts[alice.address]
    account.positions["ETH"].size = D("24094.9691") / 3000
    account.cash = D(wanted["accountValue"]) - (D("24094.9691") - D(24_000))
    ours = alice.ask("clearinghouseState")["crossMarginSummary"]
    assert {key: round(D(value), 6) for key, value in ours.items()} == {
        key: D(value) for key, value in wanted.items()
    }
    assert D(wanted["accountValue"]) - D(wanted["totalMarginUsed"]) == D(body["withdrawable"])


def test_margin_used_of_every_recorded_position(shared_folder):
    """positionValue / leverage, floored at six decimals, for all positions of the 2023 account."""
    state = recorded(shared_folder, "clearinghouseState_2023_even_positions")
    for item in state["assetPositions"]:
        held = item["position"]
        used = margin.initial_margin(D(held["positionValue"]), held["leverage"]["value"])
        assert used == D(held["marginUsed"]), held["coin"]


def test_the_tier_example_and_its_tables(shared_folder):
    """200M of BTC in the recorded table 56 must maintain 3.125M; the tables are served as recorded,
    and 40x is more than 200M may have."""
    market = Market(coin("BTC", 5, 40))
    market.price("BTC", "100000")
    alice = Trader(market.exchange, "alice", "100000000")
    for _ in range(5):
        market.trade(alice, 0, "B", "200", "100000")
    market.price("BTC", "200000")
    state = alice.ask("clearinghouseState")
    assert D(state["marginSummary"]["totalNtlPos"]) == D(200_000_000)
    assert D(state["crossMaintenanceMarginUsed"]) == D(3_125_000)
    refused = alice.act({"type": "updateLeverage", "asset": 0, "isCross": True, "leverage": 21})
    assert refused == {"status": "err", "response": "Invalid leverage value"}
    served = market.exchange.info({"type": "meta"})
    wanted = recorded(shared_folder, "meta_2025-08-22")
    assert served["marginTables"] == wanted["marginTables"]
    btc = next(item for item in wanted["universe"] if item["name"] == "BTC")
    assert served["universe"][0] == btc


def test_our_tables_of_known_coins_are_the_recorded_ones(shared_folder):
    """Every coin that we give a tiered table by default has it in the recorded universe."""
    for item in recorded(shared_folder, "meta_2025-08-22")["universe"]:
        table = tiers.default_table_id(item["name"], item["maxLeverage"])
        if table != item["maxLeverage"]:
            assert table == item["marginTableId"], item


@pytest.mark.parametrize("notional", ["1", "149999999.99", "150000000", "150000000.01", "9e9"])
def test_maintenance_is_continuous_over_the_tiers(notional):
    """Just above a tier's bound the requirement is what it is just below, and never falls."""
    table = tiers.VENUE_TABLES[56]
    here = tiers.maintenance(table, D(notional))
    above = tiers.maintenance(table, D(notional) + D("0.01"))
    assert D(0) <= above - here <= D("0.01")


def test_recorded_funding_has_our_sign_and_rule(shared_folder):
    """Who was long at a positive rate paid, in all thirteen recorded payments; and where a recorded
    premium stayed within the clamp the funding rate is the resting one."""
    for row in recorded(shared_folder, "userFunding_with_endTime_13"):
        delta = {key: D(str(row["delta"][key])) for key in ("szi", "fundingRate", "usdc")}
        assert (delta["szi"] * delta["fundingRate"] > 0) == (delta["usdc"] < 0)
    contexts = recorded(shared_folder, "metaAndAssetCtxs_2025-08-22")[1]
    resting = [c for c in contexts if c["premium"] and abs(D(c["premium"])) < D("0.0003")]
    same = [funding.hourly_rate(D(c["premium"])) == D(c["funding"]) for c in resting]
    # The premium shown is the moment's, the rate the hour's: nearly all agree.
    assert sum(same) > 0.7 * len(same) > 50


def test_recorded_rates_stay_between_the_bounds_of_the_rule(shared_folder):
    """The recorded example rates come from the premiums that the rule inverts to."""
    assert funding.hourly_rate(D("-0.0002298729")) == D("0.0000125")
    assert funding.hourly_rate(D("0.0006795008")) == D("0.0000224376")
    assert funding.hourly_rate(D("0.9")) == D("0.04")
    assert funding.hourly_rate(D("-0.9")) == D("-0.04")


def test_a_recorded_maker_and_taker_fee(shared_folder):
    """0.0025 ETH taken at 4307.4 costs 0.004845 and 0.001 BTC made at 66653 costs 0.009997."""
    market = Market(coin("ETH", 4, 25), coin("BTC", 5, 40, 1))
    market.price("ETH", "4307.4")
    market.price("BTC", "66653")
    alice = Trader(market.exchange, "alice", "1000")
    market.trade(alice, 0, "B", "0.0025", "4307.4")
    market.price("ETH", "4303.7")
    market.trade(alice, 0, "A", "0.0025", "4303.7")
    alice.order(limit("B", "0.001", "66653", a=1))
    market.rich.order(limit("A", "0.001", "66653", "Ioc", a=1))
    newest, closing, opening = alice.ask("userFills")
    assert (opening["fee"], closing["fee"], newest["fee"]) == ("0.004845", "0.004841", "0.009997")
    assert closing["closedPnl"] == "-0.00925"
    wanted = recorded(shared_folder, "userFillsByTime_testnet_open_long")[0]
    for key in ("coin", "px", "sz", "side", "dir", "startPosition", "closedPnl", "fee", "crossed"):
        assert opening[key] == wanted[key], key
