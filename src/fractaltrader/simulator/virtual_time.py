"""Clocks for simulated markets, and an event loop whose time jumps instead of passing."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


class LoopClock:
    """Market time derived from the running loop's time: `speed` market seconds per loop second.

    Under `VirtualTimeLoop` it is virtual time; under a usual loop it is accelerated wall time.
    """

    def __init__(self, origin_ms: int, speed: float = 1.0) -> None:
        """Starts at `origin_ms` (UTC epoch) now; raises RuntimeError outside a running loop."""
        self._time = asyncio.get_running_loop().time
        self._start = self._time()
        self._origin_ms = origin_ms
        self.speed = speed

    def now_ms(self) -> int:
        """UTC epoch milliseconds of market time."""
        return self._origin_ms + round((self._time() - self._start) * 1000 * self.speed)

    async def sleep_until(self, time_ms: int) -> None:
        """Return when the clock shows `time_ms` or later; at once when it already does."""
        if time_ms <= self.now_ms():
            # Others get their turn even when the caller is late for ever.
            await asyncio.sleep(0)
        # The loop may wake a hair early, so the clock has the last word.
        while (missing := time_ms - self.now_ms()) > 0:  # noqa: ASYNC110 - no event marks time
            await asyncio.sleep(missing / 1000 / self.speed)

    async def sleep_ms(self, duration_ms: int) -> None:
        """Let `duration_ms` of market time pass."""
        await self.sleep_until(self.now_ms() + duration_ms)


class SteppedClock:
    """A clock that shows what it was last set to, for stepping without an event loop."""

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        """UTC epoch milliseconds."""
        return self._now_ms

    def set(self, now_ms: int) -> None:
        """Move to `now_ms`; raises ValueError when that is in the past."""
        if now_ms < self._now_ms:
            raise ValueError(f"time cannot go back from {self._now_ms} to {now_ms}")
        self._now_ms = now_ms


class VirtualTimeDeadlockError(RuntimeError):
    """Every task waits for something that no timer and no I/O will ever bring."""


class _JumpingSelector(selectors.BaseSelector):
    """Polls real I/O and, where a selector would block, moves the virtual time on instead."""

    def __init__(self) -> None:
        self._real = selectors.DefaultSelector()
        self.now = 0.0

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = self._real.select(0)
        if ready:
            return ready
        if timeout is None:
            raise VirtualTimeDeadlockError(
                "virtual time: every task waits, but no timer is set and nothing is ready; "
                "a task awaits an event that nobody will send"
            )
        self.now += max(timeout, 0.0)
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop that jumps to its next timer instead of waiting for it.

    Time starts at zero. Executor jobs run inline, so that a run depends on nothing but its inputs.
    """

    def __init__(self) -> None:
        self._virtual = _JumpingSelector()
        super().__init__(self._virtual)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._virtual.now

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Run `func` now, in this thread."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - whatever the job raised belongs to its caller
            future.set_exception(error)
        return future


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` to its end on a fresh virtual-time loop and return its result.

    Raises VirtualTimeDeadlockError when everything waits for ever.
    """
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)
