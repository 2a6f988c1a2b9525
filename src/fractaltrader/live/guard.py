"""The guard: a second process that keeps a dead bot's positions protected.

While the bot's heartbeat goes on it only watches. Once it has stopped, every look at the account
(1) cancels orders that would add risk, never one that reduces, (2) gives each position that lacks
a stop one: at the price the bot intended, else at a percentage of the mark, and (3) by policy
closes everything after a while. Every look starts from what the venue says, so doing it again
changes nothing, and a bot that comes back meanwhile finds orders that it knows for its own; all
that the guard places only reduces, so two stops where one would do are harmless.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import suppress
from decimal import Decimal

import structlog

from fractaltrader.errors import UserError
from fractaltrader.exchange.budget_parameters import Priority
from fractaltrader.exchange.errors import (
    CriticalError,
    ExchangeError,
    RejectedError,
    TransientError,
    UnknownOutcomeError,
)
from fractaltrader.exchange.port import (
    OpenOrder,
    OrderRequest,
    OutcomeKind,
    Position,
    Venue,
)
from fractaltrader.live.heart import Heart
from fractaltrader.live.intents import (
    GUARD_ATTEMPTS,
    Role,
    client_order_id,
    closing_order,
    decision_of,
    exit_expiry,
    exit_orders,
    identity_of,
    unlearned,
)
from fractaltrader.live.ledger import Ledger
from fractaltrader.live.orphans import intent_to_hold, stop_at
from fractaltrader.live.parameters import GuardParameters, OrphanPolicy
from fractaltrader.live.protection import closing_prices, stop_size, uncovered
from fractaltrader.live.state import BotState, Intent
from fractaltrader.live.state_manager import StateManager
from fractaltrader.live.strays import Decisions, belonging
from fractaltrader.market import Clock, Instrument

log = structlog.get_logger()

UNLISTED = "the venue no longer lists it"
# As many different things are said once each before they may be said again.
SAID_KEPT = 100


def guard_bound_ms(limits: GuardParameters) -> int:
    """Within this time of the bot's last heartbeat a position it left naked has its stop again,
    while the venue answers: the heartbeat's limit, one poll, and 10 s for answers."""
    return round((limits.heartbeat_limit_s + limits.poll_s + 10) * 1000)


