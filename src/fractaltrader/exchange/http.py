"""The Transport over the network: aiohttp for HTTP and WebSocket."""

import aiohttp

from fractaltrader.exchange.errors import TransportError

TIMEOUT = aiohttp.ClientTimeout(total=15, connect=5)


class HttpSocket:
    """An aiohttp WebSocket as the port's Socket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket

    async def send(self, text: str) -> None:
        try:
            await self._socket.send_str(text)
        except (aiohttp.ClientError, OSError) as error:
            raise TransportError(f"socket: {error}", sent=False) from error

    async def receive(self) -> str | None:
        while True:
            message = await self._socket.receive()
            if message.type is aiohttp.WSMsgType.TEXT:
                text: str = message.data
                return text
            if message.type in (
                aiohttp.WSMsgType.CLOSE,
                aiohttp.WSMsgType.CLOSING,
                aiohttp.WSMsgType.CLOSED,
                aiohttp.WSMsgType.ERROR,
            ):
                return None

    async def close(self) -> None:
        await self._socket.close()


class HttpTransport:
    """Requests to one venue at `base_url`, e.g. http://127.0.0.1:3001."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=TIMEOUT)
        return self._session

    async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/json"}
        try:
            async with self._open_session().post(
                self._base_url + path, data=body, headers=headers
            ) as response:
                return response.status, await response.read()
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            timed_out = isinstance(error, aiohttp.ConnectionTimeoutError)
            text = f"cannot reach {self._base_url}: {error}"
            raise TransportError(text, sent=False, timed_out=timed_out) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            timed_out = isinstance(error, TimeoutError)
            text = f"{type(error).__name__}: {error}"
            raise TransportError(text, sent=True, timed_out=timed_out) from error

    async def connect(self) -> HttpSocket:
        url = "ws" + self._base_url.removeprefix("http") + "/ws"
        try:
            return HttpSocket(await self._open_session().ws_connect(url, max_msg_size=0))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise TransportError(f"cannot open {url}: {error}", sent=False) from error

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None
