"""The wire in bytes: one place for status codes, bodies and frames, in process and served."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from fractaltrader.simulator.local_exchange import LocalExchange
from fractaltrader.simulator.protocol.forms.common import UnprocessableError
from fractaltrader.simulator.protocol.limits import ClientMeter
from fractaltrader.simulator.protocol.topics.streams import SubscriptionError, compact, frame

JSON = "application/json"
TEXT = "text/plain"


# Headers of every answer; browsers may call from any page (hyperliquid.md 1).
HEADERS = {
    "access-control-allow-origin": "*",
    "access-control-expose-headers": "*",
    "vary": "origin, access-control-request-method, access-control-request-headers",
}
_PREFLIGHT = {"access-control-allow-methods": "*", "access-control-allow-headers": "*"}
_PATHS = ("/info", "/exchange")
# Larger bodies are refused unparsed; the venue's own limit is not recorded.
MAX_BODY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer."""

    status: int
    content_type: str
    body: bytes
    headers: dict[str, str] = field(default_factory=lambda: HEADERS)


def respond(
    exchange: LocalExchange,
    method: str,
    path: str,
    content_type: str,
    body: bytes,
    meter: ClientMeter | None = None,
) -> Reply:
    """The answer to any HTTP request; what is not a JSON POST never reaches the exchange.

    Bodies of these refusals are not recorded (hyperliquid.md 12): those of the venue's web
    framework.
    """
    if path not in _PATHS:
        return Reply(404, TEXT, b"")
    if method == "OPTIONS":
        return Reply(200, TEXT, b"", HEADERS | _PREFLIGHT)
    if method != "POST":
        return Reply(405, TEXT, b"", HEADERS | {"allow": "POST"})
    kind = content_type.partition(";")[0].strip().lower()
    if kind != JSON and not (kind.startswith("application/") and kind.endswith("+json")):
        return Reply(415, TEXT, b"Expected request with `Content-Type: application/json`")
    if len(body) > MAX_BODY_BYTES:
        return Reply(413, TEXT, b"Failed to buffer the request body: length limit exceeded")
    return answer(exchange, path, body, meter)


def answer(
    exchange: LocalExchange, path: str, body: bytes, meter: ClientMeter | None = None
) -> Reply:
    """What the venue answers to a POST of `body` to `path`; `meter` limits the client."""
    handler: Callable[[object], Any]
    if path == "/info":
        handler = exchange.info
    elif path == "/exchange":
        handler = exchange.act
    else:
        return Reply(404, TEXT, b"Not Found")
    try:
        request = msgspec.json.decode(body)
        if meter is not None and not meter.admits(path, request):
            return Reply(429, JSON, b"null")
        result = handler(request)
        if meter is not None:
            meter.charge(request, result)
    # Endless nesting ends in a RecursionError, a string that is no UTF-8 in the other.
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Reply(400, TEXT, f"Failed to parse the request body as JSON: {error}".encode())
    except UnprocessableError as error:
        return Reply(422, TEXT, str(error).encode())
    return Reply(200, JSON, msgspec.json.encode(result))


class WebSocketSession:
    """One client's WebSocket: text in by `receive`, text out by `send`."""

    def __init__(
        self,
        exchange: LocalExchange,
        send: Callable[[str], None],
        meter: ClientMeter | None = None,
    ) -> None:
        self._exchange = exchange
        self._send = send
        self._meter = meter
        # Users of the subscriptions that `meter` counts for this socket, "" for none.
        self._users: list[str] = []
        self._is_open = True
        # Bound once: subscriptions recognise their sink by identity.
        self._sink = self._push

    def _push(self, message: dict[str, Any]) -> None:
        self._send(compact(message))

    def receive(self, text: str) -> None:
        """Handle one frame of the client; whatever it causes is sent."""
        try:
            message = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            self._refuse(text)
            return
        try:
            self._handle(message)
        except SubscriptionError as error:
            self._push(frame("error", str(error)))
        except UnprocessableError:
            self._refuse(text)

    def _handle(self, message: object) -> None:
        """Raises UnprocessableError for what cannot be parsed, as well as SubscriptionError."""
        if not isinstance(message, dict):
            raise UnprocessableError
        method = message.get("method")
        if method == "ping":
            self._push({"channel": "pong"})
        elif method == "subscribe" and "subscription" in message:
            self._subscribe(message["subscription"])
        elif method == "unsubscribe" and "subscription" in message:
            self._exchange.unsubscribe(message["subscription"], self._sink)
            self._forget_user(message["subscription"])
        elif method == "post":
            self._post(message)
        else:
            raise UnprocessableError

    def _subscribe(self, subscription: object) -> None:
        user = _user_of(subscription)
        if self._meter is not None:
            fault = self._meter.subscription_fault(user)
            if fault is not None:
                raise SubscriptionError(fault)
        self._exchange.subscribe(subscription, self._sink)
        # The first frame may have ended the connection.
        if self._meter is not None and self._is_open:
            self._meter.subscribed(user)
            self._users.append(user)

    def _forget_user(self, subscription: object) -> None:
        user = _user_of(subscription)
        # A field that the topic does not have may differ between the two requests.
        if self._meter is not None and user in self._users:
            self._users.remove(user)
            self._meter.unsubscribed(user)

    def _post(self, message: dict[str, Any]) -> None:
        request, number = message.get("request"), message.get("id")
        if not isinstance(request, dict) or type(number) is not int or not 0 <= number < 1 << 64:
            raise UnprocessableError
        kind, payload = request.get("type"), request.get("payload")
        path = "/exchange" if kind == "action" else "/info"
        if self._meter is not None and not self._meter.admits(path, payload):
            refused = {"type": "error", "payload": "429 Too Many Requests"}
            self._push(frame("post", {"id": message["id"], "response": refused}))
            return
        if kind == "info":
            data = self._exchange.info(payload)
            if self._meter is not None:
                self._meter.charge(payload, data)
            payload = {"type": request["payload"]["type"], "data": data}
        elif kind == "action":
            payload = self._exchange.act(payload)
        else:
            raise UnprocessableError
        response = {"type": kind, "payload": payload}
        self._push(frame("post", {"id": message["id"], "response": response}))

    def _refuse(self, echo: str) -> None:
        text = f"Error parsing JSON into valid websocket request: {echo}"
        self._push(frame("error", text))

    def close(self) -> None:
        """Drop this client's subscriptions."""
        self._is_open = False
        self._exchange.forget(self._sink)
        if self._meter is not None:
            for user in self._users:
                self._meter.unsubscribed(user)
            self._users.clear()


def _user_of(subscription: object) -> str:
    user = subscription.get("user") if isinstance(subscription, dict) else None
    return user.lower() if isinstance(user, str) else ""
