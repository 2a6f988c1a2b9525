"""Time is an argument: whoever needs it is handed a Clock."""

from typing import Protocol


class Clock(Protocol):
    """Tells the time; the wall clock live, virtual time in simulation."""

    def now_ms(self) -> int:
        """UTC epoch milliseconds."""
        ...
