"""What every recorded market has in common: moments, one after the other, in the clock's time."""

import asyncio
from abc import ABC, abstractmethod
from typing import Protocol

from fractaltrader.market import Clock
from fractaltrader.simulator.local_exchange import LocalExchange


class SleepingClock(Clock, Protocol):
    """A clock that can wait."""

    async def sleep_until(self, time_ms: int) -> None: ...


class Replay(ABC):
    """A market that moves an exchange step by step."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()

    @property
    @abstractmethod
    def next_ms(self) -> int | None:
        """Time of the next step; None at the end."""

    @abstractmethod
    def step(self, exchange: LocalExchange) -> bool:
        """Do the next step; the clock must show `next_ms`. False at the end."""

    async def run(self, exchange: LocalExchange, clock: SleepingClock) -> None:
        """Replay to the end in the clock's time; a slow machine lags but skips nothing."""
        exchange.hold_time_at(self.next_ms)
        while (time_ms := self.next_ms) is not None:
            await clock.sleep_until(time_ms)
            # What happens together is seen together: a snapshot falls between moments.
            while self.next_ms == time_ms:
                self.step(exchange)

    def _hold(self, exchange: LocalExchange) -> None:
        """Time waits for the next step."""
        exchange.hold_time_at(self.next_ms)
        self._note_end()

    def _note_end(self) -> None:
        if self.next_ms is None:
            self.ended.set()
