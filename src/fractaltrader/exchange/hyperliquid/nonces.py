"""Nonces: one increasing sequence per signer."""

from fractaltrader.market import Clock


class NonceAllocator:
    """Epoch milliseconds, never the same twice even within one millisecond.

    The venue keeps the 100 highest nonces of a signer and refuses one it has seen.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = 0

    def next(self) -> int:
        self._last = max(self._clock.now_ms(), self._last + 1)
        return self._last
