"""The local exchange without a network: real JSON bytes both ways, latency by the clock."""

import asyncio

from fractaltrader.exchange.errors import TransportError
from fractaltrader.simulator.faults.injector import Injector
from fractaltrader.simulator.faults.plan import Unreachable
from fractaltrader.simulator.faults.requests import LostConnectionError, carried
from fractaltrader.simulator.local_exchange import LocalExchange
from fractaltrader.simulator.protocol.gateway import Reply, answer
from fractaltrader.simulator.protocol.limits import ClientMeter
from fractaltrader.simulator.serving.link import SocketLink
from fractaltrader.simulator.virtual_time import LoopClock, SteppedClock

INFO_LATENCY_MS = 50
ACTION_LATENCY_MS = 200


class InProcessSocket:
    """One WebSocket; frames the exchange sends wait in a queue until received."""

    def __init__(
        self,
        exchange: LocalExchange,
        *,
        meter: ClientMeter | None = None,
        faults: Injector | None = None,
        ms_per_second: float = 1_000.0,
    ) -> None:
        """Needs a running loop."""
        self._inbox: asyncio.Queue[str | None] = asyncio.Queue()
        self._open = True
        self._link = SocketLink(
            exchange,
            self._inbox.put_nowait,
            self._ended,
            meter=meter,
            faults=faults,
            ms_per_second=ms_per_second,
        )

    @property
    def is_open(self) -> bool:
        """Whether neither side has closed it."""
        return self._open

    async def send(self, text: str) -> None:
        """Raises TransportError once closed."""
        if not self._open:
            raise TransportError("the socket is closed", sent=False)
        self._link.receive(text)

    async def receive(self) -> str | None:
        """The next frame; None once closed and drained."""
        if not self._open and self._inbox.empty():
            return None
        return await self._inbox.get()

    def _ended(self) -> None:
        self._open = False
        self._inbox.put_nowait(None)

    async def close(self) -> None:
        """Wakes up whoever waits in `receive`."""
        if self._open:
            self._link.close()
            self._ended()


class InProcessTransport:
    """`exchange.transport.Transport` to a LocalExchange in the same process.

    `client` is what the venue would know as an IP address: transports of one label share its
    limits, and `limits=False` lifts them. `faults` strike on this transport, and its faults of the
    market on the exchange itself.
    """

    def __init__(
        self,
        exchange: LocalExchange,
        clock: LoopClock,
        *,
        client: str = "in process",
        limits: bool = True,
        faults: Injector | None = None,
        info_latency_ms: int = INFO_LATENCY_MS,
        action_latency_ms: int = ACTION_LATENCY_MS,
    ) -> None:
        """Latencies are round trips in market milliseconds.

        Raises ValueError when the exchange already has another injector.
        """
        self._exchange = exchange
        self._clock = clock
        self._client = client
        self._limits = limits
        self._faults = faults
        self._latency = {"/info": info_latency_ms, "/exchange": action_latency_ms}
        self._sockets: set[InProcessSocket] = set()
        self._open = True
        if faults is not None:
            exchange.disturb(faults)

    def _meter(self) -> ClientMeter | None:
        return self._exchange.client_limits.meter(self._client) if self._limits else None

    async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Half the latency there, half back; raises TransportError when no answer came."""
        if not self._open:
            raise TransportError("the transport is closed", sent=False)
        latency = self._latency.get(path, 0)
        await self._clock.sleep_ms(latency // 2)
        reply = await self._reply(path, body)
        await self._clock.sleep_ms(latency - latency // 2)
        return reply.status, reply.body

    async def _reply(self, path: str, body: bytes) -> Reply:
        def execute() -> Reply:
            return answer(self._exchange, path, body, self._meter())

        if self._faults is None:
            return execute()
        try:
            return await carried(self._faults, path.lstrip("/"), execute, self._sleep)
        except LostConnectionError as loss:
            raise TransportError(str(loss), sent=loss.sent) from None

    async def _sleep(self, delay_ms: float) -> None:
        if delay_ms > 0:
            await self._clock.sleep_ms(round(delay_ms))

    async def connect(self) -> InProcessSocket:
        """Raises TransportError once closed, when a limit is reached or nothing answers."""
        if not self._open:
            raise TransportError("the transport is closed", sent=False)
        if self._faults is not None and self._faults.strikes(Unreachable, "ws") is not None:
            raise TransportError("nothing answers at this address", sent=False)
        meter = self._meter()
        if meter is not None and not meter.connects():
            raise TransportError("handshake refused: HTTP 429", sent=False)
        socket = InProcessSocket(
            self._exchange,
            meter=meter,
            faults=self._faults,
            ms_per_second=1_000 * self._clock.speed,
        )
        self._sockets = {other for other in self._sockets if other.is_open} | {socket}
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
    return InProcessTransport(
        exchange, LoopClock(0), limits=False, info_latency_ms=0, action_latency_ms=0
    )
