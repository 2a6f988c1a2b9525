"""The rewrites of the most used library, found as they were first counted by hand."""

from importlib.metadata import version
from pathlib import Path

import pytest

from fractaltrader.certify import Certificate, ColumnFindings, Plan, certify_function
from fractaltrader.market import Candles

pytest.importorskip("pandas")
ADAPTER = """
from smartmoneyconcepts import smc

def ob(frame):
    return smc.ob(frame, smc.swing_highs_lows(frame, 5))

def bos_choch(frame):
    return smc.bos_choch(frame, smc.swing_highs_lows(frame, 5))
"""


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMC_CREDIT", "0")
    pytest.importorskip("smartmoneyconcepts", reason="the peer, a test dependency, is missing")


@pytest.fixture
def adapter(tmp_path: Path) -> str:
    path = tmp_path / "adapter.py"
    path.write_text(ADAPTER)
    return str(path)


def by_name(found: Certificate) -> dict[str, ColumnFindings]:
    return {column.column: column for column in found.columns}


@pytest.mark.slow
def test_swings_rewrite_as_published(euro: Candles) -> None:
    """1,359 rewritten readings and nine in ten live labels erased, over 1,201 prefixes."""
    found = certify_function(
        "smartmoneyconcepts:smc.swing_highs_lows",
        euro.slice(0, 3_000),
        arguments={"swing_length": 5},
        plan=Plan(999, 1_201),
    )
    swings = by_name(found)["HighLow"]
    assert not found.certified
    assert swings.erased / swings.shown == pytest.approx(0.88, abs=0.02)
    assert swings.lag is not None
    assert (swings.lag.median, swings.lag.max) == (0, 5)
    if version("smartmoneyconcepts") == "0.0.27":
        assert swings.rewritten == 1_359


@pytest.mark.slow
def test_gaps_are_written_one_bar_into_the_past(euro: Candles) -> None:
    """Every gap is stamped on the middle candle, a bar before it could be known; none is erased."""
    found = certify_function(
        "smartmoneyconcepts:smc.fvg", euro.slice(1_000, 1_400), plan=Plan(300, 60)
    )
    gaps = by_name(found)["FVG"]
    assert gaps.rewritten == gaps.backfilled == gaps.shown > 3
    assert gaps.erased == 0
    assert gaps.lag is not None
    assert (gaps.lag.median, gaps.lag.max) == (1, 1)


@pytest.mark.slow
def test_order_blocks_that_failed_vanish(euro: Candles, adapter: str) -> None:
    """Through an adapter file: blocks shown live are gone from the full run."""
    blocks = by_name(
        certify_function(f"{adapter}:ob", euro.slice(1_000, 2_000), plan=Plan(300, 150))
    )["OB"]
    assert blocks.erased / blocks.shown > 0.5


@pytest.mark.slow
def test_breaks_show_long_after_their_bar(euro: Candles, adapter: str) -> None:
    """Through an adapter file: a break appears in the row of the old pivot, many bars later."""
    breaks = by_name(
        certify_function(f"{adapter}:bos_choch", euro.slice(1_000, 1_600), plan=Plan(200, 100))
    )["BOS"]
    assert breaks.rewritten >= breaks.shown > 0
    assert breaks.lag is not None
    assert breaks.lag.median >= 5
