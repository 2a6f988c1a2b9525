"""The public surface: `detect`, `Candles.from_frame`, profiles, and what they refuse."""

import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from markets import M15, SMALL, candles_of, ohlc

from fractaltrader import PROFILES, Bar, Candles, EventKind, SmcEngine, detect
from fractaltrader.errors import UserError
from fractaltrader.smc import EngineParameters, engine_parameters

BARS = ohlc((100, 101, 99, 100), (100, 105, 100, 104), (104, 106, 103, 105), (105, 106, 100, 101))
FRAME = pl.DataFrame(
    {
        "open_time": [bar.open_time for bar in BARS],
        **{name: [float(getattr(bar, name)) for bar in BARS] for name in Bar._fields[1:]},
        "ignored": ["x"] * len(BARS),
    }
)


def test_detect_gives_a_frame_in_the_order_of_knowledge() -> None:
    """The frame has the documented columns and types and the very events of the engine."""
    frame = detect(candles_of(BARS), **SMALL)
    assert frame.columns == [
        "kind", "side", "at", "known", "level", "low", "high", "ref", "id", "origin", "members",
        "timeframe",
    ]  # fmt: skip
    whole = ("side", "at", "known", "ref", "id", "origin", "members")
    assert all(frame.schema[name].is_integer() for name in whole)
    assert frame["id"].to_list() == list(range(len(frame)))
    assert frame["known"].is_sorted()
    assert set(frame["timeframe"]) == {"15m"}
    engine = SmcEngine(EngineParameters(**SMALL), M15)
    events = [event for bar in BARS for event in engine.on_bar(bar)]
    assert len(events) > 3
    for row, event in zip(frame.iter_rows(named=True), events, strict=True):
        assert row["kind"] == event.kind.name
        assert all(row[name] == getattr(event, name) for name in (*whole, "level", "low", "high"))


def test_no_events_make_an_empty_frame_of_the_same_columns() -> None:
    """Candles without an event give no rows, not an error."""
    frame = detect(candles_of(BARS[:1]))
    assert len(frame) == 0
    assert frame.schema == detect(candles_of(BARS), **SMALL).schema


def test_higher_timeframes_are_told_apart_by_name() -> None:
    """Events of a higher timeframe carry its name."""
    walk = 1000 + np.cumsum(np.random.default_rng(1).integers(-3, 4, 600)).astype(float)
    bars = ohlc(*((p, p + 2, p - 2, p + 1) for p in walk))
    frame = detect(candles_of(bars), **SMALL, htf=("1h", "4h"))
    assert set(frame["timeframe"]) == {"15m", "1h", "4h"}


def test_candles_come_from_polars_with_numbers_or_datetimes() -> None:
    """Epoch milliseconds, and datetimes naive or zoned, are the same candles."""
    plain = Candles.from_frame(FRAME, coin="BTC")
    assert plain.timeframe == M15
    assert list(plain.bars()) == BARS
    naive = FRAME.with_columns(pl.from_epoch("open_time", time_unit="ms"))
    zoned = naive.with_columns(
        pl.col("open_time").dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Tokyo")
    )
    for frame in (naive, zoned):
        assert list(Candles.from_frame(frame).bars()) == BARS


