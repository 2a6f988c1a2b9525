"""What the account as a whole may hold."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from pydantic import Field, field_validator

from fractaltrader.parameters import Parameters


class Holding(NamedTuple):
    """A position, or one about to be: notional in USDC, and the coin's highest leverage."""

    coin: str
    notional: float
    max_leverage: int

    @property
    def maintenance(self) -> float:
        """Maintenance margin, USDC: half the initial margin at the highest leverage
        (hyperliquid.md 7.5, first margin tier)."""
        return self.notional / (2 * self.max_leverage)


def liquidation_price(
    side: int, entry: float, added: Holding, held: Iterable[Holding], equity: float
) -> float:
    """Where a position opened at `entry` under cross margin would be liquidated if only its coin
    moved; 0 or below when that cannot happen. Source: hyperliquid.md 7.6 and 7.10."""
    maintenance = added.maintenance + sum(holding.maintenance for holding in held)
    spare = (equity - maintenance) / (added.notional / entry)
    return entry - side * spare / (1 - side / (2 * added.max_leverage))


class PortfolioLimits(Parameters):
    """Limits across coins; one position a coin is a rule, not a parameter."""

    max_open_positions: int = Field(
        default=3, ge=1, le=50, description="crypto moves together: more are not more independent"
    )
    max_total_notional: float = Field(
        default=10.0, gt=0, le=50, description="notional of all positions, as a multiple of equity"
    )
    max_coin_notional: float = Field(
        default=5.0,
        gt=0,
        le=50,
        description="notional in one coin, as a multiple of equity; [limits.coins] sets it a coin",
    )
    coins: dict[str, float] = Field(
        default={}, description="multiples of equity for single coins: DOGE = 0.5"
    )
    groups: dict[str, tuple[str, ...]] = Field(
        default={"majors": ("BTC", "ETH")},
        description="coins that move as one: majors = ['BTC', 'ETH']",
    )
    max_group_notional: float = Field(
        default=8.0,
        gt=0,
        le=50,
        description="notional in one group on one side, as a multiple of equity: two positions of "
        "the largest size",
    )
    max_group_positions: int = Field(
        default=2, ge=1, le=50, description="positions in one group on one side"
    )
    min_liquidation_distance: float = Field(
        default=2.0,
        ge=1,
        le=100,
        description="least distance to the liquidation price, as a multiple of the distance to "
        "the stop: the stop must fill first, gaps and slippage included",
    )

    @field_validator("coins")
    @classmethod
    def _multiples(cls, coins: dict[str, float]) -> dict[str, float]:
        for coin, multiple in coins.items():
            if not 0 < multiple <= 50:
                raise ValueError(f"{coin} = {multiple:g} must be above 0 and at most 50")
        return coins

    @field_validator("groups")
    @classmethod
    def _groups(cls, groups: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        for name, coins in groups.items():
            if len(set(coins)) < 2 or len(set(coins)) < len(coins):
                raise ValueError(f"group {name} must name two or more different coins")
        return groups

    def refusal(self, coin: str, open_coins: Sequence[str]) -> str | None:
        """Why no position in `coin` may be opened beside those in `open_coins`; None when it may.

        `open_coins` holds every coin with a position or with an entry under way.
        """
        if coin in open_coins:
            return f"one_per_coin: {coin} has a position or an entry under way"
        if len(set(open_coins)) >= self.max_open_positions:
            return f"max_open_positions: {len(set(open_coins))} of {self.max_open_positions} open"
        return None

    def exposure_refusal(
        self, coin: str, signed: float, held: Mapping[str, float], equity: float
    ) -> str | None:
        """Why a notional of `signed` USDC in `coin` may not join `held`; None when it may.

        Notionals are signed, long above zero; `held` is by coin.
        """
        coin_limit = self.coins.get(coin, self.max_coin_notional)
        in_coin = abs(held.get(coin, 0.0) + signed)
        total = sum(map(abs, held.values())) + abs(signed)
        return (
            _above("max_coin_notional", coin, in_coin, coin_limit, equity)
            or self._group_refusal(coin, signed, held, equity)
            or _above("max_total_notional", "all", total, self.max_total_notional, equity)
        )

    def _group_refusal(
        self, coin: str, signed: float, held: Mapping[str, float], equity: float
    ) -> str | None:
        """Opposite positions within a group hedge each other and are not counted together."""
        for name, members in self.groups.items():
            if coin not in members:
                continue
            same = [abs(held[c]) for c in members if c != coin and held.get(c, 0.0) * signed > 0]
            if len(same) + 1 > self.max_group_positions:
                return (
                    f"max_group_positions: {len(same)} of {self.max_group_positions} open in "
                    f"{name} on this side"
                )
            limit, notional = self.max_group_notional, sum(same) + abs(signed)
            if refused := _above("max_group_notional", name, notional, limit, equity):
                return refused
        return None

    def liquidation_refusal(
        self,
        side: int,
        entry: float,
        stop: float,
        added: Holding,
        held: Iterable[Holding],
        equity: float,
    ) -> str | None:
        """Why the liquidation price would be too near to the entry; None when it would not."""
        price = liquidation_price(side, entry, added, held, equity)
        distance, least = (entry - price) * side, self.min_liquidation_distance * abs(entry - stop)
        if distance >= least:
            return None
        return (
            f"liquidation: it would come at {price:.6g}, {distance:.6g} from the entry; "
            f"{self.min_liquidation_distance:g} x the stop distance is {least:.6g}"
        )


def _above(limit_name: str, what: str, notional: float, limit: float, equity: float) -> str | None:
    if notional <= limit * equity:
        return None
    return (
        f"{limit_name}: {notional:.2f} USDC in {what} would exceed {limit:g} x equity = "
        f"{limit * equity:.2f}"
    )
