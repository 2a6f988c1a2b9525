"""The watch over the account: positions, stops, entries and files, from the venue's side.

It looks every few seconds of the bot's time. What is only forbidden to last is measured in working
time: the bot is up and nothing keeps it from acting.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Protocol

from fractaltrader.live.intents import Role, identity_of
from fractaltrader.live.protection import NAKED_BOUND_MS
from fractaltrader.live.state import Intent
from fractaltrader.live.state_manager import FILE_NAME as STATE
from fractaltrader.live.state_manager import MAX_BYTES
from fractaltrader.simulator.state import Fill

# Folder: state, five backups, five damaged ones, locks, ledger with its two companions.
MOST_FILES = 24


class Watched(Protocol):
    """What the watch sees of a run."""

    folder: Path

    def violate(self, number: int, text: str) -> None:
        """Note that an invariant does not hold."""

    def fills(self) -> Sequence[Fill]:
        """Executions as the venue has them, oldest first."""

    def intents(self) -> list[Intent]:
        """Every intention the ledger holds."""

    def believed(self) -> dict[str, Decimal] | None:
        """Positions in the living bot's book; None before it knows any."""


@dataclass
class AccountWatch:
    """Positions, stops, entries and files of one account, sample by sample. Times in ms."""

    run: Watched
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

    def sample(
        self,
        elapsed_ms: int,
        positions: dict[str, Decimal],
        lacking: dict[str, Decimal],
        *,
        alive: bool,
        working: bool,
    ) -> None:
        """Look once; `elapsed_ms` of the bot's time have passed since the last look.

        `positions` are the venue's, signed, `lacking` what of each no resting stop covers.
        """
        self._entries()
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
                self.run.violate(
                    2, f"{coin} {positions[coin]} lost its stop while the bot was dead"
                )
            spent = self._naked_working.get(coin, 0) + (elapsed_ms if working else 0)
            self._naked_working[coin] = 0 if not alive else spent
            if NAKED_BOUND_MS < spent <= NAKED_BOUND_MS + elapsed_ms:
                self.run.violate(
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
        ours = self.run.believed()
        if ours is None or not alive or ours == positions:
            self._different = 0
            return
        self._different += elapsed_ms if working else 0
        if NAKED_BOUND_MS < self._different <= NAKED_BOUND_MS + elapsed_ms:
            self.run.violate(4, f"the bot believes {ours}, the venue has {positions}")

    def _entries(self) -> None:
        fills = self.run.fills()
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
            self._intents = {intent.entry_cloid: intent for intent in self.run.intents()}
        intent = self._intents.get(cloid)
        if intent is None:
            return  # INV-13 tells of it
        if len(oids) > 1 or size > intent.size:
            self.duplicates += 1
            self.run.violate(1, f"{cloid} entered {size} of {intent.size} by orders {oids}")
        held = abs(fill.start_position) + fill.size
        if held > intent.size:
            self.duplicates += 1
            self.run.violate(1, f"{fill.coin} grew to {held}, {intent.size} was intended")

    def _files(self) -> None:
        names = os.listdir(self.run.folder)
        if len(names) > MOST_FILES:
            self.run.violate(11, f"{len(names)} files in the bot's folder")
        if STATE in names and (size := (self.run.folder / STATE).stat().st_size) > MAX_BYTES:
            self.run.violate(11, f"the state file has {size} bytes")
