"""The circuit breaker at the desk: feeds it with facts, writes down and announces what it does.

Money facts come from account reads, trades from the book, so that whatever happened while the bot
was away is counted all the same. Errors and answers are told as they happen.
"""

from typing import TYPE_CHECKING

from fractaltrader.errors import UserError
from fractaltrader.exchange.errors import ExchangeError
from fractaltrader.exchange.port import Account
from fractaltrader.live.book import Book
from fractaltrader.live.state import Intent
from fractaltrader.market.bars import utc
from fractaltrader.risk.breaker import DAY_MS, Breaker
from fractaltrader.risk.breaker_parameters import Action, BreakerParameters, Cause
from fractaltrader.risk.breaker_state import BreakerEvent, BreakerState, ProbeFate, TradeFacts

if TYPE_CHECKING:
    from fractaltrader.live.desk import Desk


class BreakerStopError(UserError):
    """The breaker has ended the bot; the operator looks at the reason and resets it.

    Its own exit code lets a supervisor know that starting again would end the same way.
    """

    exit_code = 3


class BreakerWatch:
    """The breaker of one desk."""

    def __init__(self, desk: "Desk", parameters: BreakerParameters) -> None:
        self._desk = desk
        self._parameters = parameters
        self._breaker = Breaker(parameters, BreakerState())

    @property
    def state(self) -> BreakerState:
        """What must be saved of it."""
        return self._breaker.state

    @property
    def action(self) -> Action | None:
        """What tripped causes demand; None when none is tripped."""
        return self._breaker.action

    @property
    def size_factor(self) -> float:
        """What to multiply the size of an entry made now with."""
        return self._breaker.size_factor

    def load(self, state: BreakerState) -> None:
        """Go on from what an earlier process saved."""
        self._breaker = Breaker(self._parameters, state)

    def refusal(self) -> str | None:
        """Why no entry may be made at this moment; None when one may."""
        self._breaker.advance(self._now())
        self.publish()
        refused = self._breaker.refusal(len(self._desk.intents))
        return None if refused is None else f"breaker: {refused}"

    def stop_error(self) -> BreakerStopError | None:
        """Why the bot must end, and what the operator does about it; None when it need not."""
        if self.action is not Action.STOP:
            return None
        return BreakerStopError(
            f"breaker: {self._breaker.refusal()}; positions keep their stop and target; look into "
            "it, then `fractal reset-breaker` and start again"
        )

    def account(self, account: Account) -> None:
        """The account as just read."""
        equity, transferred = float(account.equity), float(self._desk.transferred)
        self._breaker.equity(self._now(), equity, transferred)
        self.publish()

    def book(self) -> None:
        """Executions may have changed the book."""
        now = self._breaker.advance(self._now())
        self._breaker.trades(now, self._facts())
        self.publish()

    def entering(self, intent: Intent) -> None:
        """This entry is about to be sent."""
        if self._breaker.probing:
            self._breaker.begin_probe(intent.entry_cloid)

    def answered(self, refused: str | None) -> None:
        """The venue took an entry (None) or refused it with these words."""
        self._breaker.order(self._now(), refused)
        self.publish()

    def error(self, error: Exception) -> None:
        """Something failed and will be tried again."""
        recognised = error.recognised if isinstance(error, ExchangeError) else True
        self._breaker.error(self._now(), f"{type(error).__name__}: {error}", recognised=recognised)
        self.publish()

    def critical(self, error: Exception) -> None:
        """Something failed that makes trading on wrong."""
        self._breaker.critical(self._now(), str(error))
        self.publish()

    def reconciled(self, differences: list[str]) -> None:
        """Positions were held against the venue's."""
        self._breaker.reconciled(self._now(), "; ".join(differences) or None)
        self.publish()

    def beat(self, data_age_bars: float) -> None:
        """Time has passed; the newest market data is this old."""
        self._breaker.data_age(self._now(), data_age_bars)
        self.book()

    def reset(self, causes: list[Cause]) -> None:
        """Close latches at the operator's word; the caller publishes it once that is durable."""
        self._breaker.reset(self._now(), causes)

    def _now(self) -> int:
        return self._desk.clock.now_ms()

    def _facts(self) -> TradeFacts:
        book, state = self._desk.book, self.state
        midnight = state.day * DAY_MS
        entries = sum(epoch.opened_ms >= midnight for epoch in book.epochs.values() if epoch.intent)
        losses, counting = 0, True
        for trade in reversed(book.trades):
            counting = counting and trade.closed_ms > state.losses_since_ms
            if trade.closed_ms < midnight and not counting:
                break
            entries += trade.opened_ms >= midnight and trade.entry_cloid is not None
            if counting and trade.pnl:
                counting = trade.pnl < 0
                losses += counting
        newest = book.trades[-1].closed_ms if book.trades else 0
        return TradeFacts(entries, losses, newest, self._probe_fate(book, state.probe))

    def _probe_fate(self, book: Book, probe: str) -> ProbeFate:
        if not probe:
            return ProbeFate.GONE
        if any(intent.entry_cloid == probe for intent in self._desk.intents.values()):
            return ProbeFate.WAITING
        if any(e.intent and e.intent.entry_cloid == probe for e in book.epochs.values()):
            return ProbeFate.EXECUTED
        for trade in reversed(book.trades):
            if trade.entry_cloid == probe:
                return ProbeFate.LOST if trade.pnl < 0 else ProbeFate.WON
        return ProbeFate.GONE

    def publish(self) -> None:
        """Make every change durable before anything acts on it, and announce it."""
        events = self._breaker.events
        changed = bool(events)
        while events:
            event = events[0]
            self._desk.ledger.add_breaker_event(event)
            events.popleft()
            self._announce(event)
        if changed:
            self._desk.write()

    def _announce(self, event: BreakerEvent) -> None:
        if event.change != "tripped":
            self._desk.event(f"breaker {event.cause} {event.change.replace('_', '-')}")
            return
        end = f"until {utc(event.until_ms)}" if event.until_ms else "until it is reset"
        self._desk.incident(
            "breaker tripped", f"{event.cause}: {event.reason}; {event.action} {end}"
        )
