"""The shared budget: its laws, its file, and a simulated day with everything that can ask."""

import asyncio
import subprocess
import sys
from collections import deque
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fractaltrader.errors import UserError
from fractaltrader.exchange import limits
from fractaltrader.exchange.budget_parameters import HEAVIEST, BudgetParameters, Priority
from fractaltrader.exchange.clock import MonotonicClock
from fractaltrader.exchange.errors import ConfigurationError, RateLimitedError
from fractaltrader.exchange.hyperliquid.weights import action_cost, extra_weight, info_cost
from fractaltrader.exchange.limiter import Limiter, budget_path, load_budget, peek
from fractaltrader.exchange.limits import MINUTE_MS, PROTECT_BOUND_MS, BudgetState, Cost
from fractaltrader.simulator.virtual_time import LoopClock, run_virtual

ACCOUNT = "0x" + "ab" * 20
START_MS = 5_000_000


class SlidingMinute:
    """The venue's own count: what was admitted in the last sixty seconds (hyperliquid.md 6.1)."""

    def __init__(self, limit: int = 1_200) -> None:
        self.limit = limit
        self.highest = 0
        self._uses: deque[tuple[int, int]] = deque()

    def add(self, now_ms: int, weight: int) -> bool:
        while self._uses and self._uses[0][0] <= now_ms - MINUTE_MS:
            self._uses.popleft()
        total = sum(used for _, used in self._uses) + weight
        if total > self.limit:
            return False
        self._uses.append((now_ms, weight))
        self.highest = max(self.highest, total)
        return True


def limiter(
    folder: Path, clock: LoopClock, name: str = "a", params: BudgetParameters | None = None
) -> Limiter:
    return Limiter(folder / "budget.json", clock, spender=name, rng=Random(7), params=params)


class _Standing:
    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        return self._now_ms

    async def sleep_ms(self, duration_ms: int) -> None:
        raise AssertionError(f"nobody may wait {duration_ms} ms here")


REQUESTS = st.tuples(
    st.integers(0, 3_000),  # after so many ms
    st.sampled_from(Priority),
    st.integers(1, 100),  # weight at once
    st.integers(0, 20),  # the most its answer may add
    st.floats(0, 1),  # what of that it adds
    st.integers(0, 8_000),  # ms until the venue counts it
    st.integers(0, 7_000),  # ms from then to the answer
    st.booleans(),  # whether the answer arrives
)


@settings(max_examples=60, deadline=None)
@given(st.lists(REQUESTS, min_size=1, max_size=80))
def test_the_venue_never_counts_more_than_its_limit(requests: list[Any]) -> None:
    """Whatever is asked for, whenever the venue counts it between our sending and its answer, no
    sliding minute of the venue holds more than the budget."""
    params = BudgetParameters()
    counted: list[tuple[int, int]] = []

    async def ask(state: BudgetState, clock: LoopClock, request: Any, number: int) -> None:
        _, priority, base, most, share, until_counted, until_answer, answered = request
        cost = Cost("x", base, most)
        while True:
            limits.advance(state, clock.now_ms())
            wait = limits.request_wait(state, cost, priority, params)
            if wait is None:
                break
            assert wait.ms is not None
            assert wait.ms > 0
            await clock.sleep_ms(wait.ms)
        limits.spend(state, cost, priority, str(number), "me")
        await clock.sleep_ms(until_counted)
        extra = round(share * most)
        counted.append((clock.now_ms(), base + extra))
        await clock.sleep_ms(until_answer)
        limits.advance(state, clock.now_ms())
        weight = base + extra if answered else cost.weight
        limits.settle(state, str(number), weight, priority, "me")

    async def world() -> None:
        clock, state = LoopClock(START_MS), BudgetState(now_ms=START_MS)
        async with asyncio.TaskGroup() as group:
            for number, request in enumerate(requests):
                await clock.sleep_ms(request[0])
                group.create_task(ask(state, clock, request, number))
        limits.advance(state, clock.now_ms() + 2 * MINUTE_MS)
        assert limits.used_weight(state) == 0

    run_virtual(world())
    counter = SlidingMinute(params.weight_per_minute)
    assert all(counter.add(*use) for use in sorted(counted))


