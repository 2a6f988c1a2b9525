"""Nonces: one increasing sequence per signer, whoever of our processes signs."""

import asyncio
from pathlib import Path

import structlog

from fractaltrader.exchange.locked_file import LockedFile
from fractaltrader.market import Clock

log = structlog.get_logger()

HOUR_MS = 3_600_000
# The venue refuses nonces a day ahead of its time (hyperliquid.md 4.3). A mark half a day ahead of
# our clock was left by a clock that was wrong, and following it would end in refusals.
FARTHEST_AHEAD_MS = 12 * HOUR_MS
LOCK_TRIES = 500
LOCK_POLL_SECONDS = 0.002


def nonce_path(home: Path, address: str) -> Path:
    """The file that all processes which sign as `address` share."""
    return home / "nonces" / f"{address.lower()}.nonce"


class NonceAllocator:
    """Epoch milliseconds, never the same twice even within one millisecond or after the clock was
    set back. With `path` that holds across processes and restarts.

    The venue keeps the 100 highest nonces of a signer, refuses one it has seen, and one below all
    of them. The file is not synced: after a power loss the clock itself has moved on.
    """

    def __init__(self, clock: Clock, path: Path | None = None) -> None:
        self._clock = clock
        self._file = None if path is None else LockedFile(path)
        self._last = 0

    async def next(self) -> int:
        """A nonce nobody else has. When the file cannot be used for a second it comes from this
        process's own count: the venue itself refuses a duplicate, and a stop must not wait."""
        for _ in range(LOCK_TRIES):
            try:
                return self._allocate()
            except BlockingIOError:
                await asyncio.sleep(LOCK_POLL_SECONDS)
            except OSError as error:
                log.warning("the nonce file cannot be used", error=error.strerror)
                break
        return self._after(0)

    def at_least(self, nonce: int) -> None:
        """The venue wants nonces above `nonce`: continue there."""
        self._last = max(self._last, nonce)

    def _allocate(self) -> int:
        if self._file is None:
            return self._after(0)
        with self._file.locked() as file:
            content = file.read() or b""
            nonce = self._after(int(content) if content.isdigit() else 0)
            file.write(b"%d" % nonce)
        return nonce

    def _after(self, mark: int) -> int:
        now = self._clock.now_ms()
        highest = max(
            (known for known in (mark, self._last) if known <= now + FARTHEST_AHEAD_MS), default=0
        )
        self._last = max(now, highest + 1)
        return self._last

    def close(self) -> None:
        """Give the file back."""
        if self._file is not None:
            self._file.close()
