"""Fees by volume, rebates, discounts, and what `userFees` says of them."""

import json
from decimal import Decimal

import pytest
from exchange_world import Trader, limit
from money_world import Market, coin

from fractaltrader.simulator.clearing import fees
from fractaltrader.simulator.clearing.conservation import books_balance
from fractaltrader.simulator.state import Account, DayVolume

D = Decimal
DAY_MS = 86_400_000


@pytest.fixture
def market() -> Market:
    """BTC at 100000."""
    made = Market(coin("BTC", 5, 40))
    made.price("BTC", "100000")
    return made


def rates(trader: Trader) -> tuple[Decimal, Decimal]:
    """Taker and maker rate as `userFees` states them."""
    answer = trader.ask("userFees")
    return D(answer["userCrossRate"]), D(answer["userAddRate"])


@pytest.mark.parametrize(
    ("millions", "taker", "maker"),
    [
        ("5", "0.00045", "0.00015"),
        ("5.1", "0.0004", "0.00012"),
        ("26", "0.00035", "0.00008"),
        ("101", "0.0003", "0.00004"),
        ("501", "0.00028", "0"),
        ("2001", "0.00026", "0"),
        ("7001", "0.00024", "0"),
    ],
)
def test_rates_follow_the_fourteen_days_before_today(millions, taker, maker):
    """A tier begins above its cutoff; what was traded today or more than 14 days ago is no part."""
    today = 20_000
    half = D(millions) * 500_000
    account = Account("0x")
    account.days = {
        today: DayVolume(D(10) ** 10, D(0)),
        today - 1: DayVolume(half, D(0)),
        today - 14: DayVolume(D(0), half),
        today - 15: DayVolume(D(10) ** 10, D(0)),
    }
    tier = fees.tier_of(account, today)
    assert (tier.taker, tier.maker) == (D(taker), D(maker))


def test_volume_lowers_the_fee_from_the_next_day_on(market):
    """Trading 6M leaves today's rate alone; tomorrow's fills cost the next tier's rates, and
    `userFees` shows rates and daily volumes."""
    alice = Trader(market.exchange, "alice", "10000000")
    for _ in range(3):
        market.trade(alice, 0, "B", "20", "100000")
    assert rates(alice) == (D("0.00045"), D("0.00015"))
    market.later(DAY_MS)
    assert rates(alice) == (D("0.0004"), D("0.00012"))
    market.trade(alice, 0, "B", "0.1", "100000")
    assert alice.ask("userFills")[0]["fee"] == "4.0"
    days = alice.ask("userFees")["dailyUserVlm"]
    assert [row["userCross"] for row in days[-2:]] == ["6000000.0", "10000.0"]
    market.later(15 * DAY_MS)
    assert rates(alice) == (D("0.00045"), D("0.00015"))


def test_a_large_share_of_the_makers_earns_a_rebate(market):
    """With a third of a per cent of the venue's maker volume nothing happens; above half a per cent
    makers are paid, and the fee account pays it."""
    alice = Trader(market.exchange, "alice", "10000000")
    market.exchange.state.rest_of_venue_volume = D(20_000_000)
    alice.order(limit("B", "20", "100000"))
    market.rich.order(limit("A", "20", "100000", "Ioc"))
    market.later(DAY_MS)
    assert rates(alice)[1] == D("-0.00001")
    alice.order(limit("A", "1", "100000"))
    market.rich.order(limit("B", "1", "100000", "Ioc"))
    assert alice.ask("userFills")[0]["fee"] == "-1.0"
    assert books_balance(market.core) == 0


@pytest.mark.parametrize(
    ("staking", "referral", "taker", "maker"),
    [("0", "0.04", "0.000432", "0.000144"), ("0.2", "0", "0.00036", "0.00012")],
)
def test_discounts_lower_both_rates(market, staking, referral, taker, maker):
    """The recorded 4 % of a referral (0.000432 and 0.000144), and a staking discount."""
    alice = Trader(market.exchange, "alice", "10000")
    account = market.exchange.state.accounts[alice.address]
    account.staking_discount, account.referral_discount = D(staking), D(referral)
    assert rates(alice) == (D(taker), D(maker))
    market.trade(alice, 0, "B", "0.1", "100000")
    assert D(alice.ask("userFills")[0]["fee"]) == 10_000 * D(taker)


def test_the_schedule_has_the_documented_shape_and_first_tier(market, shared_folder):
    """`userFees` has every key of the documented answer with its kind of value, and its tiers begin
    as documented."""
    path = shared_folder / "fixtures" / "http_info" / "userFees_shape.json"
    wanted = json.loads(path.read_text())["response"]["body"]
    ours = Trader(market.exchange, "alice").ask("userFees")
    assert ours.keys() == wanted.keys()
    assert ours["feeSchedule"].keys() == wanted["feeSchedule"].keys()
    assert ours["feeSchedule"]["tiers"]["vip"][0] == wanted["feeSchedule"]["tiers"]["vip"][0]
    assert ours["feeSchedule"]["tiers"]["mm"][0] == wanted["feeSchedule"]["tiers"]["mm"][0]
    assert (
        ours["feeSchedule"]["stakingDiscountTiers"][:2]
        == wanted["feeSchedule"]["stakingDiscountTiers"]
    )
    assert ours["dailyUserVlm"][0].keys() == wanted["dailyUserVlm"][0].keys()
    same = ("userCrossRate", "userAddRate", "userSpotCrossRate", "trial", "activeStakingDiscount")
    assert [ours[key] for key in same] == [wanted[key] for key in same]
