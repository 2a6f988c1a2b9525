"""The wire: recorded responses have the same keys and types as ours, over HTTP and WebSocket."""

import asyncio
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from exchange_world import LISTINGS, ORIGIN_MS, Trader, limit, trigger

from fractaltrader.exchange.errors import TransportError
from fractaltrader.simulator.local_exchange import LocalExchange
from fractaltrader.simulator.protocol.gateway import WebSocketSession, answer
from fractaltrader.simulator.serving.transport import InProcessTransport, transport_from_snapshot
from fractaltrader.simulator.virtual_time import LoopClock, run_virtual

# Keys that newer recordings have and older ones lack, or that occur only sometimes.
LATER = {
    "collateralToken",
    "nRequestsSurplus",
    "cloid",
    "reduceOnly",
    "cumFunding",
    "origSz",
    "maxLeverage",
    "entryPx",
}
SOMETIMES = {
    "isDelisted",
    "onlyIsolated",
    "marginMode",
    "builderFee",
    "liquidation",
    "rawUsd",
    "maxTradeSzs",
}


def shape_differences(ours: Any, recorded: Any, path: str = "") -> list[str]:
    """Where `ours` has other keys or other JSON types than `recorded`; lists by first element."""
    if ours is None or recorded is None:
        return []
    if isinstance(recorded, dict) and isinstance(ours, dict):
        if path.endswith(("mids", "allMids")):
            pairs = [(next(iter(ours.values())), next(iter(recorded.values())), path)]
        else:
            missing = recorded.keys() - ours.keys() - SOMETIMES - LATER
            extra = ours.keys() - recorded.keys() - LATER
            found = [f"{path}: missing {key}" for key in missing]
            found += [f"{path}: extra {key}" for key in extra]
            if found:
                return found
            pairs = [(ours[key], recorded[key], f"{path}.{key}") for key in recorded if key in ours]
        return [text for pair in pairs for text in shape_differences(*pair)]
    if isinstance(recorded, list) and isinstance(ours, list):
        if not ours or not recorded:
            return []
        return shape_differences(ours[0], recorded[0], f"{path}[]")
    if type(ours) is not type(recorded):
        return [f"{path}: {type(ours).__name__} instead of {type(recorded).__name__}"]
    if isinstance(recorded, str) and _is_number(recorded) and "." in recorded and "." not in ours:
        return [f"{path}: {ours!r} lacks the decimal point of {recorded!r}"]
    return []


def _is_number(text: str) -> bool:
    return text.lstrip("-").replace(".", "", 1).isdigit()


@pytest.fixture
def busy(exchange: LocalExchange) -> tuple[LocalExchange, Trader]:
    """A user with a position, resting and waiting orders, fills and rejected orders."""
    alice, bob = Trader(exchange, "alice"), Trader(exchange, "bob")
    alice.order(limit("B", "0.05", "101000", "Ioc", c="0x" + "cd" * 16))
    alice.order(
        limit("B", "0.01", "99500"),
        trigger("A", "0.01", "98000", "sl"),
        trigger("A", "0.01", "103000", "tp"),
        grouping="normalTpsl",
    )
    bob.order(limit("A", "0.01", "99999"), limit("B", "0.01", "90000", "Ioc"))
    exchange.move("BTC", Decimal(100_100), volume=Decimal(3))
    return exchange, alice


