"""Limits of the portfolio by hand: exposure, groups, single coins, the liquidation price."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fractaltrader.errors import UserError
from fractaltrader.risk.portfolio import Holding, PortfolioLimits, liquidation_price


def test_total_exposure_counts_both_sides() -> None:
    """Long and short both tie up the account: 5 x 10,000 is the last that fits."""
    limits = PortfolioLimits(max_total_notional=5)
    held = {"SOL": -20_000.0, "DOGE": 20_000.0}
    assert limits.exposure_refusal("BTC", 10_000, held, 10_000) is None
    refused = limits.exposure_refusal("BTC", -10_001, held, 10_000)
    assert refused == "max_total_notional: 50001.00 USDC in all would exceed 5 x equity = 50000.00"


def test_one_coin() -> None:
    """A coin has the general limit or its own."""
    limits = PortfolioLimits(max_coin_notional=2, coins={"DOGE": 0.5})
    assert limits.exposure_refusal("SOL", 20_000, {}, 10_000) is None
    assert limits.exposure_refusal("DOGE", 5_000, {}, 10_000) is None
    refused = str(limits.exposure_refusal("DOGE", 5_001, {}, 10_000))
    assert refused.startswith("max_coin_notional: 5001.00 USDC in DOGE would exceed 0.5 x equity")


def test_a_group_counts_what_moves_together() -> None:
    """Two majors on one side share the group's limits; a hedge and a stranger do not."""
    limits = PortfolioLimits(
        groups={"majors": ("BTC", "ETH", "BNB")}, max_group_notional=3, max_group_positions=2
    )
    held = {"BTC": 20_000.0}
    assert limits.exposure_refusal("ETH", 10_000, held, 10_000) is None
    assert limits.exposure_refusal("ETH", -30_000, held, 10_000) is None
    assert limits.exposure_refusal("SOL", 30_000, held, 10_000) is None
    refused = str(limits.exposure_refusal("ETH", 10_001, held, 10_000))
    assert refused.startswith("max_group_notional: 30001.00 USDC in majors would exceed 3 x equity")
    held["BNB"] = 10.0
    refused = str(limits.exposure_refusal("ETH", 10, held, 10_000))
    assert refused == "max_group_positions: 2 of 2 open in majors on this side"


def test_liquidation_price_of_a_recorded_account() -> None:
    """The venue's own figure of a recorded cross short: hyperliquid.md 7.10."""
    mark, size = 0.02436, 103_774.5
    added = Holding("SAGA", mark * size, 50)
    rest = Holding("others", (43_452.918775 - added.maintenance) * 2, 1)
    price = liquidation_price(-1, mark, added, [rest], 3_155_203.766062)
    assert price == pytest.approx(29.713170189, rel=1e-9)


def test_an_entry_whose_liquidation_comes_before_twice_its_stop_is_refused() -> None:
    """10,000 of equity, 90,000 long at 40x: the 8,875 above maintenance last for 9.986 %, so a stop
    at 4.9 % keeps twice its distance and one at 5.1 % does not."""
    limits = PortfolioLimits(min_liquidation_distance=2)
    added = Holding("BTC", 90_000, 40)
    assert liquidation_price(1, 100.0, added, [], 10_000) == pytest.approx(90.0140647, rel=1e-8)
    assert limits.liquidation_refusal(1, 100.0, 95.1, added, [], 10_000) is None
    refused = str(limits.liquidation_refusal(1, 100.0, 94.9, added, [], 10_000))
    assert refused.startswith("liquidation: it would come at 90.0141, 9.98594 from the entry")


@given(
    st.sampled_from([1, -1]),
    st.floats(1, 1e5),
    st.floats(100, 1e5),
    st.integers(3, 50),
    st.floats(1_000, 1e5),
)
def test_at_the_liquidation_price_the_equity_is_the_maintenance(
    side: int, entry: float, notional: float, leverage: int, equity: float
) -> None:
    """What the formula is for: there, equity equals maintenance at the new mark."""
    added, held = Holding("A", notional, leverage), [Holding("B", 5_000, 10)]
    price = liquidation_price(side, entry, added, held, equity)
    size = notional / entry
    left = equity + side * size * (price - entry)
    needed = size * price / (2 * leverage) + held[0].maintenance
    assert left == pytest.approx(needed, abs=1e-6 * (equity + notional))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"groups": {"majors": ["BTC"]}}, "group majors must name two or more different coins"),
        ({"groups": {"majors": ["BTC", "BTC"]}}, "two or more different coins"),
        ({"coins": {"DOGE": 0}}, r"DOGE = 0 must be above 0 and at most 50"),
        ({"max_group_notional": -1}, r"max_group_notional = -1"),
        ({"max_grup_notional": 1}, "did you mean 'max_group_notional'"),
    ],
)
def test_wrong_limits_are_refused_in_one_line(values: dict[str, object], message: str) -> None:
    """The section, the key and the rule are named."""
    with pytest.raises(UserError, match=message) as caught:
        PortfolioLimits.parse(values, "config.toml [limits]")
    assert "\n" not in str(caught.value)
