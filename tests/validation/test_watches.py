"""The validator's watches see what they are there to see, and nothing where nothing is wrong."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path

import pytest

from fractaltrader.exchange.errors import TransportError
from fractaltrader.exchange.port import Position
from fractaltrader.live.intents import Role, client_order_id, decision_id
from fractaltrader.live.orphans import intent_to_hold
from fractaltrader.live.state import Intent
from fractaltrader.live.state_manager import FILE_NAME, MAX_BYTES
from fractaltrader.market import Instrument
from fractaltrader.risk.breaker import Breaker
from fractaltrader.risk.breaker_parameters import BreakerParameters, Cause
from fractaltrader.risk.breaker_state import BreakerState
from fractaltrader.simulator.local_exchange import Listing, LocalExchange
from fractaltrader.simulator.serving.transport import InProcessTransport
from fractaltrader.simulator.state import Fill, Side
from fractaltrader.simulator.virtual_time import LoopClock, SteppedClock, run_virtual
from fractaltrader.validation.account_watch import MOST_FILES, AccountWatch
from fractaltrader.validation.breaker_truth import SUSTAINED, BreakerTruth, DayOpening
from fractaltrader.validation.stream_watch import StreamWatch
from fractaltrader.validation.trades_truth import TradesTruth
from fractaltrader.validation.wire_watch import (
    FAILURES_A_MINUTE,
    FRUITLESS_REQUESTS,
    NO_ACTIONS_LEFT,
    WAIT_AFTER_429_MS,
    WatchedTransport,
    WireWatch,
)

NOW_MS = 1_750_032_000_000  # 00:00 UTC
BAR_MS = 900_000
FOREIGN = "0x" + "9" * 32


class Told:
    """Violations by number."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.texts: list[str] = []

    def __call__(self, number: int, text: str) -> None:
        self.numbers.append(number)
        self.texts.append(text)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock(NOW_MS)


@pytest.fixture
def wire(tmp_path: Path, told: Told, clock: SteppedClock) -> WireWatch:
    """A watch over an address that has used half of its actions."""
    return WireWatch(tmp_path, clock, clock, told, lambda: (5_000, 10_000))


def test_a_second_has_its_limit_of_calls(wire: WireWatch, told: Told, clock: SteppedClock) -> None:
    """Five orders a second are allowed, a sixth is not, and a second later there is room again."""
    action = {"action": {"type": "order", "orders": []}}
    assert all(wire.sending("/exchange", action) for _ in range(5))
    clock.set(NOW_MS + 999)
    assert told.numbers == []
    wire.sending("/exchange", action)
    assert told.texts == ["6 x order within a second"]
    clock.set(NOW_MS + 2_000)
    wire.sending("/exchange", action)
    assert told.numbers == [5]


def test_a_minute_has_its_limit_of_weight(wire: WireWatch, told: Told, clock: SteppedClock) -> None:
    """1,200 are allowed; what goes beyond is refused, told as our own limit and as a 429."""
    request = {"type": "userRole"}  # weighs 60
    for second in range(20):
        clock.set(NOW_MS + 1_000 * second)
        assert wire.sending("/info", request)
    assert told.numbers == []
    assert not wire.sending("/info", request)
    assert told.numbers == [5, 6]
    assert (wire.own_429, wire.most_weight) == (1, 1_260)


def order(cloid: str, *, reduce_only: bool = True) -> dict[str, object]:
    return {
        "action": {
            "type": "order",
            "orders": [
                {
                    "a": 0,
                    "s": "1",
                    "r": reduce_only,
                    "c": cloid,
                    "t": {"trigger": {"tpsl": "sl"}} if reduce_only else {"limit": {"tif": "Ioc"}},
                }
            ],
        }
    }


def test_an_order_of_no_decision_sent_twice(wire: WireWatch, told: Told) -> None:
    """An id that is not ours is told, and so is one that is used again."""
    wire.sending("/exchange", order(FOREIGN))
    assert told.numbers == [13]
    wire.sending("/exchange", order(FOREIGN))
    assert told.numbers == [13, 14, 13]


def test_an_address_without_actions(tmp_path: Path, told: Told, clock: SteppedClock) -> None:
    """An action beyond the address's budget is told; a cancel, which the venue takes, is not."""
    poor = WireWatch(tmp_path, clock, clock, told, lambda: (10_000, 10_000))
    poor.sending("/exchange", {"action": {"type": "cancel", "cancels": [{}]}})
    assert told.numbers == []
    poor.sending("/exchange", {"action": {"type": "updateLeverage"}})
    assert told.numbers == [5]
    poor.answered({"action": {"type": "order"}}, 200, b'{"error":"' + NO_ACTIONS_LEFT + b'"}')
    assert told.numbers == [5, 5]
    assert poor.refused_entries == 1


