"""Sizes at their borders, worked by hand: factors, caps, refusals and whole lots."""

from dataclasses import dataclass, replace
from decimal import Decimal

import pytest

from fractaltrader.market import Instrument
from fractaltrader.risk import RiskParameters, SizeDecision, decide_size, next_streak
from fractaltrader.risk.sizing import (
    BELOW_LOT,
    CAP_MARGIN,
    LOW_CONFIDENCE,
    NO_CAP,
    NO_EQUITY,
    NO_STOP,
    Sizing,
    size_lots,
    venue_of,
)

COIN = Instrument("BTC", 0, 1, 40)  # lots of 0.1
PARAMS = RiskParameters(
    base_risk=0.01,
    min_confidence=40,
    atr_factor_low=0.5,
    atr_factor_high=1.5,
    reduce_after_wins=3,
    wins_factor=0.8,
    reduce_after_losses=2,
    losses_factor=0.7,
    max_position=4,
    leverage=10,
    margin_use=0.9,
)


@dataclass(frozen=True)
class Idea:
    """A proposal to trade: at 100 with its stop 2 away, at full confidence in normal volatility."""

    entry: float = 100.0
    stop: float = 98.0
    confidence: float = 100.0
    atr: float = 1.0
    atr_baseline: float = 1.0


IDEA = Idea()


def sized(
    idea: Idea = IDEA,
    equity: float = 10_000.0,
    free: float | None = None,
    streak: int = 0,
    coin: Instrument = COIN,
    params: RiskParameters = PARAMS,
) -> SizeDecision:
    return decide_size(idea, equity, equity if free is None else free, streak, coin, params)


def test_one_percent_is_lost_at_the_stop() -> None:
    """10,000 at 1 % loses 100 over 2: 50 units, and every part of the decision says so."""
    assert sized() == SizeDecision(
        size=Decimal("50.0"),
        risk_usd=100.0,
        risk_fraction=0.01,
        factors=(("base_risk", 0.01), ("confidence", 1.0), ("atr", 1.0), ("streak", 1.0)),
        cap=None,
        refused=None,
    )


@pytest.mark.parametrize(
    ("streak", "factor"), [(2, 1.0), (3, 0.8), (4, 0.8), (-1, 1.0), (-2, 0.7), (-3, 0.7)]
)
def test_a_run_reduces_from_its_length_on(streak: int, factor: float) -> None:
    """Three wins or two losses are the first that reduce the size."""
    decision = sized(streak=streak)
    assert decision.factors[3] == ("streak", factor)
    assert decision.size == Decimal(50) * Decimal(str(factor))


@pytest.mark.parametrize(
    ("atr", "baseline", "factor"),
    [
        (4.0, 1.0, 0.5),
        (2.0, 1.0, 0.5),
        (1.6, 1.2, 0.75),
        (0.8, 1.0, 1.25),
        (1.0, 1.5, 1.5),
        (1.0, 9.0, 1.5),
        (0.0, 1.0, 1.0),
        (1.0, 0.0, 1.0),
        (0.5, 0.6, 1.2),
    ],
)
def test_the_size_follows_volatility_between_its_bounds(
    atr: float, baseline: float, factor: float
) -> None:
    """Twice the usual range halves the size, and no range at all changes nothing."""
    decision = sized(Idea(atr=atr, atr_baseline=baseline))
    assert decision.factors[2] == ("atr", pytest.approx(factor))
    assert float(decision.size) == pytest.approx(50 * factor)


@pytest.mark.parametrize("side", [1, -1])
def test_the_distance_counts_on_either_side(side: int) -> None:
    """A short with its stop above is sized as the long is."""
    assert sized(Idea(stop=100.0 + 4 * side)).size == 25


def test_the_least_confidence_is_enough() -> None:
    """40 is traded at two fifths of the size, anything below is not, and says why."""
    assert sized(Idea(confidence=40)).size == 20
    low = sized(Idea(confidence=39.96))
    assert (low.size, low.cap) == (0, None)
    assert low.refused == "confidence: 40.0 is below the minimum 40"
    assert low.factors[1] == ("confidence", pytest.approx(0.3996))
    assert low.risk_fraction == pytest.approx(0.003996)
    assert sized(Idea(confidence=float("nan"))).refused is not None


@pytest.mark.parametrize("equity", [0.0, -3.5])
def test_without_equity_nothing_is_computed(equity: float) -> None:
    """An account that has nothing, or owes, trades nothing and has no factors."""
    decision = sized(equity=equity)
    assert decision.refused == f"equity: {equity:.2f} USDC is not above zero"
    assert (decision.size, decision.risk_usd, decision.risk_fraction) == (0, 0.0, 0.0)
    assert [value for _, value in decision.factors] == [0.01, 0.0, 0.0, 0.0]
    assert decision.cap is None


@pytest.mark.parametrize(
    ("equity", "free", "stop", "confidence", "expected"),
    [
        (0.0, 0.0, 98.0, 50.0, Sizing(0, 0.0, 0.0, 0.0, 0.0, NO_CAP, NO_EQUITY)),
        (1e4, 1e4, 98.0, 39.0, Sizing(0, 0.0039, 0.39, 1.0, 1.0, NO_CAP, LOW_CONFIDENCE)),
        (1e4, 1e4, 100.0, 50.0, Sizing(0, 0.005, 0.5, 1.0, 1.0, NO_CAP, NO_STOP)),
        (1e4, -500.0, 98.0, 50.0, Sizing(0, 0.005, 0.5, 1.0, 1.0, CAP_MARGIN, BELOW_LOT)),
    ],
)
def test_what_is_refused_has_no_lots(
    equity: float, free: float, stop: float, confidence: float, expected: Sizing
) -> None:
    """The kernel, which the backtest compiles, says so itself, also where margin is lacking."""
    sizing = size_lots(
        PARAMS.risk_config(), venue_of(COIN), equity, free, 0, 100.0, stop, confidence, 1.0, 1.0
    )
    assert sizing == pytest.approx(expected)


