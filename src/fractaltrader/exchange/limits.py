"""The venue's limits as one budget: who may send what, and when. Pure; `limiter.py` does the rest.

Weight is counted as the venue counts it (hyperliquid.md 6.1), but from before a request leaves
until sixty seconds after its answer came: whenever the venue counted it in between, our count
covers its own, so staying below the limit here is staying below it there, in any sliding minute.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from fractaltrader.exchange.budget_parameters import BudgetParameters, Priority

MINUTE_MS = 60_000
SECOND_MS = 1_000
BUCKET_MS = 500
# A request whose answer nobody settled (its process died) is taken to be answered after this.
PENDING_MS = 60_000
# A WebSocket that its process has not renewed for so long is closed: the process died.
LEASE_MS = 2 * MINUTE_MS
# How long to wait when only other requests' answers can make room.
POLL_MS = 250
DEFERRALS_KEPT = 50
SPENDERS_KEPT = 32
# An exhausted address has one action every ten seconds; eleven always passed (hyperliquid.md 6.2).
SLOW_LANE_MS = 11_000
# However the venue answered last, protection tries again after this; and then it has its reserve.
PROTECT_PAUSE_MS = 2_000
# What protection may have to wait at most, while it spends no more than its reserve: the pause
# after a 429, and a second for the orders-per-second limit.
PROTECT_BOUND_MS = PROTECT_PAUSE_MS + SECOND_MS


class Cost(NamedTuple):
    """What one request costs: `base` at once, and up to `most_extra` for what its answer holds."""

    what: str
    base: int
    most_extra: int = 0
    methods: tuple[str, ...] = ()  # ours, by which calls a second are limited
    coin: str | None = None
    address: str | None = None
    actions: int = 0  # of the address budget
    cancels: bool = False

    @property
    def weight(self) -> int:
        """The most it can weigh."""
        return self.base + self.most_extra


@dataclass(frozen=True, slots=True)
class Wait:
    """Not now: try again in `ms`. `ms` is None when waiting cannot help."""

    ms: int | None
    why: str


class Pending(msgspec.Struct, array_like=True):
    """A request on its way, or one whose answer may still count at the venue."""

    since_ms: int
    weight: int


class Spender(msgspec.Struct, array_like=True):
    """What one process spent since it appeared, by priority."""

    weights: list[int]
    last_ms: int


class Deferral(msgspec.Struct, array_like=True):
    """A request that had to wait, and why."""

    time_ms: int
    spender: str
    what: str
    priority: int
    waited_ms: int
    why: str


class AddressBudget(msgspec.Struct, array_like=True):
    """Actions of one address: as the venue told, plus what was sent since."""

    used: int
    cap: int
    learned_ms: int
    slow_ms: int = 0  # when the slow lane was used last


class Lease(msgspec.Struct, array_like=True):
    """An open WebSocket, as long as it is renewed."""

    spender: str
    subscriptions: int
    renewed_ms: int


class BudgetState(msgspec.Struct, omit_defaults=True):
    """Everything the processes share. Times are the machine's monotonic milliseconds."""

    now_ms: int = 0
    weight: list[tuple[int, int]] = []  # (until when it counts, weight), oldest first
    pending: dict[str, Pending] = {}
    calls: dict[str, list[int]] = {}
    refused_ms: int = 0
    strikes: int = 0
    pause_until_ms: int = 0
    spenders: dict[str, Spender] = {}
    deferrals: list[Deferral] = []
    addresses: dict[str, AddressBudget] = {}
    sockets: dict[str, Lease] = {}
    connects: list[tuple[int, int]] = []
    messages: list[tuple[int, int]] = []


