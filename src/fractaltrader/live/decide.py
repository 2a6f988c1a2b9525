"""From a closed bar to an intention: strategy, limits, risk, and the reason when there is none."""

import asyncio
import math
from dataclasses import dataclass
from typing import NamedTuple

from fractaltrader.exchange.budget_parameters import Priority
from fractaltrader.exchange.errors import TransientError
from fractaltrader.exchange.port import Account, Position
from fractaltrader.live.desk import Desk
from fractaltrader.live.freshness import Facts, Freshness, Look
from fractaltrader.live.intents import illegal, make_intent
from fractaltrader.live.ledger import ENTER
from fractaltrader.live.state import Intent
from fractaltrader.market import Bar, Instrument, Timeframe
from fractaltrader.risk.portfolio import Holding, PortfolioLimits
from fractaltrader.risk.sizing import RiskParameters, SizeDecision, decide_size
from fractaltrader.strategies.base import Signal, Strategy, StrategySession

# Protection must not wait behind an entry that waits for the budget.
PATIENCE_SECONDS = 5.0
# An older price is asked for anew.
LONGEST_QUOTE_SECONDS = 1.0


class Quote(NamedTuple):
    """A coin's last price, USDC, and when we heard of it, time of the event loop."""

    price: float
    heard_s: float


