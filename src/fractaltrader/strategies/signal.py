"""A signal: one proposed trade with its levels, its score and the facts that led to it."""

import math
from dataclasses import dataclass


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
    facts: tuple[str, ...]
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
