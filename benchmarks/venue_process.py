"""The local exchange in a process of its own, asked over pipes: what is measured is the bot alone.

`python -m benchmarks.venue_process COINS DAYS ADDRESS` plays a generated market to one funded
account; it takes questions from its input and gives one answer each.
"""

import sys
from decimal import Decimal
from typing import IO, TypeVar

import msgspec

HEAD_BYTES = 4
START_MS = 1_735_689_600_000
SEED = 3
HISTORY_DAYS = 8
FUNDS_USD = Decimal(1_000_000)


class Question(msgspec.Struct, array_like=True):
    """What happens at the exchange at `time_ms`, market time."""

    what: str  # "tick" (of the market), "connect", "frame" (of the client), or an HTTP path
    time_ms: int = 0
    body: bytes = b""


class Answer(msgspec.Struct, array_like=True):
    """What came of it: an HTTP answer, the frames sent, and when the market moves next."""

    status: int
    body: bytes
    frames: list[str]
    next_ms: int | None  # None: the market has ended


Message = TypeVar("Message", Question, Answer)


def send(pipe: IO[bytes], message: Question | Answer) -> None:
    """Write one message, its length first."""
    content = msgspec.msgpack.encode(message)
    pipe.write(len(content).to_bytes(HEAD_BYTES, "big") + content)
    pipe.flush()


def receive(pipe: IO[bytes], kind: type[Message]) -> Message:
    """Read the next message; EOFError when the other side is gone."""
    head = pipe.read(HEAD_BYTES)
    if len(head) < HEAD_BYTES:
        raise EOFError
    return msgspec.msgpack.decode(pipe.read(int.from_bytes(head, "big")), type=kind)


def serve(coins: list[str], days: int, address: str) -> None:
    """Answer questions until there are no more."""
    # Here, so that the bot's process can import the messages without the exchange.
    from fractaltrader.data.synthetic import generated_market
    from fractaltrader.market import Timeframe
    from fractaltrader.market.universe import instruments_for
    from fractaltrader.simulator.feeds.feed import Feed
    from fractaltrader.simulator.local_exchange import LocalExchange
    from fractaltrader.simulator.protocol.gateway import WebSocketSession, answer
    from fractaltrader.simulator.virtual_time import SteppedClock

    timeframe = Timeframe.parse("15m")
    markets = generated_market(
        coins, days=HISTORY_DAYS + days, timeframe=timeframe, seed=SEED, start_ms=START_MS
    )
    feed = Feed(markets, start_index=HISTORY_DAYS * 86_400_000 // timeframe.ms)
    clock = SteppedClock(feed.start_ms)
    exchange = LocalExchange(feed.listings(instruments_for(markets)), clock=clock, seed=SEED)
    exchange.address_limits = False
    exchange.faucet(address, FUNDS_USD)
    frames: list[str] = []
    session = WebSocketSession(exchange, frames.append)
    while True:
        try:
            question = receive(sys.stdin.buffer, Question)
        except EOFError:
            return
        clock.set(max(question.time_ms, clock.now_ms()))
        status, body = 200, b""
        if question.what == "tick":
            feed.step(exchange)
        elif question.what == "connect":
            session = WebSocketSession(exchange, frames.append)
        elif question.what == "frame":
            session.receive(question.body.decode())
        else:
            reply = answer(exchange, question.what, question.body)
            status, body = reply.status, reply.body
        send(sys.stdout.buffer, Answer(status, body, frames, feed.next_ms))
        frames.clear()


if __name__ == "__main__":
    serve(sys.argv[1].split(","), int(sys.argv[2]), sys.argv[3])
