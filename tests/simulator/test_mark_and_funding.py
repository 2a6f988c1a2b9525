"""Oracle, mark, premium and hourly funding."""

from decimal import Decimal
from math import exp

import pytest
from exchange_world import ORIGIN_MS, Trader, limit
from hypothesis import given, settings
from hypothesis import strategies as st
from money_world import HOUR_MS, Market, coin

from fractaltrader.simulator.clearing import funding, prices
from fractaltrader.simulator.clearing.conservation import books_balance
from fractaltrader.simulator.local_exchange import LocalExchange

D = Decimal


@pytest.fixture
def market() -> Market:
    """BTC at 100000 and ETH at 4000."""
    made = Market(coin("BTC", 5, 40), coin("ETH", 4, 25, 1))
    made.price("BTC", "100000")
    made.price("ETH", "4000")
    return made


def test_the_mark_is_the_feeds_price_while_nobody_disturbs_the_book(market):
    """Trades that eat into the modelled depth and orders away from the touch leave it there."""
    alice = Trader(market.exchange, "alice", "1000000")
    alice.order(limit("B", "3", "100100", "Ioc"))
    alice.order(limit("B", "1", "99000"))
    for price in ("100010.3", "99990.7", "100200"):
        market.later(20_000)
        market.exchange.move("BTC", D(price))
        assert market.core.mark("BTC") == market.core.oracle("BTC") == D(price)


def test_orders_inside_the_spread_drag_the_mark_slowly(market):
    """A bid above the modelled one moves the mid, and mark follows the 150 s average of that once
    the last trade lies that side too; without the bid it comes back."""
    alice = Trader(market.exchange, "alice", "1000000")
    oid = alice.order(limit("B", "1", "100004"))[0]["resting"]["oid"]
    bob = Trader(market.exchange, "bob", "1000000")
    bob.order(limit("B", "0.01", "100005", "Ioc"))
    assert market.core.mark("BTC") == 100_000
    market.later(150_000)
    # Bid 100004 for the modelled 99995 moves the mid by 4.5.
    drift = D(4.5 * (1 - exp(-1))).quantize(D("0.1"))
    assert market.core.mark("BTC") == 100_000 + drift
    alice.cancel(oid)
    market.later(3 * HOUR_MS)
    assert market.core.mark("BTC") == 100_000


def test_mark_takes_the_median_of_its_three_inputs(market):
    """One input off leaves the mark where the two others are; with two off it goes between; with
    the perp price gone the 30 s average of the book stands in."""
    core = market.core
    prices.set_offsets(core, "BTC", oracle=D(500))
    assert (core.oracle("BTC"), core.mark("BTC")) == (100_500, 100_000)
    prices.set_offsets(core, "BTC", oracle=D(500), perp=D(200))
    assert core.mark("BTC") == 100_200
    prices.set_offsets(core, "BTC", oracle=D(0), perp=None)
    assert core.mark("BTC") == 100_000


def test_triggers_and_liquidation_go_by_the_mark(market):
    """With the mark 200 above the feed a stop at 99900 fires when the feed has come to 99700."""
    alice = Trader(market.exchange, "alice", "100000")
    market.trade(alice, 0, "B", "0.1", "100000")
    prices.set_offsets(market.core, "BTC", oracle=D(500), perp=D(200))
    stop = {"trigger": {"isMarket": True, "triggerPx": "99900", "tpsl": "sl"}}
    alice.order({"a": 0, "b": False, "p": "99000", "s": "0.1", "r": True, "t": stop})
    market.exchange.move("BTC", D(99_701))
    assert alice.position() == D("0.1")
    market.exchange.move("BTC", D(99_699))
    assert alice.position() == 0


