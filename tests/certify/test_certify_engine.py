"""Our engine's certificate, and that a broken engine does not get one."""

from collections.abc import Iterator

import polars as pl
import pytest

from fractaltrader.certify import Plan, certify_engine, certify_events
from fractaltrader.certify.engine import engine_target
from fractaltrader.certify.events import Fact
from fractaltrader.errors import UserError
from fractaltrader.market import Candles
from fractaltrader.smc import PROFILES

PREFIXES = 2_000


@pytest.mark.slow
@pytest.mark.parametrize("profile", PROFILES)
def test_our_engine_rewrites_nothing_on_recorded_bars(euro: Candles, profile: str) -> None:
    """0 rewrites and 0 erasures over 2,000 prefixes of real bars, for every kind it emits."""
    found = certify_engine(euro.slice(0, 3_600), Plan(600, PREFIXES), profile=profile)
    assert found.certified
    assert (found.rewritten, found.erased, found.prefixes) == (0, 0, PREFIXES)
    shown = {column.column: column.shown for column in found.columns}
    assert min(shown[kind] for kind in ("SWING", "BOS", "CHOCH", "FVG", "OB", "SWEEP")) > 0
    assert sum(shown.values()) > 1_000


def test_an_unknown_profile(market: Candles) -> None:
    """The error names the profile and a near one."""
    with pytest.raises(UserError, match="ict-strict"):
        certify_engine(market, profile="ict_strict")


def test_an_engine_that_forgets_its_failures(market: Candles) -> None:
    """Taking a swing back once it was broken is found as erased swings, and as nothing else."""
    detect, stream = engine_target("fractal", {"strength": True})

    def survivors(candles: Candles) -> pl.DataFrame:
        events = detect(candles)
        weak = events.filter(pl.col("kind") == "WEAK")["ref"]
        return events.filter(~pl.col("id").is_in(weak.to_list()))

    found = certify_events(
        "survivors", survivors, stream, market.slice(0, 1_000), plan=Plan(500, 200)
    )
    repainting = [column for column in found.columns if column.repaints]
    assert [column.column for column in repainting] == ["SWING"]
    assert repainting[0].erased > 5
    first = found.first_offences[0]
    assert (first.column, first.after) == ("SWING", "-")
    assert first.prefix - 1 > first.bar


def test_an_engine_that_stamps_swings_at_their_extreme(market: Candles) -> None:
    """A swing said to be known at its own bar is found as a fact written into the past."""
    detect, stream = engine_target("fractal", {})
    early = pl.when(pl.col("kind") == "SWING").then("at").otherwise("known").alias("known")
    found = certify_events(
        "early",
        lambda candles: detect(candles).with_columns(early),
        stream,
        market.slice(0, 1_000),
        plan=Plan(500, 200),
    )
    (column,) = [column for column in found.columns if column.repaints]
    assert column.column == "SWING"
    assert column.backfilled > 5
    assert column.lag is not None
    assert column.lag.median == 5


def test_a_stream_that_tells_another_story(market: Candles) -> None:
    """An event the bot was told and the full run lacks, or the other way round, fails."""
    detect, stream = engine_target("fractal", {})

    def silent_about_gaps(candles: Candles) -> Iterator[list[Fact]]:
        for facts in stream(candles):
            yield [fact for fact in facts if fact.kind != "FVG"]

    found = certify_events(
        "silent", detect, silent_about_gaps, market.slice(0, 700), plan=Plan(500, 20)
    )
    assert [column.column for column in found.columns if column.repaints] == ["FVG"]
