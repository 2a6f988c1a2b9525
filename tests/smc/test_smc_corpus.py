"""The laws held on markets that bring every kind of event: random, adversarial and recorded."""

from datetime import UTC, datetime
from itertools import compress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markets import M15, candles_of, facts, hold_the_prefix_law, random_engine

from fractaltrader.data.candle_files import load_candles
from fractaltrader.market import Bar, Candles
from fractaltrader.smc import (
    PROFILES,
    EngineParameters,
    EventKind,
    SmcEngine,
    detect_events,
    engine_parameters,
)

EVERYTHING = {
    "strength": True, "candidates": True, "retracements": True, "htf": ("30m", "1h"),
    "sessions": ("london", "asia_kill_zone"), "opening_range_minutes": 30, "max_zones": 8,
    "min_coverage": 0.01,
}  # fmt: skip
# What a profile's own clauses leave out, by name; everything else it must bring.
SILENT = {
    "fractal": set(),
    "luxalgo-like": {
        "SUPERSEDED",  # legs alternate
        "MSS", "FVG_INVERSE", "FVG_MERGED",
        "BREAKER", "MITIGATION", "BLOCK_TOUCHED", "BLOCK_INVALIDATED",
    },
    "ict-strict": set(),
}  # fmt: skip
# Its swings of 50 bars are few on markets this short.
SHORTER = {"luxalgo-like": {"right": 6, "atr_bars": 20, "body_bars": 20}}
# A Sunday that is also the last day of a month: day, week and month turn at once.
START = int(datetime(2021, 1, 31, 6, tzinfo=UTC).timestamp() * 1000)


def bars_of_ticks(ticks: np.ndarray, volume: np.ndarray, missing: frozenset[int]) -> list[Bar]:
    """Bars [n, 4] of open, high, low, close in whole ticks, without the slots that are missing."""
    slots = [slot for slot in range(len(ticks) + len(missing)) if slot not in missing]
    return [
        Bar(START + slot * M15.ms, *(float(tick) for tick in row), float(amount))
        for slot, row, amount in zip(slots, ticks, volume, strict=True)
    ]


def walk(seed: int, count: int = 420) -> list[Bar]:
    """A random walk with gaps between bars, plateaus, zero volumes and holes."""
    rng = np.random.default_rng(seed)
    gap, body = rng.integers(-2, 3, count), rng.integers(-6, 7, count)
    body[rng.random(count) < 0.05] *= 4
    close = 2000 + np.cumsum(gap + body)
    open_ = close - body
    high = np.maximum(open_, close) + rng.choice([0, 0, 1, 4], count)
    low = np.minimum(open_, close) - rng.choice([0, 0, 1, 4], count)
    holes = frozenset(rng.integers(1, count, 3).tolist())
    volume = rng.integers(0, 3, count)
    return bars_of_ticks(np.column_stack([open_, high, low, close]), volume, holes)


def square(count: int = 260) -> list[Bar]:
    """Equal highs and equal lows over and over, now and then passed by one tick."""
    phase = np.arange(count) % 8
    mid = np.array([1000, 1004, 1008, 1004, 1000, 996, 992, 996])[phase]
    reach = np.arange(count) % 56 == 2
    high, low = mid + 2 + reach, mid - 2 - np.roll(reach, 4)
    ticks = np.column_stack([mid - 1, high, low, mid + 1])
    return bars_of_ticks(ticks, np.zeros(count), frozenset({101, 102}))


def stairs(count: int = 240) -> list[Bar]:
    """Flat bars of one price and bars of one tick that jump up and down: all gaps, no overlap."""
    step = np.where(np.arange(count) % 60 < 33, 3, -4)
    price = 3000 + np.cumsum(step)
    tall = np.arange(count) % 3
    ticks = np.column_stack([price, price + (tall > 0), price, price + (tall > 1)])
    return bars_of_ticks(ticks, np.zeros(count), frozenset())


def flat(count: int = 100) -> list[Bar]:
    """One price and no volume for a day, then a single tick up and down again."""
    price = np.full(count, 500)
    price[count // 2] += 1
    return bars_of_ticks(np.column_stack([price] * 4), np.zeros(count), frozenset({7}))


MARKETS = {
    **{f"walk {seed}": walk(seed) for seed in range(4)},
    "square": square(), "stairs": stairs(), "flat": flat(),
}  # fmt: skip


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_the_prefix_law_holds_for_every_kind(profile: str) -> None:
    """Each profile says every kind it can say on these markets, and none is ever rewritten."""
    params = engine_parameters(profile, **{**EVERYTHING, **SHORTER.get(profile, {})})
    said: set[int] = set()
    for bars in MARKETS.values():
        candles = candles_of(bars)
        said |= set(hold_the_prefix_law(candles, params, range(1, len(bars), 2)).kind.tolist())
    assert {kind.name for kind in EventKind if kind not in said} == SILENT[profile]


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_restored_at_every_bar_a_stream_is_the_batch(profile: str) -> None:
    """Interpreted, with a new engine from a snapshot at every bar, each kind comes out the same
    bit for bit as compiled over the whole."""
    params = engine_parameters(profile, **{**EVERYTHING, **SHORTER.get(profile, {})})
    for name in ("walk 0", "square", "stairs", "flat"):
        bars = MARKETS[name]
        engines = SmcEngine(params, M15), SmcEngine(params, M15)
        streamed = []
        for i, bar in enumerate(bars):
            engines[1].restore(engines[0].snapshot())
            engines = engines[1], engines[0]
            streamed += engines[0].on_bar(bar)
            assert engines[0].snapshot() != engines[1].snapshot(), i
        assert facts(streamed) == facts(detect_events(candles_of(bars), params).records())


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(MARKETS)), random_engine())
def test_random_clauses_keep_the_laws_on_adversarial_markets(
    name: str, params: EngineParameters
) -> None:
    """Whatever the clauses: no prefix is rewritten, and interpreted equals compiled."""
    bars = MARKETS[name][:200]
    found = hold_the_prefix_law(candles_of(bars), params, range(1, len(bars), 7))
    engine = SmcEngine(params, M15)
    assert facts([event for bar in bars for event in engine.on_bar(bar)]) == facts(found.records())


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_the_prefix_law_holds_for_every_kind_on_recorded_bars(
    shared_folder: Path, profile: str
) -> None:
    """Over four days of BTC minutes, with an outage cut in, no kind is missing or rewritten."""
    whole = load_candles(shared_folder / "data/ohlcv/BTCUSDT-1m-binance_spot-2021.parquet")
    first = int(np.searchsorted(whole.open_time, START))
    days = whole.slice(first, first + 5_760)
    keep = np.ones(len(days), bool)
    keep[3_000:3_017] = False
    candles = Candles.of("BTC", days.timeframe, list(compress(days.bars(), keep)))
    clauses = {**EVERYTHING, "htf": ("5m", "15m"), "max_zones": 24}
    found = hold_the_prefix_law(
        candles, engine_parameters(profile, **clauses), range(97, 5_700, 311)
    )
    missing = {kind.name for kind in EventKind if kind not in found.kind}
    assert missing == SILENT[profile]
