"""One WebSocket between a client and the exchange: limits, faults and the idle close."""

import asyncio
from collections.abc import Callable

import msgspec

from fractaltrader.simulator.faults.frames import FaultyFrames
from fractaltrader.simulator.faults.injector import Injector
from fractaltrader.simulator.faults.requests import LostConnectionError, carried
from fractaltrader.simulator.local_exchange import LocalExchange
from fractaltrader.simulator.protocol.gateway import JSON, Reply, WebSocketSession
from fractaltrader.simulator.protocol.limits import ClientMeter
from fractaltrader.simulator.protocol.topics.streams import compact, frame

# The venue closes a socket to which it has sent nothing for so long (hyperliquid.md 5.1).
IDLE_SECONDS = 60.0


class _PostId(msgspec.Struct):
    id: int


class SocketLink:
    """Frames of the client go into `receive`; the exchange's come out of `deliver`.

    `close` is called once when the exchange ends the connection. Market milliseconds are
    `ms_per_second` to the second of the running loop, whose time the idle close follows: it is the
    one in which clients ping.
    """

    def __init__(
        self,
        exchange: LocalExchange,
        deliver: Callable[[str], None],
        close: Callable[[], None],
        *,
        meter: ClientMeter | None = None,
        faults: Injector | None = None,
        ms_per_second: float = 1_000.0,
    ) -> None:
        """Needs a running loop."""
        self._loop = asyncio.get_running_loop()
        self._exchange = exchange
        self._deliver = deliver
        self._close = close
        self._meter = meter
        self._faults = faults
        self._ms_per_second = ms_per_second
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_open = True
        self._last_sent = self._loop.time()
        self._idle = self._loop.call_later(IDLE_SECONDS, self._check_idle)
        self._frames = FaultyFrames(faults, self._sent, self._drop, self._later) if faults else None
        self._session = WebSocketSession(exchange, self._push, meter)

    def _push(self, text: str) -> None:
        if self._frames is not None:
            self._frames.push(text)
        else:
            self._sent(text)

    def _sent(self, text: str) -> None:
        if self._is_open:
            self._last_sent = self._loop.time()
            self._deliver(text)

    def _later(self, delay_ms: float, do: Callable[[], None]) -> None:
        self._loop.call_later(delay_ms / self._ms_per_second, do)

    async def _sleep(self, delay_ms: float) -> None:
        if delay_ms > 0:
            await asyncio.sleep(delay_ms / self._ms_per_second)

    def _check_idle(self) -> None:
        quiet = self._loop.time() - self._last_sent
        if quiet >= IDLE_SECONDS:
            self._drop()
        else:
            self._idle = self._loop.call_later(IDLE_SECONDS - quiet, self._check_idle)

    def receive(self, text: str) -> None:
        """A text frame of the client."""
        if self._frames is not None and not self._frames.hears():
            return
        if self._meter is not None and not self._meter.sends():
            # What the venue does beyond its 2000 messages a minute is not recorded.
            self._drop()
            return
        if self._faults is not None and self._faults.is_armed and _is_post(text):
            task = self._loop.create_task(self._post(text, self._faults))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            self._session.receive(text)

    async def _post(self, text: str, faults: Injector) -> None:
        """A post request whose way is as uncertain as an HTTP request's."""
        route = "exchange" if '"action"' in text else "info"
        number = _post_id(text)
        if self._meter is not None and not self._meter.post_begins():
            self._push(compact(frame("error", f"too many pending post requests id={number}")))
            return
        answers: list[str] = []

        def execute() -> Reply:
            session = WebSocketSession(self._exchange, answers.append, self._meter)
            session.receive(text)
            session.close()
            return Reply(200, JSON, answers[0].encode())

        try:
            reply = await carried(faults, route, execute, self._sleep)
        except LostConnectionError:
            return
        finally:
            if self._meter is not None:
                self._meter.post_ends()
        if reply.status != 200:
            # Over the socket a status is its reason phrase (hyperliquid.md 5.3).
            payload = f"{reply.status} {_REASONS[reply.status]}"
            response = {"type": "error", "payload": payload}
            self._push(compact(frame("post", {"id": number, "response": response})))
            return
        self._push(reply.body.decode(errors="replace"))

    def _drop(self) -> None:
        """The exchange ends the connection, without a word."""
        if self._is_open:
            self.close()
            self._close()

    def close(self) -> None:
        """The connection is gone."""
        if self._is_open:
            self._is_open = False
            self._idle.cancel()
            self._session.close()
            for task in self._tasks:
                task.cancel()
            if self._meter is not None:
                self._meter.disconnects()


_REASONS = {
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


class _Method(msgspec.Struct):
    method: str


def _is_post(text: str) -> bool:
    try:
        return '"post"' in text and msgspec.json.decode(text, type=_Method).method == "post"
    except (msgspec.DecodeError, RecursionError):
        return False


def _post_id(text: str) -> int:
    try:
        return msgspec.json.decode(text, type=_PostId).id
    except (msgspec.DecodeError, RecursionError):
        return 0
