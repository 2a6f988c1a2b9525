"""FractalTrader: Smart Money Concepts trading for Hyperliquid perpetuals.

`Candles`, `detect`, `SmcEngine`, `Event`, `EventKind` and `PROFILES` are imported on first use, so
that importing the package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fractaltrader.market import Bar, Candles, Timeframe
    from fractaltrader.smc import PROFILES, Event, EventKind, SmcEngine, detect

__version__ = "0.1.0"

__all__ = [
    "PROFILES",
    "Bar",
    "Candles",
    "Event",
    "EventKind",
    "SmcEngine",
    "Timeframe",
    "__version__",
    "detect",
]

_HOMES = {
    "Bar": "fractaltrader.market",
    "Candles": "fractaltrader.market",
    "Timeframe": "fractaltrader.market",
    "Event": "fractaltrader.smc",
    "EventKind": "fractaltrader.smc",
    "PROFILES": "fractaltrader.smc",
    "SmcEngine": "fractaltrader.smc",
    "detect": "fractaltrader.smc",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