def test_candles_come_from_pandas_with_a_column_or_an_index() -> None:
    """A pandas frame may carry its times as a column or as a DatetimeIndex, zoned or not."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({name: FRAME[name].to_numpy() for name in Bar._fields})
    assert list(Candles.from_frame(frame).bars()) == BARS
    times = pandas.to_datetime(frame.pop("open_time"), unit="ms")
    for index in (pandas.DatetimeIndex(times), pandas.DatetimeIndex(times).tz_localize("UTC")):
        assert list(Candles.from_frame(frame.set_index(index)).bars()) == BARS


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda f: f.rename({"open_time": "opentime"}), "'open_time' is missing; did you mean"),
        (lambda f: f.reverse(), "row 2 of 4 .* is not sorted, oldest first"),
        (lambda f: pl.concat([f, f[-1:]]), "row 5 of 5 .* is a duplicate"),
        (lambda f: f.with_columns(close=pl.lit(None, pl.Float64)), "close = nan must be a finite"),
        (lambda f: f.with_columns(close=pl.lit("x")), "close is .*; give numbers"),
        (lambda f: f.with_columns(low=pl.lit(0.0)), "low = 0.0 must be above zero"),
        (lambda f: f.with_columns(open_time=pl.lit("x")), "open_time is .*; give whole epoch"),
        (lambda f: f.with_columns(open_time=pl.lit(None, pl.Datetime)), "without a time; drop it"),
        (lambda f: f.drop("volume"), "'volume' is missing; the frame has open_time, open, high"),
        (lambda f: f[:0], "at least"),
    ],
)
def test_bad_frames_are_refused_by_name_and_row(change: object, rule: str) -> None:
    """A missing column, wrong order, duplicate, NaN or text is one line that names it."""
    with pytest.raises(UserError, match=rule) as refused:
        Candles.from_frame(change(FRAME))
    assert "\n" not in str(refused.value)


def test_bars_out_of_order_are_refused_while_streaming() -> None:
    """The engine takes no bar twice and none from the past, and stays as it was."""
    engine = SmcEngine(EngineParameters(**SMALL), M15)
    for bar in BARS:
        engine.on_bar(bar)
    before = engine.snapshot()
    for bar in (BARS[-1], BARS[0]):
        with pytest.raises(ValueError, match="does not follow"):
            engine.on_bar(bar)
    assert engine.snapshot() == before


@pytest.mark.parametrize(
    "wrong",
    [
        {"close": float("nan")},
        {"open": float("nan")},
        {"low": float("nan")},
        {"high": float("inf")},
        {"close": float("-inf")},
        {"high": 99.0},
    ],
)
def test_what_is_no_candle_is_refused_while_streaming(wrong: dict[str, float]) -> None:
    """A price that is not finite, or a high below the low, is refused before it can spread."""
    engine = SmcEngine(EngineParameters(**SMALL), M15)
    for bar in BARS[:-1]:
        engine.on_bar(bar)
    before = engine.snapshot()
    with pytest.raises(ValueError, match="is no candle"):
        engine.on_bar(BARS[-1]._replace(**wrong))
    assert engine.snapshot() == before
    engine.on_bar(BARS[-1])


def test_detect_says_what_it_was_not_given() -> None:
    """A frame in place of candles, and a profile that is no name, are one clear line."""
    with pytest.raises(UserError, match=r"are DataFrame; make them with Candles\.from_frame"):
        detect(FRAME)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="profile: unknown name None; known are fractal"):
        detect(candles_of(BARS), None)  # type: ignore[arg-type]


def test_lists_may_be_given_as_text() -> None:
    """Timeframes and sessions with commas between them, as on the command line, are the tuples."""
    given = engine_parameters(htf="1h,4h", sessions="london,x=08:00-09:00@UTC")
    assert given == engine_parameters(htf=("1h", "4h"), sessions=("london", "x=08:00-09:00@UTC"))
    with pytest.raises(UserError, match="did you mean 'london'"):
        engine_parameters(sessions="londn")


@pytest.mark.parametrize(
    ("clauses", "rule"),
    [
        ({"profile": "luxalgo"}, "profile: unknown name 'luxalgo'; did you mean 'luxalgo-like'"),
        ({"trigerr": "close"}, "unknown parameter 'trigerr'; did you mean 'trigger'"),
        ({"trigger": "closes"}, "trigger = 'closes'"),
        ({"left": 0}, "left = 0: .*greater than or equal to 1"),
        ({"fvg_min_atr": float("nan")}, "fvg_min_atr"),
        ({"profile": "luxalgo-like", "left": 3}, "left has no meaning with detector='leg_flip'"),
        ({"mss": True, "structure": False}, "mss needs structure=True"),
        ({"require_fvg": True, "fvg": False}, "require_fvg needs fvg=True"),
        ({"breakers": True, "order_blocks": False}, "breakers needs order_blocks=True"),
        ({"profile": "ict-strict", "displacement": False}, "needs displacement=True"),
        ({"target": "any", "liquidity": False}, "target needs liquidity=True"),
        (
            {"target": "period_extreme", "days": False, "weeks": False, "months": False},
            "needs days, weeks or months",
        ),
        ({"opening_range_minutes": 30}, "opening_range_minutes needs sessions"),
        ({"order_blocks": True, "structure": False}, "confirm='structure_break' needs structure"),
        ({"confirm": "displacement", "displacement": False}, "confirm='displacement' needs"),
        ({"retracements": True, "dealing_range": False}, "retracements needs dealing_range"),
        ({"which_pivot": "bos_origin", "structure": False}, "bos_origin' needs structure"),
        ({"expiry_bars": 5, "max_zones": 1}, "max_zones = 1"),
    ],
)
def test_wrong_and_contradictory_clauses_are_refused(clauses: dict, rule: str) -> None:
    """Unknown names get a suggestion, values their bounds, contradictions their remedy."""
    with pytest.raises(UserError, match=rule) as refused:
        engine_parameters(**clauses)
    assert "\n" not in str(refused.value)


def test_defaults_give_way_without_a_word() -> None:
    """Switching a detector off is enough: what builds on it by default goes with it."""
    for name in ("structure", "displacement", "fvg", "order_blocks", "liquidity", "dealing_range"):
        assert detect(candles_of(BARS), **SMALL, **{name: False}) is not None


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_every_profile_differs_from_the_defaults_only_where_it_says(profile: str) -> None:
    """A profile is its named clauses over the defaults, each documented and within bounds."""
    params = engine_parameters(profile)
    default = engine_parameters()
    differs = {
        name
        for name in EngineParameters.model_fields
        if getattr(params, name) != getattr(default, name)
    }
    assert differs <= set(PROFILES[profile])
    assert all(field.description for field in EngineParameters.model_fields.values())


def test_importing_the_package_costs_nothing() -> None:
    """The package imports no numpy, numba or polars until a name is used."""
    code = (
        "import sys, fractaltrader\n"
        "assert not {'numpy', 'numba', 'polars', 'pydantic'} & set(sys.modules)\n"
        "from fractaltrader import Candles, detect\n"
        "assert not {'numba', 'polars'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    import fractaltrader

    with pytest.raises(AttributeError, match="no attribute 'detekt'"):
        fractaltrader.detekt  # noqa: B018


def test_kinds_fit_their_columns() -> None:
    """Every kind is a small number of its own, below the bits of the timeframe."""
    assert [kind.value for kind in EventKind] == list(range(1, len(EventKind) + 1))
    assert max(EventKind) < 256
    assert np.iinfo(np.uint8).max == 255