def test_failures_must_be_backed_off_from(wire: WireWatch, told: Told, clock: SteppedClock) -> None:
    """So many failures a minute, or in a row over five, are told; spread out and with a success
    among them they are not. An answer that cannot be read is a failure; an injected 429 counts."""
    for number in range(FAILURES_A_MINUTE):
        clock.set(NOW_MS + 2_900 * number)
        wire.answered({"type": "meta"}, 200, b"{}")
        wire.answered({"type": "candleSnapshot"}, 200, b"<html>")
    assert told.numbers == []
    wire.failed()
    assert told.numbers == [7]
    clock.set(NOW_MS + 3_600_000)
    for number in range(FRUITLESS_REQUESTS + 1):
        clock.set(NOW_MS + 3_600_000 + 15_000 * number)
        wire.answered({"type": "meta"}, 429, b"null")
    assert told.numbers == [7, 7]
    assert told.texts[1] == f"{FRUITLESS_REQUESTS + 1} requests failed in 5 minutes"
    assert wire.injected_429 == FRUITLESS_REQUESTS + 1


def test_more_sockets_than_the_venue_allows(tmp_path: Path, told: Told) -> None:
    """The thirty-first new WebSocket of a minute is refused as the venue would, and told."""

    async def play() -> None:
        clock = LoopClock(NOW_MS)
        exchange = LocalExchange([Listing(Instrument("BTC", 0, 5, 40))], clock=clock)
        watch = WireWatch(tmp_path, clock, clock, told, lambda: (0, 1))
        transport = WatchedTransport(InProcessTransport(exchange, clock), watch, StreamWatch(clock))
        for _ in range(30):
            await (await transport.connect()).close()
        assert told.numbers == []
        with pytest.raises(TransportError, match="HTTP 429"):
            await transport.connect()

    run_virtual(play())
    assert told.numbers == [6]


class Run:
    """What the account's watch sees of a run."""

    def __init__(self, folder: Path, told: Told) -> None:
        self.folder = folder
        self.violate = told
        self.executed: list[Fill] = []
        self.decided: list[Intent] = []

    def fills(self) -> Sequence[Fill]:
        return self.executed

    def intents(self) -> list[Intent]:
        return self.decided

    def believed(self) -> dict[str, Decimal] | None:
        return None


ONE = {"BTC": Decimal(1)}


def test_a_stop_lost_while_the_bot_is_dead(tmp_path: Path, told: Told) -> None:
    """A dead bot's position must keep the stop it had; one that was never covered, or is covered
    again, is not held against it."""
    watch = AccountWatch(Run(tmp_path, told))
    watch.sample(5_000, ONE, ONE, alive=True, working=False)
    watch.sample(5_000, ONE, ONE, alive=False, working=False)
    assert told.numbers == []
    watch.sample(5_000, ONE, {}, alive=True, working=True)
    watch.sample(5_000, ONE, {}, alive=False, working=False)
    assert told.numbers == []
    watch.sample(5_000, ONE, ONE, alive=False, working=False)
    assert told.texts == ["BTC 1 lost its stop while the bot was dead"]
    assert (watch.naked_max_ms, watch.naked_total_ms) == (10_000, 15_000)


def test_files_are_bounded(tmp_path: Path, told: Told) -> None:
    """One file too many and a state beyond its ceiling are told."""
    watch = AccountWatch(Run(tmp_path, told))
    (tmp_path / FILE_NAME).write_bytes(b"x" * MAX_BYTES)
    watch.sample(1, {}, {}, alive=True, working=True)
    assert told.numbers == []
    (tmp_path / FILE_NAME).write_bytes(b"x" * (MAX_BYTES + 1))
    for number in range(MOST_FILES):
        (tmp_path / f"{number}").touch()
    watch.sample(1, {}, {}, alive=True, working=True)
    assert told.texts == [
        f"{MOST_FILES + 1} files in the bot's folder",
        f"the state file has {MAX_BYTES + 1} bytes",
    ]


def fill(at_ms: int, pnl: str, *, start: str = "1", cloid: str | None = None, oid: int = 1) -> Fill:
    """A sale of 1 BTC at `at_ms`, or with `start` of 0 a short's beginning."""
    return Fill(
        coin="BTC",
        price=Decimal(100),
        size=Decimal(1),
        side=Side.SELL,
        time_ms=at_ms,
        start_position=Decimal(start),
        direction="",
        closed_pnl=Decimal(pnl),
        hash="",
        oid=oid,
        crossed=True,
        fee=Decimal(0),
        tid=at_ms,
        cloid=cloid,
    )


