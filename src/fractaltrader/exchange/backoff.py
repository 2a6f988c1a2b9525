"""How long to wait before trying again: exponentially longer, with jitter from a given source."""

from random import Random

from tenacity import RetryCallState
from tenacity.wait import wait_base


class JitteredExponential(wait_base):
    """`first` seconds, doubling up to `longest`, each shortened by up to a half at random so that
    processes which failed together do not come back together.

    tenacity's own jitter draws from the global `random`, which no seed of ours reaches.
    """

    def __init__(self, rng: Random, *, first: float = 1.0, longest: float = 60.0) -> None:
        self._rng = rng
        self._first = first
        self._longest = longest

    def __call__(self, retry_state: RetryCallState) -> float:
        return self.seconds(retry_state.attempt_number)

    def seconds(self, attempt: int) -> float:
        """Seconds to wait after the `attempt`-th failure, counted from 1."""
        delay = min(self._first * 2.0 ** min(attempt - 1, 30), self._longest)
        return delay * (1 - self._rng.random() / 2)
