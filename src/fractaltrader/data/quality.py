"""What a set of candles is worth: how many, over which time, and what is missing or odd."""

from dataclasses import dataclass

import numpy as np

from fractaltrader.market import Candles, Timeframe


@dataclass(frozen=True, slots=True)
class Quality:
    """Counts are in bars; times are UTC epoch ms of bar opens, None where there is no such bar."""

    coin: str
    timeframe: Timeframe
    bars: int
    first_time: int
    last_time: int
    gaps: int
    missing_bars: int
    longest_gap: int
    longest_gap_time: int | None  # of the first missing bar
    zero_volume: int
    flat: int  # open, high, low and close all equal
    largest_jump: float  # fraction, signed, from one close to the next
    largest_jump_time: int | None  # of the bar that closed there


def quality(candles: Candles) -> Quality:
    """The report of `candles`, which hold at least one bar, sorted and unique."""
    missing = np.diff(candles.open_time) // candles.timeframe.ms - 1
    jumps = np.diff(candles.close) / candles.close[:-1]
    longest = int(np.argmax(missing)) if missing.any() else None
    jump = int(np.argmax(np.abs(jumps))) if jumps.any() else None
    return Quality(
        coin=candles.coin,
        timeframe=candles.timeframe,
        bars=len(candles),
        first_time=int(candles.open_time[0]),
        last_time=int(candles.open_time[-1]),
        gaps=int((missing > 0).sum()),
        missing_bars=int(missing.sum()),
        longest_gap=0 if longest is None else int(missing[longest]),
        longest_gap_time=(
            None if longest is None else int(candles.open_time[longest]) + candles.timeframe.ms
        ),
        zero_volume=int((candles.volume == 0).sum()),
        flat=int((candles.high == candles.low).sum()),
        largest_jump=0.0 if jump is None else float(jumps[jump]),
        largest_jump_time=None if jump is None else int(candles.open_time[jump + 1]),
    )
