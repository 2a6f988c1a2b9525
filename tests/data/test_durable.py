"""Files replaced whole or not at all, whatever the disk does."""

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest

from fractaltrader.durable import overwrite, replace_file, write_file


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """A disk on which files find no more than so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_keeps_the_old_content(tmp_path: Path) -> None:
    """What cannot be written whole is an error, the old file stays and no leftover remains."""
    path = tmp_path / "state.json"
    write_file(path, b"old")
    with room_for(1_000), pytest.raises(OSError, match="File too large"):
        write_file(path, b"x" * 5_000)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["state.json"]


def test_a_writer_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """An exception of whoever fills the file passes through, a stop by the user too."""
    path = tmp_path / "state.json"

    def fail(file: BinaryIO) -> None:
        file.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replace_file(path, fail)
    assert os.listdir(tmp_path) == []


def test_a_file_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bare name is written where we are."""
    monkeypatch.chdir(tmp_path)
    write_file(Path("state.json"), b"new")
    assert (tmp_path / "state.json").read_bytes() == b"new"


def test_overwriting_cuts_to_length_and_tells_of_a_short_write(tmp_path: Path) -> None:
    """Shorter content leaves nothing of the longer; a write that the disk cuts short is an error
    and not taken for a success."""
    path = tmp_path / "backup"
    for content in (b"a long content", b"short", b""):
        overwrite(path, content)
        assert path.read_bytes() == content
    with room_for(1_000), pytest.raises(OSError, match="No space left") as raised:
        overwrite(path, b"x" * 5_000)
    assert (raised.value.errno, raised.value.filename) == (errno.ENOSPC, str(path))
