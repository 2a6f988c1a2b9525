"""When what failed is tried again."""

import asyncio

FIRST_RETRY_SECONDS = 2.0
LONGEST_RETRY_SECONDS = 30.0


class Retry:
    """When to try again after a failure: after 2 s, then doubling to 30 s."""

    def __init__(self) -> None:
        self.delay = 0.0
        self._at: float | None = None

    def failed(self) -> None:
        self.delay = min(max(2 * self.delay, FIRST_RETRY_SECONDS), LONGEST_RETRY_SECONDS)
        self._at = asyncio.get_running_loop().time() + self.delay

    def succeeded(self) -> None:
        self.delay, self._at = 0.0, None

    @property
    def pending(self) -> bool:
        """Whether a failure waits to be made good."""
        return self._at is not None

    def due(self) -> bool:
        return self._at is not None and asyncio.get_running_loop().time() >= self._at
