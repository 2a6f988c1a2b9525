"""Replacing a file so that a crash leaves the old content or the new, never a part."""

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO


def replace_file(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then take its place durably.

    Temporary file, fsync, atomic rename, fsync of the folder. One writer at a time is the caller's
    duty: the temporary name is fixed, so a crash leaves at most one leftover. Whatever `write` or
    the disk raises passes through, and the old file stays.
    """
    folder_name, name = os.path.split(path)
    temporary = os.path.join(folder_name, f".{name}.tmp")
    try:
        with open(temporary, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    sync_folder(folder_name or os.curdir)


def sync_folder(folder: str | Path) -> None:
    """Make what was created, renamed or removed in `folder` durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_file(path: Path, content: bytes) -> None:
    """Make `content` the whole content of `path`, durably."""
    replace_file(path, lambda file: file.write(content))


def overwrite(path: Path, content: bytes) -> None:
    """Make `content` the whole content of `path` in place: neither atomic nor synced, but quick.

    The file is cut to length after writing, not emptied before: an emptied file costs ext4 a flush.
    """
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        written = os.write(file, content)
        if written < len(content):
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        os.ftruncate(file, written)
    finally:
        os.close(file)
