"""A small file that several processes of this machine read and write in turn."""

import fcntl
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Eight hex digits of checksum, eight of length, a line end: older, longer content may follow.
_HEAD_BYTES = 17
_LARGEST = 1 << 20
_USUAL = 1 << 14  # so much is read at first: room for the largest content takes its time to get


class LockedFile:
    """Content that changes under a lock, without fsync: after a power loss it may be old or gone,
    which its users must bear. The lock dies with its process.

    Not for use across `fork`: a child must open its own.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None
        self._written = b""  # by us, the last: what reads the same needs no check

    def locked(self) -> "_Lock":
        """Hold the lock; BlockingIOError when another process does, OSError when the disk fails."""
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        return _Lock(self, self._file)

    @contextmanager
    def opened(self) -> Iterator["LockedFile"]:
        """Open for reading only, without the lock: content that is just being written reads as
        damaged. FileNotFoundError when there is none."""
        self._file = os.open(self._path, os.O_RDONLY)
        try:
            yield self
        finally:
            self.close()

    def read(self) -> bytes | None:
        """The content last written, empty when nothing was yet, None when it is damaged."""
        raw = os.pread(self._handle(), _USUAL, 0)
        if len(raw) == _USUAL:
            raw = os.pread(self._handle(), _LARGEST, 0)
        if not raw:
            return b""
        if self._written and raw.startswith(self._written):
            return self._written[_HEAD_BYTES:]
        try:
            length = int(raw[8:16], 16)
        except ValueError:
            return None
        content = raw[_HEAD_BYTES : _HEAD_BYTES + length]
        return content if content and raw[:_HEAD_BYTES] == _head(content) else None

    def write(self, content: bytes) -> None:
        """Replace the content. Lock first."""
        self._written = _head(content) + content
        os.pwrite(self._handle(), self._written, 0)

    def _handle(self) -> int:
        if self._file is None:
            raise ValueError("lock the file before using it")
        return self._file

    def close(self) -> None:
        """Give the file back; a later use opens it again."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


class _Lock:
    """Holds the lock within `with`. A generator would, too, and take three times as long."""

    __slots__ = ("_content", "_file")

    def __init__(self, content: LockedFile, file: int) -> None:
        self._content = content
        self._file = file

    def __enter__(self) -> LockedFile:
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return self._content

    def __exit__(self, *failure: object) -> None:
        fcntl.flock(self._file, fcntl.LOCK_UN)


def _head(content: bytes) -> bytes:
    return b"%08x%08x\n" % (zlib.crc32(content), len(content))
