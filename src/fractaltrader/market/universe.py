"""Instruments as the venue lists them (March 2026), for whoever asks no venue."""

from math import ceil, log10

from fractaltrader.market import Candles, Instrument

# coin: (szDecimals, maxLeverage)
_KNOWN = {
    "BTC": (5, 40),
    "ETH": (4, 25),
    "SOL": (2, 20),
    "XRP": (0, 20),
    "DOGE": (0, 10),
    "HYPE": (2, 10),
    "kPEPE": (0, 10),
    "SUI": (1, 10),
    "BNB": (3, 10),
    "AVAX": (2, 10),
    "LINK": (1, 10),
    "ADA": (0, 10),
    "LTC": (2, 10),
    "ARB": (1, 10),
    "OP": (1, 10),
    "APT": (2, 10),
    "NEAR": (1, 10),
    "TON": (1, 10),
    "TRX": (0, 10),
    "DOT": (1, 10),
    "AAVE": (2, 10),
    "WLD": (1, 10),
    "BCH": (3, 10),
}
DEFAULT_LEVERAGE = 10
# A lot of an unknown coin is worth about this much, USDC.
_LOT_VALUE = 1.0


def instrument_for(coin: str, asset: int, price: float) -> Instrument:
    """The instrument of `coin` at `price`; an unknown coin gets a lot of about one USDC."""
    if coin in _KNOWN:
        sz_decimals, max_leverage = _KNOWN[coin]
    else:
        sz_decimals = min(max(ceil(log10(price / _LOT_VALUE)), 0), 5)
        max_leverage = DEFAULT_LEVERAGE
    return Instrument(coin, asset, sz_decimals, max_leverage)


def instruments_for(markets: dict[str, Candles]) -> list[Instrument]:
    """Instruments of `markets`, asset ids in their order, unknown coins sized by first price."""
    return [
        instrument_for(coin, asset, float(candles.open[0]))
        for asset, (coin, candles) in enumerate(markets.items())
    ]