CASES = [
    ("meta_2025-08-22", {"type": "meta"}),
    ("metaAndAssetCtxs_2025-08-22", {"type": "metaAndAssetCtxs"}),
    ("spotMeta_2025-08-22", {"type": "spotMeta"}),
    ("spotMetaAndAssetCtxs_2025-08-22_first40", {"type": "spotMetaAndAssetCtxs"}),
    ("perpDexs_2025-12-13_a", {"type": "perpDexs"}),
    ("allMids_2025-12-13_a", {"type": "allMids"}),
    ("l2Book_spot_107_full", {"type": "l2Book", "coin": "BTC"}),
    ("l2Book_unknown_coin", {"type": "l2Book", "coin": "NOPE"}),
    ("recentTrades_shape", {"type": "recentTrades", "coin": "BTC"}),
    ("exchangeStatus", {"type": "exchangeStatus"}),
    (
        "candleSnapshot_kPEPE_1h_first12",
        {
            "type": "candleSnapshot",
            "req": {"coin": "BTC", "interval": "1h", "startTime": 0, "endTime": None},
        },
    ),
    ("clearinghouseState_isolated_position", {"type": "clearinghouseState"}),
    ("openOrders_2023_even", {"type": "openOrders"}),
    ("frontendOpenOrders_tpsl_parent_with_children", {"type": "frontendOpenOrders"}),
    ("historicalOrders_first3", {"type": "historicalOrders"}),
    ("orderStatus_filled_buy_market", {"type": "orderStatus", "oid": "0x" + "cd" * 16}),
    ("orderStatus_unknownOid", {"type": "orderStatus", "oid": 1}),
    ("userFillsByTime_testnet_open_long", {"type": "userFillsByTime", "startTime": 0}),
    ("userFees_shape", {"type": "userFees"}),
    ("userRateLimit_small", {"type": "userRateLimit"}),
]


@pytest.mark.parametrize(("fixture", "request_body"), CASES, ids=[name for name, _ in CASES])
def test_info_answers_have_the_recorded_shape(busy, shared_folder: Path, fixture, request_body):
    """Keys, JSON types and the decimal point of numbers are those of the venue's recording."""
    exchange, alice = busy
    text = (shared_folder / "fixtures" / "http_info" / f"{fixture}.json").read_text()
    recorded = json.loads(text)["response"]["body"]
    body = json.dumps({"user": alice.address} | request_body).encode()
    reply = answer(exchange, "/info", body)
    assert (reply.status, reply.content_type) == (200, "application/json")
    assert shape_differences(json.loads(reply.body), recorded, request_body["type"]) == []
    empty = answer(
        exchange, "/info", json.dumps({"user": "0x" + "0f" * 20} | request_body).encode()
    )
    assert empty.status == 200


FRAMES = [
    ("orderUpdates_open_then_filled_one_frame", "orderUpdates", 0),
    ("userFills_snapshot_then_stream", "userFills", 1),
    ("userEvents_spot_fill", "userEvents", -1),
    ("candle_perp_1m", "candle", 0),
    ("bbo_BTC_2026-10", "bbo", 0),
    ("l2Book_BTC_2026-10", "l2Book", 0),
    ("trades_BTC_2026-10", "trades", 0),
    ("allMids_2026_small", "allMids", 0),
]


@pytest.mark.parametrize(("fixture", "kind", "index"), FRAMES, ids=[f[1] for f in FRAMES])
def test_frames_have_the_recorded_shape(busy, clock, shared_folder: Path, fixture, kind, index):
    """The frames a fill and a tick cause look like the recorded ones."""
    exchange, alice = busy
    text = (shared_folder / "fixtures" / "ws" / f"{fixture}.json").read_text()
    recorded = json.loads(text)["frames"][index]["json"]
    frames: list[dict] = []
    session = WebSocketSession(exchange, lambda text: frames.append(json.loads(text)))
    wanted = {"type": kind, "coin": "BTC", "interval": "1m", "user": alice.address}
    session.receive(json.dumps({"method": "subscribe", "subscription": wanted}))
    assert frames[0]["channel"] == "subscriptionResponse"
    frames.clear()
    alice.order(limit("B", "0.001", "101000", "Ioc"))
    clock.set(clock.now_ms() + 5_000)
    exchange.move("BTC", Decimal(100_200), volume=Decimal(1))
    ours = next(f for f in frames if f["channel"] == recorded["channel"])
    assert shape_differences(ours, recorded) == []
    if kind == "orderUpdates":
        assert [u["status"] for u in ours["data"]] == ["open", "filled"]


