"""The one seam to the network: bytes to a path, text frames over a socket."""

from typing import Protocol


class Socket(Protocol):
    """An open WebSocket."""

    async def send(self, text: str) -> None:
        """Send one text frame; raises TransportError when the socket is gone."""
        ...

    async def receive(self) -> str | None:
        """The next text frame, or None once the socket is closed."""
        ...

    async def close(self) -> None:
        """Close the socket; closing twice is harmless."""
        ...


class Transport(Protocol):
    """A way to one venue: aiohttp in production, in process under virtual time."""

    async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """POST a JSON body to `/info` or `/exchange`: HTTP status and raw answer.

        Raises TransportError when no answer came.
        """
        ...

    async def connect(self) -> Socket:
        """Open the WebSocket at `/ws`; raises TransportError when it cannot."""
        ...

    async def close(self) -> None:
        """Release connections."""
        ...
