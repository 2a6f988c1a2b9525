"""Numbers as the venue writes them."""

from decimal import ROUND_DOWN, ROUND_FLOOR, Decimal

from fractaltrader.market.instrument import to_wire

MICRO = Decimal("0.000001")
CENT = Decimal("0.01")
ZERO = Decimal(0)
# Steps by their number of decimals.
_STEPS = tuple(Decimal(1).scaleb(-decimals) for decimals in range(13))


def venue_number(value: Decimal) -> str:
    """Fixed notation without trailing zeros but with at least one decimal: '86006.0', '0.25'."""
    text = to_wire(value)
    return text if "." in text else text + ".0"


def float_number(value: float) -> str:
    """`venue_number` of the shortest decimal that reads back as `value`."""
    text = repr(value)
    return venue_number(Decimal(text)) if "e" in text else text


def floor_micro(value: Decimal) -> Decimal:
    """`value` floored to 6 decimals, as the venue floors fees and margins (hyperliquid.md 7.10)."""
    return value.quantize(MICRO, ROUND_FLOOR)


def truncated(value: Decimal, decimals: int) -> Decimal:
    """`value` cut to `decimals` decimals, toward zero."""
    return value.quantize(_STEPS[decimals], ROUND_DOWN)
