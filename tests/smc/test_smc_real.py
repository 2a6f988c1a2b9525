"""Detection on recorded markets, in every profile."""

import gc
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from fractaltrader.data.candle_files import load_candles
from fractaltrader.market import Candles
from fractaltrader.smc import PROFILES, EngineParameters, Event, SmcEngine, batch, detect_events
from fractaltrader.smc import engine_parameters as parameters
from fractaltrader.smc.engine import BAR_ROWS

EXTRAS = {"htf": ("15m", "1h"), "candidates": True, "strength": True, "retracements": True}


@pytest.fixture(scope="module", params=["BTC-5m-hyperliquid", "SOLUSDT-1m-binance_spot-2023"])
def candles(request: pytest.FixtureRequest, shared_folder: Path) -> Candles:
    whole = load_candles(shared_folder / "data" / "ohlcv" / f"{request.param}.parquet")
    # The minutes around 24 March 2023 hold the venue's outage of 80 minutes.
    start = int(np.argmax(np.diff(whole.open_time))) - 1500 if "2023" in request.param else 3000
    return whole.slice(max(start, 0), max(start, 0) + 3000)


def every(profile: str) -> EngineParameters:
    return parameters(profile, **EXTRAS)


def told(events: list[Event]) -> list[str]:
    return [repr(event) for event in events]


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_prefix_law_on_real_candles(candles: Candles, profile: str) -> None:
    """Cut at many bars, a recorded market has exactly the events known by then."""
    params = every(profile)
    whole = detect_events(candles, params).records()
    texts = told(whole)
    known = np.array([event.known for event in whole])
    for cut in range(50, len(candles), 193):
        part = detect_events(candles.slice(0, cut), params).records()
        assert told(part) == texts[: int((known < cut).sum())]


def test_a_run_that_finds_more_than_it_has_room_for_goes_on(
    candles: Candles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With room for one bar, then for twice as much again and again, it misses no event."""
    whole = detect_events(candles)
    monkeypatch.setattr(batch, "ROOM", 0.0)
    assert told(detect_events(candles).records()) == told(whole.records())
    assert len(whole.kind) > BAR_ROWS


def test_the_defaults_own_machine_code_sees_the_same(candles: Candles) -> None:
    """The clauses as constants, and read from a record, with one changed that has no meaning."""
    of_all = detect_events(candles, EngineParameters(body_bars=199)).records()
    assert told(detect_events(candles).records()) == told(of_all)


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_stream_equals_batch_and_restarts_change_nothing(candles: Candles, profile: str) -> None:
    """Bar by bar, interpreted or compiled, restarted from snapshots, the events are the batch's."""
    params = every(profile)
    part = candles.slice(0, 1500)
    expected = told(detect_events(part, params).records())
    for compile in (False, True):
        engine = SmcEngine(params, part.timeframe, compile=compile)
        streamed = []
        for i, bar in enumerate(part.bars()):
            if i % 211 == 0:
                snapshot = engine.snapshot()
                engine = SmcEngine(params, part.timeframe, compile=compile)
                engine.restore(snapshot)
            streamed += engine.on_bar(bar)
        assert told(streamed) == expected


def test_events_do_not_depend_on_where_the_data_begins(candles: Candles) -> None:
    """Begun 1,000 bars later, the gaps, blocks and sweeps a day on are nearly all the same."""
    params = EngineParameters()
    early = detect_events(candles, params).records()
    late = detect_events(candles.slice(1000, len(candles)), params).records()
    kinds = ("SWING", "FVG", "DISPLACEMENT", "BOS", "CHOCH", "SWEEP", "OB")

    def facts(events: list[Event], shift: int) -> set[tuple]:
        return {
            (e.kind.name, e.side, e.at + shift, e.known + shift, e.level)
            for e in events
            if e.kind.name in kinds and e.known + shift >= 2000
        }

    here, there = facts(early, 0), facts(late, 1000)
    assert len(here & there) >= 0.95 * len(here | there) > 100


def test_snapshot_stays_small(candles: Candles) -> None:
    """What the engine remembers does not grow with the bars it has seen."""
    engine = SmcEngine(every("fractal"), candles.timeframe)
    sizes = []
    for i, bar in enumerate(candles.bars()):
        engine.on_bar(bar)
        if i % 500 == 499:
            sizes.append(len(engine.snapshot()))
    assert max(sizes) == min(sizes) < 256_000
    assert max(sizes) == min(sizes)


def test_memory_is_constant_while_streaming(candles: Candles) -> None:
    """After a warm-up, ten thousand more bars leave no memory behind."""
    engine = SmcEngine(every("fractal"), candles.timeframe, compile=True)
    bars = list(candles.slice(0, 1000).bars())
    step = candles.timeframe.ms * 1000

    def stream(rounds: range) -> int:
        for i in rounds:
            for bar in bars:
                engine.on_bar(bar._replace(open_time=bar.open_time + i * 2 * step))
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        before = stream(range(2))
        after = stream(range(2, 12))
    finally:
        tracemalloc.stop()
    assert after - before < 20_000