def test_protection_does_not_wait_behind_others(tmp_path: Path) -> None:
    """With every lower priority asking without end, protection within its reserve waits no longer
    than its bound, even while the venue answers 429."""

    async def world() -> list[int]:
        clock = LoopClock(START_MS)
        waited = []

        async def flood(name: str, priority: Priority) -> None:
            own = limiter(tmp_path, clock, name)
            while True:
                ticket = await own.acquire(Cost("flood", 20, methods=("portfolio",)), priority)
                await clock.sleep_ms(80)
                own.settle(ticket, 0)

        async def entries() -> None:
            own = limiter(tmp_path, clock, "entries")
            while True:
                cost = Cost("order", 1, methods=("orders",), coin="BTC", address=ACCOUNT, actions=3)
                own.settle(await own.acquire(cost, Priority.ENTER), 0)

        floods = [
            asyncio.create_task(flood(f"{priority.name}{n}", priority))
            for priority in (Priority.RECONCILE, Priority.ENTER, Priority.INFORM)
            for n in range(4)
        ]
        floods.append(asyncio.create_task(entries()))
        guard = limiter(tmp_path, clock, "guard")
        for repair in range(60):
            await clock.sleep_ms(7_000)
            began = clock.now_ms()
            for cost in (
                info_cost({"type": "clearinghouseState"}),
                info_cost({"type": "frontendOpenOrders"}),
                info_cost({"type": "allMids"}),
                action_cost({"type": "order", "orders": [1, 2]}, ACCOUNT, "BTC"),
            ):
                ticket = await guard.acquire(cost, Priority.PROTECT)
                guard.settle(ticket, 0)
                if repair % 10 == 9:
                    guard.refused(ticket)
            waited.append(clock.now_ms() - began)
        for task in floods:
            task.cancel()
        return waited

    waited = run_virtual(world())
    calm = [ms for repair, ms in enumerate(waited) if repair % 10 != 9]
    assert max(calm) <= PROTECT_BOUND_MS
    assert max(waited) <= 4 * PROTECT_BOUND_MS  # four requests, each answered with a 429
    assert sorted(calm)[len(calm) // 2] == 0


def test_others_wait_and_are_told_why(tmp_path: Path) -> None:
    """A request beyond its share waits until there is room, and who waited for what is kept."""

    async def world() -> BudgetState:
        clock = LoopClock(START_MS)
        own = limiter(tmp_path, clock, "status:1")
        for _ in range(8):
            own.settle(await own.acquire(Cost("userRole", 60), Priority.INFORM), 0)
        assert clock.now_ms() - START_MS >= MINUTE_MS
        protect = await own.acquire(Cost("order", 1), Priority.PROTECT)
        own.settle(protect, 0)
        content = own._file
        with content.locked() as file:
            return load_budget(file.read(), own.params, clock.now_ms())

    state = run_virtual(world())
    (deferral,) = state.deferrals
    assert (deferral.spender, deferral.what) == ("status:1", "userRole")
    assert deferral.waited_ms >= MINUTE_MS
    assert "inform" in deferral.why
    assert state.spenders["status:1"].weights == [1, 0, 0, 480]


@pytest.mark.parametrize(
    ("request_", "rate"),
    [
        ({"type": "allMids"}, 10),
        ({"type": "clearinghouseState"}, 10),
        ({"type": "meta"}, 5),
        (
            {
                "type": "candleSnapshot",
                "req": {"coin": "BTC", "interval": "1m", "startTime": 0, "endTime": 0},
            },
            10,
        ),
    ],
)
def test_the_calls_of_one_kind_a_second(tmp_path: Path, request_: Any, rate: int) -> None:
    """Each kind of call keeps to its own number a second, across processes."""
    cost = info_cost(request_)
    times: list[int] = []

    async def caller(clock: LoopClock, name: str) -> None:
        own = limiter(tmp_path, clock, name)
        for _ in range(rate):
            own.settle(await own.acquire(cost, Priority.RECONCILE), 0)
            times.append(clock.now_ms())

    async def world() -> None:
        clock = LoopClock(START_MS)
        await asyncio.gather(*(caller(clock, name) for name in "abc"))

    run_virtual(world())
    times.sort()
    assert len(times) == 3 * rate
    assert all(later - first >= 1_000 for first, later in zip(times, times[rate:], strict=False))


def test_orders_a_second_leave_one_for_protection(tmp_path: Path) -> None:
    """Entries share four of five order actions a second, two a coin; a stop goes out at once."""

    async def world() -> tuple[list[int], list[int]]:
        clock = LoopClock(START_MS)
        own = limiter(tmp_path, clock)
        entered, protected = [], []

        async def enter(coin: str) -> None:
            for _ in range(3):
                cost = action_cost({"type": "order", "orders": [1]}, ACCOUNT, coin)
                own.settle(await own.acquire(cost, Priority.ENTER), 0)
                entered.append(clock.now_ms() - START_MS)

        entries = asyncio.gather(*(enter(coin) for coin in ("BTC", "ETH", "SOL")))
        await clock.sleep_ms(10)
        for _ in range(2):
            cost = action_cost({"type": "order", "orders": [1]}, ACCOUNT, "BTC")
            own.settle(await own.acquire(cost, Priority.PROTECT), 0)
            protected.append(clock.now_ms() - START_MS)
        await entries
        return entered, protected

    entered, protected = run_virtual(world())
    assert sum(ms < 1_000 for ms in entered) == 4
    assert protected[0] == 10
    assert protected[1] <= 1_010


def test_a_429_empties_the_budget_and_it_grows_back(tmp_path: Path) -> None:
    """After a 429 nothing but protection goes for a pause that doubles with each further one, and
    the budget comes back little by little; a burst of 429s counts as one."""
    params = BudgetParameters()

    async def world() -> None:
        clock = LoopClock(START_MS)
        own = limiter(tmp_path, clock)
        first = await own.acquire(Cost("a", 2), Priority.RECONCILE)
        second = await own.acquire(Cost("b", 2), Priority.RECONCILE)
        await clock.sleep_ms(100)
        for ticket in (first, second):
            own.refused(ticket)
            own.settle(ticket)
        refused_at = clock.now_ms()
        own.settle(await own.acquire(Cost("stop", 1), Priority.PROTECT), 0)
        assert clock.now_ms() - refused_at == limits.PROTECT_PAUSE_MS
        third = await own.acquire(Cost("c", 2), Priority.RECONCILE)
        waited = clock.now_ms() - refused_at
        pause = 1_000 * params.first_pause_seconds
        assert pause / 2 <= waited <= pause + 5_000
        own.refused(third)
        own.settle(third)
        refused_at = clock.now_ms()
        spent = 0
        while clock.now_ms() < refused_at + pause + 1_000 * params.recovery_seconds / 2:
            ticket = await own.acquire(Cost("d", 5), Priority.RECONCILE)
            assert clock.now_ms() - refused_at >= pause  # 2 x first, halved at most
            own.settle(ticket, 0)
            spent += 5
        half = params.ceiling(Priority.RECONCILE) * params.recovery_seconds / 2 / 60 / 2
        assert 0.5 * half < spent < 1.2 * half

    run_virtual(world())


def test_the_address_keeps_actions_for_protection(tmp_path: Path) -> None:
    """Entries are refused once only the reserve of the address's actions is left; stops go on, and
    beyond the last action every eleven seconds; cancels have a limit of their own."""

    async def world() -> None:
        clock = LoopClock(START_MS)
        own = limiter(tmp_path, clock)
        own.learn_address(ACCOUNT, 9_400, 10_000)
        entry = action_cost({"type": "order", "orders": [1] * 60}, ACCOUNT, "BTC")
        own.settle(await own.acquire(entry, Priority.ENTER), 0)
        await clock.sleep_ms(2_000)
        with pytest.raises(RateLimitedError, match="540 of the address's 10000") as refusal:
            await own.acquire(entry, Priority.ENTER)
        assert refusal.value.scope == "address"
        stop = action_cost({"type": "order", "orders": [1]}, ACCOUNT, "BTC")
        own.settle(await own.acquire(stop, Priority.PROTECT), 0)
        own.address_exhausted(ACCOUNT)
        began = clock.now_ms()
        own.settle(await own.acquire(stop, Priority.PROTECT), 0)
        assert clock.now_ms() - began == limits.SLOW_LANE_MS
        began = clock.now_ms()
        cancel = action_cost({"type": "cancelByCloid", "cancels": [1]}, ACCOUNT)
        own.settle(await own.acquire(cancel, Priority.PROTECT), 0)
        assert clock.now_ms() == began

    run_virtual(world())


def test_sockets_are_counted(tmp_path: Path) -> None:
    """Connections, new connections, subscriptions and messages stay within the venue's caps."""
    params = BudgetParameters(connections=3, new_connections_per_minute=5)

    async def world() -> None:
        clock = LoopClock(START_MS)
        own = limiter(tmp_path, clock, params=params)
        keys = [await own.open_socket(5) for _ in range(3)]
        waiting = asyncio.create_task(own.open_socket(5))
        await clock.sleep_ms(3_000)
        assert not waiting.done()
        own.close_socket(keys.pop())
        keys.append(await waiting)
        own.close_socket(keys.pop())
        own.close_socket(await own.open_socket(5))
        began = clock.now_ms()
        keys.append(await own.open_socket(5))
        assert clock.now_ms() - began > 50_000  # the sixth within a minute
        own.close_socket(keys.pop())
        with pytest.raises(ConfigurationError, match="subscriptions"):
            await own.open_socket(945)

    run_virtual(world())


def test_a_damaged_file_means_half_is_spent(tmp_path: Path) -> None:
    """Garbage, a cut file, a flipped byte or one from before a restart of the machine start at half
    of the budget; a good file is taken as it is, and no file means that nobody asked yet."""
    path = tmp_path / "budget.json"
    params = BudgetParameters()
    half = params.weight_per_minute // 2

    def used(now_ms: int = START_MS) -> int:
        own = Limiter(path, _Standing(now_ms), spender="x", rng=Random(0))
        seen = own._shared(limits.used_weight)
        own.close()
        return seen

    assert used() == 0
    good = path.read_bytes()
    assert used() == 0
    for damaged in (
        b"garbage",
        good[: len(good) // 2],
        good.replace(b"5000000", b"5000001"),
        b"0" * 16 + b"\n{}",
    ):
        path.write_bytes(damaged)
        assert used() == half, damaged
    path.write_bytes(good)
    assert used(START_MS - 3_600_000) == half


def test_a_stopped_holder_of_the_lock_does_not_keep_protection_waiting(tmp_path: Path) -> None:
    """While another process holds the file's lock for good, requests go on after a second with a
    budget of their own, half spent."""

    async def world() -> tuple[int, int]:
        clock = LoopClock(START_MS)
        holder, own = limiter(tmp_path, clock, "stopped"), limiter(tmp_path, clock)
        with holder._file.locked():
            ticket = await own.acquire(Cost("order", 1), Priority.PROTECT)
            own.settle(ticket, 0)
            waited = clock.now_ms() - START_MS
            heavy = asyncio.create_task(own.acquire(Cost("big", 120), Priority.INFORM))
            await clock.sleep_ms(5_000)
            assert not heavy.done()
            heavy.cancel()
        again = clock.now_ms()
        own.settle(await own.acquire(Cost("order", 1), Priority.PROTECT), 0)
        return waited, clock.now_ms() - again

    waited, after = run_virtual(world())
    assert waited <= 1_000
    assert after == 0


WORKER = """
import asyncio, sys
from pathlib import Path
from random import Random
from fractaltrader.exchange.budget_parameters import HEAVIEST
from fractaltrader.exchange.clock import MonotonicClock
from fractaltrader.exchange.limiter import Limiter
from fractaltrader.exchange.budget_parameters import Priority
from fractaltrader.exchange.limits import Cost

async def main():
    own = Limiter(Path(sys.argv[1]), MonotonicClock(), spender=sys.argv[2], rng=Random(1))
    for weight in [1] * 150 + [0]:
        own.settle(await own.acquire(Cost("x", weight), Priority.PROTECT), 0)

asyncio.run(main())
"""


@pytest.mark.integration
def test_real_processes_lose_no_charge(tmp_path: Path) -> None:
    """Four real processes that ask as fast as they can: every one of their 600 requests is in the
    shared count, under the name of the process that made it."""
    path = tmp_path / "budget.json"
    workers = [
        subprocess.Popen([sys.executable, "-c", WORKER, str(path), f"bot{n}"]) for n in range(4)
    ]
    assert [worker.wait() for worker in workers] == [0] * 4
    state = peek(path, BudgetParameters(), MonotonicClock().now_ms())
    assert {name: spender.weights for name, spender in state.spenders.items()} == {
        f"bot{n}": [150, 0, 0, 0] for n in range(4)
    }


def test_an_unusable_folder_does_not_stop_trading(tmp_path: Path) -> None:
    """Where the file cannot be made at all, the process keeps a budget of its own."""
    (tmp_path / "file").write_text("")
    granted = []

    async def world() -> None:
        clock = LoopClock(START_MS)
        own = Limiter(tmp_path / "file" / "budget", clock, spender="x", rng=Random(0))
        granted.append(await own.acquire(Cost("order", 1), Priority.PROTECT))
        own.settle(granted[0], 0)

    run_virtual(world())
    assert len(granted) == 1
    assert not (tmp_path / "file").is_dir()


def test_weights_are_the_venues() -> None:
    """Requests weigh what hyperliquid.md 6.1 says, with the most their answers can add."""
    day = {"coin": "BTC", "interval": "1m", "startTime": 0, "endTime": 5_000 * 60_000}
    assert info_cost({"type": "candleSnapshot", "req": day}).weight == 20 + 83
    assert info_cost({"type": "userRole"}).weight == 60
    assert info_cost({"type": "exchangeStatus"}).weight == 2
    assert info_cost({"type": "frontendOpenOrders"}).weight == 20
    assert info_cost({"type": "userFillsByTime"}).weight == HEAVIEST
    assert extra_weight("userFillsByTime", 47) == 2
    assert action_cost({"type": "order", "orders": [1] * 80}, ACCOUNT).weight == 3
    bracket = action_cost({"type": "order", "orders": [1] * 3}, ACCOUNT)
    assert (bracket.weight, bracket.actions) == (1, 3)


def test_parameters_that_would_block_for_ever_are_refused() -> None:
    """A share too small for the heaviest request is a mistake that is named."""
    with pytest.raises(UserError, match="heaviest request"):
        BudgetParameters.parse({"weight_per_minute": 300, "inform_share": 0.1}, "[budget]")


def test_one_file_for_each_venue(tmp_path: Path) -> None:
    """Processes on one venue share a file whatever the path of its URL; others have not."""
    main = budget_path(tmp_path, "https://api.hyperliquid.xyz")
    assert main == budget_path(tmp_path, "https://api.hyperliquid.xyz/")
    assert main != budget_path(tmp_path, "https://api.hyperliquid-testnet.xyz")
    assert budget_path(tmp_path, "http://127.0.0.1:3001") != budget_path(
        tmp_path, "http://127.0.0.1:3002"
    )


def test_the_file_stays_small(tmp_path: Path) -> None:
    """However many processes come and go and wait, the file has a ceiling."""

    def crowd(state: BudgetState) -> None:
        for number in range(5_000):
            limits.advance(state, START_MS + 20 * number)
            cost = Cost("userFillsByTime", 1, 0, "orders", f"COIN{number}")
            limits.spend(state, cost, Priority.ENTER, str(number), f"process:{number}")
            limits.settle(state, str(number), 1, Priority.ENTER, f"process:{number}")
            limits.defer(state, limits.Deferral(number, f"process:{number}", "x", 2, 10, "w" * 100))

    own = Limiter(tmp_path / "budget.json", _Standing(START_MS), spender="x", rng=Random(0))
    own._shared(crowd)
    assert (tmp_path / "budget.json").stat().st_size < 32_768
    with own._file.locked() as file:
        assert len(load_budget(file.read(), own.params, START_MS + 99_000).deferrals) == 50
