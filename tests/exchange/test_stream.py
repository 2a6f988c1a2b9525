"""The WebSocket stream: stale feeds, reconnects, what error frames mean, and the clock's skew."""

import asyncio
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest

from fractaltrader.exchange.backoff import JitteredExponential
from fractaltrader.exchange.budget_parameters import BudgetParameters
from fractaltrader.exchange.errors import CriticalError, TransportError
from fractaltrader.exchange.hyperliquid.client import HyperliquidVenue
from fractaltrader.exchange.hyperliquid.feed_watch import (
    ALL_SILENT_SECONDS,
    FRAMES_OF_OTHERS,
    SILENCE_SECONDS,
    FeedWatch,
)
from fractaltrader.exchange.hyperliquid.signing import Signer
from fractaltrader.exchange.hyperliquid.stream import LONGEST_DELAY, Stream
from fractaltrader.exchange.limiter import Limiter, peek
from fractaltrader.exchange.limits import BudgetState
from fractaltrader.exchange.port import CandleUpdate, Connected, Disconnected, StreamEvent
from fractaltrader.market import Bar, Timeframe
from fractaltrader.simulator.virtual_time import LoopClock, run_virtual

MINUTE = Timeframe.parse("1m")
START_MS = 1_735_689_600_000


def bar(minute: int, close: float = 100.0) -> Bar:
    return Bar(START_MS + 60_000 * minute, close, close, close, close, 1.0)


def candle(coin: str, number: int) -> str:
    data = {"t": START_MS, "T": START_MS + 59_999, "s": coin, "i": "1m", "n": number}
    prices = dict.fromkeys("ohlc", str(100 + number)) | {"v": "1"}
    return json.dumps({"channel": "candle", "data": data | prices})


class ScriptedSocket:
    """A socket whose frames come at given seconds after it was opened."""

    def __init__(self, frames: list[tuple[float, str]], *, answers_pings: bool = True) -> None:
        self._inbox: asyncio.Queue[str | None] = asyncio.Queue()
        self._answers_pings = answers_pings
        loop = asyncio.get_running_loop()
        for seconds, frame in frames:
            loop.call_later(seconds, self._inbox.put_nowait, frame)
        self.subscribed: list[str] = []

    async def send(self, text: str) -> None:
        message = json.loads(text)
        if message["method"] == "ping" and self._answers_pings:
            self._inbox.put_nowait('{"channel":"pong"}')
        elif message["method"] == "subscribe":
            self.subscribed.append(message["subscription"].get("coin", "user"))

    async def receive(self) -> str | None:
        return await self._inbox.get()

    async def close(self) -> None:
        self._inbox.put_nowait(None)


class ScriptedTransport:
    """Connects to whatever `make` gives for the n-th connection."""

    def __init__(self, make: Callable[[int], ScriptedSocket]) -> None:
        self._make = make
        self.opened: list[tuple[float, ScriptedSocket]] = []

    async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        raise NotImplementedError

    async def connect(self) -> ScriptedSocket:
        socket = self._make(len(self.opened))
        self.opened.append((asyncio.get_running_loop().time(), socket))
        return socket

    async def close(self) -> None:
        pass


async def collect(
    stream: Stream, seconds: float, coins_of: Callable[[StreamEvent], Any]
) -> list[Any]:
    """What `coins_of` makes of every event of so many seconds."""
    seen: list[Any] = []

    async def read() -> None:
        async for event in stream.events():
            seen.append(coins_of(event))

    task = asyncio.create_task(read())
    await asyncio.wait({task}, timeout=seconds)
    if task.done():
        task.result()
    task.cancel()
    return seen


def stream(
    transport: ScriptedTransport, coins: list[str], limiter: Limiter | None = None
) -> Stream:
    return Stream(transport, "0xabc", coins, MINUTE, rng=Random(3), limiter=limiter)