class Guard:
    """Watches one bot. `ledger` is the guard's own; `history` tells the entries that the bot ever
    decided on, oldest first, and is asked when the bot's state cannot be read. `looked` is called
    after every look, so that somebody else can see that the guard itself lives."""

    def __init__(
        self,
        venue: Venue,
        state: StateManager,
        ledger: Ledger,
        clock: Clock,
        limits: GuardParameters,
        *,
        account: str,
        orphans: OrphanPolicy,
        history: Callable[[], list[Intent]] = list,
        looked: Callable[[], None] = lambda: None,
    ) -> None:
        self._venue = venue.with_priority(Priority.PROTECT)
        self._state = state
        self._ledger = ledger
        self._clock = clock
        self._limits = limits
        self._account = account
        self._orphans = orphans
        self._history = history
        self._looked = looked
        self._heart = Heart(limits.heartbeat_limit_s)
        self._known: BotState | None = None  # the newest state that could be read
        self._instruments: dict[str, Instrument] = {}
        self._acting = False
        self._said: set[str] = set()
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """End `run` after the look in hand."""
        self._stopping.set()

    async def run(self) -> None:
        """Look every [guard] poll_s until stopped; no failure ends it."""
        while not self._stopping.is_set():
            await self.look()
            self._looked()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self._limits.poll_s)

    async def look(self) -> None:
        """One look at the heartbeat, and what follows from it."""
        dead_s = self._heart.dead_for(self._read(), asyncio.get_running_loop().time())
        if dead_s is None:
            if self._acting:
                self._incident("bot lives", "its heartbeat is back; the guard only watches")
            self._acting = False
            self._said.clear()
            return
        if not self._acting:
            self._incident("bot dead", f"no heartbeat for {dead_s:.0f} s; the guard takes over")
        self._acting = True
        try:
            await self._protect(dead_s)
        except (ExchangeError, sqlite3.Error, OSError) as error:
            # The next look tries again; only the operator can do something about a critical one.
            kind = "guard refused" if isinstance(error, CriticalError) else "guard hindered"
            self._incident(kind, f"{type(error).__name__}: {error}")

    def _read(self) -> BotState | None:
        try:
            self._known = self._state.read()
        except UserError:  # damaged, or of a newer version
            return None
        return self._known

    async def _protect(self, dead_s: float) -> None:
        self._instruments = self._instruments or await self._venue.instruments()
        self._learn_entries()
        await self._venue.time_ms()  # tells how far the clocks are apart
        account, orders = await self._venue.account(), await self._venue.open_orders()
        resting = belonging(orders, self._decisions(), account.positions)
        mine = [p for p in account.positions.values() if self._may_touch(p)]
        failure: ExchangeError | None = None
        for position in mine:
            try:
                if lacking := uncovered(position, resting):
                    await self._rearm(position, lacking)
                if self._flattens(dead_s):
                    await self._close(position, "policy flatten")
            except (TransientError, UnknownOutcomeError, RejectedError) as error:
                failure = error  # the other positions have their turn all the same
        await self._cancel_risk(orders)
        if failure is not None:
            raise failure

    async def _cancel_risk(self, orders: Iterable[OpenOrder]) -> None:
        for order in orders:
            ours = identity_of(order.cloid) is not None
            if order.reduce_only or not (ours or self._limits.cancel_orders == "all"):
                continue
            try:
                gone = await self._venue.cancel(order.coin, order.oid)
            except RejectedError as error:
                self._incident("cancel refused", f"{order.coin} {order.oid}: {error}")
                continue
            text = f"{order.coin} {order.side.name.lower()} {order.size} at {order.limit_price}"
            self._incident("order cancelled", text + ("" if gone else ": already gone"))

    async def _rearm(self, position: Position, lacking: Decimal) -> None:
        """Place a stop for the part `lacking` one, or close where none can be placed."""
        coin = position.coin
        if coin not in self._instruments:
            self._incident("naked position", f"{coin} {position.size}: {UNLISTED}")
            return
        plan = self._intended(position)
        intent = plan or self._to_hold(position)
        price = self._instruments[coin].round_price(position.mark_price)
        if (price - intent.stop) * position.size <= 0:
            await self._close(position, f"price {price} is beyond the stop at {intent.stop}")
            return
        stop = self._stop_order(position, intent, lacking, Role.STOP if plan else Role.RESCUE)
        expires = exit_expiry(self._clock.now_ms(), self._venue.skew)
        try:
            (outcome,) = await self._venue.place([stop], bracket=False, expires_ms=expires)
            refused = outcome.error if outcome.kind is OutcomeKind.REJECTED else None
        except RejectedError as error:
            refused = str(error)
        if refused is not None:
            await self._close(position, f"stop refused: {refused}")
            return
        self._incident("stop placed", f"{coin}: {lacking} of {position.size} at {intent.stop}")

    def _to_hold(self, position: Position) -> Intent:
        """What stands for the plan behind a position that nobody planned."""
        mark = position.mark_price
        distance = mark * Decimal(str(self._limits.stop_percent)) / 100
        stop = stop_at(position, mark, distance, self._instruments[position.coin])
        return intent_to_hold(self._account, position, stop, self._clock.now_ms())

    def _stop_order(
        self, position: Position, intent: Intent, lacking: Decimal, role: Role
    ) -> OrderRequest:
        instrument, now = self._instruments[position.coin], self._clock.now_ms()
        size = stop_size(position, lacking, intent.stop, instrument)
        attempt = GUARD_ATTEMPTS + now // 1000 % GUARD_ATTEMPTS
        (stop,) = exit_orders(intent, instrument, size, Decimal(0), attempt=attempt)
        return stop._replace(cloid=client_order_id(decision_of(intent), role, attempt))

    async def _close(self, position: Position, why: str) -> None:
        coin, now = position.coin, self._clock.now_ms()
        if coin not in self._instruments:
            self._incident("naked position", f"{coin} {position.size}: {UNLISTED}")
            return
        price = (await closing_prices(self._venue, [position]))[coin]
        decision = decision_of(intent_to_hold(self._account, position, price, now))
        cloid = client_order_id(decision, Role.FLATTEN, GUARD_ATTEMPTS)
        order = closing_order(self._instruments[coin], position.size, price, cloid)
        (outcome,) = await self._venue.place(
            [order], bracket=False, expires_ms=exit_expiry(now, self._venue.skew)
        )
        detail = outcome.error or f"{outcome.kind} {outcome.filled}"
        self._incident("position closed", f"{coin} {position.size}, {why}: {detail}")

    def _intended(self, position: Position) -> Intent | None:
        """The bot's own plan for this position: from its state, else from its ledger."""
        for intent in self._planned(position.coin):
            if intent.side * position.size > 0:
                return intent
        return None

    def _learn_entries(self) -> None:
        """The bot may have died before its state learned of its newest entries."""
        known = self._known
        if known is None:
            return
        try:
            known.intents.update(unlearned(self._history(), known.decided))
        except sqlite3.Error as error:
            self._incident("ledger unreadable", str(error))

    def _planned(self, coin: str) -> list[Intent]:
        known = self._known
        if known is None:
            intents = reversed(self._history())
            return [intent for intent in intents if intent.coin == coin][:1]
        epoch = known.epochs.get(coin)
        plans = [epoch.intent if epoch is not None else None, known.intents.get(coin)]
        return [intent for intent in plans if intent is not None]

    def _decisions(self) -> Decisions:
        known = self._known
        coins = (known.epochs.keys() | known.intents.keys()) if known is not None else set[str]()
        return {coin: {decision_of(intent) for intent in self._planned(coin)} for coin in coins}

    def _may_touch(self, position: Position) -> bool:
        """Somebody else's position is left alone where the bot would leave it alone too."""
        foreign = self._intended(position) is None
        return not (foreign and self._orphans == "ignore-and-never-touch")

    def _flattens(self, dead_s: float) -> bool:
        ended = self._known is not None and self._known.ended  # as the operator wished
        after = self._limits.flatten_after_s
        return self._limits.policy == "flatten" and dead_s >= after and not ended

    def _incident(self, kind: str, detail: str) -> None:
        """Log it and write it down, but the very same only once while the bot is dead."""
        said = f"{kind}: {detail}"
        if said in self._said:
            return
        if len(self._said) >= SAID_KEPT:
            self._said.clear()
        self._said.add(said)
        log.warning(kind, detail=detail)
        try:
            self._ledger.add_incident(self._clock.now_ms(), kind, detail)
        except sqlite3.Error as error:
            log.error("the guard's ledger cannot be written", error=str(error))
