"""A user's class as a strategy: run bar by bar, checked, its errors told in one line."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from traceback import extract_tb
from typing import TypeVar

import numpy as np

from fractaltrader.errors import UserError
from fractaltrader.market import Bar, Candles, Timeframe
from fractaltrader.market.bars import utc
from fractaltrader.smc.events import FloatArray
from fractaltrader.strategies.base import (
    ATR,
    BASELINE,
    CONFIDENCE,
    ENTRY,
    FACTORS,
    SIDE,
    STOP,
    TARGET,
    Signal,
    SignalColumns,
    Strategy,
    StrategySession,
)
from fractaltrader.strategies.user import Market, Proposal, UserStrategy, problem_with

R = TypeVar("R")


def told(file: Path, doing: str, call: Callable[[], R]) -> R:
    """`call()`; whatever the user's code raises becomes a UserError with its file and line."""
    try:
        return call()
    except Exception as error:
        lines = [frame.lineno for frame in extract_tb(error.__traceback__)
                 if frame.filename == str(file)]  # fmt: skip
        line = error.lineno if isinstance(error, SyntaxError) else (lines or [None])[-1]
        where = f"line {line}: " if line else ""
        kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
        what = error.msg if isinstance(error, SyntaxError) else error
        said = " ".join(f"{what}".split())
        raise UserError(f"strategy {file}: {where}{kind}{said} ({doing})") from error


@dataclass(frozen=True)
class ScriptStrategy(Strategy):
    """A user's class with its parameters; interpreted everywhere."""

    script: type[UserStrategy]
    file: Path

    def warmup_bars(self, timeframe: Timeframe) -> int:
        """As the class says, whatever the timeframe."""
        return self.script.warmup_bars

    def session(self, coin: str) -> "ScriptSession":
        """A fresh session."""
        return ScriptSession(self, coin)

    def scan(self, candles: Candles) -> SignalColumns:
        """Every signal of `candles` from a fresh session: the very one the bot runs."""
        session = self.session(candles.coin)
        found = {bar: s for bar, row in enumerate(candles.bars()) if (s := session.on_bar(row))}
        return SignalColumns(
            np.array(list(found), np.int64),
            np.array([_record(signal) for signal in found.values()]).reshape(-1, FACTORS),
            tuple(found.values()),
        )

    def signal(self, coin: str, bar_time: int, record: FloatArray) -> Signal:
        """A record in words; which factors and facts were behind it only `SignalColumns` knows."""
        values: list[float] = record.tolist()
        return Signal(
            strategy=self.name,
            coin=coin,
            side=int(values[SIDE]),
            bar_time=bar_time,
            entry=values[ENTRY],
            stop=values[STOP],
            target=values[TARGET],
            confidence=values[CONFIDENCE],
            factors=(("confidence", values[CONFIDENCE]),),
            facts=(),
            atr=values[ATR],
            atr_baseline=values[BASELINE],
        )


def _record(signal: Signal) -> list[float]:
    record = [0.0] * FACTORS
    record[SIDE], record[ENTRY] = float(signal.side), signal.entry
    record[STOP], record[TARGET] = signal.stop, signal.target
    record[CONFIDENCE] = signal.confidence
    record[ATR], record[BASELINE] = signal.atr, signal.atr_baseline
    return record


class ScriptSession(StrategySession):
    """A user's class on one coin, bar by bar."""

    def __init__(self, strategy: ScriptStrategy, coin: str) -> None:
        super().__init__(coin)
        self.strategy = strategy
        script, params = strategy.script, strategy.params
        clauses = told(strategy.file, "clauses", lambda: script.engine_parameters(params))
        self._market = Market(clauses)
        self._user = script.__new__(script)
        self._user.params, self._user.market = params, self._market
        told(strategy.file, "__init__", self._user.__init__)  # type: ignore[misc]

    def _step(self, bar: Bar) -> Signal | None:
        events = self._market.on_bar(bar)
        doing = f"on_bar, {self.coin} {utc(bar.open_time)}"
        proposal = told(self.strategy.file, doing, lambda: self._user.on_bar(bar, events))
        if proposal is None:
            return None
        problem = problem_with(proposal, bar.close)
        if problem is not None:
            line = self.strategy.script.on_bar.__code__.co_firstlineno
            raise UserError(f"strategy {self.strategy.file}: line {line}: {problem} ({doing})")
        return self._signal(bar, proposal)

    def _signal(self, bar: Bar, proposal: Proposal) -> Signal | None:
        """The signal of a sound proposal; None when it pays too little.

        None, too, while the ranges that sizing needs are not known, or are zero.
        """
        atr, baseline = self._market.atr, self._market.atr_baseline
        rewarded = abs(proposal.target - bar.close)
        if not (atr > 0 and baseline > 0):
            return None
        if rewarded < self.strategy.script.min_rr * abs(bar.close - proposal.stop):
            return None
        factors = tuple((str(name), float(points)) for name, points in proposal.factors.items())
        return Signal(
            strategy=self.strategy.name,
            coin=self.coin,
            side=proposal.side,
            bar_time=bar.open_time,
            entry=bar.close,
            stop=float(proposal.stop),
            target=float(proposal.target),
            confidence=sum(points for _, points in factors),
            factors=factors,
            facts=tuple(proposal.facts),
            atr=atr,
            atr_baseline=baseline,
        )
