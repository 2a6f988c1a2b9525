"""Faults of the way and of the venue, each seen as the client sees it."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from exchange_world import LISTINGS, ORIGIN_MS, Trader, limit

from fractaltrader.errors import UserError
from fractaltrader.exchange.errors import TransportError
from fractaltrader.simulator.faults.injector import Injector
from fractaltrader.simulator.faults.plan import KINDS, described, load_plan, parse_fault, parse_plan
from fractaltrader.simulator.local_exchange import LocalExchange
from fractaltrader.simulator.serving.transport import InProcessTransport
from fractaltrader.simulator.virtual_time import LoopClock, run_virtual

HOUR_MS = 3_600_000
META = b'{"type":"meta"}'


class World:
    """An exchange with one trader, seen through a faulty transport."""

    def __init__(self, *faults: dict[str, Any], seed: int = 1) -> None:
        self.clock = LoopClock(ORIGIN_MS)
        self.exchange = LocalExchange(LISTINGS, clock=self.clock, seed=7)
        self.exchange.move("BTC", Decimal(100_000))
        self.exchange.move("ETH", Decimal(4_000))
        self.alice = Trader(self.exchange, "alice")
        self.faults = Injector(parse_plan({"fault": list(faults)}), seed)
        self.transport = InProcessTransport(
            self.exchange, self.clock, faults=self.faults, limits=False
        )

    def order_body(self) -> bytes:
        """A signed order that rests."""
        self.alice.nonce += 1
        action = {"type": "order", "orders": [limit("B", "0.01", "90000")], "grouping": "na"}
        signature = self.alice.signer.sign_action(action, self.alice.nonce, mainnet=False)
        body = {"action": action, "nonce": self.alice.nonce, "signature": signature}
        return json.dumps(body).encode()

    @property
    def placed(self) -> int:
        return len(self.alice.ask("openOrders"))


def play(faults: list[dict[str, Any]], do: Callable[[World], Awaitable[None]]) -> World:
    """Run `do` in a world with these faults under virtual time."""

    async def run() -> World:
        world = World(*faults)
        await do(world)
        return world

    return run_virtual(run())


@pytest.mark.parametrize(
    ("fault", "sent", "executed"),
    [
        ({"kind": "unreachable"}, False, False),
        ({"kind": "lost_request"}, True, False),
        ({"kind": "lost_answer"}, True, True),
        ({"kind": "timeout"}, True, False),
        ({"kind": "timeout", "executed": True}, True, True),
    ],
)
def test_a_lost_connection_leaves_the_order_placed_or_not(
    fault: dict[str, Any], sent: bool, executed: bool
) -> None:
    """No answer comes, and whether the order was executed is the fault's secret."""

    async def do(world: World) -> None:
        with pytest.raises(TransportError) as error:
            await world.transport.post("/exchange", world.order_body())
        assert error.value.sent is sent
        assert world.placed == executed

    world = play([fault], do)
    assert world.faults.counts() == {fault["kind"]: 1}


@pytest.mark.parametrize(
    ("fault", "status", "start", "executed"),
    [
        ({"kind": "rate_limit"}, 429, b"null", False),
        ({"kind": "server_error", "status": 500}, 500, b"null", False),
        ({"kind": "server_error", "status": 502}, 502, b"<html>", False),
        ({"kind": "server_error", "status": 504, "executed": True}, 504, b"<html>", True),
        ({"kind": "garbled_answer"}, 200, b'{"status":"ok"', True),
    ],
)
def test_an_answer_that_is_none(
    fault: dict[str, Any], status: int, start: bytes, executed: bool
) -> None:
    """Storms of 429, error pages and broken JSON, with the order executed or not."""

    async def do(world: World) -> None:
        got, body = await world.transport.post("/exchange", world.order_body())
        assert got == status
        assert body.startswith(start)
        assert world.placed == executed
        with pytest.raises(ValueError, match="Expecting"):
            json.loads(body if body != b"null" else b"")

    play([fault], do)


