"""Our client reads what the venue was recorded to send."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from recorded_fixtures import fixture, names

from fractaltrader.exchange.hyperliquid import translate, wire


def frontend(rows: list[dict[str, Any]]) -> int:
    """How many orders our client reads."""
    text = json.dumps(rows)
    orders = msgspec.json.decode(text, type=list[wire.FrontendOrder])
    return len([translate.open_order(order) for order in orders])


def fills(rows: list[dict[str, Any]]) -> int:
    """How many fills our client reads."""
    parsed = msgspec.json.decode(json.dumps(rows), type=list[wire.FillData])
    return len([translate.fill(item) for item in parsed])


def one(kind: Any, convert: Callable[[Any], Any]) -> Callable[[Any], int]:
    """Reads a whole body at once."""

    def read(body: Any) -> int:
        assert convert(msgspec.json.decode(json.dumps(body), type=kind)) is not None
        return 1

    return read


def orders_with_status(rows: list[dict[str, Any]]) -> int:
    """How many entries of history our client reads."""
    parsed = msgspec.json.decode(json.dumps(rows), type=list[wire.OrderEntry])
    records = [translate.order_record(e.order, e.status, e.status_timestamp) for e in parsed]
    return len(records)


# How our client reads each kind that it asks for.
READERS: dict[str, Callable[[Any], int]] = {
    "meta": one(wire.Meta, translate.instruments),
    "clearinghouseState": one(wire.ClearinghouseState, translate.account),
    "exchangeStatus": one(wire.ExchangeStatus, lambda status: status.time),
    "orderStatus": one(wire.OrderStatusAnswer, lambda answer: answer.status),
    "frontendOpenOrders": frontend,
    "historicalOrders": orders_with_status,
    "userFills": fills,
    "userFillsByTime": fills,
    "candleSnapshot": lambda rows: len(
        [
            translate.bar(candle)
            for candle in msgspec.json.decode(json.dumps(rows), type=list[wire.CandleData])
        ]
    ),
    "allMids": lambda body: len(msgspec.json.decode(json.dumps(body), type=dict[str, str])),
}
TRIMMED = "http_info/clearinghouseState_negative_totalRawUsd"
READ = [
    name
    for name in names("http_info")
    if fixture(name)["request"]["body"]["type"] in READERS and name != TRIMMED
]


@pytest.mark.parametrize("name", READ)
def test_our_client_reads_the_recording(name):
    """Every element of what the venue sent is understood."""
    recorded = fixture(name)
    body = recorded["response"]["body"]
    count = READERS[recorded["request"]["body"]["type"]](body)
    assert count == (len(body) if isinstance(body, list) or "BTC" in body else 1)


def frames_of(kind: Any, convert: Callable[[Any], Any]) -> Callable[[Any], int]:
    """Reads a list in the data of a frame."""

    def read(data: Any) -> int:
        parsed = msgspec.json.decode(json.dumps(data), type=kind)
        items = parsed.fills if isinstance(parsed, wire.UserFills) else parsed
        return len([convert(item) for item in items])

    return read


# How our client reads each channel that it subscribes to.
FRAME_READERS: dict[str, Callable[[Any], int]] = {
    "candle": one(wire.CandleData, translate.bar),
    "userFills": frames_of(wire.UserFills, translate.fill),
    "orderUpdates": frames_of(
        list[wire.OrderUpdateItem],
        lambda item: translate.order_record(item.order, item.status, item.status_timestamp),
    ),
}


@pytest.mark.parametrize(
    "name", [name for name in names("ws") if name[3:].split("_")[0] in FRAME_READERS]
)
def test_our_client_reads_the_recorded_frames(name):
    """Every element of every recorded frame is understood."""
    frames = [item["json"] for item in fixture(name)["frames"] if item["dir"] == "recv"]
    for recorded in frames:
        if recorded["channel"] != "subscriptionResponse":
            assert FRAME_READERS[recorded["channel"]](recorded["data"]) >= 1