def test_the_protocol_of_the_socket(busy):
    """Acks are normalised, a second subscribe and nonsense get error frames, posts carry ids, and
    a closed session hears nothing."""
    exchange, alice = busy
    frames: list[dict] = []
    session = WebSocketSession(exchange, lambda text: frames.append(json.loads(text)))

    def say(message: object) -> dict:
        frames.clear()
        session.receive(json.dumps(message))
        return frames[0]

    book = {"type": "l2Book", "coin": "ETH"}
    ack = say({"method": "subscribe", "subscription": book})["data"]["subscription"]
    assert ack == book | {"nSigFigs": None, "mantissa": None, "fast": False}
    again = say({"method": "subscribe", "subscription": book})
    assert again == {
        "channel": "error",
        "data": 'Already subscribed: {"type":"l2Book","coin":"ETH"}',
    }
    assert say({"method": "ping"}) == {"channel": "pong"}
    nonsense = {"method": "subscribe", "xsubscription": {}}
    text = f"Error parsing JSON into valid websocket request: {json.dumps(nonsense)}"
    assert say(nonsense) == {"channel": "error", "data": text}
    bad = say({"method": "subscribe", "subscription": {"type": "bbo", "coin": "NOPE"}})
    assert bad["data"] == 'Invalid subscription {"type":"bbo","coin":"NOPE"}'
    upper = {"type": "userFills", "user": alice.address.upper().replace("0X", "0x")}
    shown = say({"method": "subscribe", "subscription": upper})["data"]["subscription"]
    assert shown == {"type": "userFills", "user": alice.address, "aggregateByTime": False}
    assert frames[1]["data"]["isSnapshot"] is True
    assert len(frames[1]["data"]["fills"]) == 1
    mids = {"type": "info", "payload": {"type": "allMids"}}
    reply = say({"method": "post", "id": 7, "request": mids})
    assert reply["data"]["id"] == 7
    assert reply["data"]["response"]["payload"]["data"] == exchange.info({"type": "allMids"})
    assert say({"method": "unsubscribe", "subscription": book})["data"]["method"] == "unsubscribe"
    assert say({"method": "unsubscribe", "subscription": book})["channel"] == "error"
    session.close()
    frames.clear()
    alice.order(limit("B", "0.001", "101000", "Ioc"))
    assert frames == []


@pytest.mark.parametrize("body", [b"[]", b'{"type":"nope"}', b'{"type":"openOrders"}'])
def test_what_cannot_be_parsed_is_422_as_plain_text(exchange, body):
    """Status, content type and beginning of the text are the venue's."""
    reply = answer(exchange, "/info", body)
    assert (reply.status, reply.content_type) == (422, "text/plain")
    assert reply.body.startswith(b"Failed to deserialize the JSON body into the target type")


def test_the_in_process_transport_speaks_bytes_and_takes_time():
    """A signed action takes the round trip, executes half way, and its frames come first."""

    async def world() -> None:
        clock = LoopClock(ORIGIN_MS)
        exchange = LocalExchange(LISTINGS, clock=clock)
        exchange.move("BTC", Decimal(100_000))
        alice = Trader(exchange, "alice")
        transport = InProcessTransport(exchange, clock)
        socket = await transport.connect()
        wanted = {"type": "orderUpdates", "user": alice.address}
        await socket.send(json.dumps({"method": "subscribe", "subscription": wanted}))
        assert json.loads(await socket.receive())["channel"] == "subscriptionResponse"
        action = {
            "type": "order",
            "orders": [limit("B", "0.01", "101000", "Ioc")],
            "grouping": "na",
        }
        signature = alice.signer.sign_action(action, ORIGIN_MS, mainnet=False)
        envelope = {"action": action, "nonce": ORIGIN_MS, "signature": signature}
        posted = asyncio.create_task(transport.post("/exchange", json.dumps(envelope).encode()))
        update = json.loads(await socket.receive())["data"][0]
        assert (update["statusTimestamp"], posted.done()) == (ORIGIN_MS + 100, False)
        status, body = await posted
        assert clock.now_ms() == ORIGIN_MS + 200
        assert (status, json.loads(body)["status"]) == (200, "ok")
        await transport.close()
        assert await socket.receive() is None
        with pytest.raises(TransportError):
            await transport.post("/info", b"{}")
        copy = transport_from_snapshot(exchange.snapshot())
        query = {"type": "clearinghouseState", "user": alice.address}
        _, kept = await copy.post("/info", json.dumps(query).encode())
        assert json.loads(kept) == exchange.info(query) | {"time": ORIGIN_MS + 200}

    run_virtual(world())
