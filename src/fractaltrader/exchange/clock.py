"""The clocks of this machine; everything else is handed one."""

import asyncio
import time
from typing import Protocol


class SystemClock:
    """UTC epoch milliseconds of this machine."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    async def sleep_ms(self, duration_ms: int) -> None:
        await asyncio.sleep(duration_ms / 1000)


class PacedClock(Protocol):
    """A clock that can also let its time pass."""

    def now_ms(self) -> int:
        """Milliseconds since the clock's origin."""
        ...

    async def sleep_ms(self, duration_ms: int) -> None:
        """Return once `duration_ms` of this clock have passed."""
        ...


class MonotonicClock:
    """Milliseconds since this machine started: the same in all processes, set by nobody.

    At a replay that runs `pace` times as fast as time, so do the minutes that limits count.
    """

    def __init__(self, pace: float = 1.0) -> None:
        self._pace = pace

    def now_ms(self) -> int:
        return int(time.monotonic_ns() * self._pace) // 1_000_000

    async def sleep_ms(self, duration_ms: int) -> None:
        await asyncio.sleep(duration_ms / 1000 / self._pace)
