"""Tick and lot rules over the venue's real universe and its real trades."""

import json
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fractaltrader.market import Instrument
from fractaltrader.market.instrument import to_decimal, to_wire

Universe = list[tuple[Instrument, float]]


@pytest.fixture(scope="module")
def universe(shared_folder: Path) -> Universe:
    """Every perpetual of a recorded response with its mark price."""
    response = json.loads(
        (shared_folder / "data" / "hl_api" / "metaAndAssetCtxs-202603.json").read_text()
    )
    return [
        (
            Instrument(entry["name"], asset, entry["szDecimals"], entry["maxLeverage"]),
            float(context["markPx"]),
        )
        for asset, (entry, context) in enumerate(
            zip(response[0]["universe"], response[1], strict=True)
        )
    ]


def obeys_the_venue(price: Decimal, sz_decimals: int) -> bool:
    """The published rule read off the digits: an integer, or 5 figures, 6 - szDecimals places."""
    whole, _, places = to_wire(price).partition(".")
    figures = (whole + places).lstrip("0")
    return not places or (len(figures) <= 5 and len(places) <= 6 - sz_decimals)


@settings(max_examples=300)
@given(index=st.integers(0, 10_000), factor=st.floats(0.2, 5), digits=st.integers(3, 17))
def test_rounded_price_is_legal_and_nearest(
    universe: Universe, index: int, factor: float, digits: int
) -> None:
    """For every coin, prices around its own round to a legal price; none legal lies between the
    price and its floor or ceiling, and the nearest of those two is chosen."""
    instrument, mark = universe[index % len(universe)]
    price = Decimal(f"{mark * factor:.{digits}g}")
    floor = instrument.round_price(price, ROUND_FLOOR)
    ceiling = instrument.round_price(price, ROUND_CEILING)
    nearest = instrument.round_price(price)
    for rounded in (floor, ceiling, nearest):
        assert rounded == 0 or obeys_the_venue(rounded, instrument.sz_decimals)
        assert rounded == 0 or instrument.is_legal_price(rounded)
    assert floor <= price <= ceiling
    assert abs(nearest - price) == min(price - floor, ceiling - price)
    assert instrument.is_legal_price(price) == obeys_the_venue(price, instrument.sz_decimals)
    # Every finer grid point strictly between floor and ceiling breaks the rule.
    for tenth in range(1, 10):
        between = floor + (ceiling - floor) * tenth / 10
        assert ceiling == floor or not obeys_the_venue(between, instrument.sz_decimals)


@settings(max_examples=200)
@given(index=st.integers(0, 10_000), size=st.floats(1e-6, 1e7))
def test_rounded_size_is_whole_lots_and_never_more(
    universe: Universe, index: int, size: float
) -> None:
    """A rounded size is at most szDecimals places, not above the size, and less than a lot away."""
    instrument, _ = universe[index % len(universe)]
    exact = to_decimal(size)
    rounded = instrument.round_size(size)
    assert exact - instrument.lot < rounded <= exact
    assert len(to_wire(rounded).partition(".")[2]) <= instrument.sz_decimals
    assert instrument.is_legal_size(rounded) == (rounded > 0)
    assert instrument.is_legal_size(exact) == (rounded == exact)


@given(st.decimals(-(10**9), 10**9, places=8))
def test_wire_notation_reads_back_and_is_shortest(value: Decimal) -> None:
    """What goes on the wire is the same number, in fixed notation, with nothing to strip."""
    text = to_wire(value)
    assert Decimal(text) == value
    assert "e" not in text.lower()
    assert text == "0" or text.lstrip("-") == text.lstrip("-").strip() != ""
    assert text != "-0"
    assert "." not in text or not text.endswith(("0", "."))


@given(st.floats(1e-9, 1e12))
def test_floats_become_the_decimal_that_reads_back(value: float) -> None:
    """Neither Python's nor numpy's floats gain digits on their way to a decimal."""
    assert float(to_decimal(value)) == value
    assert to_decimal(np.float64(value)) == to_decimal(value)


def test_every_real_trade_obeys_our_rules(universe: Universe, shared_folder: Path) -> None:
    """Price and size of every recorded trade on the venue's own coins are legal by our rules."""
    path = shared_folder / "data" / "hl_fills" / "ALL-fills-hyperliquid-20251027a.parquet"
    known = {instrument.coin: instrument for instrument, _ in universe}
    trades = pl.read_parquet(path, columns=["coin", "px", "sz"]).unique()
    checked = 0
    for coin, price, size in trades.iter_rows():
        if coin not in known:
            continue  # a spot pair or a coin no longer listed
        checked += 1
        assert known[coin].is_legal_price(to_decimal(price)), (coin, price)
        assert known[coin].is_legal_size(to_decimal(size)), (coin, size)
    assert checked > 2_000


@pytest.mark.parametrize(
    ("sz_decimals", "price", "legal"),
    [
        (0, "0.000012", True),
        (0, "0.0000123", False),
        (5, "70736", True),
        (5, "123456", True),
        (5, "123456.5", False),
        (5, "7073.5", True),
        (5, "7073.51", False),
        (1, "12.345", True),
        (1, "12.3456", False),
        (2, "1.2345", True),
        (2, "1.23456", False),
        (2, "0", False),
        (2, "-1", False),
    ],
)
def test_the_edges_of_the_price_rule(sz_decimals: int, price: str, legal: bool) -> None:
    """The rule's corners: five figures, the places a lot leaves, and integers of any length."""
    assert Instrument("X", 0, sz_decimals, 10).is_legal_price(Decimal(price)) is legal
