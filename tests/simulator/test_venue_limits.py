"""The venue's limits of clients and addresses (hyperliquid.md section 6)."""

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest
from exchange_world import LISTINGS, ORIGIN_MS, Trader, limit

from fractaltrader.exchange.errors import TransportError
from fractaltrader.simulator.local_exchange import LocalExchange
from fractaltrader.simulator.protocol.limits import (
    ClientMeter,
    answer_weight,
    request_weight,
)
from fractaltrader.simulator.serving.transport import InProcessSocket, InProcessTransport
from fractaltrader.simulator.virtual_time import LoopClock, SteppedClock, run_virtual

RESTING = limit("B", "0.001", "90000")


@pytest.mark.parametrize(
    ("path", "request_", "weight"),
    [
        ("/info", {"type": "l2Book", "coin": "BTC"}, 2),
        ("/info", {"type": "clearinghouseState"}, 2),
        ("/info", {"type": "userRole"}, 60),
        ("/info", {"type": "meta"}, 20),
        ("/info", {"type": "userRateLimit"}, 20),
        ("/exchange", {"action": {"type": "noop"}}, 1),
        ("/exchange", {"action": {"type": "order", "orders": [{}] * 39}}, 1),
        ("/exchange", {"action": {"type": "order", "orders": [{}] * 79}}, 2),
        ("/exchange", {"action": {"type": "cancel", "cancels": [{}] * 120}}, 4),
    ],
)
def test_weights_are_the_documented_ones(path: str, request_: Any, weight: int) -> None:
    """Section 6.1, row by row."""
    assert request_weight(path, request_) == weight


def test_long_answers_cost_extra() -> None:
    """One more per 60 candles and per 20 fills: 5000 candles cost 83 more."""
    assert answer_weight({"type": "candleSnapshot"}, [{}] * 5_000) == 83
    assert answer_weight({"type": "userFills"}, [{}] * 59) == 2
    assert answer_weight({"type": "meta"}, {}) == 0


def _transport(exchange: LocalExchange, clock: LoopClock, client: str) -> InProcessTransport:
    return InProcessTransport(
        exchange, clock, client=client, info_latency_ms=0, action_latency_ms=0
    )


def test_a_client_beyond_1200_a_minute_gets_429_and_null() -> None:
    """The 61st `meta` in a minute is refused with the body `null`, another client is not, and a
    minute later the first may ask again."""

    async def hammer() -> None:
        clock = LoopClock(ORIGIN_MS)
        exchange = LocalExchange(LISTINGS, clock=clock)
        first, twin, other = (_transport(exchange, clock, name) for name in ("a", "a", "b"))
        answers = [await first.post("/info", b'{"type":"meta"}') for _ in range(60)]
        assert {status for status, _ in answers} == {200}
        assert await twin.post("/info", b'{"type":"meta"}') == (429, b"null")
        assert (await other.post("/info", b'{"type":"meta"}'))[0] == 200
        await clock.sleep_ms(59_000)
        assert (await first.post("/info", b'{"type":"meta"}'))[0] == 429
        await clock.sleep_ms(1_000)
        assert (await first.post("/info", b'{"type":"meta"}'))[0] == 200

    run_virtual(hammer())


async def _frame(socket: InProcessSocket) -> dict[str, Any]:
    text = await socket.receive()
    assert text is not None
    return json.loads(text)


def test_a_post_over_the_socket_shares_the_weight() -> None:
    """Once the minute's weight is used up a post request is answered with the 429 in words."""

    async def hammer() -> None:
        clock = LoopClock(ORIGIN_MS)
        exchange = LocalExchange(LISTINGS, clock=clock)
        transport = _transport(exchange, clock, "a")
        for _ in range(60):
            await transport.post("/info", b'{"type":"meta"}')
        socket = await transport.connect()
        request = {"type": "info", "payload": {"type": "meta"}}
        await socket.send(json.dumps({"method": "post", "id": 7, "request": request}))
        answer = await _frame(socket)
        expected = {"type": "error", "payload": "429 Too Many Requests"}
        assert answer == {"channel": "post", "data": {"id": 7, "response": expected}}

    run_virtual(hammer())


def test_sockets_are_capped_and_closed_when_idle() -> None:
    """An eleventh connection is refused until one of ten closes; an idle one is closed after 60 s
    of the loop's time, a pinged one is not."""

    async def connect() -> None:
        clock = LoopClock(ORIGIN_MS)
        transport = _transport(LocalExchange(LISTINGS, clock=clock), clock, "a")
        sockets = [await transport.connect() for _ in range(10)]
        with pytest.raises(TransportError, match="429"):
            await transport.connect()
        await sockets[0].close()
        sockets[0] = await transport.connect()
        await asyncio.sleep(50)
        await sockets[0].send('{"method":"ping"}')
        assert await _frame(sockets[0]) == {"channel": "pong"}
        await asyncio.sleep(20)
        assert sockets[0].is_open
        assert not any(socket.is_open for socket in sockets[1:])
        assert await sockets[1].receive() is None

    run_virtual(connect())