def test_a_feed_that_stops_while_others_go_on_is_asked_for_anew() -> None:
    """ETH's candles stop, BTC's go on: after the stated silence the stream reconnects and
    subscribes to everything again, and says which row of the catalogue that is."""

    def make(number: int) -> ScriptedSocket:
        both = [(2.0 * i, candle("BTC", i)) for i in range(1, 200)]
        if number == 0:
            return ScriptedSocket([*both, (1.0, candle("ETH", 1))])
        return ScriptedSocket([*both, *((2.0 * i, candle("ETH", 9 + i)) for i in range(200))])

    async def world() -> tuple[list[Any], ScriptedTransport]:
        transport = ScriptedTransport(make)
        events = await collect(stream(transport, ["BTC", "ETH"]), 200, lambda event: event)
        return events, transport

    events, transport = run_virtual(world())
    (lost,) = [event for event in events if isinstance(event, Disconnected)]
    assert lost.row == 107
    assert "ETH" in lost.reason
    assert len(transport.opened) == 2
    assert SILENCE_SECONDS < transport.opened[1][0] <= SILENCE_SECONDS + 5
    assert transport.opened[1][1].subscribed == ["user", "user", "BTC", "ETH"]
    after = events[events.index(lost) :]
    assert any(isinstance(event, CandleUpdate) and event.coin == "ETH" for event in after)


def test_a_coin_that_does_not_trade_is_given_more_patience() -> None:
    """Each alarm that turns out to be a quiet market doubles the patience with that coin; news
    restores it."""
    watch = FeedWatch(["BTC", "DULL"], 0.0)
    watch.seen("DULL", bar(0), 0.0)
    alarms: list[int] = []
    for second in range(1, 4_000):
        watch.seen("BTC", bar(0, 100.0 + second), float(second))
        if watch.stale(float(second)):
            alarms.append(second)
            watch.reconnected(float(second))
            watch.seen("DULL", bar(0), float(second))  # the snapshot shows the same candle
    gaps = [later - first for first, later in pairwise([0, *alarms])]
    assert gaps == [90, 180, 360, 720, 1_440]
    watch.seen("DULL", bar(1), 4_000.0)
    for second in range(4_001, 4_001 + int(SILENCE_SECONDS) + 1):
        watch.seen("BTC", bar(0, 100.0 + second), float(second))
    assert "DULL" in (watch.stale(4_001.0 + SILENCE_SECONDS) or "")


def test_a_quiet_market_is_not_a_stale_feed() -> None:
    """Silence of one coin counts only while others trade; silence of all counts after longer."""
    watch = FeedWatch(["BTC", "ETH"], 0.0)
    for number in range(FRAMES_OF_OTHERS - 1):
        watch.seen("BTC", bar(0, 1.0 + number), 1.0)
    assert watch.stale(SILENCE_SECONDS + 1) is None
    assert "any coin" in (watch.stale(ALL_SILENT_SECONDS + 1.0) or "")


def test_silence_and_closes_reconnect_with_jittered_backoff() -> None:
    """A socket that closes at once is opened again after longer and longer, never regular, delays;
    the same seed gives the same ones; and every loss says what it was."""

    def make(number: int) -> ScriptedSocket:
        socket = ScriptedSocket([], answers_pings=False)
        if number < 8:
            socket._inbox.put_nowait(None)
        return socket

    async def world() -> tuple[list[float], list[Any]]:
        transport = ScriptedTransport(make)
        events = await collect(stream(transport, ["BTC"]), 300, lambda event: event)
        return [at for at, _ in transport.opened], events

    opened, events = run_virtual(world())
    again, _ = run_virtual(world())
    assert opened == again
    delays = [later - first for first, later in pairwise(opened[:9])]
    for number, delay in enumerate(delays):
        longest = min(0.5 * 2**number, LONGEST_DELAY)
        assert longest / 2 <= delay <= longest
    lost = [event for event in events if isinstance(event, Disconnected)]
    assert {event.row for event in lost} == {106}
    assert lost[-1].reason == "no answer to a ping"


