"""The state document on disk: locked, checksummed, replaced atomically, backed up.

Every change is a read-modify-write under one file lock, so the bot and the command line share the
document without losing each other's updates.

Backups: `.bak1` is a second copy of every save, written before the file itself, so that damage to
one of them costs nothing. `.bak2` to `.bak5` are older, about a minute apart.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import msgspec
from filelock import FileLock, Timeout

from fractaltrader.durable import overwrite, write_file
from fractaltrader.errors import UserError
from fractaltrader.live.migrations import migrate
from fractaltrader.live.state import SCHEMA_VERSION, BotState
from fractaltrader.market import Clock
from fractaltrader.market.bars import utc

FILE_NAME = ".trading_state.json"
LOCK_TIMEOUT_SECONDS = 10.0
POLL_SECONDS = 0.002  # the library's 0.05 would starve one writer among several
BACKUPS = 5
BACKUP_EVERY_MS = 60_000
MAX_BYTES = 256 * 1024
BROKEN_KEPT = 5


class StateLockedError(UserError):
    """Another process kept the lock for too long; the operator looks at that process."""


class StateCorruptError(UserError):
    """Neither the file nor a backup can be read; nothing is overwritten, the operator decides."""


class StateTooLargeError(ValueError):
    """The state outgrew its ceiling, which is our own bug; the old file stays as it is."""


class _Envelope(msgspec.Struct):
    schema_version: int
    checksum: str
    saved_ms: int
    state: msgspec.Raw
    sequence: int = 0  # of saves; version 1 did not count


class _Head(msgspec.Struct):
    """What a damaged file may still tell."""

    sequence: int


@dataclass(frozen=True, slots=True)
class _Saved:
    """A document as read, and how the next save continues it."""

    state: BotState
    saved_ms: int = 0
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class Recovery:
    """What a recovery from backup did, for the log and the ledger."""

    broken_file: Path | None
    backup: Path
    saved_ms: int
    lost_updates: int | None  # None: the damaged file does not tell
    restored: str

    def __str__(self) -> str:
        lost = {None: "what was saved after it, if anything, is lost", 0: "nothing was lost"}.get(
            self.lost_updates, f"{self.lost_updates} newer updates are lost"
        )
        aside = f"; the damaged file is kept as {self.broken_file.name}" if self.broken_file else ""
        return (
            f"{self.backup.name}, saved at {utc(self.saved_ms)}, was used: {self.restored}; "
            f"{lost}{aside}"
        )


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
        # Newest first.
        self._backups = [folder / f"{FILE_NAME}.bak{n}" for n in range(1, BACKUPS + 1)]

    def load(self) -> BotState:
        """The current state, a new one when there has never been any.

        Raises StateLockedError or StateCorruptError; never replaces data by emptiness.
        """
        with self._locked():
            return self._load_or_create_state().state

    def read(self) -> BotState:
        """The state as a reader sees it: no lock, no recovery, nothing written.

        Raises StateCorruptError when the file is damaged or missing.
        """
        try:
            return self._read(self.path).state
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
            saved = self._load_or_create_state()
            yield saved.state
            self._save_state(saved)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if self._lock.is_locked:
            # The lock would let this process in again, and the inner change would be lost.
            raise RuntimeError("state: an update inside an update of the same manager")
        try:
            self._lock.acquire(poll_interval=POLL_SECONDS)
        except Timeout:
            holder = self._lock_path.read_text(errors="replace").strip() or "unknown"
            raise StateLockedError(
                f"state lock: {self._lock_path} is held by {holder} for more than "
                f"{self._lock.timeout:g} s; wait for that process or end it"
            ) from None
        try:
            # Of fixed length, so that no part of a longer name stays behind.
            overwrite(self._lock_path, f"process {os.getpid():<10}\n".encode())
            yield
        finally:
            self._lock.release()

    def _load_or_create_state(self) -> _Saved:
        try:
            return self._read(self.path)
        except FileNotFoundError:
            if not any(path.exists() for path in self._backups):
                return _Saved(BotState())
            return self._try_recover_from_backup(None)
        except (msgspec.DecodeError, ValueError):
            return self._try_recover_from_backup(self._set_aside())

    def _read(self, path: Path) -> _Saved:
        envelope = msgspec.json.decode(path.read_bytes(), type=_Envelope)
        version = envelope.schema_version
        if version > SCHEMA_VERSION:
            raise UserError(
                f"state: {path} has schema version {version}, this program knows "
                f"{SCHEMA_VERSION}; run the newer FractalTrader that wrote it"
            )
        if envelope.checksum != _checksum(envelope.state):
            raise ValueError("checksum differs")
        if version == SCHEMA_VERSION:
            state = msgspec.json.decode(envelope.state, type=BotState)
        else:
            document = migrate(msgspec.json.decode(envelope.state, type=dict), version)
            state = msgspec.convert(document, BotState)
        return _Saved(state, envelope.saved_ms, envelope.sequence)

    def _set_aside(self) -> Path:
        """Keep the broken file for inspection, out of the way."""
        aside = self.path.with_name(f"{FILE_NAME}.broken-{self._clock.now_ms()}")
        os.replace(self.path, aside)
        for old in sorted(self.path.parent.glob(f"{FILE_NAME}.broken-*"))[:-BROKEN_KEPT]:
            old.unlink()
        return aside

    def _try_recover_from_backup(self, broken: Path | None) -> _Saved:
        for backup in self._backups:
            try:
                saved = self._read(backup)
            except (FileNotFoundError, msgspec.DecodeError, ValueError):
                continue
            self.recovery = Recovery(
                broken, backup, saved.saved_ms, self._lost(saved, backup, broken), _summary(saved)
            )
            write_file(self.path, backup.read_bytes())
            return saved
        if broken is not None:
            os.replace(broken, self.path)
        raise StateCorruptError(
            f"state: {self.path} is damaged and no backup is readable; nothing was changed; "
            "check positions on the venue, move the file away and start anew"
        )

    def _lost(self, saved: _Saved, backup: Path, broken: Path | None) -> int | None:
        """How many saves the backup lacks: none when it is the copy that every save makes."""
        if backup == self._backups[0] and saved.sequence:
            return 0
        if broken is None:
            return None
        try:
            newest = msgspec.json.decode(broken.read_bytes(), type=_Head).sequence
        except msgspec.DecodeError:
            return None
        return newest - saved.sequence if newest >= saved.sequence else None

    def _save_state(self, previous: _Saved) -> None:
        """Durably replace the document by `previous.state` as it is now."""
        now = self._clock.now_ms()
        raw = msgspec.json.encode(previous.state)
        envelope = _Envelope(
            SCHEMA_VERSION, _checksum(raw), now, msgspec.Raw(raw), previous.sequence + 1
        )
        content = msgspec.json.encode(envelope)
        if len(content) > MAX_BYTES:
            raise StateTooLargeError(f"state: {len(content)} bytes are more than {MAX_BYTES}")
        # Not synced: it guards against damage to the file, the file itself against a power loss.
        overwrite(self._backups[0], content)
        if now // BACKUP_EVERY_MS != previous.saved_ms // BACKUP_EVERY_MS:
            self._rotate_backups()
        write_file(self.path, content)

    def _rotate_backups(self) -> None:
        backups = self._backups
        for newer, older in reversed([*pairwise(backups[1:])]):
            with suppress(FileNotFoundError):
                os.replace(newer, older)
        with suppress(FileNotFoundError):
            # The link shares the old content; the rename that follows gives the file a new one.
            os.link(self.path, backups[1])


def _summary(saved: _Saved) -> str:
    state = saved.state
    tripped = [cause for cause, latch in state.breaker.latches.items() if latch.phase != "closed"]
    return (
        f"{len(state.epochs)} positions, {len(state.intents)} open intentions, breaker "
        f"{', '.join(tripped) or 'closed'}"
    )


def _checksum(raw: bytes | msgspec.Raw) -> str:
    return hashlib.sha256(bytes(raw)).hexdigest()
