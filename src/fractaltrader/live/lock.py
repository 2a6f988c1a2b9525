"""One bot per folder: the lock is held for the life of the process and dies with it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from fractaltrader.errors import UserError

FILE_NAME = "bot.lock"


@contextmanager
def only_bot(folder: Path) -> Iterator[None]:
    """Hold the folder's bot lock; UserError names the process that has it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE_NAME
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise UserError(
            f"run: {_holder(path)} already trades in {folder}; `fractal stop` ends it"
        ) from None
    try:
        path.write_text(f"process {os.getpid()}\n")
        yield
    finally:
        lock.release()


def is_running(folder: Path) -> bool:
    """Whether a live process holds the folder's bot lock."""
    path = folder / FILE_NAME
    if not path.exists():
        return False
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        return True
    lock.release()
    return False


def _holder(path: Path) -> str:
    return path.read_text(errors="replace").strip() or "another process"
