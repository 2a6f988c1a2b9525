"""What the account as a whole may hold."""

from collections.abc import Sequence

from pydantic import Field

from fractaltrader.smc.parameters import Parameters


class PortfolioLimits(Parameters):
    """Limits across coins; one position a coin is a rule, not a parameter."""

    max_open_positions: int = Field(
        default=3, ge=1, le=50, description="crypto moves together: more are not more independent"
    )
    max_total_notional: float = Field(
        default=10.0, gt=0, le=50, description="notional of all positions, as a multiple of equity"
    )

    def refusal(self, coin: str, open_coins: Sequence[str]) -> str | None:
        """Why no position in `coin` may be opened beside those in `open_coins`; None when it may.

        `open_coins` holds every coin with a position or with an entry under way.
        """
        if coin in open_coins:
            return f"one_per_coin: {coin} has a position or an entry under way"
        if len(set(open_coins)) >= self.max_open_positions:
            return f"max_open_positions: {len(set(open_coins))} of {self.max_open_positions} open"
        return None

    def notional_refusal(self, held: float, added: float, equity: float) -> str | None:
        """Why `added` USDC of notional may not join `held` at this equity; None when it may."""
        limit = self.max_total_notional * equity
        if held + added <= limit:
            return None
        return (
            f"max_total_notional: {held + added:.2f} USDC would exceed "
            f"{self.max_total_notional:g} x equity = {limit:.2f}"
        )