def test_a_client_tracks_ten_users_at_most() -> None:
    """The eleventh user gets the venue's text, over all sockets of the client, until one goes."""

    async def subscribe() -> None:
        clock = LoopClock(ORIGIN_MS)
        transport = _transport(LocalExchange(LISTINGS, clock=clock), clock, "a")
        first, second = await transport.connect(), await transport.connect()

        async def follow(socket: InProcessSocket, number: int) -> str:
            wanted = {"type": "orderUpdates", "user": f"0x{number:040x}"}
            await socket.send(json.dumps({"method": "subscribe", "subscription": wanted}))
            frame = await _frame(socket)
            return frame["channel"] if frame["channel"] != "error" else frame["data"]

        for number in range(10):
            assert await follow(first, number) == "subscriptionResponse"
        assert await follow(second, 10) == "Cannot track more than 10 total users."
        assert await follow(second, 3) == "subscriptionResponse"
        await first.close()
        assert await follow(second, 10) == "subscriptionResponse"

    run_virtual(subscribe())


def test_messages_and_subscriptions_are_capped() -> None:
    """Message 2001 of a minute ends the connection, subscription 1001 is refused."""
    clock = SteppedClock(ORIGIN_MS)
    meter = ClientMeter(clock)
    assert all(meter.sends() for _ in range(2_000))
    assert not meter.sends()
    clock.set(ORIGIN_MS + 60_000)
    assert meter.sends()
    for _ in range(1_000):
        assert meter.subscription_fault("") is None
        meter.subscribed("")
    assert meter.subscription_fault("") == "Cannot subscribe to more than 1000 channels."
    assert all(meter.post_begins() for _ in range(100))
    assert not meter.post_begins()


def test_an_address_without_budget_has_one_action_every_ten_seconds(
    exchange: LocalExchange, clock: SteppedClock
) -> None:
    """Beyond 10,000 actions the venue's text names both counts; refused actions neither count nor
    restart the ten seconds; cancels go on; a traded dollar is another action."""
    alice = Trader(exchange, "alice")
    account = exchange.state.accounts[alice.address]
    oids = [alice.order(RESTING)[0]["resting"]["oid"] for _ in range(3)]
    assert account.requests == 3
    account.requests = 9_999
    batch = {"type": "order", "orders": [RESTING, RESTING], "grouping": "na"}
    single = {"type": "order", "orders": [RESTING], "grouping": "na"}
    account.slow_lane_ms = clock.now_ms()
    assert alice.act(batch) == {
        "status": "err",
        "response": (
            "Too many cumulative requests sent (10001 > 10000) for cumulative volume traded $0.00. "
            "Place taker orders to free up 1 request per USDC traded."
        ),
    }
    assert account.requests == 9_999
    assert alice.act(single)["status"] == "ok"
    assert alice.act(single)["status"] == "err"
    assert alice.cancel(oids[0]) == "success"
    clock.set(clock.now_ms() + 9_999)
    assert alice.act(single)["status"] == "err"
    clock.set(clock.now_ms() + 1)
    assert alice.act(single)["status"] == "ok"
    assert alice.act(single)["status"] == "err"
    account.volume = Decimal("2.75")
    account.requests = 10_001
    assert alice.act(single)["status"] == "ok"
    assert alice.ask("userRateLimit") == {
        "cumVlm": "2.75",
        "nRequestsUsed": 10_002,
        "nRequestsCap": 10_002,
        "nRequestsSurplus": 0,
    }
    exchange.address_limits = False
    assert alice.act(single)["status"] == "ok"


def test_a_replay_makes_no_limit_tighter() -> None:
    """Ten seconds of the wall clock are enough, and ten seconds of the market's, whichever pass
    first; and so for a client's minute."""
    market, wall = SteppedClock(ORIGIN_MS), SteppedClock(ORIGIN_MS + 1_000_000)
    exchange = LocalExchange(LISTINGS, clock=market, nonce_clock=wall)
    exchange.move("BTC", Decimal(100_000))
    alice = Trader(exchange, "alice")
    exchange.state.accounts[alice.address].requests = 10_000
    single = {"type": "order", "orders": [RESTING], "grouping": "na"}
    assert alice.act(single)["status"] == "ok"
    market.set(ORIGIN_MS + 9_999)
    assert alice.act(single)["status"] == "err"
    market.set(ORIGIN_MS + 10_000)
    assert alice.act(single)["status"] == "ok"
    wall.set(ORIGIN_MS + 1_000_000 + 20_000)
    assert alice.act(single)["status"] == "ok"
    meter = exchange.client_limits.meter("a")
    assert meter.admits("/info", {"type": "meta"})
    while meter.admits("/info", {"type": "meta"}):
        pass
    market.set(ORIGIN_MS + 20_000 + 60_000)
    assert meter.admits("/info", {"type": "meta"})