def test_the_global_random_is_not_used() -> None:
    """Backoff draws from the generator it is given, and from nothing else."""
    import random

    first = [JitteredExponential(Random(1)).seconds(attempt) for attempt in range(1, 9)]
    random.seed(99)
    assert [JitteredExponential(Random(1)).seconds(attempt) for attempt in range(1, 9)] == first
    assert [JitteredExponential(Random(2)).seconds(attempt) for attempt in range(1, 9)] != first


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ('Invalid subscription {"type":"candle","coin":"NONE","interval":"1m"}', 101),
        ("Cannot track more than 10 total users.", 102),
        ("words that nobody has recorded", None),
    ],
)
def test_error_frames_end_the_connection(text: str, row: int | None) -> None:
    """A refused subscription is a lost connection that names its row; one that no reconnect cures
    is not asked for again and again."""
    frame = json.dumps({"channel": "error", "data": text})

    async def world() -> tuple[list[Any], int]:
        transport = ScriptedTransport(lambda _: ScriptedSocket([(0.1, frame)]))
        events = await collect(stream(transport, ["BTC"]), 60, lambda event: event)
        return events, len(transport.opened)

    events, connections = run_virtual(world())
    assert [type(event) for event in events[:2]] == [Connected, Disconnected]
    assert events[1].row == row
    assert connections <= (3 if row else 9)


def test_harmless_frames_are_passed_over_and_our_own_fault_is_not() -> None:
    """'Already subscribed' changes nothing; a request the venue cannot parse stops the bot."""
    fine = json.dumps({"channel": "error", "data": 'Already subscribed: {"type":"candle"}'})
    ours = json.dumps(
        {
            "channel": "error",
            "data": 'Error parsing JSON into valid websocket request: {"method":"x"}',
        }
    )

    async def world(frames: list[tuple[float, str]]) -> list[Any]:
        transport = ScriptedTransport(lambda _: ScriptedSocket(frames))
        return await collect(stream(transport, ["BTC"]), 5, type)

    assert run_virtual(world([(0.1, fine), (0.2, candle("BTC", 1))])) == [Connected, CandleUpdate]
    with pytest.raises(CriticalError) as refused:
        run_virtual(world([(0.1, ours)]))
    assert refused.value.row == 99


def test_connections_pass_the_shared_budget(tmp_path: Path) -> None:
    """Reconnects of two processes together stay within the new connections a minute."""

    def make(_: int) -> ScriptedSocket:
        socket = ScriptedSocket([(11.0, "{}")])
        asyncio.get_running_loop().call_later(10.5, socket._inbox.put_nowait, None)
        return socket

    async def world() -> list[float]:
        clock = LoopClock(START_MS)
        params = BudgetParameters(new_connections_per_minute=6)
        transport = ScriptedTransport(make)
        streams = [
            stream(
                transport,
                ["BTC"],
                Limiter(tmp_path / "budget", clock, spender=name, rng=Random(1), params=params),
            )
            for name in ("one", "two")
        ]
        await asyncio.gather(*(collect(own, 300, type) for own in streams))
        return sorted(at for at, _ in transport.opened)

    opened = run_virtual(world())
    assert len(opened) > 20
    assert all(later - first > 59.99 for first, later in zip(opened, opened[6:], strict=False))


def budget(folder: Path, clock: LoopClock) -> BudgetState:
    """What the processes of this machine share."""
    return peek(folder / "budget", BudgetParameters(), clock.now_ms())


@pytest.mark.parametrize(("gap", "pings"), [(2.0, 0), (30.0, 2)])
def test_an_open_socket_is_counted_for_as_long_as_it_is_open(
    tmp_path: Path, gap: float, pings: int
) -> None:
    """Minutes later a connection still holds its place, whether frames kept coming or it had to be
    pinged; only pings are messages."""

    async def world() -> tuple[int, int, int]:
        frames = [(gap * i, candle("BTC", i)) for i in range(1, int(300 / gap))]
        transport = ScriptedTransport(lambda _: ScriptedSocket(frames))
        clock = LoopClock(START_MS)
        own = Limiter(tmp_path / "budget", clock, spender="one", rng=Random(1))
        reading = asyncio.create_task(collect(stream(transport, ["BTC"], own), 290, type))
        await asyncio.sleep(280)
        seen = budget(tmp_path, clock)
        reading.cancel()
        return len(transport.opened), len(seen.sockets), sum(n for _, n in seen.messages)

    assert run_virtual(world()) == (1, 1, pings)


