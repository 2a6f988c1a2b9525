"""The local exchange as a server: the venue's paths, and a few of our own under /admin."""

import asyncio
import contextlib
import os
from decimal import Decimal, InvalidOperation

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web

from fractaltrader.errors import UserError
from fractaltrader.simulator.feeds.feed import Feed
from fractaltrader.simulator.local_exchange import LocalExchange
from fractaltrader.simulator.protocol.gateway import JSON, WebSocketSession, answer

HOST = "127.0.0.1"
DEFAULT_PORT = 3001
# A client that does not read is dropped before it fills our memory.
FRAMES_WAITING = 10_000
MAX_BODY_BYTES = 1 << 20


class Server:
    """Serves one exchange; `speed` is market seconds per wall second, for /admin/status."""

    def __init__(self, exchange: LocalExchange, feed: Feed | None, speed: float) -> None:
        self._exchange = exchange
        self._feed = feed
        self._speed = speed
        self._runner: web.AppRunner | None = None
        self._sockets: set[web.WebSocketResponse] = set()

    async def start(self, port: int) -> str:
        """Listen on `port` (0 picks a free one); the URL. Raises UserError when it is taken."""
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.router.add_post("/info", self._post)
        app.router.add_post("/exchange", self._post)
        app.router.add_get("/ws", self._websocket)
        app.router.add_post("/admin/faucet", self._faucet)
        app.router.add_get("/admin/status", self._status)
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

    async def _post(self, request: web.Request) -> web.Response:
        reply = answer(self._exchange, request.path, await request.read())
        return web.Response(status=reply.status, body=reply.body, content_type=reply.content_type)

    async def _websocket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._sockets.add(socket)
        outgoing: asyncio.Queue[str] = asyncio.Queue()
        writer = asyncio.create_task(_write(socket, outgoing))

        def send(text: str) -> None:
            if outgoing.qsize() >= FRAMES_WAITING:
                writer.cancel()
            else:
                outgoing.put_nowait(text)

        session = WebSocketSession(self._exchange, send)
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    session.receive(message.data)
        finally:
            session.close()
            self._sockets.discard(socket)
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writer
        return socket

    async def _faucet(self, request: web.Request) -> web.Response:
        try:
            body = msgspec.json.decode(await request.read(), type=dict[str, str | int | float])
            amount = Decimal(str(body["usd"]))
            self._exchange.faucet(str(body["user"]), amount)
        except (msgspec.DecodeError, KeyError, InvalidOperation):
            return web.Response(status=422, text='faucet: send {"user": "0x…", "usd": "10000"}')
        except UserError as error:
            return web.Response(status=422, text=str(error))
        return _json({"status": "ok"})

    async def _status(self, _request: web.Request) -> web.Response:
        ended = self._feed is None or self._feed.ended.is_set()
        status = {"time": self._exchange.now_ms(), "ended": ended, "speed": self._speed}
        return _json(status)


def _json(value: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type=JSON)


async def _write(socket: web.WebSocketResponse, outgoing: asyncio.Queue[str]) -> None:
    """Send what the session queued; closes the socket when cancelled or the client is gone."""
    try:
        while True:
            await socket.send_str(await outgoing.get())
    except ConnectionError:
        return
    finally:
        await socket.close()
