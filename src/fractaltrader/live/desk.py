"""What every live part works with: the venue, what we know, and where it is written down."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from fractaltrader.errors import UserError
from fractaltrader.exchange.port import Account, Fill, OpenOrder, Venue
from fractaltrader.live.book import Book, Trade
from fractaltrader.live.ledger import Ledger
from fractaltrader.live.state import BotState, Epoch, Intent
from fractaltrader.live.state_manager import StateManager
from fractaltrader.market import Clock, Instrument

log = structlog.get_logger()

EVENTS_SHOWN = 50
# Executions of several coins may become visible out of order by this much, venue time.
LOOKBACK_MS = 60_000


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
    folded anew from the ledger, so the state can lag but never contradict it for long.
    """

    def __init__(
        self,
        *,
        venue: Venue,
        account: str,
        state: StateManager,
        ledger: Ledger,
        clock: Clock,
    ) -> None:
        self.venue = venue
        self.account = account.lower()
        self.state = state
        self.ledger = ledger
        self.clock = clock
        self.book = Book([])
        self.intents: dict[str, Intent] = {}
        self.instruments: dict[str, Instrument] = {}
        self.view = View()
        self.since_ms = 0  # executions before this are not ours to account for
        self._complete_ms = 0  # every execution up to this venue time is in the ledger
        self.blocked: dict[str, str] = {}  # by coin: why it is not entered
        self.decided: dict[str, int] = {}  # by coin: the newest bar that was acted on

    def open(self, *, venue_name: str, pid: int) -> BotState:
        """Load the state and fold the ledger into the book."""
        with self.state.update() as state:
            if state.account not in ("", self.account):
                # Raised before anything is written: another account's state stays untouched.
                raise UserError(
                    f"account: this folder's state belongs to {state.account}, the key given "
                    f"trades {self.account}; use that key or another FRACTAL_HOME"
                )
            state.account, state.venue, state.pid = self.account, venue_name, pid
            state.control.stop_requested = False
            self.intents = dict(state.intents)
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
        self.refold(known.epochs)
        self._drop_filled()
        if self.state.recovery is not None:
            recovery = self.state.recovery
            self.incident(
                "state recovered",
                f"{recovery.backup.name} was used; changes after {recovery.saved_ms} are asked "
                "of the venue",
            )
        return known

    def refold(self, known: dict[str, Epoch]) -> None:
        """Build the book anew from the ledger; repairs counted in `known` epochs stay counted."""
        self.book = Book.folded(self.ledger.intents(), self.ledger.fills())
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
            state.decided = dict(self.decided)
            state.epochs = dict(self.book.epochs)
            state.streak = self.book.streak
            state.fills_complete_ms = self._complete_ms
            state.heartbeat_ms = self.clock.now_ms()
            return state

    def begin(self, intent: Intent) -> None:
        """Make an intention durable; its order may leave once this returns."""
        self.ledger.add_intent(intent)
        self.intents[intent.coin] = intent
        self.decided[intent.coin] = intent.bar_time
        self.book.expect(intent)
        self.write()

    def drop(self, coin: str, reason: str) -> None:
        """Forget an intention that surely led to nothing."""
        intent = self.intents.pop(coin, None)
        if intent is not None:
            self.event(f"{coin} entry not taken: {reason}")
            self.write()

    def record(self, fill: Fill) -> Trade | None:
        """Account for an execution; the trade it completes, if it does.

        Spot executions of the account are not ours.
        """
        if fill.coin not in self.instruments or not self.ledger.add_fill(fill):
            return None
        intent = self.intents.get(fill.coin)
        if intent is not None and fill.cloid == intent.entry_cloid:
            del self.intents[fill.coin]
        trade = self.book.apply(fill)
        self.write()
        self.event(
            f"{fill.coin} {fill.direction.lower()} {fill.size} at {fill.price}", fill.time_ms
        )
        if trade is not None:
            self.event(f"{fill.coin} closed by {trade.exit_reason}: {trade.pnl:+.2f} USDC")
        return trade

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

    def incident(self, kind: str, detail: str) -> None:
        """Something an operator should be able to find later."""
        log.warning(kind, detail=detail)
        self.ledger.add_incident(self.clock.now_ms(), kind, detail)
        self.view.events.append((self.clock.now_ms(), f"{kind}: {detail}"))

    def event(self, text: str, time_ms: int | None = None) -> None:
        """Something worth showing."""
        log.info(text)
        self.view.events.append((self.clock.now_ms() if time_ms is None else time_ms, text))
