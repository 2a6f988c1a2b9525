"""The liquidity-sweep strategy on generated markets, bar by bar."""

from itertools import pairwise

import numpy as np
import pytest

from fractaltrader.errors import UserError
from fractaltrader.market import Bar, Timeframe
from fractaltrader.smc import Event, EventKind, SmcEngine
from fractaltrader.smc.events import new_buffer
from fractaltrader.strategies import Signal, load_strategy
from fractaltrader.strategies.base import ATR, BASELINE, CONFIDENCE, ENTRY, SIDE, STOP, TARGET
from fractaltrader.strategies.liquidity_sweep import (
    SWEEP_DEPTH,
    SWEPT_MEMBERS,
    WIDTH,
    LiquiditySweepParameters,
    new_config,
    new_state,
    own_factors,
    step,
)
from fractaltrader.strategies.setups import F_TREND, HIGHER_BIAS, THE_BIAS, score

M15 = Timeframe.parse("15m")
ENDINGS = (EventKind.SWEEP, EventKind.TAKEN, EventKind.EXPIRED, EventKind.POOL)


def random_walk(seed: int, count: int = 3000) -> list[Bar]:
    """A driftless walk on a grid of half dollars around 10,000."""
    rng = np.random.default_rng(seed)
    path = 20_000 + np.cumsum(rng.integers(-12, 13, size=(count, 6))).reshape(count, 6)
    volumes = rng.lognormal(3, 0.6, count)
    bars, last = [], 20_000
    for i, (steps, volume) in enumerate(zip(path, volumes, strict=True)):
        ticks = (last, max(last, steps.max()), min(last, steps.min()), steps[-1])
        bars.append(Bar(i * M15.ms, *(float(p) / 2 for p in ticks), float(volume)))
        last = steps[-1]
    return bars


def run(bars: list[Bar], **params: object) -> list[Signal]:
    session = load_strategy("liquidity_sweep", params).session("BTC")
    return [signal for bar in bars if (signal := session.on_bar(bar))]


@pytest.fixture(scope="module")
def market() -> list[Bar]:
    return random_walk(7)


@pytest.fixture(scope="module")
def events(market: list[Bar]) -> list[Event]:
    engine = SmcEngine(LiquiditySweepParameters())
    return [event for bar in market for event in engine.on_bar(bar)]


def test_stop_lies_beyond_the_sweeps_extreme(market: list[Bar], events: list[Event]) -> None:
    """Every stop, long and short, lies beyond all prices from penetration to reclaim."""
    params = LiquiditySweepParameters()
    signals = run(market)
    assert min(sum(s.side == side for s in signals) for side in (1, -1)) > 20
    for signal in signals:
        now = signal.bar_time // M15.ms
        sweeps = [
            e
            for e in events
            if e.known == now and e.kind is EventKind.SWEEP and e.side == -signal.side
        ]
        assert sweeps, "a signal acts on what became known at its own bar"
        assert signal.entry == market[now].close
        for sweep in sweeps:
            reached = market[sweep.at : now + 1]
            extreme = (
                min(b.low for b in reached) if signal.side > 0 else max(b.high for b in reached)
            )
            room = signal.side * (extreme - signal.stop)
            assert room >= params.stop_buffer_atr * signal.atr * (1 - 1e-9)
        assert abs(signal.entry - signal.stop) >= params.min_stop_atr * signal.atr * (1 - 1e-9)


def test_target_is_the_nearest_untouched_opposing_level_that_pays(
    market: list[Bar], events: list[Event]
) -> None:
    """Every target is a confirmed level price has not passed since, and no nearer one pays."""
    pooled = {(e.side, e.at) for e in events if e.kind is EventKind.POOL}
    for signal in run(market):
        now = signal.bar_time // M15.ms
        ended = {e.ref for e in events if e.known <= now and e.kind in ENDINGS}
        levels = [
            e.level
            for e in events
            if e.known <= now
            and e.side == signal.side
            and e.kind in (EventKind.SWING, EventKind.POOL)
            and e.id not in ended
            and (e.kind is EventKind.POOL or (e.side, e.at) not in pooled)
        ]
        risk = abs(signal.entry - signal.stop)
        paying = [
            level
            for level in levels
            if signal.side * (level - signal.entry) >= 1.5 * risk
            and not _passed(market, events, level, signal.side, now)
        ]
        assert signal.target == min(paying, key=lambda level: abs(level - signal.entry))
        assert signal.reward_risk >= 1.5


def _passed(market: list[Bar], events: list[Event], level: float, side: int, now: int) -> bool:
    known = max(e.known for e in events if e.level == level and e.side == side and e.known <= now
                and e.kind in (EventKind.SWING, EventKind.POOL))  # fmt: skip
    later = market[known + 1 : now + 1]
    return any(side * (b.high if side > 0 else b.low) > side * level for b in later)