def test_a_killed_process_gives_its_connections_back(tmp_path: Path) -> None:
    """A lease that nobody renews counts for two minutes, and renewing it later does not bring it
    back."""

    async def world() -> list[int]:
        clock = LoopClock(START_MS)
        killed, living = (
            Limiter(tmp_path / "budget", clock, spender=name, rng=Random(1)) for name in "ab"
        )
        lost, kept = await killed.open_socket(3), await living.open_socket(3)
        counted = [len(budget(tmp_path, clock).sockets)]
        for _ in range(3):
            await clock.sleep_ms(50_000)
            living.renew_socket(kept, messages=1)
            counted.append(len(budget(tmp_path, clock).sockets))
        killed.renew_socket(lost, messages=0)
        return [*counted, len(budget(tmp_path, clock).sockets)]

    assert run_virtual(world()) == [2, 2, 2, 1, 1]


def test_more_subscriptions_than_there_can_be_are_told_without_haste(tmp_path: Path) -> None:
    """Where no reconnect can help the stream says why, and asks again only every half minute."""

    async def world() -> tuple[list[Any], int]:
        params = BudgetParameters(subscriptions=2)
        own = Limiter(
            tmp_path / "budget", LoopClock(START_MS), spender="one", rng=Random(1), params=params
        )
        transport = ScriptedTransport(lambda _: ScriptedSocket([]))
        seen = await collect(stream(transport, ["BTC"], own), 65, lambda event: event)
        return seen, len(transport.opened)

    events, connections = run_virtual(world())
    assert connections == 0
    assert [type(event) for event in events] == [Disconnected] * 3
    assert "3 more are too many" in events[0].reason


@pytest.mark.parametrize(
    "frame", ['{"channel":', '{"channel":"candle","data":{"t":1}}', '{"channel":"userFills"}']
)
def test_a_frame_that_cannot_be_read_is_a_lost_connection(frame: str) -> None:
    """Cut or incomplete, a frame may have been the fill we need: after the reconnect everything is
    asked for. The plain-text greeting is none."""
    frames = [(0.1, "Websocket connection established."), (0.2, candle("BTC", 1)), (0.3, frame)]

    async def world() -> list[Any]:
        transport = ScriptedTransport(lambda n: ScriptedSocket(frames if n == 0 else []))
        return await collect(stream(transport, ["BTC"]), 5, lambda event: event)

    events = run_virtual(world())
    assert [type(event) for event in events] == [Connected, CandleUpdate, Disconnected, Connected]
    assert events[2].reason.startswith("unreadable frame: ")


class LateTransport(ScriptedTransport):
    """Answers `exchangeStatus` with the venue's clock, `there` ms after sending, `back` ms late."""

    def __init__(self, clock: LoopClock, ahead_ms: int, there: int, back: int) -> None:
        super().__init__(lambda _: ScriptedSocket([]))
        self._clock, self._ahead, self._there, self._back = clock, ahead_ms, there, back

    async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        await self._clock.sleep_ms(self._there)
        answer = json.dumps({"time": self._clock.now_ms() + self._ahead}).encode()
        await self._clock.sleep_ms(self._back)
        return 200, answer


@pytest.mark.parametrize(("there", "back"), [(0, 0), (40, 60), (10, 900), (700, 20)])
@pytest.mark.parametrize("ahead_ms", [0, 5_000, -86_400_000])
def test_the_clocks_skew_is_known_within_half_a_round_trip(
    ahead_ms: int, there: int, back: int
) -> None:
    """However the round trip splits, the true difference is within the stated error."""

    async def world() -> None:
        clock = LoopClock(START_MS)
        signer = Signer("0x" + "1" * 64)
        venue = HyperliquidVenue(
            LateTransport(clock, ahead_ms, there, back),
            signer,
            account=signer.address,
            clock=clock,
            mainnet=False,
        )
        assert venue.skew is None
        await venue.time_ms()
        skew = venue.skew
        assert skew is not None
        assert abs(skew.ahead_ms - ahead_ms) <= skew.error_ms
        assert skew.error_ms <= (there + back + 1) // 2
        assert skew.measured_ms == clock.now_ms()

    run_virtual(world())


def test_a_connection_that_cannot_be_made_is_a_lost_one() -> None:
    """A refused handshake is told as a disconnect and tried again."""

    def make(number: int) -> ScriptedSocket:
        if number < 1 and not tried:
            tried.append(number)
            raise TransportError("handshake refused", sent=False)
        return ScriptedSocket([])

    tried: list[int] = []

    async def world() -> list[Any]:
        return await collect(stream(ScriptedTransport(make), ["BTC"]), 10, type)

    assert run_virtual(world()) == [Disconnected, Connected]