class _Priced(NamedTuple):
    """What sizing reads of a signal, entered at the price of now."""

    entry: float
    stop: float
    confidence: float
    atr: float
    atr_baseline: float


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry to make, and why."""

    intent: Intent
    signal: Signal
    decision: SizeDecision

    def __str__(self) -> str:
        """For the log."""
        signal, decision = self.signal, self.decision
        side = "long" if signal.side > 0 else "short"
        cap = f", capped by {decision.cap}" if decision.cap else ""
        reason = signal.facts[-1] if signal.facts else signal.strategy
        return (
            f"{signal.coin} {side} {decision.size}, confidence {signal.confidence:.0f}, "
            f"risk {decision.risk_usd:.2f} USDC{cap}: {reason}"
        )


class Decider:
    """The decision core of one strategy on several coins, driven by live bars."""

    def __init__(
        self,
        desk: Desk,
        strategy: Strategy,
        timeframe: Timeframe,
        *,
        risk: RiskParameters,
        limits: PortfolioLimits,
        slippage: float,
        freshness: Freshness,
    ) -> None:
        self._desk = desk
        self._strategy = strategy
        self._timeframe = timeframe
        self._risk = risk
        self._limits = limits
        self._slippage = slippage
        self._freshness = freshness
        self._sessions: dict[str, StrategySession] = {}
        self._newest: dict[str, int] = {}

    def next_bar_time(self, coin: str, now_ms: int) -> int:
        """Open time of the first bar `coin`'s session still wants."""
        newest = self._newest.get(coin)
        if newest is not None:
            return newest + self._timeframe.ms
        history = self._strategy.warmup_bars(self._timeframe)
        return self._timeframe.floor(now_ms) - history * self._timeframe.ms

    def observe(self, coin: str, bar: Bar) -> Signal | None:
        """Advance `coin`'s session by a closed bar; a bar it has seen already tells nothing."""
        if bar.open_time <= self._newest.get(coin, -1):
            return None
        self._newest[coin] = bar.open_time
        if coin not in self._sessions:
            self._sessions[coin] = self._strategy.session(coin)
        return self._sessions[coin].on_bar(bar)

    async def decide(self, signal: Signal, quote: Quote) -> Entry | None:
        """The entry to make for `signal` at about `quote`, whose order is followed by `entered`, or
        None and the verdict in the ledger."""
        refusal = self._refusal(signal)
        if refusal is not None:
            self._note(signal, refusal, None)
            return None
        desk = self._desk
        try:
            look, price = self._seen(signal, quote) or await self._asked(signal.coin)
        except (TransientError, TimeoutError) as error:
            desk.breaker.error(error)
            self._note(signal, f"venue_unavailable: {str(error) or 'no answer in time'}", None)
            return None
        account = look.account
        refusal = (
            self._freshness.refusal(self._facts(signal, look))
            or self._too_late(signal, price, account)
            or desk.breaker.refusal()
        )
        if refusal is not None:
            self._note(signal, refusal, None)
            return None
        instrument = self._desk.instruments[signal.coin]
        decision = decide_size(
            _Priced(price, signal.stop, signal.confidence, signal.atr, signal.atr_baseline),
            float(account.equity),
            float(account.equity - account.margin_used),
            self._desk.book.streak,
            instrument,
            self._probe_risk(),
        )
        refusal = decision.refused or self._portfolio_refusal(signal, decision, price, account)
        if refusal is not None:
            self._note(signal, refusal, decision)
            return None
        intent = self._legal_intent(signal, decision, price, instrument)
        if isinstance(intent, str):
            self._note(signal, f"illegal: {intent}", decision)
            return None
        return Entry(intent, signal, decision)

    def _facts(self, signal: Signal, look: Look) -> Facts:
        return Facts(
            self._newest.get(signal.coin, signal.bar_time),
            look,
            (asyncio.get_running_loop().time() - look.asked_s) * 1000,
            self._desk.clock.now_ms(),
            self._desk.venue.skew,
        )

    def _seen(self, signal: Signal, quote: Quote) -> tuple[Look, float] | None:
        """The account as it was read ahead of the close, and the price that closed the bar; None
        where either is too old."""
        look = self._desk.looked
        silent_s = asyncio.get_running_loop().time() - quote.heard_s
        if look is None or silent_s > LONGEST_QUOTE_SECONDS:
            return None
        stale = self._freshness.refusal(self._facts(signal, look))
        return None if stale else (look, quote.price)

    async def _asked(self, coin: str) -> tuple[Look, float]:
        """The account and the coin's mid price, asked for now; 0 where the venue tells none."""
        desk, asked = self._desk, asyncio.get_running_loop().time()
        venue = desk.venue.with_priority(Priority.ENTER)
        async with asyncio.timeout(PATIENCE_SECONDS):
            told, mids = await venue.account_and_prices()
            account = await desk.judge(told)
        return Look(account, asked, desk.clock.now_ms()), float(mids.get(coin, 0))

    def entered(self, entry: Entry) -> None:
        """Write down why; once the order has left, for every write delays it."""
        self._note(entry.signal, ENTER, entry.decision)
        self._desk.event(str(entry))

    def _legal_intent(
        self, signal: Signal, decision: SizeDecision, price: float, instrument: Instrument
    ) -> Intent | str:
        """The intention in prices and sizes that the venue takes, or why there are none."""
        try:
            intent = make_intent(
                signal,
                decision.size,
                price,
                instrument=instrument,
                account=self._desk.account,
                slippage=self._slippage,
                now_ms=self._desk.clock.now_ms(),
            )
            return illegal(intent, instrument) or intent
        except ValueError as error:
            return str(error)

    def _refusal(self, signal: Signal) -> str | None:
        desk = self._desk
        if signal.bar_time <= desk.decided.get(signal.coin, -1):
            return "repeated: this bar was already acted on"
        if signal.coin in desk.untouchable:
            return "orphan: somebody else has a position in this coin"
        if signal.coin in desk.unswept:
            return "unswept: exits of the last position may still rest"
        if signal.coin in desk.blocked:
            return f"blocked: {desk.blocked[signal.coin]}"
        if desk.paused:
            return "paused: by the operator, until `fractal resume`"
        if desk.flattening:
            return f"flattening: {', '.join(sorted(desk.flattening))}"
        if (tripped := desk.breaker.refusal()) is not None:
            return tripped
        return self._limits.refusal(signal.coin, list(desk.book.epochs | desk.intents))

    def _too_late(self, signal: Signal, price: float, account: Account) -> str | None:
        """Why the venue's time, price or account leaves nothing of the signal."""
        if not (account.equity.is_finite() and account.margin_used.is_finite()):
            return f"equity: the venue tells {account.equity}, so it is unknown"
        if signal.coin in account.positions:
            return f"one_per_coin: the venue shows a position in {signal.coin} already"
        if not signal.stop * signal.side < price * signal.side < signal.target * signal.side:
            return "price_past: the price is already beyond the stop or the target"
        return None

    def _probe_risk(self) -> RiskParameters:
        """The risk configured, less while the breaker lets only a probe through."""
        factor = self._desk.breaker.size_factor
        if factor == 1.0:
            return self._risk
        return self._risk.model_copy(update={"base_risk": self._risk.base_risk * factor})

    def _portfolio_refusal(
        self, signal: Signal, decision: SizeDecision, price: float, account: Account
    ) -> str | None:
        """Why exposure or the liquidation price forbids this entry."""
        held = [self._holding(p) for p in account.positions.values()]
        notional, equity = float(decision.size) * price, float(account.equity)
        signed = {
            holding.coin: math.copysign(holding.notional, account.positions[holding.coin].size)
            for holding in held
        }
        added = Holding(signal.coin, notional, self._max_leverage(signal.coin))
        return self._limits.exposure_refusal(
            signal.coin, signal.side * notional, signed, equity
        ) or self._limits.liquidation_refusal(signal.side, price, signal.stop, added, held, equity)

    def _holding(self, position: Position) -> Holding:
        leverage = self._max_leverage(position.coin)
        return Holding(position.coin, float(position.notional), leverage)

    def _max_leverage(self, coin: str) -> int:
        instrument = self._desk.instruments.get(coin)
        return instrument.max_leverage if instrument is not None else 1

    def _note(self, signal: Signal, verdict: str, decision: SizeDecision | None) -> None:
        name, _, why = verdict.partition(": ")
        detail: dict[str, object] = {
            "why": why,
            "entry": signal.entry,
            "stop": signal.stop,
            "target": signal.target,
            "confidence": dict(signal.factors),
            "facts": list(signal.facts),
        }
        if decision is not None:
            detail["risk_usd"] = decision.risk_usd
            detail["risk"] = dict(decision.factors)
            detail["cap"] = decision.cap
        self._desk.ledger.add_decision(
            coin=signal.coin,
            strategy=signal.strategy,
            bar_time=signal.bar_time,
            side=signal.side,
            confidence=signal.confidence,
            verdict=name,
            detail=detail,
        )
