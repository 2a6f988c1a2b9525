"""One bot per folder and per account: locks held for the life of the process die with it."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from fractaltrader.errors import UserError

FILE_NAME = "bot.lock"
GUARD_FILE_NAME = "guard.lock"
# A guard looks every few seconds; a look that waits for the venue takes at most about a minute.
GUARD_SILENT_SECONDS = 120.0
TRADES = "run: {holder} already trades {what}; `fractal stop` ends it"


@contextmanager
def only_bot(folder: Path) -> Iterator[None]:
    """Be the only bot in `folder`; UserError names the process that is."""
    with _held(folder / FILE_NAME, f"in {folder}"):
        yield


@contextmanager
def only_guard(folder: Path) -> Iterator[None]:
    """Be the only guard of the bot in `folder`; UserError names the process that is."""
    told = "guard: {holder} already watches over the bot {what}; one guard is enough"
    with _held(folder / GUARD_FILE_NAME, f"in {folder}", told):
        yield


def guard_looked(folder: Path) -> None:
    """Leave the time of the guard's newest look on its lock file."""
    os.utime(folder / GUARD_FILE_NAME)


def guard_silence(folder: Path, now_s: float) -> float | None:
    """Seconds since the guard of `folder` last looked, at the Unix time `now_s`; None when there
    never was one."""
    path = folder / GUARD_FILE_NAME
    return now_s - path.stat().st_mtime if path.exists() else None


@contextmanager
def only_trader(home: Path, account: str, url: str) -> Iterator[None]:
    """Be the only bot that trades `account` on `url`: two would take each other's orders, which
    have the same client order ids, for their own."""
    name = hashlib.blake2b(f"{account}|{url}".encode(), digest_size=8).hexdigest()
    with _held(home / "locks" / f"{name}.lock", f"account {account} on {url}"):
        yield


def is_running(folder: Path, file_name: str = FILE_NAME) -> bool:
    """Whether a live process holds the folder's bot lock, or another one of the folder."""
    path = folder / file_name
    if not path.exists():
        return False
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True


def holder(folder: Path) -> int | None:
    """Process id of the bot that runs in `folder`; None when none does."""
    if not is_running(folder):
        return None
    text = (folder / FILE_NAME).read_text(errors="replace").removeprefix("process ").strip()
    return int(text) if text.isdigit() else None


@contextmanager
def _held(path: Path, what: str, told: str = TRADES) -> Iterator[None]:
    try:
        held = FileLock(path, timeout=0).acquire()  # makes the folder too
    except Timeout:
        holder = path.read_text(errors="replace").strip() or "another process"
        raise UserError(told.format(holder=holder, what=what)) from None
    except OSError as error:
        raise UserError(
            f"run: cannot use {path.parent} ({error.strerror}); set FRACTAL_HOME to a folder you "
            "can write to"
        ) from None
    with held:
        path.write_text(f"process {os.getpid()}\n")
        yield
