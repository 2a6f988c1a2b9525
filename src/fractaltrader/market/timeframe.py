"""Candle intervals as the venue names them."""

from dataclasses import dataclass
from typing import Self

from fractaltrader.errors import UserError

MINUTE_MS = 60_000
DAY_MS = 1_440 * MINUTE_MS

# Hyperliquid's fixed-length intervals; a calendar month has no fixed length and is not traded.
_MINUTES = {
    "1m": 1,
    "3m": 3,
    "5m": 5,
    "15m": 15,
    "30m": 30,
    "1h": 60,
    "2h": 120,
    "4h": 240,
    "8h": 480,
    "12h": 720,
    "1d": 1_440,
    "3d": 4_320,
    "1w": 10_080,
}


@dataclass(frozen=True, slots=True)
class Timeframe:
    """A candle interval: its name on the wire and its length in milliseconds."""

    name: str
    ms: int

    @classmethod
    def parse(cls, name: str) -> Self:
        """The timeframe called `name`; raises UserError for an unknown one."""
        if name not in _MINUTES:
            raise UserError(f"timeframe: {name!r} is not one of {', '.join(_MINUTES)}")
        return cls(name, _MINUTES[name] * MINUTE_MS)

    @classmethod
    def of_length(cls, ms: int) -> Self:
        """The timeframe that lasts `ms`; raises UserError when the venue has none."""
        for name, minutes in _MINUTES.items():
            if minutes * MINUTE_MS == ms:
                return cls(name, ms)
        raise UserError(f"timeframe: no interval lasts {ms} ms; known are {', '.join(_MINUTES)}")

    def floor(self, time_ms: int) -> int:
        """Open time of the bar that contains `time_ms` (weeks start on Monday, UTC)."""
        # The epoch was a Thursday; only weekly bars notice.
        anchor = 4 * DAY_MS if self.name == "1w" else 0
        return (time_ms - anchor) // self.ms * self.ms + anchor

    def close_time(self, open_ms: int) -> int:
        """Last millisecond of the bar that opens at `open_ms`, as the venue stamps it."""
        return open_ms + self.ms - 1

    def __str__(self) -> str:
        return self.name


TIMEFRAMES = tuple(Timeframe.parse(name) for name in _MINUTES)
