"""When the streams speak: snapshots, pushes by time, pushes by change, and to whom."""

import base64
import json
import zlib
from decimal import Decimal
from typing import Any

import pytest
from exchange_world import Trader, limit

from fractaltrader.simulator.protocol.gateway import WebSocketSession, answer, respond


class Ear:
    """A socket that remembers what it heard."""

    def __init__(self, exchange: Any, *subscriptions: dict[str, Any]) -> None:
        self.frames: list[dict[str, Any]] = []
        self.session = WebSocketSession(exchange, lambda text: self.frames.append(json.loads(text)))
        for one in subscriptions:
            self.say({"method": "subscribe", "subscription": one})

    def say(self, message: object) -> None:
        """Send one frame."""
        self.session.receive(json.dumps(message))

    def data(self, channel: str) -> list[Any]:
        """What came on a channel since the last time; the rest is kept."""
        found = [frame["data"] for frame in self.frames if frame["channel"] == channel]
        self.frames = [frame for frame in self.frames if frame["channel"] != channel]
        return found


CADENCES = [
    ({"type": "allMids"}, 5_000),
    ({"type": "l2Book", "coin": "BTC"}, 5_000),
    ({"type": "l2Book", "coin": "BTC", "fast": True}, 500),
    ({"type": "activeAssetCtx", "coin": "BTC"}, 1_000),
    ({"type": "openOrders"}, 5_000),
    ({"type": "clearinghouseState"}, 5_000),
    ({"type": "webData3"}, 5_000),
    ({"type": "webData2"}, 5_000),
]


@pytest.mark.parametrize(("subscription", "period_ms"), CADENCES, ids=lambda value: str(value))
def test_whole_states_come_at_once_and_then_by_market_time(
    exchange, trader, clock, subscription, period_ms
):
    """The state is sent on subscribing, then every period, however much happens in between."""
    alice = trader()
    if subscription["type"] in ("openOrders", "clearinghouseState", "webData2", "webData3"):
        subscription = subscription | {"user": alice.address}
    ear, channel = Ear(exchange, subscription), subscription["type"]
    assert len(ear.data(channel)) == 1
    alice.order(limit("B", "0.01", "90000"))
    exchange.move("BTC", Decimal(100_010))
    assert ear.data(channel) == []
    for _ in range(3):
        clock.set(clock.now_ms() + period_ms - 1)
        exchange.advance()
        assert ear.data(channel) == []
        clock.set(clock.now_ms() + 1)
        exchange.advance()
        assert len(ear.data(channel)) == 1


def test_the_fast_book_has_five_levels(exchange):
    """`fast` is said in the frame and shows five levels a side, the plain book twenty."""
    ear = Ear(
        exchange, *({"type": "l2Book", "coin": "BTC", "fast": fast} for fast in (True, False))
    )
    fast, plain = ear.data("l2Book")
    assert (fast["fast"], [len(side) for side in fast["levels"]]) == (True, [5, 5])
    assert ("fast" in plain, [len(side) for side in plain["levels"]]) == (False, [20, 20])


def test_bbo_speaks_only_of_changes(exchange, trader):
    """A better quote is told, a worse order is not."""
    alice = trader()
    ear = Ear(exchange, {"type": "bbo", "coin": "BTC"})
    assert len(ear.data("bbo")) == 1
    alice.order(limit("B", "0.01", "90000"))
    assert ear.data("bbo") == []
    alice.order(limit("B", "0.01", "99999"))
    (told,) = ear.data("bbo")
    assert told["bbo"][0] == {"px": "99999.0", "sz": "0.01", "n": 1}


def test_fast_contexts_are_deflated_and_then_only_differences(exchange, clock):
    """The first frame has every coin, the next only the coin and the fields that changed."""

    def unpacked(text: str) -> Any:
        return json.loads(zlib.decompress(base64.b64decode(text), wbits=-zlib.MAX_WBITS))

    ear = Ear(exchange, {"type": "fastAssetCtxs"})
    (first,) = map(unpacked, ear.data("fastAssetCtxs"))
    assert first.keys() == {"BTC", "ETH"}
    assert first["BTC"] == {"markPx": "100000.0", "midPx": "100000.0"}
    clock.set(clock.now_ms() + 1_000)
    exchange.move("ETH", Decimal(4_010))
    (second,) = map(unpacked, ear.data("fastAssetCtxs"))
    assert second == {"ETH": {"markPx": "4010.0", "midPx": "4010.0"}}
    clock.set(clock.now_ms() + 1_000)
    exchange.advance()
    assert ear.data("fastAssetCtxs") == []


def test_only_the_first_frame_is_a_snapshot(exchange, trader):
    """isSnapshot stands on the first frame of a history and never again; aggregated fills merge
    what one order took from several levels."""
    alice = trader(usd="10000000")
    kinds = ("userFills", "userHistoricalOrders", "userNonFundingLedgerUpdates", "userFundings")
    ear = Ear(exchange, *({"type": kind, "user": alice.address} for kind in kinds))
    merged = Ear(exchange, {"type": "userFills", "user": alice.address, "aggregateByTime": True})
    for kind in kinds:
        (first,) = ear.data(kind)
        assert (first["isSnapshot"], first["user"]) == (True, alice.address)
    assert merged.data("userFills")[0]["fills"] == []
    alice.order(limit("B", "1", "100200", "Ioc"))
    (fills,) = ear.data("userFills")
    (one,) = merged.data("userFills")
    assert "isSnapshot" not in fills
    assert len(fills["fills"]) > 1
    assert [fill["sz"] for fill in one["fills"]] == ["1.0"]
    (history,) = ear.data("userHistoricalOrders")
    assert [entry["status"] for entry in history["orderHistory"]] == ["open", "filled"]
    exchange.faucet(alice.address, Decimal(5))
    exchange.advance()
    (ledger,) = ear.data("userNonFundingLedgerUpdates")
    assert ledger["nonFundingLedgerUpdates"][0]["delta"] == {"type": "deposit", "usdc": "5.0"}


