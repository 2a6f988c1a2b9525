"""What trading costs."""

from typing import NamedTuple

from pydantic import Field

from fractaltrader.parameters import Parameters


class Costs(NamedTuple):
    """`CostParameters` as the kernels read them."""

    taker_fee: float
    slippage: float


class CostParameters(Parameters):
    """Costs as fractions of the traded notional; every fill is a taker's."""

    taker_fee: float = Field(
        default=0.00045, ge=0, le=0.01, description="Hyperliquid perpetuals, lowest volume tier"
    )
    slippage: float = Field(
        default=0.0002, ge=0, le=0.05, description="every fill is this much worse than its price"
    )

    def costs(self) -> Costs:
        """The same in the kernels' types."""
        return Costs(self.taker_fee, self.slippage)