def test_latency_has_the_distribution_it_says() -> None:
    """A thousand lognormal latencies have their median and their tail, on top of the usual 50 ms;
    other routes are as fast as ever."""

    async def do(world: World) -> None:
        took = []
        for _ in range(1_000):
            begun = world.clock.now_ms()
            await world.transport.post("/info", META)
            took.append(world.clock.now_ms() - begun - 50)
        took.sort()
        assert 180 < took[500] < 220
        assert 200 * 2.0 < took[900] < 200 * 3.4
        begun = world.clock.now_ms()
        await world.transport.post("/exchange", world.order_body())
        assert world.clock.now_ms() - begun == 200

    fault = {"kind": "latency", "ms": 200, "distribution": "lognormal", "sigma": 0.8}
    play([fault | {"paths": ["info"]}], do)


def test_windows_open_and_close_by_market_time() -> None:
    """A fault strikes within its window only, comes again each day, and can be switched off and
    removed while the exchange runs."""
    halt = {"kind": "halt", "begins": "2h", "lasts": "1h", "every": "1d"}

    async def do(world: World) -> None:
        def answer() -> Any:
            world.alice.nonce = world.clock.now_ms() + len(world.alice.ask("historicalOrders"))
            return world.alice.order(limit("B", "0.01", "90000"))[0].get("error")

        for hour, halted in [(0, 0), (2, 1), (3, 0), (26, 1), (27, 0), (50, 1)]:
            await world.clock.sleep_until(ORIGIN_MS + hour * HOUR_MS)
            assert (answer() == "Trading is halted.") is bool(halted), hour
        world.faults.switch(0, on=False)
        assert answer() is None
        world.faults.switch(0, on=True)
        assert answer() == "Trading is halted."
        world.faults.remove(0)
        assert answer() is None

    play([halt], do)


def test_the_post_only_window_and_random_rejections() -> None:
    """After an upgrade only ALO rests; a rejection has a text of the venue with the asset in it,
    and the refused order has its oid and status in the history."""

    async def do(world: World) -> None:
        text = "Only post-only orders allowed immediately after a network upgrade"
        assert world.alice.order(limit("B", "0.01", "90000")) == [{"error": text}]
        assert "resting" in world.alice.order(limit("B", "0.01", "90000", "Alo"))[0]
        world.faults.clear()
        world.faults.add(parse_fault({"kind": "rejected_order", "texts": ["No. asset={asset}"]}))
        order = limit("B", "0.1", "3000", a=1)
        assert world.alice.order(order) == [{"error": "No. asset=1"}]
        assert world.alice.ask("historicalOrders")[0]["status"] == "rejected"

    play([{"kind": "post_only"}], do)


def test_a_flash_crash_returns_and_triggers_what_it_meets() -> None:
    """The price drops without a tick of the feed, executes what rests there, and comes back."""

    async def do(world: World) -> None:
        oid = world.alice.order(limit("B", "0.01", "85000"))[0]["resting"]["oid"]
        mids = {"type": "allMids"}
        await world.clock.sleep_until(ORIGIN_MS + HOUR_MS)
        assert Decimal(world.exchange.info(mids)["BTC"]) == 80_000
        assert Decimal(world.exchange.info(mids)["ETH"]) == 4_000
        assert world.alice.status(oid) == "filled"
        await world.clock.sleep_until(ORIGIN_MS + HOUR_MS + 60_000)
        assert Decimal(world.exchange.info(mids)["BTC"]) == 100_000

    crash = {"kind": "price_jump", "coin": "BTC", "percent": -20, "begins": "1h", "lasts": "1m"}
    play([crash], do)


def test_a_thin_book_fills_in_part() -> None:
    """With a thousandth of the depth an order that was nothing fills in part, and after the window
    wholly."""

    async def do(world: World) -> None:
        order = limit("B", "0.05", "100500", "Ioc")
        [status] = world.alice.order(order)
        assert 0 < Decimal(status["filled"]["totalSz"]) < Decimal("0.05")
        await world.clock.sleep_until(ORIGIN_MS + HOUR_MS)
        world.exchange.move("BTC", Decimal(100_000))
        [status] = world.alice.order(order)
        assert status["filled"]["totalSz"] == "0.05"

    play([{"kind": "thin_book", "depth": 0.0005, "lasts": "1h"}], do)


