"""The local exchange without a network: real JSON bytes both ways, latency by the clock."""

import asyncio

from fractaltrader.exchange.errors import TransportError
from fractaltrader.simulator.local_exchange import LocalExchange
from fractaltrader.simulator.protocol.gateway import WebSocketSession, answer
from fractaltrader.simulator.virtual_time import LoopClock, SteppedClock

INFO_LATENCY_MS = 50
ACTION_LATENCY_MS = 200


class InProcessSocket:
    """One WebSocket; frames the exchange sends wait in a queue until received."""

    def __init__(self, exchange: LocalExchange) -> None:
        self._inbox: asyncio.Queue[str | None] = asyncio.Queue()
        self._session = WebSocketSession(exchange, self._inbox.put_nowait)
        self._open = True

    async def send(self, text: str) -> None:
        """Raises TransportError once closed."""
        if not self._open:
            raise TransportError("the socket is closed", sent=False)
        self._session.receive(text)

    async def receive(self) -> str | None:
        """The next frame; None once closed and drained."""
        if not self._open and self._inbox.empty():
            return None
        return await self._inbox.get()

    async def close(self) -> None:
        """Wakes up whoever waits in `receive`."""
        if self._open:
            self._open = False
            self._session.close()
            self._inbox.put_nowait(None)


class InProcessTransport:
    """`exchange.transport.Transport` to a LocalExchange in the same process."""

    def __init__(
        self,
        exchange: LocalExchange,
        clock: LoopClock,
        *,
        info_latency_ms: int = INFO_LATENCY_MS,
        action_latency_ms: int = ACTION_LATENCY_MS,
    ) -> None:
        """Latencies are round trips in market milliseconds."""
        self._exchange = exchange
        self._clock = clock
        self._latency = {"/info": info_latency_ms, "/exchange": action_latency_ms}
        self._sockets: list[InProcessSocket] = []
        self._open = True

    async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Half the latency there, half back; raises TransportError once closed."""
        if not self._open:
            raise TransportError("the transport is closed", sent=False)
        latency = self._latency.get(path, 0)
        await self._clock.sleep_ms(latency // 2)
        reply = answer(self._exchange, path, body)
        await self._clock.sleep_ms(latency - latency // 2)
        return reply.status, reply.body

    async def connect(self) -> InProcessSocket:
        """Raises TransportError once closed."""
        if not self._open:
            raise TransportError("the transport is closed", sent=False)
        socket = InProcessSocket(self._exchange)
        self._sockets.append(socket)
        return socket

    async def close(self) -> None:
        """Close every socket."""
        self._open = False
        for socket in self._sockets:
            await socket.close()
        self._sockets.clear()


def transport_from_snapshot(snapshot: bytes) -> InProcessTransport:
    """A transport to the exchange that wrote `snapshot`, its time standing still.

    Needs a running loop; raises UserError when the snapshot cannot be read.
    """
    exchange = LocalExchange.restored(snapshot, clock=SteppedClock(0))
    return InProcessTransport(exchange, LoopClock(0), info_latency_ms=0, action_latency_ms=0)
