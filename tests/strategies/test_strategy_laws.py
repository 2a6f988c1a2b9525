"""What every built-in strategy keeps: one source, no look-ahead, sound levels, no favoured side."""

from pathlib import Path

import numpy as np
import pytest

from fractaltrader.data.candle_files import load_candles
from fractaltrader.errors import UserError
from fractaltrader.market import Bar, Candles, Timeframe
from fractaltrader.smc import EngineParameters, EventKind, SmcEngine
from fractaltrader.smc.batch import columns
from fractaltrader.smc.engine import BAR_ROWS
from fractaltrader.smc.events import new_buffer
from fractaltrader.strategies import STRATEGIES, Signal, load_strategy
from fractaltrader.strategies.base import SignalColumns

M15 = Timeframe.parse("15m")
NAMES = sorted(STRATEGIES)


def walk(seed: int, count: int = 4000) -> list[Bar]:
    """A driftless walk on a grid of half dollars around 10,000, with holes."""
    rng = np.random.default_rng(seed)
    path = 20_000 + np.cumsum(rng.integers(-12, 13, size=(count, 6))).reshape(count, 6)
    volumes = rng.lognormal(3, 0.6, count)
    times = np.cumsum(np.where(rng.random(count) < 0.002, 3, 1)) * M15.ms
    bars, last = [], 20_000
    for time, steps, volume in zip(times.tolist(), path, volumes, strict=True):
        ticks = (last, max(last, steps.max()), min(last, steps.min()), steps[-1])
        bars.append(Bar(time, *(float(p) / 2 for p in ticks), float(volume)))
        last = steps[-1]
    return bars


def run(name: str, bars: list[Bar], **params: object) -> dict[int, Signal]:
    session = load_strategy(name, params).session("BTC")
    return {i: s for i, bar in enumerate(bars) if (s := session.on_bar(bar))}


@pytest.fixture(scope="module")
def market() -> list[Bar]:
    return walk(7)


