"""The numbered invariants of docs/invariants.md."""

from collections.abc import Callable
from dataclasses import dataclass

# Tells that the invariant of this number does not hold, and how.
Violate = Callable[[int, str], None]

INVARIANTS = {
    1: "one decision, one entry: never more than it intended",
    2: "no position lacks its stop beyond the bound; a dead bot's stops rest",
    3: "an entry leaves together with its stop",
    4: "state equals exchange after reconciliation",
    5: "our own limits are never exceeded",
    6: "no 429 is caused by us",
    7: "failures are backed off from",
    8: "the breaker never trips without its cause",
    9: "the breaker trips when its cause is there",
    10: "no unhandled exception",
    11: "memory and files are bounded",
    12: "the ledger equals the account to the cent",
    13: "every order derives from a durable intention",
    14: "no order id is sent twice",
    15: "no state is corrupt, no acknowledged update lost",
}
VIOLATIONS_KEPT = 20


@dataclass(frozen=True, slots=True)
class Violation:
    """An invariant that did not hold at `time_ms`, the market's."""

    number: int
    time_ms: int
    text: str

    def __str__(self) -> str:
        return f"INV-{self.number} at {self.time_ms}: {INVARIANTS[self.number]}: {self.text}"
