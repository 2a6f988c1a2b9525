"""Files that only their owner may read: how they are written, and refused when others can read."""

import os
import stat
from pathlib import Path

from fractaltrader.durable import sync_folder
from fractaltrader.errors import UserError

FILE_MODE = 0o600
FOLDER_MODE = 0o700


def check_private(path: Path, what: str) -> None:
    """Raise UserError unless `path` belongs to us (or root) and to nobody else's eyes or hands."""
    try:
        found = path.stat()
    except OSError as error:
        raise UserError(f"{what}: cannot read {path} ({error.strerror})") from None
    if found.st_uid not in (os.geteuid(), 0):
        raise UserError(
            f"{what}: {path} belongs to user {found.st_uid}, not to you ({os.geteuid()}); "
            f"`chown {os.geteuid()} {path}`"
        )
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o077:
        wanted = FOLDER_MODE if stat.S_ISDIR(found.st_mode) else FILE_MODE
        raise UserError(
            f"{what}: {path} has mode {mode:04o}, so others can use it; it must be {wanted:04o}: "
            f"`chmod {wanted:o} {path}`"
        )


def private_folder(path: Path, what: str) -> None:
    """Make the folder for its owner alone; raise as `check_private` when it is there and wider."""
    try:
        path.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{what}: cannot make {path} ({error.strerror or error})") from None
    check_private(path, what)


def create_private(path: Path, content: bytes) -> None:
    """Write a new file durably, readable by its owner alone from its first byte on.

    Raises FileExistsError when `path` exists, which stays as it is.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)  # unlike a rename, it never replaces
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)
