"""The WebSocket as an endless sequence of events: it reconnects and resubscribes by itself."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from random import Random
from typing import Any

import msgspec

from fractaltrader.exchange.backoff import JitteredExponential
from fractaltrader.exchange.chronology import chronological
from fractaltrader.exchange.classify import classify_frame, classify_silence
from fractaltrader.exchange.errors import (
    Classified,
    ConfigurationError,
    CriticalError,
    HarmlessError,
    TransportError,
)
from fractaltrader.exchange.hyperliquid import translate, wire
from fractaltrader.exchange.hyperliquid.feed_watch import FeedWatch
from fractaltrader.exchange.limiter import Limiter
from fractaltrader.exchange.port import (
    CandleUpdate,
    Connected,
    Disconnected,
    FillUpdate,
    OrderUpdate,
    StreamEvent,
)
from fractaltrader.exchange.transport import Socket, Transport
from fractaltrader.market import Timeframe

# The venue closes a socket it has sent nothing to for 60 s; a ping makes it send a pong.
PING_SECONDS = 20.0
FIRST_DELAY = 0.5
LONGEST_DELAY = 30.0
# A connection that lasted so long was a good one: the next delay is the first again.
GOOD_SECONDS = 10.0


class _EndedError(Exception):
    """The connection is of no more use; `classified` says what that means."""

    def __init__(self, reason: str, classified: Classified) -> None:
        super().__init__(reason)
        self.classified = classified


class Stream:
    """Events of one account and its coins, in the order the venue sent them.

    A feed that stops while the socket stays open counts as a lost connection.
    """

    def __init__(
        self,
        transport: Transport,
        account: str,
        coins: list[str],
        timeframe: Timeframe,
        *,
        rng: Random,
        limiter: Limiter | None = None,
    ) -> None:
        self._transport = transport
        self._timeframe = timeframe
        self._limiter = limiter
        self._backoff = JitteredExponential(rng, first=FIRST_DELAY, longest=LONGEST_DELAY)
        self._watch = FeedWatch(coins, 0.0)
        self._subscriptions: list[dict[str, Any]] = [
            {"type": "orderUpdates", "user": account},
            {"type": "userFills", "user": account},
            *({"type": "candle", "coin": coin, "interval": timeframe.name} for coin in coins),
        ]

    async def events(self) -> AsyncIterator[StreamEvent]:
        """Events until the iterator is closed.

        Raises CriticalError when the venue does not understand us, which no reconnect cures.
        """
        failures = 0
        while True:
            began = _now()
            connection = self._connection()
            try:
                async for event in connection:
                    yield event
            except _EndedError as ended:
                known, reason = ended.classified, str(ended)
            finally:
                await connection.aclose()
            yield Disconnected(reason, known.row)
            failures = 1 if _now() - began >= GOOD_SECONDS else failures + 1
            hopeless = known.kind is ConfigurationError
            await asyncio.sleep(LONGEST_DELAY if hopeless else self._backoff.seconds(failures))

    async def _connection(self) -> AsyncGenerator[StreamEvent, None]:
        """Events of one connection; always ends with _EndedError or CriticalError."""
        lease, socket = None, None
        try:
            if self._limiter is not None:
                lease = await self._limiter.open_socket(len(self._subscriptions))
            socket = await self._transport.connect()
            for subscription in self._subscriptions:
                await _send(socket, {"method": "subscribe", "subscription": subscription})
            self._watch.reconnected(_now())
            yield Connected()
            async for text in self._frames(socket, lease):
                for event in self._events(text):
                    yield event
        except TransportError as error:
            raise _EndedError(str(error), classify_silence(feed=False)) from error
        except ConfigurationError as error:
            raise _EndedError(str(error), Classified(type(error), None, True, "")) from error
        finally:
            if lease is not None and self._limiter is not None:
                self._limiter.close_socket(lease)
            if socket is not None:
                await socket.close()

    async def _frames(self, socket: Socket, lease: str | None) -> AsyncIterator[str]:
        """Frames until the socket closes, stays silent although pinged, or a feed stops."""
        pinged = False
        renewed = _now()
        while True:
            try:
                async with asyncio.timeout(PING_SECONDS):
                    text = await socket.receive()
            except TimeoutError:
                if pinged:
                    raise _EndedError("no answer to a ping", classify_silence(feed=False)) from None
                await _send(socket, {"method": "ping"})
                self._renew(lease, messages=1)
                renewed, pinged = _now(), True
            else:
                if text is None:
                    raise _EndedError("closed by the venue", classify_silence(feed=False))
                pinged = False
                yield text
            if _now() - renewed >= PING_SECONDS:  # a busy socket is never pinged
                self._renew(lease, messages=0)
                renewed = _now()
            stale = self._watch.stale(_now())
            if stale is not None:
                raise _EndedError(stale, classify_silence(feed=True))

    def _renew(self, lease: str | None, messages: int) -> None:
        """Go on holding our place among the connections of this machine."""
        if lease is not None and self._limiter is not None:
            self._limiter.renew_socket(lease, messages)

    def _events(self, text: str) -> Iterator[StreamEvent]:
        """What one frame tells; frames of no interest tell nothing.

        An unreadable frame counts as a broken connection: after the reconnect everything is asked
        for.
        """
        if not text.startswith("{"):
            return  # the plain-text greeting
        try:
            yield from self._parsed(msgspec.json.decode(text, type=wire.Frame))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise TransportError(f"unreadable frame: {error}", sent=True) from error

    def _parsed(self, frame: wire.Frame) -> Iterator[StreamEvent]:
        if frame.channel == "candle":
            candle = msgspec.json.decode(frame.data, type=wire.CandleData)
            if candle.i == self._timeframe.name:
                bar = translate.bar(candle)
                heard = _now()
                self._watch.seen(candle.s, bar, heard)
                yield CandleUpdate(candle.s, self._timeframe, bar, heard)
        elif frame.channel == "orderUpdates":
            for item in msgspec.json.decode(frame.data, type=list[wire.OrderUpdateItem]):
                record = translate.order_record(item.order, item.status, item.status_timestamp)
                yield OrderUpdate(record)
        elif frame.channel == "userFills":
            batch = msgspec.json.decode(frame.data, type=wire.UserFills)
            fills = chronological(map(translate.fill, batch.fills))
            yield FillUpdate(tuple(fills), batch.is_snapshot)
        elif frame.channel == "error":
            _refused(msgspec.json.decode(frame.data, type=str))


def _refused(text: str) -> None:
    """Raise what an error frame means; a harmless one means nothing."""
    known = classify_frame(text)
    if known.kind is CriticalError:
        raise known.error(f"the venue refused: {text}", frame=text)
    if known.kind is not HarmlessError:
        raise _EndedError(f"the venue refused: {text}", known)


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _send(socket: Socket, message: dict[str, Any]) -> None:
    await socket.send(wire.encode(message).decode())
