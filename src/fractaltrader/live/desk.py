"""What every live part works with: the venue, what we know, and where it is written down."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

import structlog

from fractaltrader.errors import UserError
from fractaltrader.exchange.clock import PacedClock
from fractaltrader.exchange.errors import ExchangeError
from fractaltrader.exchange.port import Account, Fill, OpenOrder, Position, Venue
from fractaltrader.live.book import Book
from fractaltrader.live.breaker import BreakerWatch
from fractaltrader.live.control import discard_endings
from fractaltrader.live.freshness import Look
from fractaltrader.live.intents import decision_of, identity_of, unlearned
from fractaltrader.live.ledger import Ledger
from fractaltrader.live.parameters import ReconcileParameters
from fractaltrader.live.state import BotState, Epoch, Intent
from fractaltrader.live.state_manager import Recovery, StateManager
from fractaltrader.market import Instrument, Timeframe
from fractaltrader.risk.breaker_parameters import BreakerParameters

log = structlog.get_logger()

EVENTS_SHOWN = 50
# Executions of several coins may become visible out of order by this much, venue time.
LOOKBACK_MS = 60_000
HOUR_MS = 3_600_000
# As a fraction; no full stop costs as much.
EQUITY_JUMP = 0.02
# Payments of the hour are all to be seen by then.
FUNDING_LATE_MS = 60_000


@dataclass(slots=True)
class View:
    """The newest facts for whoever displays them; bounded, never read for decisions."""

    time_ms: int = 0
    prices: dict[str, float] = field(default_factory=dict)
    account: Account | None = None
    orders: list[OpenOrder] = field(default_factory=list)
    events: deque[tuple[int, str]] = field(default_factory=lambda: deque(maxlen=EVENTS_SHOWN))


class Desk:
    """The venue, the state, the ledger and the book of one running bot.

    Facts become durable in this order: ledger, book (memory), state. After a crash the book is
    folded anew from the ledger and an entry that only the ledger knows is taken up as one under
    way, so the state can lag but never contradict it for long.
    """

    def __init__(
        self,
        *,
        venue: Venue,
        account: str,
        state: StateManager,
        ledger: Ledger,
        clock: PacedClock,
        breaker: BreakerParameters | None = None,
        reconcile: ReconcileParameters | None = None,
        timeframe: Timeframe | None = None,
    ) -> None:
        self.venue = venue
        self.reconcile = reconcile or ReconcileParameters()
        self.timeframe = timeframe
        self.adopted: dict[str, Intent] = {}  # by coin: positions taken over from somebody else
        self.untouchable: set[str] = set()  # coins with a position that is not ours to touch
        self.unswept: set[str] = set()  # coins just closed, where an old exit may still rest
        self.noticed: set[int] = set()  # unusual orders that are written down already
        self.account = account.lower()
        self.state = state
        self.ledger = ledger
        self.clock = clock
        self.book = Book([])
        self.intents: dict[str, Intent] = {}
        self.instruments: dict[str, Instrument] = {}
        self.view = View()
        self.since_ms = 0  # executions before this are not ours to account for
        self._funding_ms = 0  # venue time when funding was last asked for
        self._transfers_ms = 0  # the same of transfers
        self._complete_ms = 0  # every execution up to this venue time is in the ledger
        self.blocked: dict[str, str] = {}  # by coin: why it is not entered
        self.decided: dict[str, int] = {}  # by coin: the newest bar that was acted on
        self.breaker = BreakerWatch(self, breaker or BreakerParameters())
        self.looked: Look | None = None  # the account ahead of a close; nothing happened since
        self.transferred = Decimal(0)  # net deposits since the accounting began, USDC
        self._recovery_told: Recovery | None = None
        self.paused = False  # by the operator
        self.flattening: set[str] = set()  # coins to close; ALL_COINS for every position

    def open(self, *, venue_name: str, pid: int) -> BotState:
        """Load the state and fold the ledger into the book."""
        with self.state.update() as state:
            if state.account not in ("", self.account):
                # Raised before anything is written: another account's state stays untouched.
                raise UserError(
                    f"account: this folder's state belongs to {state.account}, the key given "
                    f"trades {self.account}; use that key or another FRACTAL_HOME"
                )
            begun = bool(state.account)
            state.account, state.venue, state.pid = self.account, venue_name, pid
            discard_endings(state.control, self.clock.now_ms())
            self.breaker.load(state.breaker)
            self.transferred = state.transferred
            self.paused, self.flattening = state.paused, set(state.flattening)
            self.intents = dict(state.intents)
            self.adopted = dict(state.adopted)
            state.ended = False
            self.decided = dict(state.decided)
            self.since_ms = state.ledger_since_ms
            # A power loss can cost the ledger its last rows, never one in the middle.
            self._complete_ms = min(state.fills_complete_ms, self.ledger.last_fill_ms())
            known = state
        # After a power loss the state may know intentions that the ledger lost.
        for epoch in known.epochs.values():
            if epoch.intent is not None:
                self.ledger.add_intent(epoch.intent)
        for intent in known.intents.values():
            self.ledger.add_intent(intent)
        if begun:  # a state that starts anew has nothing to do with older entries
            for intent in unlearned(self.ledger.intents(), self.decided).values():
                self._under_way(intent)
                self.ledger.add_lost_decision(intent)
        self.refold(known.epochs)
        self._drop_filled()
        self.breaker.book()  # what executed while we were away counts too
        if self.state.recovery is not self._recovery_told:
            # Opened again after a venue that did not answer, it is still the same recovery.
            self._recovery_told = self.state.recovery
            self.incident("state recovered", str(self.state.recovery))
        return known

    def refold(self, known: dict[str, Epoch]) -> None:
        """Build the book anew from the ledger; repairs counted in `known` epochs stay counted."""
        self.book = Book.folded(self.ledger.intents(), self.ledger.fills())
        closed = {trade.coin for trade in self.book.trades} - self.book.epochs.keys()
        # What executions closed is over, though a crash kept the state from learning it.
        self.adopted = {c: intent for c, intent in self.adopted.items() if c not in closed}
        for coin, intent in self.adopted.items():
            epoch = self.book.epochs.get(coin) or known.get(coin)
            if epoch is not None:
                self.book.adopt(intent, epoch.size)
        for coin, epoch in known.items():
            for _ in range(epoch.repairs if coin in self.book.epochs else 0):
                self.book.repaired(coin)

    def _drop_filled(self) -> None:
        """An intention whose entry has executed is the book's business from then on."""
        filled = {fill.cloid for fill in self.ledger.fills()}
        self.intents = {
            coin: intent
            for coin, intent in self.intents.items()
            if intent.entry_cloid not in filled
        }

    def write(self, change: Callable[[BotState], None] | None = None) -> BotState:
        """Make the book, the intents and `change` durable in the state file."""
        with self.state.update() as state:
            if change is not None:
                change(state)
            state.intents = dict(self.intents)
            state.adopted = dict(self.adopted)
            state.decided = dict(self.decided)
            state.epochs = dict(self.book.epochs)
            state.streak = self.book.streak
            state.fills_complete_ms = self._complete_ms
            state.breaker = self.breaker.state
            state.transferred = self.transferred
            state.paused, state.flattening = self.paused, sorted(self.flattening)
            state.heartbeat_ms = self.clock.now_ms()
            return state

    def intents_in(self, coin: str) -> list[Intent]:
        """The decisions that own `coin`'s position and the entry under way there."""
        epoch, waiting = self.book.epochs.get(coin), self.intents.get(coin)
        owners = [epoch.intent if epoch is not None else None, waiting]
        return [intent for intent in owners if intent is not None]

    def decisions(self) -> dict[str, set[str]]:
        """By coin: the decisions whose orders may rest there."""
        coins = self.book.epochs.keys() | self.intents.keys()
        return {coin: {decision_of(i) for i in self.intents_in(coin)} for coin in coins}

    def intent_for(self, position: Position) -> Intent | None:
        """The decision that `position` came from; None when it was not ours."""
        for intent in self.intents_in(position.coin):
            if intent.side * position.size > 0:
                return intent
        return None

    def adopt(self, intent: Intent, size: Decimal) -> None:
        """Take over a position of `size`, signed, that somebody else opened."""
        self.ledger.add_intent(intent)
        self.adopted[intent.coin] = intent
        self.book.adopt(intent, size)
        self.write()

    def end(self) -> None:
        """Write the state for the last time: the process ends as it was told to."""

        def ended(state: BotState) -> None:
            state.ended = True

        self.write(ended)

    def begin(self, intent: Intent) -> None:
        """Make an intention durable; its order may leave once this returns.

        The ledger alone is written, for every write delays the order: `write` once it has left.
        """
        self.ledger.add_intent(intent)
        self.book.expect(intent)
        self._under_way(intent)

    def _under_way(self, intent: Intent) -> None:
        self.looked = None
        self.intents[intent.coin] = intent
        self.decided[intent.coin] = intent.bar_time
        self.breaker.entering(intent)

    def drop(self, coin: str, reason: str) -> None:
        """Forget an intention that surely led to nothing."""
        intent = self.intents.pop(coin, None)
        if intent is not None:
            self.event(f"{coin} entry not taken: {reason}")
            self.breaker.book()
            self.write()

    def record(self, fill: Fill) -> bool:
        """Account for an execution; False when it is known already.

        Spot executions of the account are not ours.
        """
        if fill.coin not in self.instruments or not self.ledger.add_fill(fill):
            return False
        self.looked = None
        intent = self.intents.get(fill.coin)
        if intent is not None and fill.cloid == intent.entry_cloid:
            del self.intents[fill.coin]
        trade = self.book.apply(fill)
        if trade is not None:
            self.unswept.add(fill.coin)
            self.adopted.pop(fill.coin, None)
        self.breaker.book()
        self.write()
        if identity_of(fill.cloid) is None and fill.coin not in self.untouchable:
            what = f"{fill.coin} {fill.direction.lower()} {fill.size} at {fill.price}"
            kind = "liquidated" if fill.liquidated else "executed by hand"
            self.incident(kind, f"{what}, order {fill.oid}")
        self.event(
            f"{fill.coin} {fill.direction.lower()} {fill.size} at {fill.price}", fill.time_ms
        )
        if trade is not None:
            self.event(f"{fill.coin} closed by {trade.exit_reason}: {trade.pnl:+.2f} USDC")
        return True

    async def catch_up(self) -> None:
        """Record the executions the venue knows of and we do not.

        Asked from the last time everything was recorded, not from the newest execution known: one
        before it may have failed to be written.
        """
        fills = await self.venue.fills(max(self._complete_ms - LOOKBACK_MS, self.since_ms))
        for fill in fills:
            self.record(fill)
        if fills:
            self._complete_ms = fills[-1].time_ms

    async def learn_transfers(self, venue_ms: int) -> None:
        """Record deposits and withdrawals, before the breaker could take them for gains and
        losses."""
        since = max(self._transfers_ms - LOOKBACK_MS, self.since_ms)
        for transfer in await self.venue.transfers(since):
            if self.ledger.add_transfer(transfer) and transfer.usdc:
                self.event(f"{transfer.kind} {transfer.usdc:+} USDC", transfer.time_ms)
        self._transfers_ms = venue_ms
        self.transferred = sum((known.usdc for known in self.ledger.transfers()), Decimal(0))

    async def judge(self, account: Account) -> Account:
        """Tell the breaker the equity. A jump may be money that came or went, which must be known
        first; the account is then read again and returned."""
        before = self.breaker.state.equity
        if before and abs(float(account.equity) / before - 1) > EQUITY_JUMP:
            await self.learn_transfers(account.time_ms)
            account = await self.venue.account()
        self.breaker.account(account)
        return account

    async def learn_funding(self, venue_ms: int, *, now: bool = False) -> None:
        """Record funding payments, which come hourly and a moment after the hour; `now`, or when an
        hour has begun since they were last asked for."""
        if not now and venue_ms // HOUR_MS == (self._funding_ms - FUNDING_LATE_MS) // HOUR_MS:
            return
        since = max(self.ledger.last_funding_ms() - LOOKBACK_MS, self.since_ms)
        for payment in await self.venue.funding(since):
            if payment.coin in self.instruments:
                self.ledger.add_funding(payment)
        self._funding_ms = venue_ms

    def incident(self, kind: str, detail: str, error: ExchangeError | None = None) -> None:
        """Something an operator should be able to find later; `error` is the venue's part in it."""
        log.warning(kind, detail=detail)
        self.ledger.add_incident(self.clock.now_ms(), kind, detail, error)
        self.view.events.append((self.clock.now_ms(), f"{kind}: {detail}"))

    def event(self, text: str, time_ms: int | None = None) -> None:
        """Something worth showing."""
        log.info(text)
        self.view.events.append((self.clock.now_ms() if time_ms is None else time_ms, text))
