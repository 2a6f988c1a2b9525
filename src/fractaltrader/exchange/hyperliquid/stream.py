"""The WebSocket as an endless sequence of events: it reconnects and resubscribes by itself."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec

from fractaltrader.exchange.chronology import chronological
from fractaltrader.exchange.errors import TransportError
from fractaltrader.exchange.hyperliquid import translate, wire
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


async def stream(
    transport: Transport, account: str, coins: list[str], timeframe: Timeframe
) -> AsyncIterator[StreamEvent]:
    """Events of one account and its coins, in the order the venue sent them."""
    subscriptions: list[dict[str, Any]] = [
        {"type": "orderUpdates", "user": account},
        {"type": "userFills", "user": account},
        *({"type": "candle", "coin": coin, "interval": timeframe.name} for coin in coins),
    ]
    delay = FIRST_DELAY
    while True:
        socket: Socket | None = None
        try:
            socket = await transport.connect()
            for subscription in subscriptions:
                await _send(socket, {"method": "subscribe", "subscription": subscription})
            yield Connected()
            async for text in _frames(socket):
                delay = FIRST_DELAY
                for event in _events(text, timeframe):
                    yield event
            reason = "closed by the venue or silent"
        except TransportError as error:
            reason = str(error)
        finally:
            if socket is not None:
                await socket.close()
        yield Disconnected(reason)
        await asyncio.sleep(delay)
        delay = min(2 * delay, LONGEST_DELAY)


async def _send(socket: Socket, message: dict[str, Any]) -> None:
    await socket.send(wire.encode(message).decode())


async def _frames(socket: Socket) -> AsyncIterator[str]:
    """Frames until the socket closes or stays silent although it was pinged."""
    pinged = False
    while True:
        try:
            async with asyncio.timeout(PING_SECONDS):
                text = await socket.receive()
        except TimeoutError:
            if pinged:
                return
            await _send(socket, {"method": "ping"})
            pinged = True
            continue
        if text is None:
            return
        pinged = False
        yield text


def _events(text: str, timeframe: Timeframe) -> Iterator[StreamEvent]:
    """What one frame tells; frames of no interest tell nothing.

    An unreadable frame counts as a broken connection: after the reconnect everything is asked for.
    """
    if not text.startswith("{"):
        return  # the plain-text greeting
    try:
        yield from _parsed(msgspec.json.decode(text, type=wire.Frame), timeframe)
    except msgspec.DecodeError as error:
        raise TransportError(f"unreadable frame: {error}", sent=True) from error


def _parsed(frame: wire.Frame, timeframe: Timeframe) -> Iterator[StreamEvent]:
    if frame.channel == "candle":
        candle = msgspec.json.decode(frame.data, type=wire.CandleData)
        if candle.i == timeframe.name:
            yield CandleUpdate(candle.s, timeframe, translate.bar(candle))
    elif frame.channel == "orderUpdates":
        for item in msgspec.json.decode(frame.data, type=list[wire.OrderUpdateItem]):
            record = translate.order_record(item.order, item.status, item.status_timestamp)
            yield OrderUpdate(record)
    elif frame.channel == "error":
        text = msgspec.json.decode(frame.data, type=str)
        if not text.startswith("Already subscribed"):
            raise TransportError(f"the venue refused: {text}", sent=True)
    elif frame.channel == "userFills":
        batch = msgspec.json.decode(frame.data, type=wire.UserFills)
        fills = chronological(map(translate.fill, batch.fills))
        yield FillUpdate(tuple(fills), batch.is_snapshot)
