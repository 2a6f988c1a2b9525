"""The one gate in front of the venue: every request of every process passes it and is charged.

The budget lives in a small file that all processes of this machine share, one for each venue. A
damaged file means that half of the budget is taken as spent. When the file cannot be used
at all (full disk, a stopped process that holds its lock) each process goes on with a budget of its
own: protection is never kept from the venue by our own book-keeping.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec
import structlog

from fractaltrader.exchange import limits
from fractaltrader.exchange.budget_parameters import BudgetParameters, Priority
from fractaltrader.exchange.clock import PacedClock
from fractaltrader.exchange.errors import ConfigurationError, RateLimitedError
from fractaltrader.exchange.limits import BudgetState, Cost, Wait
from fractaltrader.exchange.locked_file import LockedFile

T = TypeVar("T")
log = structlog.get_logger()

# Others hold the lock for a fraction of a millisecond; who holds it longer is not at work.
LOCK_POLL_MS = 2
LOCK_PATIENCE_MS = 1_000
# A file written that far in the future is from before the machine started anew.
FUTURE_MS = 60_000


def budget_path(home: Path, url: str, pace: float = 1.0) -> Path:
    """The file of the budget that all processes share at the venue `url`, which replays its market
    `pace` times as fast as time."""
    place = urlsplit(url)
    name = f"{place.hostname}:{place.port}" + (f" x {pace:g}" if pace != 1 else "")
    digest = hashlib.blake2b(name.encode(), digest_size=4).hexdigest()
    return home / "budget" / f"{place.hostname}-{digest}.json"


def load_budget(content: bytes | None, params: BudgetParameters, now_ms: int) -> BudgetState:
    """The shared state; half spent when it is damaged or from before the machine was started."""
    if content == b"":
        return BudgetState(now_ms=now_ms)
    try:
        state = msgspec.json.decode(content or b"", type=BudgetState)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return limits.half_spent(params, now_ms)
    return aged(state, params, now_ms)


def aged(state: BudgetState, params: BudgetParameters, now_ms: int) -> BudgetState:
    """`state`, or half a budget where it is from before the machine was started, as of now."""
    if state.now_ms > now_ms + FUTURE_MS:
        return limits.half_spent(params, now_ms)
    limits.advance(state, max(now_ms, state.now_ms))
    return state


def peek(path: Path, params: BudgetParameters, now_ms: int) -> BudgetState:
    """The shared state for whoever only looks; raises OSError when it cannot be read."""
    with LockedFile(path).opened() as file:
        return load_budget(file.read(), params, now_ms)


class Ticket:
    """A request that was let through; `Limiter.settle` it when its answer is in."""

    __slots__ = ("cost", "key", "priority", "sent_ms")

    def __init__(self, key: str, cost: Cost, priority: Priority) -> None:
        self.key, self.cost, self.priority = key, cost, priority
        self.sent_ms = 0


class Limiter:
    """One process's access to the shared budget. `spender` is what others see it under."""

    def __init__(
        self,
        path: Path,
        clock: PacedClock,
        *,
        spender: str,
        rng: Random,
        params: BudgetParameters | None = None,
    ) -> None:
        self.params = params or BudgetParameters()
        self.spender = spender
        self._file = LockedFile(path)
        self._clock = clock
        self._rng = rng
        self._own: BudgetState | None = None  # the state in use while the file cannot be
        self._late: list[Callable[[BudgetState], object]] = []
        self._written: tuple[bytes | None, BudgetState] = None, BudgetState()  # by us, the last
        self._tickets = 0
        self._sockets = 0

    async def acquire(self, cost: Cost, priority: Priority) -> Ticket:
        """Wait until the budget has room for the request, and charge it.

        Raises RateLimitedError when waiting cannot help: the address has no actions to spare.
        """
        ticket, attempt = self._asked(cost, priority)
        await self._admitted(attempt, cost.what, priority)
        return ticket

    def acquire_at_once(self, cost: Cost, priority: Priority) -> Ticket | None:
        """As `acquire`, but None where that would wait, for the budget or for the file's lock."""
        ticket, attempt = self._asked(cost, priority)
        try:
            return ticket if self._shared(attempt) is None else None
        except BlockingIOError:
            return None

    def _asked(
        self, cost: Cost, priority: Priority
    ) -> tuple[Ticket, Callable[[BudgetState], Wait | None]]:
        self._tickets += 1
        ticket = Ticket(f"{self.spender}#{id(self):x}.{self._tickets}", cost, priority)

        def attempt(state: BudgetState) -> Wait | None:
            wait = limits.request_wait(state, cost, priority, self.params)
            if wait is None:
                limits.spend(state, cost, priority, ticket.key, self.spender)
                ticket.sent_ms = state.now_ms
            return wait

        return ticket, attempt

    def settle(self, ticket: Ticket, extra: int | None = None) -> None:
        """The answer is in, with so much extra weight; None: there was none, the most is taken."""
        cost = ticket.cost
        weight = cost.weight if extra is None else min(cost.base + extra, cost.weight)

        def change(state: BudgetState) -> None:
            limits.settle(state, ticket.key, weight, ticket.priority, self.spender)

        if weight == cost.weight and self._own is None:
            # Nothing is given back, so it waits for the next access: a request that is still on its
            # way for the file counts as much and only longer.
            self._late.append(change)
        else:
            self._change(change)

    def refused(self, ticket: Ticket) -> None:
        """The venue answered 429."""
        jitter = self._rng.random()
        self._change(lambda state: limits.refused(state, self.params, ticket.sent_ms, jitter))

    def learn_address(self, address: str, used: int, cap: int) -> None:
        """Take over what `userRateLimit` told of an address."""
        self._change(lambda state: limits.learn_address(state, address, used, cap))

    def address_exhausted(self, address: str) -> None:
        """The venue refused an action because the address has none left."""
        self._change(lambda state: limits.address_exhausted(state, address))

    def count_actions(self, address: str, actions: int) -> None:
        """The venue charged an address more actions than it was sent."""
        self._change(lambda state: limits.count_actions(state, address, actions))

    async def open_socket(self, subscriptions: int) -> str:
        """Wait until a WebSocket may be opened, and count it; the key to renew and close it by.

        Raises ConfigurationError when there are too many subscriptions for one address.
        """
        self._sockets += 1
        key = f"{self.spender}#{id(self):x}.{self._sockets}"

        def attempt(state: BudgetState) -> Wait | None:
            wait = limits.socket_wait(state, subscriptions, self.params)
            if wait is None:
                limits.open_socket(state, key, self.spender, subscriptions)
            return wait

        try:
            await self._admitted(attempt, "open WebSocket", Priority.RECONCILE)
        except RateLimitedError as error:
            raise ConfigurationError(str(error)) from None
        return key

    def renew_socket(self, key: str, messages: int) -> None:
        """An open WebSocket is still there, and so many messages were sent on it."""
        self._change(lambda state: limits.renew_socket(state, key, messages))

    def close_socket(self, key: str) -> None:
        """The WebSocket is closed."""
        self._change(lambda state: state.sockets.pop(key, None))

    async def _admitted(
        self, attempt: Callable[[BudgetState], Wait | None], what: str, priority: Priority
    ) -> None:
        began, why = self._clock.now_ms(), ""
        while (wait := await self._patiently(attempt)) is not None:
            if wait.ms is None:
                raise RateLimitedError(f"{what}: {wait.why}", scope="address")
            why = why or wait.why
            await self._clock.sleep_ms(wait.ms)
        if why:
            now = self._clock.now_ms()
            deferral = limits.Deferral(now, self.spender, what, priority, now - began, why)
            self._change(lambda state: limits.defer(state, deferral))

    async def _patiently(self, work: Callable[[BudgetState], T]) -> T:
        """Do `work` on the shared state; on our own once the lock cannot be had in time."""
        for _ in range(LOCK_PATIENCE_MS // LOCK_POLL_MS):
            try:
                return self._shared(work)
            except BlockingIOError:
                await self._clock.sleep_ms(LOCK_POLL_MS)
        return self._alone(work, "another process holds its lock")

    def _change(self, work: Callable[[BudgetState], object]) -> None:
        """Do `work` now, or with the next access when another process is just at it."""
        try:
            self._shared(work)
        except BlockingIOError:
            self._late.append(work)

    def _shared(self, work: Callable[[BudgetState], T]) -> T:
        try:
            with self._file.locked() as file:
                state = self._loaded(file.read())
                for change in self._late:
                    change(state)
                result = work(state)
                content = msgspec.json.encode(state)
                file.write(content)
        except BlockingIOError:
            raise
        except OSError as error:
            return self._alone(work, error.strerror or type(error).__name__)
        self._late.clear()
        self._own = None
        self._written = content, state
        return result

    def _loaded(self, content: bytes | None) -> BudgetState:
        """The shared state, decoded only where another process has written since we did."""
        now, (ours, state) = self._clock.now_ms(), self._written
        self._written = None, state  # until what becomes of it is written
        if content and content == ours:
            return aged(state, self.params, now)
        return load_budget(content, self.params, now)

    def _alone(self, work: Callable[[BudgetState], T], why: str) -> T:
        now = self._clock.now_ms()
        if self._own is None:
            log.warning("the shared budget cannot be used", why=why, process=os.getpid())
            self._own = limits.half_spent(self.params, now)
        limits.advance(self._own, now)
        return work(self._own)

    def close(self) -> None:
        """Write down what still waits, and give the file back."""
        if self._late:
            self._change(lambda _: None)
        self._file.close()