def half_spent(params: BudgetParameters, now_ms: int) -> BudgetState:
    """Where to start when nothing is known: others may have spent, so half is taken as gone."""
    state = BudgetState(now_ms=now_ms)
    _count(state.weight, params.weight_per_minute // 2, now_ms)
    return state


def advance(state: BudgetState, now_ms: int) -> None:
    """Forget what no longer counts."""
    state.now_ms = now_ms
    for window in (state.weight, state.connects, state.messages):
        while window and window[0][0] <= now_ms:
            del window[0]
    for key in [k for k, p in state.pending.items() if p.since_ms + PENDING_MS <= now_ms]:
        _count(state.weight, state.pending.pop(key).weight, now_ms)
    if state.calls:
        recent = {
            key: [at for at in times if at + SECOND_MS > now_ms]
            for key, times in state.calls.items()
        }
        state.calls = {key: times for key, times in recent.items() if times}
    if state.sockets:
        state.sockets = {
            key: lease
            for key, lease in state.sockets.items()
            if lease.renewed_ms + LEASE_MS > now_ms
        }


def used_weight(state: BudgetState) -> int:
    """Weight that counts now, requests on their way included."""
    return _total(state.weight) + sum(pending.weight for pending in state.pending.values())


def request_wait(
    state: BudgetState, cost: Cost, priority: Priority, params: BudgetParameters
) -> Wait | None:
    """Why a request must wait, or None: it may go. `advance` first."""
    return (
        _address_wait(state, cost, priority, params)
        or _pause_wait(state, priority)
        or _rate_wait(state, cost, priority, params)
        or _weight_wait(state, cost, priority, params)
    )


def spend(state: BudgetState, cost: Cost, priority: Priority, ticket: str, spender: str) -> None:
    """Charge a request that may go."""
    now = state.now_ms
    state.pending[ticket] = Pending(now, cost.weight)
    for key in _call_keys(cost, priority):
        state.calls.setdefault(key, []).append(now)
    if cost.actions and cost.address in state.addresses:
        budget = state.addresses[cost.address]
        if budget.used + cost.actions > _address_cap(budget, cancels=cost.cancels):
            budget.slow_ms = now
        budget.used += cost.actions
    entry = state.spenders.setdefault(spender, Spender([0] * len(Priority), now))
    entry.weights[priority] += cost.weight
    entry.last_ms = now
    if len(state.spenders) > SPENDERS_KEPT:
        del state.spenders[min(state.spenders, key=lambda name: state.spenders[name].last_ms)]


def settle(state: BudgetState, ticket: str, weight: int, priority: Priority, spender: str) -> None:
    """The answer is in: `weight` is what it really cost, counted for a minute from now."""
    pending = state.pending.pop(ticket, None)
    if pending is None:
        return
    _count(state.weight, weight, state.now_ms)
    if spender in state.spenders:
        state.spenders[spender].weights[priority] += weight - pending.weight


def defer(state: BudgetState, deferral: Deferral) -> None:
    """Remember that a request had to wait."""
    state.deferrals = [*state.deferrals[1 - DEFERRALS_KEPT :], deferral]


def refused(state: BudgetState, params: BudgetParameters, sent_ms: int, jitter: float) -> None:
    """The venue said 429 to a request sent at `sent_ms`.

    Nothing but protection goes until a pause is over, and then the budget grows back from nothing.
    The pause doubles with each 429 before the budget is whole again;
    `jitter`, 0 to 1, shortens it by up to a half.
    """
    if state.strikes and sent_ms <= state.refused_ms:
        return  # sent before the last 429 was known: the same burst
    state.strikes = 1 if recovered_share(state, params) >= 1 else state.strikes + 1
    seconds = params.first_pause_seconds * 2 ** min(state.strikes - 1, 10)
    pause_ms = round(1_000 * min(seconds, params.longest_pause_seconds) * (1 - jitter / 2))
    state.refused_ms = state.now_ms
    state.pause_until_ms = max(state.pause_until_ms, state.now_ms + pause_ms)


def recovered_share(state: BudgetState, params: BudgetParameters) -> float:
    """Share of the budget that is open again after the last 429, 0 to 1."""
    if not state.strikes:
        return 1.0
    share = (state.now_ms - state.pause_until_ms) / (1_000 * params.recovery_seconds)
    return min(max(share, 0.0), 1.0)


def learn_address(state: BudgetState, address: str, used: int, cap: int) -> None:
    """Take over what `userRateLimit` told."""
    old = state.addresses.get(address)
    state.addresses[address] = AddressBudget(
        used, cap, state.now_ms, old.slow_ms if old is not None else 0
    )


def count_actions(state: BudgetState, address: str, actions: int) -> None:
    """The address lost more actions than were charged."""
    if address in state.addresses:
        state.addresses[address].used += actions


def address_exhausted(state: BudgetState, address: str) -> None:
    """The venue said that the address has no actions left, whatever we thought."""
    budget = state.addresses.setdefault(address, AddressBudget(0, 0, 0))
    budget.used = max(budget.used, budget.cap)
    budget.slow_ms = state.now_ms


def socket_wait(state: BudgetState, subscriptions: int, params: BudgetParameters) -> Wait | None:
    """Why a WebSocket with so many subscriptions cannot be opened now; None when it can."""
    if len(state.sockets) >= params.connections:
        return Wait(SECOND_MS, f"{params.connections} connections are open")
    if _total(state.connects) >= params.new_connections_per_minute:
        return Wait(_until(state.connects, 1, state.now_ms), "new connections this minute")
    held = sum(lease.subscriptions for lease in state.sockets.values())
    if held + subscriptions > params.subscriptions:
        return Wait(None, f"{held} subscriptions are held, {subscriptions} more are too many")
    if _total(state.messages) + subscriptions > params.messages_per_minute:
        return Wait(_until(state.messages, subscriptions, state.now_ms), "messages this minute")
    return None


def open_socket(state: BudgetState, key: str, spender: str, subscriptions: int) -> None:
    """Count an opened WebSocket and the messages that subscribe."""
    state.sockets[key] = Lease(spender, subscriptions, state.now_ms)
    _count(state.connects, 1, state.now_ms)
    _count(state.messages, subscriptions, state.now_ms)


def renew_socket(state: BudgetState, key: str, messages: int) -> None:
    """Count what was sent and keep the lease."""
    if key in state.sockets:
        state.sockets[key].renewed_ms = state.now_ms
    _count(state.messages, messages, state.now_ms)


def _count(window: list[tuple[int, int]], amount: int, now_ms: int) -> None:
    """Add to a sliding minute; rounded up to buckets, so that it counts a little too long."""
    until = -(-(now_ms + MINUTE_MS) // BUCKET_MS) * BUCKET_MS
    if window and window[-1][0] >= until:
        window[-1] = (window[-1][0], window[-1][1] + amount)
    elif amount:
        window.append((until, amount))


def _total(window: Iterable[tuple[int, int]]) -> int:
    return sum([amount for _, amount in window])  # as a list: it is quicker


def _until(window: list[tuple[int, int]], missing: float, now_ms: int) -> int:
    """Milliseconds until `missing` of the window no longer counts."""
    freed = 0
    for until, amount in window:
        freed += amount
        if freed >= missing:
            return max(until - now_ms, 1)
    return POLL_MS


def _pause_wait(state: BudgetState, priority: Priority) -> Wait | None:
    until = state.pause_until_ms
    if priority is Priority.PROTECT and state.strikes:
        until = min(until, state.refused_ms + PROTECT_PAUSE_MS)
    if state.now_ms < until:
        return Wait(until - state.now_ms, f"pause after {state.strikes} x 429")
    return None


def _call_keys(cost: Cost, priority: Priority) -> list[str]:
    if cost.coin and "orders" in cost.methods and priority is not Priority.PROTECT:
        return [*cost.methods, f"orders {cost.coin}"]
    return [*cost.methods]


def _rate_wait(
    state: BudgetState, cost: Cost, priority: Priority, params: BudgetParameters
) -> Wait | None:
    for key in _call_keys(cost, priority):
        rate = params.rate(key)
        if rate is None:
            rate = params.entries_per_coin_per_second
        elif key == "orders" and priority is not Priority.PROTECT:
            rate -= 1
        times = state.calls.get(key, [])
        if len(times) >= rate:
            free_ms = times[len(times) - rate] + SECOND_MS
            return Wait(max(free_ms - state.now_ms, 1), f"{key}: {rate} a second")
    return None


def _weight_wait(
    state: BudgetState, cost: Cost, priority: Priority, params: BudgetParameters
) -> Wait | None:
    share = 1.0 if priority is Priority.PROTECT else recovered_share(state, params)
    ceiling = params.ceiling(priority) * share
    on_their_way = sum(pending.weight for pending in state.pending.values())
    missing = _total(state.weight) + on_their_way + cost.weight - ceiling
    if missing <= 0:
        return None
    if share < 1:
        return Wait(SECOND_MS, f"weight: {share:.0%} of the budget has grown back after a 429")
    why = f"weight: {cost.weight} more than {priority.name.lower()}'s {ceiling:.0f} a minute"
    ms = _until(state.weight, missing, state.now_ms)
    # Requests on their way are charged the most they can cost; their answers may make room sooner.
    return Wait(min(ms, POLL_MS) if missing <= on_their_way else ms, why)


def _address_cap(budget: AddressBudget, *, cancels: bool) -> int:
    """Actions the address may send in its life; cancels go on longer (hyperliquid.md 6.2)."""
    return min(budget.cap + 100_000, 2 * budget.cap) if cancels else budget.cap


def _address_wait(
    state: BudgetState, cost: Cost, priority: Priority, params: BudgetParameters
) -> Wait | None:
    budget = state.addresses.get(cost.address) if cost.actions and cost.address else None
    if budget is None:
        return None
    left = _address_cap(budget, cancels=cost.cancels) - budget.used - cost.actions
    if priority is not Priority.PROTECT and left < params.address_reserve:
        return Wait(
            None,
            f"{budget.cap - budget.used} of the address's {budget.cap} actions are left, "
            f"{params.address_reserve} are kept for protection; trading volume frees more",
        )
    ready_ms = budget.slow_ms + SLOW_LANE_MS
    if left < 0 and budget.slow_ms and state.now_ms < ready_ms:
        return Wait(ready_ms - state.now_ms, "the address has one action every ten seconds left")
    return None