def test_mirrored_market_gives_mirrored_signals(market: list[Bar]) -> None:
    """Turned upside down a market gives the same signals the other way: no side is preferred."""
    top = 40_000.0
    mirrored = [
        Bar(b.open_time, top - b.open, top - b.low, top - b.high, top - b.close, b.volume)
        for b in market
    ]
    there, back = run(market), run(mirrored)
    assert [(s.bar_time, s.side) for s in there] == [(s.bar_time, -s.side) for s in back]
    for a, b in zip(there, back, strict=True):
        assert (a.stop, a.target) == pytest.approx((top - b.stop, top - b.target))
        assert a.confidence == pytest.approx(b.confidence)


def test_no_factor_rewards_a_counter_trend_trade() -> None:
    """For a short, the stronger the rise the lower or equal the confidence; for a long never."""
    config = new_config(LiquiditySweepParameters())

    def confidence(side: int, slope: float) -> tuple[float, float]:
        state, events = new_state(config), new_buffer(4096)
        record = np.zeros(WIDTH)
        for i in range(200):
            price = 1000 + slope * i
            step(
                config, state, events, i * M15.ms, price, price + 1, price - 1, price, 1.0,
                np.zeros(WIDTH),
            )  # fmt: skip
        record[[SIDE, ENTRY, STOP, TARGET]] = side, 1000, 1000 - side * 10, 1000 + side * 20
        record[[ATR, BASELINE, SWEPT_MEMBERS, SWEEP_DEPTH]] = 2.0, 2.0, 1, 0.5
        record[[THE_BIAS, HIGHER_BIAS]] = np.sign(slope), np.sign(slope)
        own_factors(record)
        score(config.setup, state.engine.cores[0], price + 1, price - 1, price, 1.0, record)
        return record[CONFIDENCE], record[F_TREND]

    slopes = (0.0, 0.02, 0.05, 0.1, 0.3)
    against = [confidence(-1, slope) for slope in slopes]
    along = [confidence(1, slope) for slope in slopes]
    assert [trend for _, trend in against] == [0.0] * len(slopes)
    assert all(a >= b for a, b in pairwise(against))
    assert along == sorted(along)
    assert along[-1][1] == 10.0


def test_confidence_is_the_sum_of_its_factors(market: list[Bar]) -> None:
    """Confidence ranges widely within 0…100 and no factor exceeds its share."""
    most = dict(zip(
        ("structure", "higher_timeframe", "trend", "rejection", "volume", "volatility", "reward",
         "pool", "penetration"),
        (15, 10, 10, 15, 10, 10, 10, 15, 5), strict=True,
    ))  # fmt: skip
    signals = run(market)
    for signal in signals:
        assert {name for name, _ in signal.factors} == set(most)
        assert all(0 <= points <= most[name] for name, points in signal.factors)
    spread = [signal.confidence for signal in signals]
    assert max(spread) - min(spread) > 30


def test_parameters_choose_the_setups(market: list[Bar]) -> None:
    """Only pools, deeper raids or a higher reward each leave fewer signals, of the kind asked."""
    everything = run(market)
    pools = run(market, levels="pool", equal_atr=0.3)
    assert pools
    assert all("equal" in signal.facts[0] for signal in pools)
    assert all("swing" in signal.facts[0] for signal in run(market, levels="swing"))
    assert 0 < len(run(market, min_penetration_atr="0.5")) < len(everything)
    assert all(signal.reward_risk >= 3 for signal in run(market, min_rr=3))


def test_session_restored_at_any_bar_continues(market: list[Bar]) -> None:
    """A session restored from a snapshot at many bars makes the signals of an unbroken one."""
    strategy = load_strategy("liquidity_sweep")
    session = strategy.session("BTC")
    signals = []
    for i, bar in enumerate(market):
        if i % 17 == 0:
            snapshot = session.snapshot()
            session = strategy.session("BTC")
            session.restore(snapshot)
        signals.append(session.on_bar(bar))
    assert [s for s in signals if s] == run(market)
    with pytest.raises(UserError, match="made by another"):
        strategy.session("ETH").restore(session.snapshot())
    with pytest.raises(ValueError, match="does not follow"):
        session.on_bar(market[-1])


def test_warm_session_agrees_with_a_longer_run(market: list[Bar]) -> None:
    """A session begun `warmup_bars` before agrees, nearly always, with one begun long before."""
    warmup = load_strategy("liquidity_sweep").warmup_bars(M15)
    start = 2000
    long = {s for s in run(market) if s.bar_time >= start * M15.ms}
    short = {s for s in run(market[start - warmup :]) if s.bar_time >= start * M15.ms}
    assert len(long & short) >= 0.9 * len(long | short)
