"""A signal: one proposed trade with its levels, its score and the facts that led to it."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import overload

# Puts the record of a signal in words, earliest fact first.
Say = Callable[[list[float]], tuple[str, ...]]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LazyFacts(Sequence[str]):
    """What a record says, put in words when somebody reads it: the order does not wait for them."""

    say: Say
    record: list[float]

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[str, ...]: ...
    def __getitem__(self, place: int | slice) -> str | tuple[str, ...]:
        return self.say(self.record)[place]

    def __iter__(self) -> Iterator[str]:
        return iter(self.say(self.record))

    def __len__(self) -> int:
        return len(self.say(self.record))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))


@dataclass(frozen=True, slots=True)
class Signal:
    """A proposed trade, known at the close of the bar that opened at `bar_time` (epoch ms).

    `entry` is that close, the reference for the stop distance; prices are in USDC. `factors` are
    the named points whose sum is `confidence` (0-100); `facts` read as a chain, earliest first.
    `atr` and `atr_baseline` are the mean true range over the recent and the longer window.
    """

    strategy: str
    coin: str
    side: int
    bar_time: int
    entry: float
    stop: float
    target: float
    confidence: float
    factors: tuple[tuple[str, float], ...]
    facts: Sequence[str]
    atr: float
    atr_baseline: float

    def __post_init__(self) -> None:
        """Refuse what no broker should ever see; a strategy that gets here has a bug."""
        if self.side not in (1, -1):
            raise ValueError(f"signal side {self.side} must be 1 or -1")
        for name in ("entry", "stop", "target", "atr", "atr_baseline"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"signal {name} {value} must be finite and above zero")
        if not self.side * self.stop < self.side * self.entry < self.side * self.target:
            raise ValueError(
                f"signal side {self.side}: entry {self.entry} must lie between "
                f"stop {self.stop} and target {self.target}"
            )
        total = sum(points for _, points in self.factors)
        if not 0 <= self.confidence <= 100:
            raise ValueError(f"signal confidence {self.confidence} must be within 0…100")
        if not math.isclose(total, self.confidence, abs_tol=1e-9):
            raise ValueError(f"signal confidence {self.confidence} is not its factors' sum {total}")

    @property
    def reward_risk(self) -> float:
        """Distance to the target over distance to the stop."""
        return abs(self.target - self.entry) / abs(self.entry - self.stop)
