"""Our client against answers recorded from the real venue."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest

from fractaltrader.exchange.clock import SystemClock
from fractaltrader.exchange.errors import (
    CriticalError,
    RejectedError,
    TransientError,
    TransportError,
    UnknownOutcomeError,
)
from fractaltrader.exchange.hyperliquid.client import HyperliquidVenue
from fractaltrader.exchange.hyperliquid.signing import Signer
from fractaltrader.exchange.hyperliquid.stream import Stream
from fractaltrader.exchange.port import (
    CandleUpdate,
    Connected,
    Disconnected,
    FillUpdate,
    OrderRequest,
    OrderUpdate,
    OutcomeKind,
    Side,
    Trigger,
)
from fractaltrader.market import Instrument, Timeframe

ETH = Instrument("ETH", 1, 4, 25)


class Recorded:
    """A transport that answers every request as the venue once did."""

    def __init__(self, answer: tuple[int, bytes] | TransportError) -> None:
        self._answer = answer

    async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        if isinstance(self._answer, TransportError):
            raise self._answer
        return self._answer

    async def connect(self) -> Any:
        raise NotImplementedError

    async def close(self) -> None:
        pass


def venue(answer: tuple[int, bytes] | TransportError) -> HyperliquidVenue:
    signer = Signer("0x" + "1" * 64)
    return HyperliquidVenue(
        Recorded(answer), signer, account=signer.address, clock=SystemClock(), mainnet=False
    )


def recorded(shared: Path, name: str) -> tuple[int, bytes]:
    response = json.loads((shared / "fixtures" / f"{name}.json").read_text())["response"]
    body = response["raw"] if "raw" in response else json.dumps(response["body"])
    return response["status"], body.encode()


def place(client: HyperliquidVenue, orders: int = 1) -> Any:
    order = OrderRequest(ETH, Side.BUY, Decimal("0.02"), Decimal(1900), "0x" + "0" * 32)
    stop = OrderRequest(
        ETH,
        Side.SELL,
        Decimal("0.02"),
        Decimal(1700),
        "0x" + "1" * 32,
        reduce_only=True,
        trigger=Trigger(Decimal(1800), "sl"),
    )
    return asyncio.run(client.place([order, stop, stop][:orders], bracket=orders > 1))


def test_account_with_an_isolated_position(shared_folder: Path) -> None:
    """A recorded account arrives with exact amounts and its one position."""
    answer = recorded(shared_folder, "http_info/clearinghouseState_isolated_position")
    account = asyncio.run(venue(answer).account())
    assert account.equity == Decimal("83.307638")
    assert account.withdrawable == Decimal("75.781884")
    position = account.positions["HYPE"]
    assert (position.size, position.leverage) == (Decimal("2.0"), 10)
    assert position.liquidation_price == Decimal("35.8559189474")


READS: dict[
    str, tuple[str, Callable[[HyperliquidVenue], Awaitable[Any]], Callable[[Any], bool]]
] = {
    "empty account": (
        "clearinghouseState_empty_a",
        lambda v: v.account(),
        lambda a: a.positions == {} and a.equity == 0,
    ),
    "old account": (
        "clearinghouseState_2023_even_positions",
        lambda v: v.account(),
        lambda a: len(a.positions) > 5,
    ),
    "universe of 2023": (
        "meta_2023_legacy_shape",
        lambda v: v.instruments(),
        lambda i: i["BTC"].sz_decimals == 5,
    ),
    "universe of 2025": (
        "meta_2025-08-22",
        lambda v: v.instruments(),
        lambda i: i["BTC"].max_leverage == 40 and i["MATIC"].delisted,
    ),
    "parent of a bracket": (
        "frontendOpenOrders_tpsl_parent_with_children",
        lambda v: v.open_orders(),
        lambda o: [(x.coin, x.kind, x.reduce_only) for x in o] == [("INJ", "limit", False)],
    ),
    "filled order": (
        "orderStatus_filled_buy_market",
        lambda v: v.order(37907159219),
        lambda r: r.status == "filled" and r.original_size == Decimal("0.0025"),
    ),
    "unknown order": (
        "orderStatus_unknownOid",
        lambda v: v.order("0x" + "0" * 32),
        lambda r: r is None,
    ),
    "history": (
        "historicalOrders_first3",
        lambda v: v.order_history(),
        lambda r: len(r) == 3,
    ),
    "fill": (
        "userFillsByTime_testnet_open_long",
        lambda v: v.fills(0),
        lambda f: f[0].fee == Decimal("0.004845") and f[0].taker,
    ),
    "old fills without fee and tid": (
        "userFills_2023_first250",
        lambda v: v.fills(0),
        lambda f: len(f) > 0,
    ),
    "candles": (
        "candleSnapshot_kPEPE_1h_first12",
        lambda v: v.candles("kPEPE", Timeframe.parse("1h"), 0, 1),
        lambda b: len(b) == 12 and b[0].open_time < b[-1].open_time,
    ),
    "mids": ("allMids_2025-12-13_a", lambda v: v.mid_prices(), lambda m: m["BTC"] > 0),
    "time": ("exchangeStatus", lambda v: v.time_ms(), lambda t: t > 1_700_000_000_000),
    "role": ("userRole_vault", lambda v: v.role(), lambda r: r["role"] == "vault"),
}


@pytest.mark.parametrize("case", READS)
def test_recorded_reads(case: str, shared_folder: Path) -> None:
    """Every recorded /info answer the bot needs parses into what it says."""
    name, read, holds = READS[case]
    client = venue(recorded(shared_folder, f"http_info/{name}"))

    async def ask() -> Any:
        return await read(client)

    assert holds(asyncio.run(ask()))


def test_recorded_order_answers(shared_folder: Path) -> None:
    """Filled, resting and waiting answers become the outcomes they are."""
    (filled,) = place(venue(recorded(shared_folder, "http_exchange/order_filled")))
    assert (filled.kind, filled.filled) == (OutcomeKind.FILLED, Decimal("0.02"))
    assert filled.average_price == Decimal("1891.4")
    (resting,) = place(venue(recorded(shared_folder, "http_exchange/order_resting")))
    assert resting.kind is OutcomeKind.RESTING
    bracket = place(venue(recorded(shared_folder, "errors/tpsl_waiting")), orders=3)
    assert [outcome.kind for outcome in bracket] == [
        OutcomeKind.RESTING,
        OutcomeKind.WAITING,
        OutcomeKind.WAITING,
    ]
    (small,) = place(venue(recorded(shared_folder, "errors/order_min_notional")))
    assert small.kind is OutcomeKind.REJECTED
    assert "minimum value of $10" in (small.error or "")


def test_one_error_for_a_batch_counts_for_every_order() -> None:
    """A batch refused before validation answers once; every order of it is rejected."""
    body = b'{"status":"ok","response":{"type":"order","data":{"statuses":[{"error":"far"}]}}}'
    bracket = place(venue((200, body)), orders=3)
    assert [outcome.error for outcome in bracket] == ["far"] * 3


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("address_rate_limited", TransientError),
        ("bad_signature_wallet_does_not_exist", CriticalError),
        ("batch_over_weight_limit", RejectedError),
        ("duplicate_nonce", UnknownOutcomeError),
        ("http_422_text", CriticalError),
        ("http_429_null", TransientError),
        ("must_deposit", CriticalError),
    ],
)
def test_recorded_refusals(name: str, expected: type[Exception], shared_folder: Path) -> None:
    """Each recorded refusal of an action is the kind of error that says who acts next."""
    with pytest.raises(expected):
        place(venue(recorded(shared_folder, f"errors/{name}")))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (TransportError("refused", sent=False), TransientError),
        (TransportError("reset", sent=True), UnknownOutcomeError),
        ((502, b"<html>bad gateway</html>"), UnknownOutcomeError),
        ((500, b"null"), UnknownOutcomeError),
        ((200, b'{"status":"ok","resp'), UnknownOutcomeError),
        ((200, b"<html>"), UnknownOutcomeError),
        ((403, b"blocked"), CriticalError),
        ((425, b""), TransientError),
        ((408, b""), UnknownOutcomeError),
        ((415, b""), CriticalError),
        ((200, b'{"status":"ok","response":{"data":{"statuses":["a","b"]}}}'), UnknownOutcomeError),
        ((200, b'{"status":"err","response":"A text nobody has seen"}'), RejectedError),
    ],
)
def test_ambiguous_actions(
    answer: tuple[int, bytes] | TransportError, expected: type[Exception]
) -> None:
    """An action whose answer is lost is unknown, never failed; one that never left is transient."""
    with pytest.raises(expected):
        place(venue(answer))


def test_a_failing_read_is_transient() -> None:
    """A read may simply be repeated: 5xx, garbage and lost connections are transient."""
    for answer in (
        (502, b"<html>"),
        (200, b"<html>"),
        TransportError("reset", sent=True),
    ):
        with pytest.raises(TransientError):
            asyncio.run(venue(answer).account())
    with pytest.raises(CriticalError):
        asyncio.run(venue((404, b"")).account())


class RecordedSocket:
    """Frames the venue once sent, then silence for ever or a close."""

    def __init__(self, frames: list[str]) -> None:
        self._frames = frames
        self.sent: list[Any] = []

    async def send(self, text: str) -> None:
        self.sent.append(json.loads(text))

    async def receive(self) -> str | None:
        return self._frames.pop(0) if self._frames else None

    async def close(self) -> None:
        pass


def test_recorded_frames(shared_folder: Path) -> None:
    """Recorded frames become candles, order updates and fills; the rest is passed over."""
    folder = shared_folder / "fixtures/ws"
    frames = ["Websocket connection established."]
    names = (
        "candle_perp_1m",
        "orderUpdates_open_then_filled_one_frame",
        "userFills_snapshot_then_stream",
        "subscriptionResponse_l2Book_defaults",
        "allMids_2026-10",
    )
    for name in names:
        document = json.loads((folder / f"{name}.json").read_text())
        frames += [json.dumps(f["json"]) for f in document["frames"] if f["dir"] == "recv"]
    socket = RecordedSocket(frames)

    class Once(Recorded):
        async def connect(self) -> Any:
            return socket

    async def collect() -> list[Any]:
        events = []
        transport = Once((200, b""))
        feed = Stream(transport, "0xabc", ["BTC"], Timeframe.parse("1m"), rng=Random(1))
        async for event in feed.events():
            events.append(event)
            if isinstance(event, Disconnected):
                return events
        return events

    events = asyncio.run(collect())
    assert isinstance(events[0], Connected)
    candle = next(event for event in events if isinstance(event, CandleUpdate))
    assert candle.bar.high >= candle.bar.low > 0
    assert sum(isinstance(event, OrderUpdate) for event in events) == 2
    fills = [event for event in events if isinstance(event, FillUpdate)]
    assert [update.snapshot for update in fills] == [True, False]
    assert fills[0].fills[0].fee == Decimal("-0.067987")
    subscribed = [message["subscription"]["type"] for message in socket.sent]
    assert subscribed == ["orderUpdates", "userFills", "candle"]