def test_an_entry_doubled_or_unknown(tmp_path: Path, told: Told) -> None:
    """Two orders under one id, or more than was intended, are a double entry; executions of no
    intention are another invariant's."""
    run = Run(tmp_path, told)
    watch = AccountWatch(run)
    position = Position("BTC", Decimal(-1), Decimal(100), Decimal(0), 10, None, Decimal(100))
    intent = intent_to_hold("0xabc", position, Decimal(110), NOW_MS)
    stranger = client_order_id(decision_id("0xabc", "BTC", "s", 1), Role.ENTRY)
    run.executed = [fill(1, "0", start="0", cloid=stranger)]
    watch.sample(1, {}, {}, alive=True, working=True)
    assert told.numbers == []
    run.decided = [intent]
    run.executed.append(fill(2, "0", start="0", cloid=intent.entry_cloid))
    watch.sample(1, {}, {}, alive=True, working=True)
    assert told.numbers == []
    run.executed.append(fill(3, "0", start="-1", cloid=intent.entry_cloid, oid=2))
    watch.sample(1, {}, {}, alive=True, working=True)
    assert told.numbers == [1, 1]
    assert watch.duplicates == 2


def test_trades_are_told_from_executions() -> None:
    """Entries of a day and the newest run of losses, neither broken by a trade without profit nor
    reaching beyond the moment they are counted from."""
    truth = TradesTruth()
    entries = [
        client_order_id(decision_id("0xabc", "BTC", "s", number), Role.ENTRY) for number in (1, 2)
    ]
    truth.see(
        [
            fill(1, "5"),
            fill(2, "-1"),
            fill(3, "0"),
            fill(4, "0", start="0", cloid=entries[0]),
            fill(5, "0", start="0", cloid=entries[0]),
            fill(6, "0", start="0", cloid=entries[1]),
            fill(7, "-2"),
        ]
    )
    assert [truth.entries_since(ms) for ms in (0, 4, 5, 7)] == [2, 2, 1, 0]
    assert [truth.losses_in_a_row(ms) for ms in (0, 1, 2, 7)] == [2, 2, 1, 0]


def test_losing_runs_count_until_the_bot_has_learned_of_them() -> None:
    """A run that a gain has ended still is a cause while the bot was away, and a few looks after;
    then only the newest run is."""
    truth = TradesTruth()
    fills = [fill(number, "-1") for number in range(1, 7)] + [fill(7, "1")]
    for _look in range(10):
        truth.see(fills, working=False)
        assert (truth.losses_in_a_row(0), truth.most_losses_in_a_row(0)) == (0, 6)
    for _look in range(4):
        assert truth.most_losses_in_a_row(0) == 6
        truth.see(fills)
    assert truth.most_losses_in_a_row(0) == 0


def test_the_day_opens_with_the_least_around_midnight() -> None:
    """The lowest equity around a midnight that the bot worked through; none for a day it did not,
    nor after a reset."""
    opening = DayOpening()
    for equity in range(100, 100 + SUSTAINED):
        opening.sample(1, equity, working=True)
    for equity in range(95, 95 + SUSTAINED):
        assert opening.equity is None or equity > 95
        opening.sample(2, equity, working=True)
    assert opening.equity == 95
    opening.reset()
    assert opening.equity is None
    for day, working in ((3, True), (4, False), (4, True)):
        for _ in range(3 * SUSTAINED):
            opening.sample(day, 50, working=working)
    assert opening.equity is None


Bring = Callable[[BreakerTruth, WireWatch, SteppedClock, list[Fill], list[int]], None]


def loss_of(share: float) -> Bring:
    def bring(truth: BreakerTruth, *_: object) -> None:
        truth.sample(NOW_MS, 1_000, working=True)
        truth.told(1_000 * (1 - share))

    return bring


def losing_trades(_: object, __: object, ___: object, fills: list[Fill], *____: object) -> None:
    fills += [fill(NOW_MS + number, "-1") for number in range(6)]


def losing_trades_before_a_gain(
    _: object, __: object, ___: object, fills: list[Fill], *____: object
) -> None:
    losing_trades(_, __, ___, fills)
    fills.append(fill(NOW_MS + 6, "1"))


def entries_today(_: object, __: object, ___: object, fills: list[Fill], *____: object) -> None:
    ids = [client_order_id(decision_id("0xabc", "BTC", "s", n), Role.ENTRY) for n in range(30)]
    fills += [fill(NOW_MS + n, "0", start="0", cloid=one) for n, one in enumerate(ids)]


def failures(_: object, wire: WireWatch, *__: object) -> None:
    for _number in range(15):
        wire.failed()


def a_full_disk(_: object, __: object, ___: object, ____: object, disk: list[int]) -> None:
    disk += [NOW_MS] * 15


def refusals(_: object, wire: WireWatch, *__: object) -> None:
    for _number in range(5):
        wire.answered({"action": {}}, 200, b'{"error":"no"}')


