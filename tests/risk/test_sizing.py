"""Sizes: the loss at the stop is the risk configured, or a cap says why not."""

import math
import re
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fractaltrader.market import Instrument
from fractaltrader.risk import PortfolioLimits, RiskParameters, decide_size, next_streak
from fractaltrader.risk.sizing import CAPS, REFUSALS
from fractaltrader.strategies import Signal

BTC = Instrument("BTC", 0, 5, 40)
PARAMS = RiskParameters()


def make_signal(
    *,
    side: int = 1,
    entry: float = 100.0,
    distance: float = 2.0,
    confidence: float = 50.0,
    atr: float = 1.0,
    baseline: float = 1.0,
) -> Signal:
    return Signal(
        "test", "BTC", side, 0, entry, entry - side * distance, entry + side * distance / 2,
        confidence, (("all", confidence),), (), atr, baseline,
    )  # fmt: skip


@st.composite
def any_signal(draw: st.DrawFn) -> Signal:
    entry = draw(st.floats(0.01, 200_000))
    return make_signal(
        side=draw(st.sampled_from([1, -1])),
        entry=entry,
        distance=entry * draw(st.floats(0.0005, 0.3)),
        confidence=draw(st.floats(0, 100)),
        atr=draw(st.floats(0.01, 100)),
        baseline=draw(st.floats(0.01, 100)),
    )


instruments = st.builds(
    Instrument, st.just("BTC"), st.just(0), st.integers(0, 5), st.sampled_from([3, 10, 40])
)


def expected_risk(signal: Signal, equity: float, streak: int) -> float:
    """The configured loss at the stop, written out anew."""
    volatility = min(max(signal.atr_baseline / signal.atr, 0.5), 1.5)
    caution = 0.8 if streak >= 3 else 0.7 if streak <= -2 else 1.0
    return equity * 0.01 * signal.confidence / 100 * volatility * caution


@settings(max_examples=400)
@given(any_signal(), st.floats(1, 1e6), st.floats(0, 1), st.integers(-6, 6), instruments)
def test_risk_at_the_stop_is_the_risk_configured(
    signal: Signal, equity: float, free: float, streak: int, instrument: Instrument
) -> None:
    """Within one lot the loss at the stop is the risk configured, unless a named cap binds."""
    decision = decide_size(signal, equity, equity * free, streak, instrument, PARAMS)
    distance = abs(signal.entry - signal.stop)
    lot = float(instrument.lot)
    if decision.refused:
        assert decision.size == 0
        assert decision.refused.split(":")[0] in REFUSALS
        return
    assert instrument.is_legal_size(decision.size)
    assert decision.risk_usd == pytest.approx(float(decision.size) * distance)
    wanted = expected_risk(signal, equity, streak)
    assert decision.risk_fraction * equity == pytest.approx(wanted)
    assert math.prod(value for _, value in decision.factors) == pytest.approx(
        decision.risk_fraction
    )
    assert decision.risk_usd <= wanted * (1 + 1e-9)
    if decision.cap is None:
        assert decision.risk_usd > wanted * (1 - 1e-9) - lot * distance
        return
    leverage = min(10, instrument.max_leverage)
    limits = {
        "max_position": 4 * equity,
        "leverage": 0.9 * leverage * equity,
        "free_margin": 0.9 * leverage * equity * free,
    }
    notional = float(decision.size) * signal.entry
    assert limits[decision.cap] == pytest.approx(min(limits.values()))
    assert limits[decision.cap] - lot * signal.entry * (1 + 1e-9) < notional * (1 + 1e-9)
    assert notional <= limits[decision.cap] * (1 + 1e-9)


def test_a_size_worked_by_hand() -> None:
    """10,000 USDC at half confidence and a 2 USDC stop: 1 % x 0.5 = 50 USDC buys 25 units."""
    decision = decide_size(make_signal(), 10_000, 10_000, 0, BTC, PARAMS)
    assert (decision.size, decision.risk_usd, decision.cap) == (Decimal(25), 50.0, None)
    assert decide_size(make_signal(), 10_000, 10_000, -2, BTC, PARAMS).size == Decimal("17.5")
    assert decide_size(make_signal(atr=2.0), 10_000, 10_000, 0, BTC, PARAMS).size == Decimal("12.5")
    assert decide_size(make_signal(side=-1), 10_000, 10_000, 0, BTC, PARAMS).size == Decimal(25)


@pytest.mark.parametrize(
    ("signal", "equity", "free", "instrument", "cap", "size"),
    [
        (make_signal(distance=0.1), 10_000, 10_000, BTC, "max_position", "400"),
        (
            make_signal(distance=0.1),
            10_000,
            10_000,
            replace(BTC, max_leverage=3),
            "leverage",
            "270",
        ),
        (make_signal(), 10_000, 100, BTC, "free_margin", "9"),
    ],
)
def test_the_cap_that_binds_is_named(
    signal: Signal, equity: float, free: float, instrument: Instrument, cap: str, size: str
) -> None:
    """Each cap, when it binds, sets the size and appears by name."""
    assert cap in CAPS
    decision = decide_size(signal, equity, free, 0, instrument, PARAMS)
    assert (decision.cap, decision.size, decision.refused) == (cap, Decimal(size), None)


@pytest.mark.parametrize(
    ("signal", "equity", "free", "instrument", "reason"),
    [
        (make_signal(confidence=39.9), 10_000, 10_000, BTC, "confidence: 39.9 is below"),
        (make_signal(), 0, 0, BTC, "equity: 0.00 USDC is not above zero"),
        (make_signal(), 30, 30, BTC, "min_notional: 7.50 USDC is below the venue's 10"),
        (make_signal(), 300, 300, replace(BTC, sz_decimals=0), "lot: the risk buys less than one"),
        (make_signal(), 10_000, 0, BTC, "lot: .* capped by free_margin"),
    ],
)
def test_refusals_are_named(
    signal: Signal, equity: float, free: float, instrument: Instrument, reason: str
) -> None:
    """What cannot be traded is refused with the rule that forbids it."""
    decision = decide_size(signal, equity, free, 0, instrument, PARAMS)
    assert decision.size == 0
    assert decision.refused
    assert re.match(reason, decision.refused)


def test_unknown_money_is_never_traded() -> None:
    """An equity or margin that is not a number raises instead of sizing."""
    for equity, free in ((math.nan, 1.0), (1.0, math.nan), (math.inf, 1.0)):
        with pytest.raises(ValueError, match="must be known"):
            decide_size(make_signal(), equity, free, 0, BTC, PARAMS)


def test_streak_counts_runs() -> None:
    """Wins count up, losses count down, each starts anew after the other; zero changes nothing."""
    streak, seen = 0, []
    for pnl in (5.0, 1.0, -2.0, -1.0, 0.0, -3.0, 4.0):
        streak = next_streak(streak, pnl)
        seen.append(streak)
    assert seen == [1, 2, -1, -2, -2, -3, 1]


def test_portfolio_limits() -> None:
    """A coin is held once, and positions are counted by coin."""
    limits = PortfolioLimits(max_open_positions=2)
    assert limits.refusal("BTC", []) is None
    assert str(limits.refusal("BTC", ["BTC"])).startswith("one_per_coin")
    assert limits.refusal("BTC", ["ETH", "ETH"]) is None
    assert limits.refusal("BTC", ["ETH", "SOL"]) == "max_open_positions: 2 of 2 open"