def test_longs_pay_shorts_every_hour_at_the_oracle(market):
    """At rest the rate is 0.0000125 an hour; the payment is size x oracle x rate, told to ledger,
    stream and events, summed up in the position, and nobody gains from nothing."""
    alice = Trader(market.exchange, "alice", "100000")
    bob = Trader(market.exchange, "bob", "100000")
    market.trade(alice, 0, "B", "0.5", "100000")
    market.trade(bob, 0, "A", "0.2", "100000")
    told = []
    market.exchange.subscribe({"type": "userFundings", "user": alice.address}, told.append)
    market.price("BTC", "102000")
    before = D(alice.ask("clearinghouseState")["marginSummary"]["accountValue"])
    market.later(HOUR_MS + 200)
    entry = alice.ask("userFunding", startTime=0)[0]
    assert entry["delta"] == {
        "type": "funding",
        "coin": "BTC",
        "usdc": "-0.6375",
        "szi": "0.5",
        "fundingRate": "0.0000125",
        "nSamples": None,
    }
    assert 0 < entry["time"] - (ORIGIN_MS + HOUR_MS) < 100
    state = alice.ask("clearinghouseState")
    assert D(state["marginSummary"]["accountValue"]) == before - D("0.6375")
    assert bob.ask("userFunding", startTime=0)[0]["delta"]["usdc"] == "0.255"
    paid = state["assetPositions"][0]["position"]["cumFunding"]
    assert set(paid.values()) == {"0.6375"}
    assert told[-1]["data"]["fundings"][0]["usdc"] == "-0.6375"
    history = market.exchange.info({"type": "fundingHistory", "coin": "BTC", "startTime": 0})
    assert [(row["fundingRate"], row["premium"]) for row in history] == [("0.0000125", "0.0")]
    market.trade(alice, 0, "B", "0.1", "102000")
    paid = alice.ask("clearinghouseState")["assetPositions"][0]["position"]["cumFunding"]
    assert (paid["sinceOpen"], paid["sinceChange"]) == ("0.6375", "0.0")
    assert books_balance(market.core) == 0


def test_funding_of_an_isolated_position_comes_out_of_its_margin(market):
    """The cross balance does not change when an isolated position pays."""
    alice = Trader(market.exchange, "alice", "100000")
    alice.act({"type": "updateLeverage", "asset": 0, "isCross": False, "leverage": 10})
    market.trade(alice, 0, "B", "0.5", "100000")
    before = alice.ask("clearinghouseState")
    market.later(HOUR_MS + 200)
    after = alice.ask("clearinghouseState")
    assert after["crossMarginSummary"] == before["crossMarginSummary"]
    values = [D(state["marginSummary"]["accountValue"]) for state in (before, after)]
    assert values[0] - values[1] == D("0.625")


def test_a_premium_of_half_an_hour_counts_half(market):
    """With the oracle 1 % below the feed for half an hour, the hour's premium is the time average
    of the impact bid's distance, the prediction says so, and the next hour starts afresh."""
    core = market.core
    market.later(HOUR_MS // 2)
    prices.set_offsets(core, "BTC", oracle=D(-1_000))
    full = prices.premium(core, "BTC")
    assert full is not None
    assert D("0.0099") < full < D("0.0101")
    market.later(HOUR_MS // 2)
    average = funding.average_premium(core, "BTC")
    assert abs(average - full / 2) < D("0.000001")
    predicted = market.exchange.info({"type": "predictedFundings"})
    rate = dict(predicted[0][1])["HlPerp"]["fundingRate"]
    assert D(rate) == funding.hourly_rate(average)
    market.later(200)
    row = market.exchange.info({"type": "fundingHistory", "coin": "BTC", "startTime": 0})[0]
    assert abs(D(row["fundingRate"]) - funding.hourly_rate(average)) < D("1e-7")
    context = market.exchange.info({"type": "metaAndAssetCtxs"})[1][0]
    assert D(context["premium"]) == full
    assert D(context["oraclePx"]) == 99_000


@settings(max_examples=200, deadline=None)
@given(st.decimals("-1", "1", places=10, allow_nan=False))
def test_the_rate_never_leaves_its_rule(premium):
    """Within +-0.05 % of the interest the rate rests; beyond, it is the premium less the clamp; and
    the cap holds; a higher premium never lowers it."""
    rate = funding.hourly_rate(premium)
    assert abs(rate) <= D("0.04")
    if D("-0.0004") <= premium <= D("0.0006"):
        assert rate == D("0.0000125")
    assert funding.hourly_rate(premium + D("0.0001")) >= rate


def test_averages_survive_a_restart(market):
    """A restored exchange has the same mark, premium and next payment as the one it comes from."""
    alice = Trader(market.exchange, "alice", "1000000")
    alice.order(limit("B", "1", "100004"))
    alice.order(limit("B", "0.01", "100005", "Ioc"))
    prices.set_offsets(market.core, "ETH", oracle=D(-40))
    market.later(100_000)
    twin = LocalExchange.restored(market.exchange.snapshot(), clock=market.clock)
    market.clock.set(market.clock.now_ms() + HOUR_MS)
    for request in (
        {"type": "metaAndAssetCtxs"},
        {"type": "predictedFundings"},
        {"type": "fundingHistory", "coin": "ETH", "startTime": 0},
        {"type": "userFunding", "user": alice.address, "startTime": 0},
        {"type": "portfolio", "user": alice.address},
    ):
        assert twin.info(request) == market.exchange.info(request)
    assert twin.snapshot() == market.exchange.snapshot()
