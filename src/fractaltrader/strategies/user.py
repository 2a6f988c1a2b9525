"""Strategies that users write: a plain Python class, the same in backtest, simulation and live.

docs/strategies.md is the tutorial. The class only proposes; what it proposes is checked here, and
sizes and orders are made elsewhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, ClassVar

from fractaltrader.market import Bar
from fractaltrader.parameters import Parameters as _Parameters
from fractaltrader.smc.clauses import EngineParameters
from fractaltrader.smc.core import BARS, BIAS, NOW, Core
from fractaltrader.smc.dealing_range import position
from fractaltrader.smc.engine import SmcEngine
from fractaltrader.smc.events import Event
from fractaltrader.smc.profiles import engine_parameters
from fractaltrader.smc.window import mean

BASELINE_BARS = 100  # window of the ATR that sizing calls normal


@dataclass(frozen=True, slots=True)
class Proposal:
    """A trade to make at the next open: +1 long or -1 short, its stop and target in USDC.

    `factors` are named points whose sum, 0…100, is the confidence; `facts` say why, earliest first.
    """

    side: int
    stop: float
    target: float
    factors: Mapping[str, float]
    facts: Sequence[str] = field(default=())


class Market(SmcEngine):
    """What detection knows at the newest bar: the running readings beside the events."""

    @property
    def _core(self) -> Core:
        return self.state.cores[0]

    @property
    def bar_number(self) -> int:
        """Number of the newest bar, as events count them, from 0; -1 before the first."""
        return int(self._core.counters[BARS]) - 1

    @property
    def atr(self) -> float:
        """Mean true range over the clause `atr_bars`, USDC; NaN before there are that many."""
        return float(self._core.atr[NOW])

    @property
    def atr_baseline(self) -> float:
        """Mean true range over 100 bars, USDC; NaN before there are that many."""
        return float(mean(self._core.window.true_range, self.bar_number, BASELINE_BARS))

    @property
    def bias(self) -> int:
        """Direction of the last break of structure: +1, -1, or 0 before any."""
        return int(self._core.counters[BIAS])

    def higher_bias(self, place: int = 1) -> int:
        """The same on the timeframe at `place` of the clause `htf`, from 1."""
        return int(self.state.cores[place].counters[BIAS])

    @property
    def range_position(self) -> float:
        """Where the close lies in the dealing range: 0 its low, 1 its high; NaN without one."""
        return position(self._core.dealing, float(self.state.close[0]))

    def levels(self, side: int) -> list[float]:
        """Untouched highs (side +1) or lows (-1), the nearest to price first, USDC."""
        liquidity = self._core.liquidity
        row = (side + 1) >> 1
        count = int(liquidity.size[row])
        return [side * price for price in liquidity.price[row, :count][::-1].tolist()]


class UserStrategy:
    """The base of a user's strategy. Subclass it, and write `on_bar`.

    `profile` and `clauses` choose the detection; or let `Parameters` derive from EngineParameters,
    and the clauses are parameters too. Before `__init__`, which takes no arguments, `params`, the
    parameters, and `market`, the readings, are set. Keep what you must remember on `self`, and
    bounded: a session is rebuilt from `warmup_bars` of history when the bot starts.
    """

    name: ClassVar[str] = ""  # the class's name unless given
    profile: ClassVar[str] = "fractal"
    clauses: ClassVar[Mapping[str, object]] = {}
    warmup_bars: ClassVar[int] = 600
    min_rr: ClassVar[float] = 1.0  # a proposal that pays less for its risk is not a signal
    Parameters: ClassVar[type[_Parameters]] = _Parameters

    params: Any
    market: Market

    def on_bar(self, bar: Bar, events: list[Event]) -> Proposal | None:
        """The trade to propose at the close of `bar`, given the events that it made known."""
        raise NotImplementedError

    @classmethod
    def engine_parameters(cls, params: _Parameters) -> EngineParameters:
        """The clauses of detection; UserError where they are wrong."""
        if isinstance(params, EngineParameters):
            return params
        return engine_parameters(cls.profile, **cls.clauses)


def problem_with(proposal: object, entry: float) -> str | None:
    """The rule that what `on_bar` returned breaks, or None; `entry` is the bar's close."""
    if not isinstance(proposal, Proposal):
        return f"returned {type(proposal).__name__}; return a Proposal or None"
    if proposal.side not in (1, -1):
        return f"side {proposal.side!r} must be 1 (long) or -1 (short)"
    for name in ("stop", "target"):
        value = getattr(proposal, name)
        if not (_is_number(value) and value > 0):
            return f"{name} {value!r} must be a finite price above zero"
    if not proposal.side * proposal.stop < proposal.side * entry < proposal.side * proposal.target:
        return (
            f"side {proposal.side}: the close {entry} must lie between stop {proposal.stop} and "
            f"target {proposal.target}"
        )
    return _problem_with_reasons(proposal)


def _problem_with_reasons(proposal: Proposal) -> str | None:
    if not (isinstance(proposal.factors, Mapping) and proposal.factors):
        return "factors must be a dict of named points, like {'trend': 40}"
    for name, points in proposal.factors.items():
        if not (_is_number(points) and points >= 0):
            return f"factor {name!r} is {points!r}; points must be numbers from 0 up"
    total = sum(proposal.factors.values())
    if total > 100:
        return f"the factors sum to {total:g}; the confidence must be within 0…100"
    if isinstance(proposal.facts, str) or not all(isinstance(f, str) for f in proposal.facts):
        return "facts must be a list of sentences"
    return None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
