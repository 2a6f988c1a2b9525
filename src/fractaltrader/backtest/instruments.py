"""Lots and leverage for a backtest, which asks no venue."""

import math

from fractaltrader.market import Instrument

# Asset id, size decimals, highest leverage: the venue's `meta` of March 2026.
_KNOWN = {
    "BTC": (0, 5, 40),
    "ETH": (1, 4, 25),
    "SOL": (5, 2, 20),
    "DOGE": (12, 0, 10),
    "SUI": (14, 1, 10),
    "kPEPE": (15, 0, 10),
    "XRP": (25, 0, 20),
    "HYPE": (159, 2, 10),
}
_USUAL_LEVERAGE = 10


def instrument_for(coin: str, price: float) -> Instrument:
    """The venue's instrument, or for an unlisted coin one whose lot is worth about a dollar."""
    if coin in _KNOWN:
        return Instrument(coin, *_KNOWN[coin])
    decimals = min(max(math.ceil(math.log10(price)), 0), 6)
    return Instrument(coin, 0, decimals, _USUAL_LEVERAGE)
