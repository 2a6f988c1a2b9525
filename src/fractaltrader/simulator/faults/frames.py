"""Faults of WebSocket frames on their way to the client (hyperliquid.md section 9)."""

from collections import deque
from collections.abc import Callable

import msgspec

from fractaltrader.simulator.faults.injector import Injector
from fractaltrader.simulator.faults.market import is_withheld
from fractaltrader.simulator.faults.plan import (
    CandleGap,
    DroppedSocket,
    DuplicateMessage,
    HalfOpen,
    LateCandle,
    ReorderMessage,
    SilentStream,
)

REORDER_MS = 1_000.0

# Calls a function that many milliseconds of market time from now.
Later = Callable[[float, Callable[[], None]], None]


class _Head(msgspec.Struct):
    channel: str


class _Bar(msgspec.Struct):
    t: int
    s: str


class _CandleFrame(msgspec.Struct):
    data: _Bar


class FaultyFrames:
    """Passes frames on to `deliver`, or what the faults leave of them; `close` drops the socket."""

    def __init__(
        self,
        injector: Injector,
        deliver: Callable[[str], None],
        close: Callable[[], None],
        later: Later,
    ) -> None:
        self._injector = injector
        self._deliver = deliver
        self._close = close
        self._later = later
        self._held: list[str] = []
        self._delayed: deque[str] = deque()
        self._backlog_ms = 0.0

    def push(self, text: str) -> None:
        """A frame the exchange sends."""
        injector = self._injector
        if not injector.is_armed and not self._delayed and not self._held:
            self._deliver(text)
            return
        if injector.strikes(HalfOpen) is not None or self._is_silenced(text):
            return
        if injector.strikes(DroppedSocket) is not None:
            self._close()
            return
        delay = injector.delay_ms("ws")
        # A frame behind a delayed one comes no sooner than that: a socket keeps the order.
        self._backlog_ms = max(delay, self._backlog_ms if self._delayed else 0.0)
        if self._backlog_ms > 0:
            self._delayed.append(text)
            self._later(self._backlog_ms, self._release_delayed)
        else:
            self._arrange(text)

    def _release_delayed(self) -> None:
        self._arrange(self._delayed.popleft())

    def _arrange(self, text: str) -> None:
        if self._injector.strikes(ReorderMessage) is not None:
            self._held.append(text)
            self._later(REORDER_MS, self._release_held)
            return
        self._deliver(text)
        if self._injector.strikes(DuplicateMessage) is not None:
            self._deliver(text)
        self._release_held()

    def _release_held(self) -> None:
        held, self._held = self._held, []
        for text in held:
            self._deliver(text)

    def _is_silenced(self, text: str) -> bool:
        injector = self._injector
        if not injector.has(SilentStream, CandleGap, LateCandle):
            return False
        channel = msgspec.json.decode(text, type=_Head).channel
        if channel == "candle":
            bar = msgspec.json.decode(text, type=_CandleFrame).data
            if is_withheld(injector, bar.s, bar.t):
                return True
        if channel in ("pong", "subscriptionResponse", "post", "error"):
            return False
        silences = injector.open(SilentStream)
        return any(not fault.channels or channel in fault.channels for _, fault, _ in silences)

    def hears(self) -> bool:
        """Whether what the client sends arrives."""
        return self._injector.strikes(HalfOpen) is None
