"""What the portfolio may hold, at the borders of each limit."""

import pytest

from fractaltrader.errors import UserError
from fractaltrader.risk.portfolio import Holding, PortfolioLimits, liquidation_price

WIDE = {"max_total_notional": 50, "max_coin_notional": 50, "max_group_notional": 50}


def limits(**changed: object) -> PortfolioLimits:
    return PortfolioLimits.parse(WIDE | changed, "config.toml [limits]")


def test_a_coin_is_judged_with_what_is_held_of_it() -> None:
    """What is held counts with its side: the same side adds up, the other one is the difference."""
    one = limits(max_coin_notional=1)
    assert one.exposure_refusal("SOL", 6_000, {"SOL": 4_000}, 10_000) is None
    refused = one.exposure_refusal("SOL", 6_000.01, {"SOL": 4_000}, 10_000)
    assert refused == ("max_coin_notional: 10000.01 USDC in SOL would exceed 1 x equity = 10000.00")
    assert one.exposure_refusal("SOL", -14_000, {"SOL": 4_000}, 10_000) is None
    assert one.exposure_refusal("SOL", -14_000.01, {"SOL": 4_000}, 10_000) is not None
    assert one.exposure_refusal("SOL", 10_000, {}, 10_000) is None


def test_everything_together() -> None:
    """The sides of all positions add up, whatever their coins, to the cent."""
    two = limits(max_total_notional=2)
    held = {"SOL": -5_000.0, "DOGE": 4_000.0}
    assert two.exposure_refusal("ARB", -11_000, held, 10_000) is None
    refused = two.exposure_refusal("ARB", -11_000.01, held, 10_000)
    assert refused == "max_total_notional: 20000.01 USDC in all would exceed 2 x equity = 20000.00"


GROUPS = {"layer": ("SOL", "AVAX", "SUI", "APT"), "majors": ("BTC", "ETH", "BNB")}


def test_a_group_has_room_for_so_many_on_one_side() -> None:
    """A second of two is taken, a third not; the other side, other coins and the coin itself do not
    count, a position of cents does."""
    two = limits(groups=GROUPS, max_group_positions=2)
    held = {"BTC": 0.25, "SOL": 5.0}
    assert two.exposure_refusal("ETH", 0.5, held, 10_000) is None
    assert two.exposure_refusal("ETH", 0.5, held | {"ETH": 9.0}, 10_000) is None
    assert two.exposure_refusal("ETH", -1, held | {"BNB": 1.0}, 10_000) is None
    refused = two.exposure_refusal("ETH", 0.5, held | {"BNB": 0.5}, 10_000)
    assert refused == "max_group_positions: 2 of 2 open in majors on this side"
    alone = limits(groups=GROUPS, max_group_positions=1)
    assert alone.exposure_refusal("ETH", 1, {}, 10_000) is None
    assert alone.exposure_refusal("ETH", -1, {"BTC": -1.0}, 10_000) is not None
    assert alone.exposure_refusal("ETH", 0, {"BTC": -1.0}, 10_000) is None  # of no side


def test_a_group_has_a_notional_on_one_side() -> None:
    """It is summed over the group's side and compared to the cent, with the group's name."""
    one = limits(groups=GROUPS, max_group_notional=1, max_group_positions=4)
    held = {"SOL": -3_000.0, "AVAX": -2_000.0, "SUI": 9_000.0, "BTC": -9_000.0}
    assert one.exposure_refusal("APT", -5_000, held, 10_000) is None
    refused = one.exposure_refusal("APT", -5_000.01, held, 10_000)
    assert (
        refused == "max_group_notional: 10000.01 USDC in layer would exceed 1 x equity = 10000.00"
    )


def test_a_coin_of_two_groups_keeps_to_both() -> None:
    """The second group's limit holds though the first one has room."""
    groups = {"first": ("SOL", "BTC"), "second": ("SOL", "ETH")}
    two = limits(groups=groups, max_group_positions=1)
    assert two.exposure_refusal("SOL", 1, {"ETH": 1.0}, 10_000) == (
        "max_group_positions: 1 of 1 open in second on this side"
    )


