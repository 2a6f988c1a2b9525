"""The state document on disk: locked, checksummed, replaced atomically, backed up.

Every change is a read-modify-write under one file lock, so the bot and the command line share the
document without losing each other's updates.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
from filelock import FileLock, Timeout

from fractaltrader.durable import write_file
from fractaltrader.errors import UserError
from fractaltrader.live.state import SCHEMA_VERSION, BotState
from fractaltrader.market import Clock

FILE_NAME = ".trading_state.json"
LOCK_TIMEOUT_SECONDS = 10.0
BACKUPS = 5
BACKUP_EVERY_MS = 60_000


class StateLockedError(UserError):
    """Another process kept the lock for too long; the operator looks at that process."""


class StateCorruptError(UserError):
    """Neither the file nor a backup can be read; nothing is overwritten, the operator decides."""


class _Envelope(msgspec.Struct):
    schema_version: int
    checksum: str
    saved_ms: int
    state: msgspec.Raw


@dataclass(frozen=True, slots=True)
class Recovery:
    """What a recovery from backup did, for the log and the ledger."""

    broken_file: Path | None
    backup: Path
    saved_ms: int


class StateManager:
    """Owner of one state file in `folder`; safe to use from several processes."""

    def __init__(
        self, folder: Path, clock: Clock, *, lock_timeout: float = LOCK_TIMEOUT_SECONDS
    ) -> None:
        self.path = folder / FILE_NAME
        self.recovery: Recovery | None = None
        self._clock = clock
        self._lock_path = folder / f"{FILE_NAME}.lock"
        self._lock = FileLock(self._lock_path, timeout=lock_timeout)

    @property
    def exists(self) -> bool:
        """Whether there is a state to load."""
        return self.path.exists() or any(path.exists() for path in self._backups())

    def load(self) -> BotState:
        """The current state, a new one when there has never been any.

        Raises StateLockedError or StateCorruptError; never replaces data by emptiness.
        """
        with self._locked():
            return self._load_or_create_state()[0]

    def read(self) -> BotState:
        """The state as a reader sees it: no lock, no recovery, nothing written.

        Raises StateCorruptError when the file is damaged or missing.
        """
        try:
            return self._read(self.path)[0]
        except (OSError, msgspec.DecodeError, ValueError) as error:
            raise StateCorruptError(
                f"state: {self.path} cannot be read ({error}); the bot recovers it when it starts"
            ) from error

    @contextmanager
    def update(self) -> Iterator[BotState]:
        """Read, let the caller change, and durably write the state, all under the lock.

        Nothing is written when the caller raises.
        """
        with self._locked():
            state, saved_ms = self._load_or_create_state()
            yield state
            self._save_state(state, saved_ms)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire()
        except Timeout:
            holder = self._lock_path.read_text(errors="replace").strip() or "unknown"
            raise StateLockedError(
                f"state lock: {self._lock_path} is held by {holder} for more than "
                f"{self._lock.timeout:g} s; wait for that process or end it"
            ) from None
        try:
            self._lock_path.write_text(f"process {os.getpid()}\n")
            yield
        finally:
            self._lock.release()

    def _load_or_create_state(self) -> tuple[BotState, int]:
        try:
            return self._read(self.path)
        except FileNotFoundError:
            if not any(path.exists() for path in self._backups()):
                return BotState(), 0
            return self._try_recover_from_backup(None)
        except (msgspec.DecodeError, ValueError):
            return self._try_recover_from_backup(self._set_aside())

    def _read(self, path: Path) -> tuple[BotState, int]:
        envelope = msgspec.json.decode(path.read_bytes(), type=_Envelope)
        if envelope.schema_version > SCHEMA_VERSION:
            raise UserError(
                f"state: {path} has schema version {envelope.schema_version}, this program knows "
                f"{SCHEMA_VERSION}; run the newer FractalTrader that wrote it"
            )
        if envelope.checksum != _checksum(envelope.state):
            raise ValueError("checksum differs")
        return msgspec.json.decode(envelope.state, type=BotState), envelope.saved_ms

    def _set_aside(self) -> Path:
        """Keep the broken file for inspection, out of the way."""
        aside = self.path.with_name(f"{FILE_NAME}.broken-{self._clock.now_ms()}")
        os.replace(self.path, aside)
        return aside

    def _try_recover_from_backup(self, broken: Path | None) -> tuple[BotState, int]:
        for backup in self._backups():
            try:
                state, saved_ms = self._read(backup)
            except (FileNotFoundError, msgspec.DecodeError, ValueError):
                continue
            self.recovery = Recovery(broken, backup, saved_ms)
            write_file(self.path, backup.read_bytes())
            return state, saved_ms
        if broken is not None:
            os.replace(broken, self.path)
        raise StateCorruptError(
            f"state: {self.path} is damaged and no backup is readable; nothing was changed; "
            "check positions on the venue, move the file away and start anew"
        )

    def _save_state(self, state: BotState, previous_ms: int) -> None:
        now = self._clock.now_ms()
        raw = msgspec.json.encode(state)
        envelope = _Envelope(SCHEMA_VERSION, _checksum(raw), now, msgspec.Raw(raw))
        if self.path.exists() and now // BACKUP_EVERY_MS != previous_ms // BACKUP_EVERY_MS:
            self._rotate_backups()
        write_file(self.path, msgspec.json.encode(envelope))

    def _backups(self) -> list[Path]:
        """Newest first."""
        return [self.path.with_name(f"{FILE_NAME}.bak{n}") for n in range(1, BACKUPS + 1)]

    def _rotate_backups(self) -> None:
        backups = self._backups()
        for older, newer in zip(reversed(backups[1:]), reversed(backups[:-1]), strict=True):
            if newer.exists():
                os.replace(newer, older)
        # The link shares the old content; the rename that follows gives the file a new one.
        os.link(self.path, backups[0])


def _checksum(raw: bytes | msgspec.Raw) -> str:
    return hashlib.sha256(bytes(raw)).hexdigest()
