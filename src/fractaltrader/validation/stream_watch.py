"""Watches how long no candle reached the bot."""

from collections import deque

from fractaltrader.market import Clock
from fractaltrader.simulator.serving.transport import InProcessSocket

# Every frame begins with its channel.
_CANDLE = '"candle"'
_HEAD = 32
# A bot that waits for an answer while the candles come back looks at its clock when it has it.
LOOKS = 6


class StreamWatch:
    """Silences between candles in ms of the bot's own clock, which is what it measures them by: a
    jump of that clock makes a silence too."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heard_ms = clock.now_ms()
        self._ended = 0  # the longest that ended since the last look
        self._ended_before: deque[int] = deque(maxlen=LOOKS)

    def listens(self) -> None:
        """A life of the bot begins to listen."""
        self._heard_ms = self._clock.now_ms()
        self._ended = 0
        self._ended_before.clear()

    def receives(self, text: str) -> None:
        """A frame reaches the bot."""
        if _CANDLE in text[:_HEAD]:
            now = self._clock.now_ms()
            self._ended = max(self._ended, now - self._heard_ms)
            self._heard_ms = now

    def silence_ms(self) -> int:
        """The longest silence that lasts or has ended within the last looks."""
        self._ended_before.append(self._ended)
        self._ended = 0
        return max(self._clock.now_ms() - self._heard_ms, *self._ended_before)


class WatchedSocket:
    """The in-process socket under the watch."""

    def __init__(self, inner: InProcessSocket, watch: StreamWatch) -> None:
        self._inner = inner
        self._watch = watch

    async def send(self, text: str) -> None:
        await self._inner.send(text)

    async def receive(self) -> str | None:
        text = await self._inner.receive()
        if text is not None:
            self._watch.receives(text)
        return text

    async def close(self) -> None:
        await self._inner.close()
