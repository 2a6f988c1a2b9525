"""What the circuit breaker remembers, what it is told and what it tells."""

from dataclasses import dataclass
from enum import StrEnum

import msgspec

from fractaltrader.risk.breaker_parameters import Action, Cause

Inputs = dict[str, float | int | str]


class Phase(StrEnum):
    """Where a latch stands."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Latch(msgspec.Struct, kw_only=True):
    """One cause: where it stands, and the newest value beside its limit."""

    phase: Phase = Phase.CLOSED
    since_ms: int = 0
    until_ms: int = 0  # while open; 0: until somebody resets it
    reason: str = ""
    value: float = 0.0
    limit: float = 0.0
    trips: int = 0
    trips_today: int = 0


class BreakerState(msgspec.Struct, kw_only=True):
    """Everything the breaker must remember; bounded whatever happens. Money in USDC."""

    clock_ms: int = 0
    day: int = 0  # UTC days since the epoch
    equity: float | None = None
    day_equity: float | None = None  # at the day's opening, moved along with transfers
    peak_equity: float | None = None  # likewise
    transferred: float = 0.0  # net deposits that the two already reflect
    forgiven_entries: int = 0  # today's entries before a reset
    losses_since_ms: int = 0  # losing trades that closed up to here count no more
    last_closed_ms: int = 0
    errors: list[int] = []  # times of the newest ones, a weight of two entered twice
    rejected: list[bool] = []  # of the newest entries
    mismatches: int = 0
    probe: str = ""  # client order id of the entry let through while half-open
    latches: dict[Cause, Latch] = {}


@dataclass(frozen=True, slots=True)
class BreakerEvent:
    """A latch changed; `inputs` are what it was judged by, so that the trip can be judged too."""

    time_ms: int
    cause: Cause
    change: str  # tripped, half_open, closed or reset
    action: Action
    value: float
    limit: float
    until_ms: int
    reason: str
    inputs: Inputs


class ProbeFate(StrEnum):
    """What became of the probe."""

    WAITING = "waiting"
    GONE = "gone"  # it came to nothing
    EXECUTED = "executed"
    WON = "won"  # its trade has closed, not at a loss
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class TradeFacts:
    """What the book says: executed entries of the breaker's day, the newest run of losses since
    `losses_since_ms`, when the newest trade closed, and the probe's fate."""

    entries_today: int
    losses: int
    last_closed_ms: int
    probe: ProbeFate