def test_so_many_positions() -> None:
    """The third of three is taken, the fourth not, and one a coin is a rule."""
    three = limits(max_open_positions=3)
    assert three.refusal("BTC", ["ETH", "SOL"]) is None
    assert three.refusal("BTC", ["ETH", "SOL", "ARB"]) == "max_open_positions: 3 of 3 open"
    assert three.refusal("BTC", ["ETH", "BTC"]) == (
        "one_per_coin: BTC has a position or an entry under way"
    )


def test_maintenance_is_half_the_margin_at_the_highest_leverage() -> None:
    """hyperliquid.md 7.5: 4,000 at 40x need 50, at 5x 400."""
    assert Holding("BTC", 4_000, 40).maintenance == 50
    assert Holding("DOGE", 4_000, 5).maintenance == 400


@pytest.mark.parametrize(("side", "liquidated"), [(1, 45.0), (-1, 150.0)])
def test_the_liquidation_price_by_hand(side: int, liquidated: float) -> None:
    """8,000 of equity behind 10,000 at 5x and a second position that needs 1,500: 5,500 are to
    spare. Falling, the long itself needs less and less, rising the short more and more."""
    added, others = Holding("A", 10_000, 5), [Holding("B", 15_000, 5)]
    price = liquidation_price(side, 100.0, added, others, 8_000)
    spare = 8_000 - 1_000 - 1_500
    assert price == pytest.approx(100 - side * (spare / 100) / (1 - side / 10))
    left = 8_000 + side * 100 * (price - 100)
    assert left == pytest.approx(1_500 + 100 * price / 10)
    assert price == pytest.approx({1: 100 - 55 / 0.9, -1: 100 + 55 / 1.1}[side])
    assert (price < liquidated) if side > 0 else (price == pytest.approx(liquidated))


@pytest.mark.parametrize("side", [1, -1])
def test_the_stop_keeps_its_distance_from_the_liquidation(side: int) -> None:
    """At exactly twice the stop's distance an entry is taken, a hair nearer it is not."""
    two = limits(min_liquidation_distance=2)
    added = Holding("A", 10_000, 5)
    price = liquidation_price(side, 100.0, added, [], 4_000)
    distance = abs(100.0 - price)
    stop = 100.0 - side * distance / 2
    assert two.liquidation_refusal(side, 100.0, stop, added, [], 4_000) is None
    refused = two.liquidation_refusal(side, 100.0, stop - side * 0.01, added, [], 4_000)
    assert refused == (
        f"liquidation: it would come at {price:.6g}, {distance:.6g} from the entry; "
        f"2 x the stop distance is {distance + 0.02:.6g}"
    )
    held = [Holding("B", 10_000, 5)]
    assert two.liquidation_refusal(side, 100.0, stop, added, held, 4_000) is not None


@pytest.mark.parametrize(
    ("multiple", "legal"), [(0.01, True), (50, True), (0, False), (-0.5, False), (50.5, False)]
)
def test_a_coins_own_limit_has_bounds(multiple: float, legal: bool) -> None:
    """Above 0 and at most 50, as the general one."""
    if legal:
        assert limits(coins={"DOGE": multiple}).coins == {"DOGE": multiple}
        return
    with pytest.raises(UserError, match=r"must be above 0 and at most 50"):
        limits(coins={"DOGE": multiple})


def test_a_group_of_two_or_more_is_one() -> None:
    """Two different coins are a group, three with one named twice are not."""
    assert limits(groups={"a": ["BTC", "ETH"]}).groups == {"a": ("BTC", "ETH")}
    with pytest.raises(UserError, match="group a must name two or more different coins"):
        limits(groups={"a": ["BTC", "ETH", "BTC"]})
