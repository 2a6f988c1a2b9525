"""Decides when a fault strikes: by plan, by market time and by seed, the same every time."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TypeVar

import numpy as np
from numpy.random import Generator

from fractaltrader.errors import UserError
from fractaltrader.market import Clock
from fractaltrader.simulator.faults.plan import Fault, Latency, kind_of

F = TypeVar("F", bound=Fault)


@dataclass
class Entry:
    """A fault of the plan: whether it is switched on and how often it has struck."""

    number: int
    fault: Fault
    dice: Generator
    enabled: bool = True
    struck: int = 0
    windows: dict[int, bool] = field(default_factory=dict)


class Injector:
    """The faults of a plan. Each has dice of its own, so that one more changes no other's fate.

    It may be handed to several transports of one exchange; relative windows count from the
    market time at which the first of them was made.
    """

    def __init__(self, plan: Iterable[Fault] = (), seed: int = 0) -> None:
        self._seed = seed
        self._entries: dict[int, Entry] = {}
        self._by_kind: dict[type[Fault], list[Entry]] = {}
        self._next_number = 0
        self._clock: Clock | None = None
        self._origin_ms = 0
        for fault in plan:
            self.add(fault)

    def begin(self, clock: Clock) -> None:
        """Windows follow `clock` (market time) from now on; only the first call counts."""
        if self._clock is None:
            self._clock = clock
            self._origin_ms = clock.now_ms()

    def now_ms(self) -> int:
        """Market time, UTC epoch ms; RuntimeError before `begin`."""
        if self._clock is None:
            raise RuntimeError("the injector is attached to no exchange yet")
        return self._clock.now_ms()

    @property
    def entries(self) -> list[Entry]:
        """The plan as it stands."""
        return list(self._entries.values())

    @property
    def is_armed(self) -> bool:
        """Whether there is any fault at all, open or not."""
        return bool(self._entries)

    def add(self, fault: Fault) -> int:
        """One more fault from now on; its number. Raises UserError for a window that cannot be."""
        fault.validate()
        number = self._next_number
        self._next_number += 1
        entry = Entry(number, fault, np.random.default_rng([self._seed, number]))
        self._entries[number] = entry
        self._by_kind.setdefault(type(fault), []).append(entry)
        return number

    def remove(self, number: int) -> None:
        """Drop one fault; raises UserError when there is none of that number."""
        entry = self._entry(number)
        del self._entries[number]
        self._by_kind[type(entry.fault)].remove(entry)

    def clear(self) -> None:
        """Drop every fault."""
        self._entries.clear()
        self._by_kind.clear()

    def switch(self, number: int, *, on: bool) -> None:
        """Let a fault strike or not; raises UserError when there is none of that number."""
        self._entry(number).enabled = on

    def _entry(self, number: int) -> Entry:
        if number not in self._entries:
            known = ", ".join(map(str, self._entries)) or "none"
            raise UserError(f"fault: there is no number {number}; numbers in force: {known}")
        return self._entries[number]

    def counts(self) -> dict[str, int]:
        """How often each kind has struck so far."""
        counts: dict[str, int] = {}
        for entry in self._entries.values():
            name = kind_of(entry.fault)
            counts[name] = counts.get(name, 0) + entry.struck
        return counts

    def has(self, *kinds: type[Fault]) -> bool:
        """Whether the plan has a fault of any of these kinds, open or not."""
        return any(self._by_kind.get(kind) for kind in kinds)

    def open(self, kind: type[F], at_ms: int | None = None) -> Iterator[tuple[Entry, F, int]]:
        """Faults of `kind` whose window is open at `at_ms` (now), with the window's number."""
        if self._clock is None or not (entries := self._by_kind.get(kind)):
            return
        now = self._clock.now_ms() if at_ms is None else at_ms
        for entry in entries:
            fault = entry.fault
            if not entry.enabled or not isinstance(fault, kind):
                continue
            occurrence = fault.occurrence(now, self._origin_ms)
            if occurrence is None:
                continue
            if fault.is_state and not self._window_strikes(entry, occurrence):
                continue
            yield entry, fault, occurrence

    def _window_strikes(self, entry: Entry, occurrence: int) -> bool:
        """Whether this window of a state of the world is one in which it holds."""
        if occurrence not in entry.windows:
            holds = self.draw(entry, occurrence) < entry.fault.probability
            entry.windows = {occurrence: holds}
            entry.struck += holds
        return entry.windows[occurrence]

    def draw(self, entry: Entry, *what: object) -> float:
        """A number in [0, 1) that depends on seed, fault and `what` alone."""
        text = f"{self._seed}:{entry.number}:{what}".encode()
        return int.from_bytes(blake2b(text, digest_size=6).digest()) / (1 << 48)

    def strikes(self, kind: type[F], route: str | None = None) -> F | None:
        """The first open fault of `kind` (for `route`) whose dice fall so; it is counted."""
        for entry, fault, _ in self.open(kind):
            if route is not None and route not in getattr(fault, "paths", ()):
                continue
            if fault.is_state:
                return fault
            if fault.probability >= 1 or entry.dice.random() < fault.probability:
                entry.struck += 1
                return fault
        return None

    def pick(self, kind: type[Fault], texts: tuple[str, ...]) -> str:
        """One of `texts` by the dice of the first fault of `kind`."""
        dice = self._by_kind[kind][0].dice
        return texts[int(dice.integers(len(texts)))]

    def delay_ms(self, route: str) -> float:
        """Extra latency of one request or frame of `route`, the sum of every open latency."""
        total = 0.0
        for entry, fault, _ in self.open(Latency):
            if route not in fault.paths:
                continue
            if fault.probability < 1 and entry.dice.random() >= fault.probability:
                continue
            entry.struck += 1
            total += _delay(fault, entry.dice)
        return total


def _delay(fault: Latency, dice: Generator) -> float:
    match fault.distribution:
        case "fixed":
            return fault.ms
        case "uniform":
            return float(dice.uniform(fault.ms, fault.to_ms or fault.ms))
        case "exponential":
            return float(dice.exponential(fault.ms))
        case "lognormal":
            return float(dice.lognormal(np.log(fault.ms), fault.sigma))