def test_a_forced_liquidation_closes_and_tells() -> None:
    """As the window begins the position is gone, its stop with it, and fill and ledger say that it
    was a liquidation, once only; a later position stays."""

    async def do(world: World) -> None:
        alice = world.alice
        alice.order(limit("B", "0.05", "101000", "Ioc"))
        oid = alice.order(limit("B", "0.01", "90000"))[0]["resting"]["oid"]
        await world.clock.sleep_until(ORIGIN_MS + HOUR_MS)
        assert alice.position() == 0
        assert alice.status(oid) == "liquidatedCanceled"
        fill = alice.ask("userFills")[0]
        assert fill["dir"] == "Close Long"
        assert fill["liquidation"]["liquidatedUser"] == alice.address
        alice.nonce = world.clock.now_ms()
        alice.order(limit("B", "0.05", "101000", "Ioc"))
        world.exchange.advance()
        assert alice.position() == Decimal("0.05")

    play([{"kind": "forced_liquidation", "begins": "1h", "lasts": "1h"}], do)


def test_a_clock_that_is_off_refuses_honest_nonces() -> None:
    """With the venue three days ahead its status says so and a nonce of now is too old."""

    async def do(world: World) -> None:
        skew = 3 * 86_400_000
        assert world.exchange.info({"type": "exchangeStatus"})["time"] == ORIGIN_MS + skew
        answer = world.alice.act({"type": "noop"})
        assert "too far from the current time" in answer["response"]

    play([{"kind": "clock_skew", "ms": 3 * 86_400_000}], do)


def test_metadata_may_be_sparse_and_orders_unknown() -> None:
    """Optional keys are missing, prices are null, and an order is not known yet."""

    async def do(world: World) -> None:
        oid = world.alice.order(limit("B", "0.01", "90000"))[0]["resting"]["oid"]
        assert world.alice.ask("orderStatus", oid=oid) == {"status": "unknownOid"}
        meta, contexts = world.exchange.info({"type": "metaAndAssetCtxs"})
        assert set(meta) == {"universe"}
        assert [(item["midPx"], item["impactPxs"]) for item in contexts] == [(None, None)] * 2

    play([{"kind": "sparse_metadata"}, {"kind": "unknown_order"}], do)


async def _subscribed(world: World) -> Any:
    socket = await world.transport.connect()
    subscription = {"type": "candle", "coin": "BTC", "interval": "1m"}
    await socket.send(json.dumps({"method": "subscribe", "subscription": subscription}))
    return socket


async def _heard(socket: Any) -> list[Any]:
    """Whatever comes within ten seconds."""
    frames = []
    while True:
        try:
            async with asyncio.timeout(10):
                text = await socket.receive()
        except TimeoutError:
            return frames
        if text is None:
            return [*frames, None]
        frames.append(json.loads(text))


def _closes(frames: list[Any]) -> list[float]:
    return [float(frame["data"]["c"]) for frame in frames if frame and frame["channel"] == "candle"]


def _told(fault: dict[str, Any] | None, moves: int = 6) -> list[Any]:
    """Frames of a candle subscription while the price moves up a dollar at a time."""
    heard: list[Any] = []

    async def do(world: World) -> None:
        socket = await _subscribed(world)
        if fault is not None:
            world.faults.add(parse_fault(fault))
        for step in range(1, moves + 1):
            await world.clock.sleep_until(ORIGIN_MS + 300 * step)
            world.exchange.move("BTC", Decimal(100_000 + step))
        await socket.send('{"method":"ping"}') if socket.is_open else None
        heard.extend(await _heard(socket))

    play([], do)
    return heard


def test_frames_come_twice_or_in_another_order_or_late() -> None:
    """Duplicates, reordered frames and late ones: each frame still comes, as the fault says."""
    usual = _closes(_told(None))
    assert usual == sorted(set(usual))
    doubled = _closes(_told({"kind": "duplicate_message", "begins": "500ms"}))
    assert sorted(set(doubled)) == usual
    assert doubled.count(usual[-1]) == 2
    swapped = _closes(_told({"kind": "reorder_message", "probability": 0.5}))
    assert sorted(swapped) == usual
    assert swapped != usual
    late = _told({"kind": "latency", "ms": 5_000, "paths": ["ws"]})
    assert _closes(late) == usual


