"""From a closed bar to an intention: strategy, limits, risk, and the reason when there is none."""

from dataclasses import replace

from fractaltrader.exchange.errors import TransientError
from fractaltrader.exchange.port import Account
from fractaltrader.live.desk import Desk
from fractaltrader.live.intents import make_intent
from fractaltrader.live.state import Intent
from fractaltrader.market import Bar, Timeframe
from fractaltrader.risk.portfolio import PortfolioLimits
from fractaltrader.risk.sizing import RiskParameters, SizeDecision, decide_size
from fractaltrader.strategies.base import Signal, Strategy, StrategySession


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
    ) -> None:
        self._desk = desk
        self._strategy = strategy
        self._timeframe = timeframe
        self._risk = risk
        self._limits = limits
        self._slippage = slippage
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

    async def decide(self, signal: Signal) -> Intent | None:
        """The entry to make for `signal`, or None; either way the verdict goes to the ledger."""
        refusal = self._refusal(signal)
        if refusal is not None:
            self._note(signal, refusal, None)
            return None
        try:
            account = await self._desk.venue.account()
            mids = await self._desk.venue.mid_prices()
        except TransientError as error:
            self._note(signal, f"venue_unavailable: {error}", None)
            return None
        price = float(mids.get(signal.coin, 0))
        refusal = self._too_late(signal, price, account)
        if refusal is not None:
            self._note(signal, refusal, None)
            return None
        decision = decide_size(
            replace(signal, entry=price),
            float(account.equity),
            float(account.equity - account.margin_used),
            self._desk.book.streak,
            self._desk.instruments[signal.coin],
            self._risk,
        )
        refusal = decision.refused or self._limits.notional_refusal(
            _notional(account), float(decision.size) * price, float(account.equity)
        )
        if refusal is not None:
            self._note(signal, refusal, decision)
            return None
        self._note(signal, "enter", decision)
        self._desk.event(_announcement(signal, decision))
        return make_intent(
            signal,
            decision.size,
            price,
            instrument=self._desk.instruments[signal.coin],
            account=self._desk.account,
            slippage=self._slippage,
            now_ms=self._desk.clock.now_ms(),
        )

    def _refusal(self, signal: Signal) -> str | None:
        desk = self._desk
        if signal.bar_time <= desk.decided.get(signal.coin, -1):
            return "repeated: this bar was already acted on"
        if signal.coin in desk.blocked:
            return f"blocked: {desk.blocked[signal.coin]}"
        return self._limits.refusal(signal.coin, list(desk.book.epochs | desk.intents))

    def _too_late(self, signal: Signal, price: float, account: Account) -> str | None:
        """Why the venue's time or price leaves nothing of the signal."""
        age_ms = account.time_ms - self._timeframe.close_time(signal.bar_time)
        if age_ms > self._timeframe.ms:
            return f"stale: the bar closed {age_ms / 60_000:.0f} minutes ago"
        if not signal.stop * signal.side < price * signal.side < signal.target * signal.side:
            return "price_past: the price is already beyond the stop or the target"
        return None

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


def _notional(account: Account) -> float:
    """Notional of all open positions at their entry prices, USDC."""
    return float(sum(abs(p.size) * p.entry_price for p in account.positions.values()))


def _announcement(signal: Signal, decision: SizeDecision) -> str:
    side = "long" if signal.side > 0 else "short"
    cap = f", capped by {decision.cap}" if decision.cap else ""
    reason = signal.facts[-1] if signal.facts else signal.strategy
    return (
        f"{signal.coin} {side} {decision.size}, confidence {signal.confidence:.0f}, "
        f"risk {decision.risk_usd:.2f} USDC{cap}: {reason}"
    )
