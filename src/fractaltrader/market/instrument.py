"""Hyperliquid's tick and lot rules in exact decimals.

Source: the venue's tick-and-lot-size rules. A price has at most 5 significant figures and at most
6 - szDecimals decimals, integers are always legal; a size has at most szDecimals decimals.
"""

from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal

MAX_PRICE_DECIMALS = 6
SIGNIFICANT_FIGURES = 5
MIN_NOTIONAL = Decimal(10)
_ZERO = Decimal(0)
# Steps by their number of decimals.
_STEPS = tuple(Decimal(1).scaleb(-decimals) for decimals in range(13))


def to_decimal(value: float | str | Decimal) -> Decimal:
    """The shortest decimal that reads back as `value`, so 0.1 is Decimal('0.1')."""
    return value if isinstance(value, Decimal) else Decimal(str(value))


def to_wire(value: Decimal) -> str:
    """`value` as the venue writes and hashes it: fixed notation, no trailing zeros, no '-0'."""
    # Faster than the format, and the same for numbers of common size.
    text = str(value)
    if "E" in text:
        text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


@dataclass(frozen=True, slots=True)
class Instrument:
    """A perpetual: its name, its asset id on the wire, its lot and its highest leverage."""

    coin: str
    asset: int
    sz_decimals: int
    max_leverage: int
    delisted: bool = False  # keeps its asset id; a position in it can still be closed

    @property
    def lot(self) -> Decimal:
        """Smallest size step, in base units."""
        return _STEPS[self.sz_decimals]

    def tick(self, price: Decimal) -> Decimal:
        """Smallest legal price step at `price`, in USDC."""
        if price <= _ZERO:
            raise ValueError(f"price {price} must be above zero")
        decimals = SIGNIFICANT_FIGURES - 1 - price.adjusted()
        most = MAX_PRICE_DECIMALS - self.sz_decimals
        if decimals > most:
            decimals = most
        return _STEPS[decimals if decimals > 0 else 0]

    def round_price(self, price: float | str | Decimal, rounding: str = ROUND_HALF_EVEN) -> Decimal:
        """The legal price next to `price`; `rounding` is a mode of the decimal module."""
        exact = to_decimal(price)
        return exact.quantize(self.tick(exact), rounding=rounding)

    def is_legal_price(self, price: Decimal) -> bool:
        """Whether the venue accepts `price` as it stands."""
        return price > _ZERO and not price % self.tick(price)

    def round_size(self, size: float | str | Decimal) -> Decimal:
        """The largest legal size not above `size`, in base units."""
        return to_decimal(size).quantize(self.lot, rounding=ROUND_DOWN)

    def is_legal_size(self, size: Decimal) -> bool:
        """Whether `size` is above zero and a whole number of lots."""
        return size > _ZERO and not size % _STEPS[self.sz_decimals]