def test_a_stream_falls_silent_or_dies() -> None:
    """A silent stream still answers pings, a half-open socket answers nothing, a dropped one
    closes."""
    silent = _told({"kind": "silent_stream", "channels": ["candle"]})
    assert silent[-1] == {"channel": "pong"}
    assert _closes(silent) == [100_000.0]
    half = _told({"kind": "half_open"})
    assert {"channel": "pong"} not in half
    assert _told({"kind": "dropped_socket"})[-1] is None


def test_candles_go_missing_and_come_late() -> None:
    """Half the bars are missing, the same ones in every snapshot; a late bar is not there until
    its time, the one that forms is."""

    async def do(world: World) -> None:
        for minute in range(1, 40):
            await world.clock.sleep_until(ORIGIN_MS + minute * 60_000)
            world.exchange.move("BTC", Decimal(100_000 + minute))
        body = {"coin": "BTC", "interval": "1m", "startTime": 0}

        def bars() -> list[int]:
            rows = world.exchange.info({"type": "candleSnapshot", "req": body})
            return [(row["t"] - ORIGIN_MS) // 60_000 for row in rows]

        gappy = bars()
        assert 10 < len(gappy) < 30
        assert bars() == gappy
        world.faults.clear()
        assert bars() == list(range(40))
        world.faults.add(parse_fault({"kind": "late_candle", "ms": 90_000}))
        assert bars() == [*range(37), 39]

    play([{"kind": "candle_gap", "probability": 0.5}], do)


def test_a_post_over_the_socket_is_lost_too() -> None:
    """A lost answer leaves the order placed and the client without a word; an error page is its
    reason phrase."""

    async def do(world: World) -> None:
        socket = await world.transport.connect()
        request = {"type": "action", "payload": json.loads(world.order_body())}
        await socket.send(json.dumps({"method": "post", "id": 5, "request": request}))
        assert await _heard(socket) == []
        assert world.placed == 1
        world.faults.clear()
        world.faults.add(parse_fault({"kind": "server_error"}))
        await socket.send(json.dumps({"method": "post", "id": 6, "request": request}))
        [frame] = await _heard(socket)
        assert frame["data"] == {
            "id": 6,
            "response": {"type": "error", "payload": "502 Bad Gateway"},
        }

    play([{"kind": "lost_answer"}], do)


async def _answer(world: World, fault: dict[str, Any], message: dict[str, Any]) -> str:
    """The frame that answers one message on a socket of its own."""
    world.faults.clear()
    world.faults.add(parse_fault(fault))
    socket = await world.transport.connect()
    await socket.send(json.dumps(message))
    text = await socket.receive()
    assert text is not None
    return str(text)


def test_answers_over_the_socket_are_refused_and_cut_as_those_over_http() -> None:
    """A 429 and the errors of whatever stands in front are told as the venue does on a socket, a
    garbled answer breaks off in the middle, and a malformed post is echoed fault or no fault."""
    post = {"method": "post", "id": 6, "request": {"type": "info", "payload": {"type": "meta"}}}

    async def do(world: World) -> None:
        for fault, told in (
            ({"kind": "rate_limit"}, "429 Too Many Requests"),
            ({"kind": "server_error", "status": 500}, "500 Internal Server Error"),
            ({"kind": "server_error", "status": 503}, "503 Service Unavailable"),
            ({"kind": "server_error", "status": 504}, "504 Gateway Timeout"),
        ):
            data = json.loads(await _answer(world, fault, post))["data"]
            assert data == {"id": 6, "response": {"type": "error", "payload": told}}
        whole = await _answer(world, {"kind": "halt"}, post)
        assert json.loads(whole)["data"]["response"]["payload"]["type"] == "meta"
        garbled = await _answer(world, {"kind": "garbled_answer"}, post)
        assert garbled == whole[: len(garbled)]
        assert 0 < len(garbled) < len(whole)
        for broken in ({"method": "post", "request": post["request"]}, {"method": "post", "id": 6}):
            heard = json.loads(await _answer(world, {"kind": "latency", "ms": 5}, broken))
            assert heard["channel"] == "error"
            assert heard["data"].endswith(json.dumps(broken))

    play([], do)


def test_windows_repeat_and_latency_is_drawn_as_told() -> None:
    """Faults that come and go on their own, those of a route that is not asked and those that
    strike by chance: what they add is what they say."""

    async def do(world: World) -> None:
        async def took() -> int:
            began = world.clock.now_ms()
            await world.transport.post("/info", META)
            return world.clock.now_ms() - began - 50  # what it takes anyway

        assert await took() == 0
        for fault, least, most in (
            ({"ms": 100}, 100, 100),
            ({"ms": 100, "paths": ["exchange"]}, 0, 0),
            ({"ms": 100, "probability": 1e-9}, 0, 0),
            ({"ms": 100, "distribution": "uniform", "to_ms": 120}, 100, 120),
            ({"ms": 100, "begins": "1h", "lasts": "1m"}, 0, 0),
        ):
            world.faults.clear()
            world.faults.add(parse_fault({"kind": "latency", **fault}))
            for _ in range(5):
                assert least - 1 <= await took() <= most + 1, fault

    play([], do)


def test_the_same_seed_gives_the_same_fate() -> None:
    """Two runs with a seed see the same faults at the same requests, another seed others; one more
    fault changes nothing about the others."""

    def fate(seed: int, *more: dict[str, Any]) -> list[str]:
        async def run() -> list[str]:
            faults = [{"kind": "lost_answer", "probability": 0.3}, *more]
            world = World(*faults, seed=seed)
            results = []
            for _ in range(60):
                try:
                    status, _ = await world.transport.post("/info", META)
                    results.append(str(status))
                except TransportError:
                    results.append("lost")
            return results

        return run_virtual(run())

    assert fate(1) == fate(1)
    assert fate(1) != fate(2)
    assert fate(1) == fate(1, {"kind": "latency", "ms": 10, "distribution": "exponential"})
    assert 8 < fate(1).count("lost") < 30


def test_scenario_files_are_read_and_refused(tmp_path: Path) -> None:
    """Each kind can be written down, and a mistake is named with its remedy."""
    needed: dict[str, Any] = {"latency": {"ms": 1}, "price_jump": {"percent": -5}}
    needed |= {"late_candle": {"ms": 1}, "clock_skew": {"ms": -5}}
    text = ""
    for kind in KINDS:
        name = str(kind.__struct_config__.tag)
        text += f'[[fault]]\nkind = "{name}"\nbegins = "2025-01-05T12:00:00Z"\n'
        text += "".join(f"{key} = {value}\n" for key, value in needed.get(name, {}).items())
    path = tmp_path / "storm.toml"
    path.write_text(text)
    plan = load_plan(path)
    assert [type(fault) for fault in plan] == list(KINDS)
    assert [parse_fault(described(fault)) for fault in plan] == plan
    for bad, message in [
        ('kind = "latenci"', "did you mean 'latency'"),
        ('kind = "latency"', "missing required field `ms`"),
        ('kind = "halt"\nlasts = "soon"', "'soon' is no duration"),
        ('kind = "halt"\nprobability = 2', "<= 1"),
        ('kind = "halt"\nevery = "1h"', "needs `lasts`"),
        ('kind = "halt"\nbegins = "noon"', "begins: 'noon' is neither a duration"),
        ('kind = "latency"\nms = 9\ndistribution = "uniform"', "to_ms: None must be given"),
        ('kind = "halt"\n[[other]]', "give [[fault]] tables and nothing else"),
        ("kind = 3", "has no kind"),
        ("kind = ", "storm.toml"),
    ]:
        path.write_text("[[fault]]\n" + bad)
        with pytest.raises(UserError, match="storm") as error:
            load_plan(path)
        assert message in str(error.value)
        assert "\n" not in str(error.value)