def silence(_: object, __: object, clock: SteppedClock, *___: object) -> None:
    clock.set(NOW_MS + 2 * BAR_MS)


@pytest.mark.parametrize(
    ("cause", "bring"),
    [
        (Cause.DRAWDOWN, loss_of(0.2)),
        (Cause.DAILY_LOSS, loss_of(0.05)),
        (Cause.CONSECUTIVE_LOSSES, losing_trades),
        (Cause.CONSECUTIVE_LOSSES, losing_trades_before_a_gain),
        (Cause.TRADES_PER_DAY, entries_today),
        (Cause.ERRORS, failures),
        (Cause.ERRORS, a_full_disk),
        (Cause.REJECTED_ORDERS, refusals),
        (Cause.STALE_DATA, silence),
    ],
)
def test_a_trip_is_false_without_its_cause(
    cause: Cause, bring: Bring, wire: WireWatch, told: Told, clock: SteppedClock
) -> None:
    """Each cause is told anew from the venue's side: a trip without it is a false stop, one with
    it is none, and a reset makes the operator vouch for what was."""
    state, fills, disk = BreakerState(clock_ms=NOW_MS), list[Fill](), list[int]()
    stream = StreamWatch(clock)
    truth = BreakerTruth(
        BreakerParameters(), wire, stream, told, bar_ms=BAR_MS, disk_refusals_ms=disk
    )
    Breaker(BreakerParameters(), state)
    truth.sample(NOW_MS, 1_000, working=True)
    state.latches[cause].trips = 1
    truth.judge(clock.now_ms(), state, fills, working=False)
    assert (told.numbers, truth.false_stops) == ([8], 1)
    truth.reset(clock.now_ms() - 1)
    bring(truth, wire, clock, fills, disk)
    state.latches[cause].trips = 2
    truth.judge(clock.now_ms(), state, fills, working=False)
    assert (told.numbers, truth.false_stops) == ([8], 1)
    assert truth.trips == {str(cause): 2}


def test_a_stop_is_missed_only_by_a_bot_that_may_ask(
    wire: WireWatch, told: Told, clock: SteppedClock
) -> None:
    """A lasting drawdown without a trip is a missed stop, but not while a 429 keeps the bot from
    reading its account."""
    truth = BreakerTruth(BreakerParameters(), wire, StreamWatch(clock), told, bar_ms=BAR_MS)
    state = BreakerState(clock_ms=NOW_MS)
    Breaker(BreakerParameters(), state)
    for equity in [1_000] * SUSTAINED + [700] * SUSTAINED:
        truth.sample(clock.now_ms(), equity, working=True)
    wire.answered({"type": "clearinghouseState"}, 429, b"null")
    for _ in range(2 * SUSTAINED):
        truth.judge(clock.now_ms(), state, [], working=True)
    assert told.numbers == []
    clock.set(NOW_MS + WAIT_AFTER_429_MS)
    for _ in range(SUSTAINED):
        truth.judge(clock.now_ms(), state, [], working=True)
    assert 9 in told.numbers


def test_a_cause_that_nobody_can_tell_is_always_false(
    wire: WireWatch, told: Told, clock: SteppedClock
) -> None:
    """A mismatch or a critical error has no cause on a venue that is well."""
    truth = BreakerTruth(BreakerParameters(), wire, StreamWatch(clock), told, bar_ms=BAR_MS)
    state = BreakerState(clock_ms=NOW_MS)
    Breaker(BreakerParameters(), state)
    state.latches[Cause.CRITICAL].trips = 1
    truth.judge(NOW_MS, state, [], working=False)
    assert told.numbers == [8]
    assert truth.trips == {"critical": 1}


def test_a_life_that_has_not_opened_its_state_trips_nothing(
    wire: WireWatch, told: Told, clock: SteppedClock
) -> None:
    """The latches of a bot that died before it had its state say nothing, so the trip that the
    next one finds in the state is no new one."""
    stream = StreamWatch(clock)
    truth = BreakerTruth(BreakerParameters(), wire, stream, told, bar_ms=BAR_MS)
    state, unopened = BreakerState(clock_ms=NOW_MS), BreakerState()
    for each in (state, unopened):
        Breaker(BreakerParameters(), each)
    clock.set(NOW_MS + 2 * BAR_MS)
    state.latches[Cause.STALE_DATA].trips = 1
    truth.judge(clock.now_ms(), state, [], working=True)
    stream.receives('{"channel":"candle"}')
    while stream.silence_ms():
        truth.judge(clock.now_ms(), unopened, [], working=True)
    truth.judge(clock.now_ms(), state, [], working=True)
    assert (told.numbers, truth.trips) == ([], {"stale_data": 1})
