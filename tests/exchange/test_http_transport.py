"""HTTP and WebSocket over real sockets: what surely never left is told apart from what may have."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from fractaltrader.exchange import http
from fractaltrader.exchange.errors import TransportError
from fractaltrader.exchange.http import HttpTransport

pytestmark = pytest.mark.integration

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Takes the request and never answers."""
    await reader.read()
    writer.close()


async def rude(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Takes the request and hangs up."""
    await reader.readuntil(b"\r\n\r\n")
    writer.close()


async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Breaks off in the middle of its answer."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
    await writer.drain()
    writer.close()


@asynccontextmanager
async def listening(talk: Talk) -> AsyncIterator[str]:
    talks: list[asyncio.Task[None]] = []

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await talk(reader, writer)
        await writer.wait_closed()

    server = await asyncio.start_server(
        lambda *ends: talks.append(asyncio.ensure_future(hold(*ends))), "127.0.0.1", 0
    )
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()
        await asyncio.gather(*talks)


async def failure(work: Awaitable[object]) -> TransportError:
    with pytest.raises(TransportError) as raised:
        await work
    return raised.value


@pytest.mark.parametrize(("talk", "timed_out"), [(silent, True), (rude, False), (cut, False)])
def test_a_request_that_got_no_answer_may_have_been_executed(
    talk: Talk, timed_out: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the connection stood, silence, a hang-up and half an answer all mean: sent, unknown."""
    if timed_out:
        monkeypatch.setattr(http, "TIMEOUT", aiohttp.ClientTimeout(total=0.05))

    async def world() -> TransportError:
        async with listening(talk) as url:
            transport = HttpTransport(url)
            error = await failure(transport.post("/exchange", b"{}"))
            await transport.close()
            return error

    error = asyncio.run(world())
    assert (error.sent, error.timed_out) == (True, timed_out)


def test_where_nobody_listens_nothing_was_sent() -> None:
    """A refused connection is told with the address, for a request and for a socket."""

    async def world() -> tuple[str, list[TransportError]]:
        async with listening(rude) as url:
            pass
        transport = HttpTransport(url)
        found = [await failure(transport.post("/info", b"{}")), await failure(transport.connect())]
        await transport.close()
        await transport.close()  # closing twice is harmless
        return url.rstrip("/"), found

    url, (posted, connected) = asyncio.run(world())
    assert (posted.sent, posted.timed_out, connected.sent) == (False, False, False)
    assert str(posted).startswith(f"cannot reach {url}: ")
    assert str(connected).startswith(f"cannot open {url.replace('http', 'ws')}/ws: ")


def test_a_socket_passes_text_on_and_nothing_else() -> None:
    """Bytes are passed over, a close is None, and what is sent afterwards surely never left."""

    async def greet(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_bytes(b"\x00")
        await socket.send_str("heard " + await socket.receive_str())
        await socket.close()
        return socket

    async def world() -> tuple[list[str | None], TransportError]:
        app = web.Application()
        app.router.add_get("/ws", greet)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        transport = HttpTransport(f"http://127.0.0.1:{runner.addresses[0][1]}")
        socket = await transport.connect()
        await socket.send("{}")
        heard = [await socket.receive(), await socket.receive()]
        error = await failure(socket.send("{}"))
        await socket.close()
        await transport.close()
        await runner.cleanup()
        return heard, error

    heard, error = asyncio.run(world())
    assert heard == ["heard {}", None]
    assert (error.sent, str(error)) == (False, "socket: Cannot write to closing transport")