def test_small_equity_is_equity() -> None:
    """Half a dollar is above zero: what refuses it is the lot."""
    refused = str(sized(equity=0.5).refused)
    assert refused == "lot: the risk buys less than one lot of 0.1 BTC"


@pytest.mark.parametrize("idea", [Idea(stop=100.0), Idea(entry=0.0), Idea(entry=-1.0, stop=-2.0)])
def test_a_stop_at_the_entry_and_an_entry_without_a_price(idea: Idea) -> None:
    """Neither is divided by; the decision tells its factors all the same."""
    decision = sized(idea, streak=3)
    assert decision.refused == f"stop: {idea.stop:.10g} is no distance from the entry"
    assert (decision.size, decision.risk_usd, decision.cap) == (0, 0.0, None)
    assert decision.risk_fraction == pytest.approx(0.008)
    assert decision.factors == (
        ("base_risk", 0.01), ("confidence", 1.0), ("atr", 1.0), ("streak", 0.8),
    )  # fmt: skip


def test_near_stops_and_low_prices_are_sized_too() -> None:
    """A distance below one dollar, and a price below one, are a distance and a price."""
    assert sized(Idea(stop=99.5), params=replace_risk(base_risk=0.001)).size == 20
    coin = sized(Idea(entry=0.5, stop=0.49))
    assert (coin.size, coin.cap) == (10_000, None)


def replace_risk(**changed: object) -> RiskParameters:
    return PARAMS.model_copy(update=changed)


@pytest.mark.parametrize(
    ("cap", "params", "free", "largest"),
    [
        ("max_position", replace_risk(max_position=0.5), None, "50"),
        ("leverage", replace_risk(leverage=1, margin_use=0.5), None, "50"),
        ("free_margin", replace_risk(leverage=5, margin_use=0.5), 2_000, "50"),
    ],
)
def test_a_cap_binds_beyond_its_border_only(
    cap: str, params: RiskParameters, free: float | None, largest: str
) -> None:
    """What asks for exactly the largest size is not capped; a hair more is, and names the cap."""
    exact = sized(free=free, params=params)
    assert (exact.size, exact.cap, exact.refused) == (Decimal(largest), None, None)
    more = sized(Idea(stop=98.001), free=free, params=params)
    assert (more.size, more.cap) == (Decimal(largest), cap)
    assert more.risk_usd == pytest.approx(float(largest) * 1.999)
    assert more.risk_fraction == 0.01


def test_the_lower_leverage_counts() -> None:
    """Of ours and the coin's the smaller one limits the size, and is what is set on the venue."""
    near = Idea(stop=99.9)
    high = replace_risk(max_position=50, margin_use=1.0)
    assert sized(near, params=high).size == 1_000
    three = replace(COIN, max_leverage=3)
    assert sized(near, params=high, coin=three).size == 300
    assert (PARAMS.leverage_for(COIN), PARAMS.leverage_for(three)) == (10, 3)
    assert sized(near, free=-1.0, params=high).size == 0


def test_the_cap_that_binds_last_is_named() -> None:
    """Where all bind, the smallest sets the size and is named in the refusal too."""
    tight = replace_risk(max_position=4, leverage=2)
    near = Idea(stop=99.99)
    assert (sized(near).cap, sized(near).size) == ("max_position", 400)
    assert (sized(near, params=tight).cap, sized(near, params=tight).size) == ("leverage", 180)
    least = sized(near, free=0.1, params=tight)
    assert least.refused == "lot: the risk buys less than one lot of 0.1 BTC, capped by free_margin"
    assert (least.size, least.cap) == (0, "free_margin")


def test_whole_lots_downwards_but_for_binary_fractions() -> None:
    """50.19 units are 50.1; what binary fractions leave a hair below a lot is that lot."""
    assert sized(equity=10_038.0).size == Decimal("50.1")
    assert sized(equity=10_019.999).size == Decimal("50.0")
    assert sized(streak=-2, equity=1_000).size == Decimal("3.5")  # 0.35 * 10 is 3.4999999999999996


def test_one_lot_and_ten_dollars_are_enough() -> None:
    """A size of one lot is traded, less is not; a notional of 10 USDC is, a cent less is not."""
    whole = replace(COIN, sz_decimals=0)
    assert sized(equity=200, coin=whole).size == 1
    short = sized(equity=199.9, coin=whole)
    assert short.refused == "lot: the risk buys less than one lot of 1 BTC"
    assert sized(equity=20).size == Decimal("0.1")
    cheap = Idea(entry=99.9, stop=97.9)
    refused = sized(cheap, equity=20)
    assert refused.refused == "min_notional: 9.99 USDC is below the venue's 10"
    assert (refused.size, refused.risk_usd, refused.cap) == (0, 0.0, None)


def test_a_streak_moves_with_every_trade_that_is_not_even() -> None:
    """Cents count as much as dollars, and the other side starts at one."""
    for streak, pnl, after in (
        (0, 0.01, 1), (2, 0.5, 3), (-4, 0.5, 1), (0, -0.01, -1), (-2, -0.5, -3), (4, -0.5, -1),
        (3, 0.0, 3), (-3, 0.0, -3),
    ):  # fmt: skip
        assert next_streak(streak, pnl) == after
