"""The local exchange as a server: the venue's paths, and a few of our own (`admin`)."""

import asyncio
import contextlib
import os

from aiohttp import WSCloseCode, WSMsgType, web

from fractaltrader.errors import UserError
from fractaltrader.simulator.faults.injector import Injector
from fractaltrader.simulator.faults.plan import Unreachable
from fractaltrader.simulator.faults.requests import LostConnectionError, carried
from fractaltrader.simulator.feeds.feed import Feed
from fractaltrader.simulator.feeds.tape import Tape
from fractaltrader.simulator.local_exchange import LocalExchange
from fractaltrader.simulator.protocol.gateway import JSON, MAX_BODY_BYTES, Reply, respond
from fractaltrader.simulator.protocol.limits import ClientMeter
from fractaltrader.simulator.serving.admin import Admin, local_pages_only
from fractaltrader.simulator.serving.link import SocketLink

HOST = "127.0.0.1"
DEFAULT_PORT = 3001
# A client that does not read is dropped before it fills our memory.
FRAMES_WAITING = 10_000


class Server:
    """Serves one exchange; `speed` is market seconds per wall second, for /admin/status.

    `limits` holds each remote address to the venue's limits of an IP. `faults` can be changed
    while it runs, through /admin/faults.
    """

    def __init__(
        self,
        exchange: LocalExchange,
        feed: Feed | Tape | None,
        speed: float,
        *,
        limits: bool = False,
        faults: Injector | None = None,
    ) -> None:
        self._exchange = exchange
        self._limits = limits
        self._faults = faults or exchange.faults or Injector()
        exchange.disturb(self._faults)
        self._admin = Admin(exchange, feed, speed, self._faults)
        self._speed = speed
        self._runner: web.AppRunner | None = None
        self._sockets: set[web.WebSocketResponse] = set()

    @property
    def faults(self) -> Injector:
        """What goes wrong here; may be changed at any time."""
        return self._faults

    async def start(self, port: int) -> str:
        """Listen on `port` (0 picks a free one); the URL. Raises UserError when it is taken."""
        app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[local_pages_only])
        app.router.add_get("/ws", self._websocket)
        self._admin.add_routes(app.router)
        app.router.add_route("*", "/{path:.*}", self._request)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, HOST, port).start()
        except OSError as error:
            await self.stop()
            reason = os.strerror(error.errno or 0)
            raise UserError(
                f"port: {port} on {HOST} cannot be used ({reason}); stop the program that holds it "
                "or give another --port"
            ) from None
        bound = self._runner.addresses[0][1]
        return f"http://{HOST}:{bound}"

    async def stop(self) -> None:
        """Close every socket and stop listening."""
        for socket in list(self._sockets):
            await socket.close(code=WSCloseCode.GOING_AWAY)
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _request(self, request: web.Request) -> web.Response:
        body = await request.read()

        def execute() -> Reply:
            kind = request.headers.get("Content-Type", "")
            meter = self._meter(request)
            return respond(self._exchange, request.method, request.path, kind, body, meter)

        try:
            reply = await carried(self._faults, request.path.lstrip("/"), execute, _sleep)
        except LostConnectionError:
            return _hang_up(request)
        headers = {"Content-Type": reply.content_type, **reply.headers}
        return web.Response(status=reply.status, body=reply.body, headers=headers)

    def _meter(self, request: web.Request) -> ClientMeter | None:
        limits = self._exchange.client_limits
        return limits.meter(request.remote or "") if self._limits else None

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        if self._faults.strikes(Unreachable, "ws") is not None:
            return _hang_up(request)
        meter = self._meter(request)
        if meter is not None and not meter.connects():
            # What a refused handshake looks like at the venue is not recorded.
            return web.Response(status=429, body=b"null", content_type=JSON)
        socket = web.WebSocketResponse()
        try:
            await socket.prepare(request)
        except BaseException:
            if meter is not None:
                meter.disconnects()
            raise
        self._sockets.add(socket)
        outgoing: asyncio.Queue[str] = asyncio.Queue()
        writer = asyncio.create_task(_write(socket, outgoing))

        def send(text: str) -> None:
            if outgoing.qsize() >= FRAMES_WAITING:
                writer.cancel()
            else:
                outgoing.put_nowait(text)

        def drop() -> None:
            writer.cancel()

        link = SocketLink(self._exchange, send, drop, meter=meter, faults=self._faults)
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    link.receive(message.data)
        finally:
            link.close()
            self._sockets.discard(socket)
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writer
        return socket


async def _sleep(delay_ms: float) -> None:
    if delay_ms > 0:
        await asyncio.sleep(delay_ms / 1000)


def _hang_up(request: web.Request) -> web.Response:
    """The connection ends without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _write(socket: web.WebSocketResponse, outgoing: asyncio.Queue[str]) -> None:
    """Send what the session queued; closes the socket when cancelled or the client is gone."""
    try:
        while True:
            await socket.send_str(await outgoing.get())
    except ConnectionError:
        return
    finally:
        await socket.close()
