"""The parts of the bot's process that a validated week breaks: its disk, its clock, its life."""

import errno
import sqlite3
from collections.abc import Callable, Coroutine, Generator
from pathlib import Path
from random import Random
from typing import Any, cast

from fractaltrader.exchange.clock import PacedClock
from fractaltrader.live.ledger import Ledger
from fractaltrader.live.state_manager import StateManager, _Saved
from fractaltrader.market import Clock
from fractaltrader.simulator.faults.plan import Fault
from fractaltrader.validation.scenarios import Scenario
from fractaltrader.validation.world import Killed

_WRITES = ("INSERT", "UPDATE", "DELETE")


def window(times: tuple[str, str, str]) -> Fault:
    """A window that comes again: (begins, lasts, every)."""
    begins, lasts, every = times
    return Fault(begins=begins, lasts=lasts, every=every)


class JumpingClock:
    """Our own clock, wrong by what the open windows say."""

    def __init__(self, inner: PacedClock, scenario: Scenario) -> None:
        self._inner = inner
        self._origin_ms = inner.now_ms()
        self._jumps = [(window(times), ms) for times, ms in scenario.clock_jumps]
        self.healed = False

    @property
    def wrong_ms(self) -> int:
        """How far it is ahead of the truth."""
        if not self._jumps or self.healed:
            return 0
        now = self._inner.now_ms()
        open_jumps = (
            ms for fault, ms in self._jumps if fault.occurrence(now, self._origin_ms) is not None
        )
        return sum(open_jumps)

    def now_ms(self) -> int:
        return self._inner.now_ms() + self.wrong_ms

    async def sleep_ms(self, duration_ms: int) -> None:
        await self._inner.sleep_ms(duration_ms)


class Life:
    """When the process dies: at the point with this number, wherever that is. Points are every
    await of the bot's task and both sides of every durable write."""

    def __init__(self) -> None:
        self.points = 0
        self.dies_at: int | None = None
        self.tears = False

    @property
    def dies_now(self) -> bool:
        """Whether the next point is the last one; the point counts."""
        self.points += 1
        return self.dies_at is not None and self.points >= self.dies_at

    def point(self) -> None:
        """Raises Killed when the time has come."""
        if self.dies_now:
            raise Killed


class KilledAtAwait(Coroutine[Any, Any, None]):
    """A coroutine whose process may die whenever it would go on after an await."""

    def __init__(self, inner: Coroutine[Any, Any, None], life: Life) -> None:
        self._inner = inner
        self._life = life

    def send(self, value: Any) -> Any:
        if self._life.dies_now:
            return self._inner.throw(Killed())
        return self._inner.send(value)

    def throw(self, *what: Any) -> Any:
        return self._inner.throw(*what)

    def close(self) -> None:
        self._inner.close()

    def __await__(self) -> Generator[Any, None, None]:
        return self._inner.__await__()


class Disk:
    """The disk below state and ledger."""

    def __init__(self, clock: Clock, scenario: Scenario, rng: Random) -> None:
        self._clock = clock
        self._origin_ms = clock.now_ms()
        self._full = None if scenario.disk_full is None else window(scenario.disk_full)
        self._rng = rng
        self.healed = False
        self.refusals_ms: list[int] = []  # market time

    @property
    def full(self) -> bool:
        """Whether nothing more can be written."""
        if self._full is None or self.healed:
            return False
        return self._full.occurrence(self._clock.now_ms(), self._origin_ms) is not None

    def refuses(self) -> bool:
        """Whether a write fails now, which is counted."""
        if self.full:
            self.refusals_ms.append(self._clock.now_ms())
        return self.full

    def check(self, path: Path) -> None:
        """Raises OSError on a full disk."""
        if self.refuses():
            raise OSError(errno.ENOSPC, "No space left on device", str(path))

    def tear(self, path: Path) -> None:
        """Leave a part of `path`'s content, as a write that was cut off does."""
        if path.exists():
            content = path.read_bytes()
            path.write_bytes(content[: self._rng.randrange(len(content) or 1)])


class BreakableState(StateManager):
    """The real state manager on a disk that fills up, in a process that dies while it writes."""

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        disk: Disk,
        life: Life,
        locked: Callable[[], None] = lambda: None,
    ) -> None:
        """`locked` is called while the lock is held."""
        super().__init__(folder, clock)
        self._disk = disk
        self._life = life
        self._locked_hook = locked

    def _save_state(self, previous: _Saved) -> None:
        if self._life.dies_now:
            if self._life.tears:
                # What is written first may be cut off; the file itself is only ever replaced.
                self._disk.tear(self._backups[0])
            raise Killed
        self._disk.check(self.path)
        self._locked_hook()
        super()._save_state(previous)
        self._life.point()


class _BreakableDatabase:
    """A connection whose writes fail on a full disk."""

    def __init__(self, inner: sqlite3.Connection, disk: Disk, life: Life) -> None:
        self._inner = inner
        self._disk = disk
        self._life = life

    def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
        if not sql.startswith(_WRITES):
            return self._inner.execute(sql, *arguments)
        self._life.point()
        if self._disk.refuses():
            raise sqlite3.OperationalError("database or disk is full")
        cursor = self._inner.execute(sql, *arguments)
        self._life.point()
        return cursor

    def close(self) -> None:
        self._inner.close()


class BreakableLedger(Ledger):
    """The real ledger on that disk."""

    def __init__(self, folder: Path, disk: Disk, life: Life) -> None:
        super().__init__(folder)
        self._db = cast(sqlite3.Connection, _BreakableDatabase(self._db, disk, life))
