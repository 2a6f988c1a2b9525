"""The numbered invariants of docs/invariants.md, and the watch over the account that checks them.

The watch looks every few seconds of the bot's time from the venue's side. What is only forbidden
to last is measured in working time: the bot is up and nothing keeps it from acting.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from fractaltrader.live.intents import Role, identity_of
from fractaltrader.live.protection import NAKED_BOUND_MS
from fractaltrader.live.state import Intent
from fractaltrader.live.state_manager import FILE_NAME as STATE
from fractaltrader.live.state_manager import MAX_BYTES
from fractaltrader.simulator.state import Fill

if TYPE_CHECKING:
    from fractaltrader.validation.week import Week

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
# Folder: state, five backups, five damaged ones, locks, ledger with its two companions.
MOST_FILES = 24
VIOLATIONS_KEPT = 20


@dataclass(frozen=True, slots=True)
class Violation:
    """An invariant that did not hold at `time_ms`, the market's."""

    number: int
    time_ms: int
    text: str

    def __str__(self) -> str:
        return f"INV-{self.number} at {self.time_ms}: {INVARIANTS[self.number]}: {self.text}"


@dataclass
class AccountWatch:
    """Positions, stops, entries and files of one account, sample by sample. Times in ms."""

    week: "Week"
    naked_max_ms: int = 0
    naked_total_ms: int = 0
    duplicates: int = 0
    _naked: dict[str, int] = field(default_factory=dict)
    _naked_working: dict[str, int] = field(default_factory=dict)
    _different: int = 0
    _covered: dict[str, Decimal] = field(default_factory=dict)
    _entered: dict[str, tuple[Decimal, set[int]]] = field(default_factory=dict)
    _seen_fills: int = 0
    _intents: dict[str, Intent] = field(default_factory=dict)

    def sample(self, elapsed_ms: int, *, alive: bool, working: bool) -> None:
        """Look once; `elapsed_ms` of the bot's time have passed since the last look."""
        self._entries()
        positions, lacking = self.week.exposure()
        self._protection(positions, lacking, elapsed_ms, alive=alive, working=working)
        self._agreement(positions, elapsed_ms, alive=alive, working=working)
        self._files()

    def _protection(
        self,
        positions: dict[str, Decimal],
        lacking: dict[str, Decimal],
        elapsed_ms: int,
        *,
        alive: bool,
        working: bool,
    ) -> None:
        for coin in lacking:
            self._naked[coin] = self._naked.get(coin, 0) + elapsed_ms
            self.naked_total_ms += elapsed_ms
            self.naked_max_ms = max(self.naked_max_ms, self._naked[coin])
            if not alive and self._covered.get(coin) == positions[coin]:
                self.week.violate(
                    2, f"{coin} {positions[coin]} lost its stop while the bot was dead"
                )
            spent = self._naked_working.get(coin, 0) + (elapsed_ms if working else 0)
            self._naked_working[coin] = 0 if not alive else spent
            if NAKED_BOUND_MS < spent <= NAKED_BOUND_MS + elapsed_ms:
                self.week.violate(
                    2, f"{coin}: {lacking[coin]} of {positions[coin]} naked {spent} ms"
                )
        for coin in [coin for coin in self._naked if coin not in lacking]:
            self._naked.pop(coin)
            self._naked_working.pop(coin, None)
        if alive:
            self._covered = {c: size for c, size in positions.items() if c not in lacking}

    def _agreement(
        self, positions: dict[str, Decimal], elapsed_ms: int, *, alive: bool, working: bool
    ) -> None:
        ours = self.week.believed()
        if ours is None or not alive or ours == positions:
            self._different = 0
            return
        self._different += elapsed_ms if working else 0
        if NAKED_BOUND_MS < self._different <= NAKED_BOUND_MS + elapsed_ms:
            self.week.violate(4, f"the bot believes {ours}, the venue has {positions}")

    def _entries(self) -> None:
        fills = self.week.fills()
        for fill in fills[self._seen_fills :]:
            identity = identity_of(fill.cloid)
            if identity is not None and identity.role is Role.ENTRY:
                self._entry(fill, str(fill.cloid))
        self._seen_fills = len(fills)

    def _entry(self, fill: Fill, cloid: str) -> None:
        size, oids = self._entered.get(cloid, (Decimal(0), set()))
        size, oids = size + fill.size, oids | {fill.oid}
        self._entered[cloid] = size, oids
        if cloid not in self._intents:
            self._intents = {intent.entry_cloid: intent for intent in self.week.intents()}
        intent = self._intents.get(cloid)
        if intent is None:
            return  # INV-13 tells of it
        if len(oids) > 1 or size > intent.size:
            self.duplicates += 1
            self.week.violate(1, f"{cloid} entered {size} of {intent.size} by orders {oids}")
        held = abs(fill.start_position) + fill.size
        if held > intent.size:
            self.duplicates += 1
            self.week.violate(1, f"{fill.coin} grew to {held}, {intent.size} was intended")

    def _files(self) -> None:
        folder: Path = self.week.folder
        state = folder / STATE
        if state.exists() and state.stat().st_size > MAX_BYTES:
            self.week.violate(11, f"the state file has {state.stat().st_size} bytes")
        count = sum(1 for _ in folder.iterdir())
        if count > MOST_FILES:
            self.week.violate(11, f"{count} files in the bot's folder")