def test_a_resting_fill_is_notified_to_its_owner_only(exchange, trader):
    """The text is the venue's, numbers without trailing zeros."""
    alice, bob = trader(), trader("bob")
    ears = [Ear(exchange, {"type": "notification", "user": one.address}) for one in (alice, bob)]
    alice.order(limit("B", "0.01", "99999"))
    bob.order(limit("A", "0.01", "99999", "Ioc"))
    text = "Resting order filled: Bought 0.01 BTC at $99999"
    assert ears[0].data("notification") == [{"notification": text}]
    assert ears[1].frames[1:] == []


def test_two_sockets_share_a_topic_and_leave_it_one_by_one(exchange, trader, clock):
    """Both hear; after one unsubscribes and the other closes nothing is kept for them."""
    wanted = {"type": "openOrders", "user": trader().address}
    first, second = Ear(exchange, wanted), Ear(exchange, wanted)
    first.say({"method": "unsubscribe", "subscription": wanted})
    first.frames.clear()
    second.data("openOrders")
    clock.set(clock.now_ms() + 5_000)
    exchange.advance()
    assert (first.frames, len(second.data("openOrders"))) == ([], 1)
    second.session.close()
    streams = exchange._streams
    assert (streams._topics, streams._timed, streams._watching) == ({}, [], [])


FORMS = [
    {"type": "nope"},
    {"type": "l2Book"},
    {"type": "l2Book", "coin": 7},
    {"type": "l2Book", "coin": "BTC", "nSigFigs": 9},
    {"type": "l2Book", "coin": "BTC", "fast": "yes"},
    {"type": "userFills", "user": "0x1"},
    "l2Book",
    None,
]


@pytest.mark.parametrize("subscription", FORMS, ids=str)
def test_what_cannot_be_parsed_is_echoed_whole(exchange, subscription):
    """A wrong form is no subscription at all: the whole message comes back."""
    message = json.dumps({"method": "subscribe", "subscription": subscription})
    ear = Ear(exchange)
    ear.session.receive(message)
    text = f"Error parsing JSON into valid websocket request: {message}"
    assert ear.frames == [{"channel": "error", "data": text}]


@pytest.mark.parametrize(
    "subscription",
    [
        {"type": "bbo", "coin": "NOPE"},
        {"type": "candle", "coin": "BTC", "interval": "7m"},
        {"type": "openOrders", "user": "0x" + "11" * 20, "dex": "xyz"},
    ],
    ids=str,
)
def test_what_does_not_exist_is_an_invalid_subscription(exchange, subscription):
    """Unknown coins, intervals and dexes are named in the venue's words."""
    ear = Ear(exchange, subscription)
    text = f"Invalid subscription {json.dumps(subscription, separators=(',', ':'))}"
    assert ear.frames == [{"channel": "error", "data": text}]


def test_posts_are_answered_like_requests(exchange, trader):
    """An info post wraps the data, an action post is the HTTP body, ids are any u64."""
    alice: Trader = trader()
    ear = Ear(exchange)
    ask = {"type": "clearinghouseState", "user": alice.address}
    big = (1 << 64) - 1
    ear.say({"method": "post", "id": big, "request": {"type": "info", "payload": ask}})
    (told,) = ear.data("post")
    payload = {"type": "clearinghouseState", "data": exchange.info(ask)}
    assert told == {"id": big, "response": {"type": "info", "payload": payload}}
    alice.nonce += 1
    signature = alice.signer.sign_action({"type": "noop"}, alice.nonce, mainnet=False)
    envelope = {"action": {"type": "noop"}, "nonce": alice.nonce, "signature": signature}
    for status in ("ok", "err"):
        ear.say({"method": "post", "id": 1, "request": {"type": "action", "payload": envelope}})
        (told,) = ear.data("post")
        assert (told["response"]["type"], told["response"]["payload"]["status"]) == (
            "action",
            status,
        )
    for number in (-1, 1 << 64, "1", True, None):
        ear.say({"method": "post", "id": number, "request": {"type": "info", "payload": ask}})
        assert "Error parsing JSON" in ear.data("error")[0]


def test_browsers_may_call(exchange):
    """A preflight is allowed and every answer carries the venue's CORS headers."""
    preflight = respond(exchange, "OPTIONS", "/info", "", b"")
    assert (preflight.status, preflight.body) == (200, b"")
    assert preflight.headers["access-control-allow-headers"] == "*"
    for reply in (
        preflight,
        answer(exchange, "/info", b'{"type":"meta"}'),
        answer(exchange, "/info", b"{}"),
        respond(exchange, "GET", "/info", "", b""),
    ):
        assert reply.headers["access-control-allow-origin"] == "*"
        assert reply.headers["access-control-expose-headers"] == "*"
        assert "origin" in reply.headers["vary"]
    kinds = ["application/json; charset=utf-8", "application/vnd.api+json", "text/plain", ""]
    statuses = [respond(exchange, "POST", "/info", k, b'{"type":"meta"}').status for k in kinds]
    assert statuses == [200, 200, 415, 415]