@pytest.fixture(scope="module")
def signals(market: list[Bar]) -> dict[str, dict[int, Signal]]:
    """By strategy, the signals of an unbroken session on the market, by bar."""
    return {name: run(name, market) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("coin", ["BTC", "ETH", "SOL"])
def test_session_equals_scan_on_real_candles(shared_folder: Path, coin: str, name: str) -> None:
    """On real candles the bot's session and the lab's scan make identical signals."""
    path = shared_folder / "data" / "ohlcv" / f"{coin}-5m-hyperliquid.parquet"
    candles = load_candles(path).resampled(M15)
    if coin != "BTC":  # a month and a half tells the coins' prices and ticks apart
        candles = candles.slice(len(candles) // 2, len(candles))
    strategy = load_strategy(name)
    session = strategy.session(coin)
    expected = [signal for bar in candles.bars() if (signal := session.on_bar(bar))]
    assert expected == list(strategy.described(candles, strategy.scan(candles)))
    assert len(expected) > 5  # enough for the comparison to mean something


@pytest.mark.parametrize("name", NAMES)
def test_the_loop_of_a_scan_is_a_session(
    name: str, market: list[Bar], signals: dict[str, dict[int, Signal]]
) -> None:
    """The scan's loop, taken at its source where it only ever runs compiled, says what a session
    says: at the same bars, in the same records, and nothing in between."""
    expected = dict(list(signals[name].items())[:3])
    candles = Candles.of("BTC", M15, market[: max(expected) + 1])
    strategy = load_strategy(name)
    config = strategy.kind.new_config(strategy.params)
    bars = np.empty(len(candles), np.int64)
    records = np.empty((len(candles), strategy.kind.record_width))
    count = strategy.kind.scan(
        config, strategy.kind.new_state(config), new_buffer(BAR_ROWS), candles.open_time,
        *columns(candles), bars, records,
    )  # fmt: skip
    assert count == 3
    found = SignalColumns(bars[:count], records[:count])
    assert found.bars.tolist() == list(expected)
    assert strategy.described(candles, found) == tuple(expected.values())


@pytest.mark.parametrize("name", NAMES)
def test_prefixes_have_the_signals_of_the_whole(name: str, market: list[Bar]) -> None:
    """Whatever comes later, what a scan says of the bars so far stays said: the prefix law."""
    strategy = load_strategy(name)
    whole = strategy.scan(Candles.of("BTC", M15, market))
    assert len(whole) > 10
    for cut in (1, 137, 1000, 2345, 3999, *(int(bar) + 1 for bar in whole.bars[::9])):
        part = strategy.scan(Candles.of("BTC", M15, market[:cut]))
        known = int((whole.bars < cut).sum())
        assert part.bars.tolist() == whole.bars[:known].tolist()
        assert np.array_equal(part.records, whole.records[:known])


@pytest.mark.parametrize("name", NAMES)
def test_mirrored_market_gives_mirrored_signals(
    name: str, market: list[Bar], signals: dict[str, dict[int, Signal]]
) -> None:
    """Turned upside down a market gives the same signals the other way: no side is preferred."""
    top = 40_000.0
    upside_down = [
        Bar(b.open_time, top - b.open, top - b.low, top - b.high, top - b.close, b.volume)
        for b in market
    ]
    # Gaps in basis points and ATR do not change; nothing else looks at the price itself.
    there, back = signals[name], run(name, upside_down)
    assert [(i, s.side) for i, s in there.items()] == [(i, -s.side) for i, s in back.items()]
    assert {s.side for s in there.values()} == {1, -1}
    for a, b in zip(there.values(), back.values(), strict=True):
        assert (a.stop, a.target) == pytest.approx((top - b.stop, top - b.target))
        assert a.confidence == pytest.approx(b.confidence)


@pytest.mark.parametrize("name", NAMES)
def test_no_trade_opposes_the_higher_timeframe(
    name: str, market: list[Bar], signals: dict[str, dict[int, Signal]]
) -> None:
    """Every signal agrees with the last break on the higher timeframe known by then, or there was
    none; switched off, some trades do oppose it."""
    detection = SmcEngine(EngineParameters(htf=("1h",)))
    bias, known = 0, []
    for bar in market:
        for event in detection.on_bar(bar):
            if event.timeframe == 1 and event.kind in (EventKind.BOS, EventKind.CHOCH):
                bias = event.side
        known.append(bias)
    assert all(known[i] != -signal.side for i, signal in signals[name].items())
    free = run(name, market, bias_timeframe="off")
    assert any(known[i] == -signal.side for i, signal in free.items())


@pytest.mark.parametrize("name", NAMES)
def test_levels_and_reasons_are_sound(
    name: str, market: list[Bar], signals: dict[str, dict[int, Signal]]
) -> None:
    """Stops keep their least distance, targets pay the minimum, factors add up within their
    shares, and the facts end with stop and target."""
    params = STRATEGIES[name].parameters()
    for i, signal in signals[name].items():
        least = params.min_stop_atr * signal.atr  # type: ignore[attr-defined]
        assert signal.entry == market[i].close
        assert signal.side * (signal.entry - signal.stop) >= least * (1 - 1e-9)
        assert signal.reward_risk >= params.min_rr  # type: ignore[attr-defined]
        for (_, points), most in zip(
            signal.factors, (15, 10, 10, 15, 10, 10, 10, 15, 5), strict=True
        ):
            assert 0 <= points <= most
        assert f"stop {signal.stop:.10g}" in signal.facts[-2]
        assert f"target {signal.target:.10g}" in signal.facts[-1]


@pytest.mark.parametrize("name", NAMES)
def test_session_restored_at_any_bar_continues(
    name: str, market: list[Bar], signals: dict[str, dict[int, Signal]]
) -> None:
    """A session restored from a snapshot at many bars makes the signals of an unbroken one."""
    strategy = load_strategy(name)
    session = strategy.session("BTC")
    made = {}
    for i, bar in enumerate(market):
        if i % 61 == 0:
            snapshot = session.snapshot()  # type: ignore[attr-defined]
            session = strategy.session("BTC")
            session.restore(snapshot)  # type: ignore[attr-defined]
        signal = session.on_bar(bar)
        if signal:
            made[i] = signal
    assert made == signals[name]


@pytest.mark.parametrize("name", NAMES)
def test_warm_up_holds_the_higher_bias_on_every_timeframe(name: str) -> None:
    """The history wanted spans 48 bars of the bias timeframe, however long the bars are."""
    day = load_strategy(name, {"bias_timeframe": "1d"})
    free = load_strategy(name, {"bias_timeframe": "off"})
    for text in ("1m", "5m", "15m", "3d"):
        timeframe = Timeframe.parse(text)
        windows = free.warmup_bars(timeframe)
        assert windows == free.warmup_bars(M15) > 100
        assert day.warmup_bars(timeframe) == max(windows, 48 * 86_400_000 // timeframe.ms)


def test_higher_timeframe_is_set_in_one_place() -> None:
    """The engine's clause htf is refused where the strategy sets it."""
    with pytest.raises(UserError, match="htf is set by bias_timeframe; leave htf out"):
        load_strategy("fvg_fill", {"htf": ("4h",)})
