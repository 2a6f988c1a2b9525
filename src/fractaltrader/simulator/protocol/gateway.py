"""The wire in bytes: one place for status codes, bodies and frames, in process and served."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from fractaltrader.simulator.local_exchange import LocalExchange
from fractaltrader.simulator.protocol.forms import UnprocessableError
from fractaltrader.simulator.protocol.streams import SubscriptionError, compact, frame

JSON = "application/json"
TEXT = "text/plain"


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer."""

    status: int
    content_type: str
    body: bytes


def answer(exchange: LocalExchange, path: str, body: bytes) -> Reply:
    """What the venue answers to a POST of `body` to `path`."""
    handler: Callable[[object], Any]
    if path == "/info":
        handler = exchange.info
    elif path == "/exchange":
        handler = exchange.act
    else:
        return Reply(404, TEXT, b"Not Found")
    try:
        result = handler(msgspec.json.decode(body))
    except msgspec.DecodeError as error:
        return Reply(422, TEXT, str(UnprocessableError(str(error))).encode())
    except UnprocessableError as error:
        return Reply(422, TEXT, str(error).encode())
    return Reply(200, JSON, msgspec.json.encode(result))


class WebSocketSession:
    """One client's WebSocket: text in by `receive`, text out by `send`."""

    def __init__(self, exchange: LocalExchange, send: Callable[[str], None]) -> None:
        self._exchange = exchange
        self._send = send
        # Bound once: subscriptions recognise their sink by identity.
        self._sink = self._push

    def _push(self, message: dict[str, Any]) -> None:
        self._send(compact(message))

    def receive(self, text: str) -> None:
        """Handle one frame of the client; whatever it causes is sent."""
        try:
            message = msgspec.json.decode(text)
        except msgspec.DecodeError:
            self._refuse(text)
            return
        method = message.get("method") if isinstance(message, dict) else None
        try:
            if method == "ping":
                self._push({"channel": "pong"})
            elif method == "subscribe" and "subscription" in message:
                self._exchange.subscribe(message["subscription"], self._sink)
            elif method == "unsubscribe" and "subscription" in message:
                self._exchange.unsubscribe(message["subscription"], self._sink)
            elif method == "post":
                self._post(message)
            else:
                self._refuse(compact(message))
        except SubscriptionError as error:
            self._push(frame("error", str(error)))

    def _post(self, message: dict[str, Any]) -> None:
        request = message.get("request")
        try:
            if not isinstance(request, dict) or not isinstance(message.get("id"), int):
                raise UnprocessableError
            kind, payload = request.get("type"), request.get("payload")
            if kind == "info":
                data = self._exchange.info(payload)
                payload = {"type": request["payload"]["type"], "data": data}
            elif kind == "action":
                payload = self._exchange.act(payload)
            else:
                raise UnprocessableError
        except UnprocessableError:
            self._refuse(compact(message))
            return
        response = {"type": kind, "payload": payload}
        self._push(frame("post", {"id": message["id"], "response": response}))

    def _refuse(self, echo: str) -> None:
        text = f"Error parsing JSON into valid websocket request: {echo}"
        self._push(frame("error", text))

    def close(self) -> None:
        """Drop this client's subscriptions."""
        self._exchange.forget(self._sink)
