"""The small shared file: whole or damaged, locked or not, never half believed."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fractaltrader.exchange.locked_file import LockedFile


def stored(path: Path, *contents: bytes) -> bytes | None:
    """What another process reads after these were written."""
    writer = LockedFile(path)
    with writer.locked() as file:
        for content in contents:
            file.write(content)
    writer.close()
    with LockedFile(path).opened() as file:
        return file.read()


def test_the_last_content_is_read_whatever_was_there(tmp_path: Path) -> None:
    """A shorter one after a longer one, one byte, and nothing yet; folder and file are made, the
    file for its owner alone."""
    path = tmp_path / "deep" / "er" / "budget"
    with LockedFile(path).locked() as file:
        assert file.read() == b""
    assert stored(path, b"a longer content", b"short") == b"short"
    assert stored(path, b"x") == b"x"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_bytes()[:17] == b"8cdc1683" + b"00000001" + b"\n"


@given(at=st.integers(0, 16 + 12), bits=st.integers(1, 255))
def test_any_changed_byte_is_damage(
    tmp_path_factory: pytest.TempPathFactory, at: int, bits: int
) -> None:
    """In the checksum, the length, the line's end or the content."""
    path = tmp_path_factory.mktemp("damage") / "file"
    stored(path, b"twelve bytes")
    content = bytearray(path.read_bytes())
    content[at] ^= bits
    path.write_bytes(content)
    with LockedFile(path).opened() as file:
        # A digit of the head may be written in capitals too; the head is compared as it is.
        assert file.read() is None


def test_a_head_without_content_is_damage(tmp_path: Path) -> None:
    """Cut anywhere, the file says that it is damaged; empty, that nothing was written yet."""
    path = tmp_path / "file"
    stored(path, b"twelve bytes")
    whole = path.read_bytes()
    for length in range(1, len(whole)):
        path.write_bytes(whole[:length])
        with LockedFile(path).opened() as file:
            assert file.read() is None
    path.write_bytes(b"00000000" + b"00000000" + b"\n")
    with LockedFile(path).opened() as file:
        assert file.read() is None


def test_the_largest_content(tmp_path: Path) -> None:
    """A mebibyte with its head of 17 bytes is read whole; a byte more is damage."""
    largest = b"x" * ((1 << 20) - 17)
    assert stored(tmp_path / "file", largest) == largest
    assert stored(tmp_path / "file", largest + b"x") is None


def test_the_lock_is_held_by_one_and_given_back(tmp_path: Path) -> None:
    """A second holder is told at once; after the first one ends, however it ends, it gets it."""
    path = tmp_path / "file"
    first, second = LockedFile(path), LockedFile(path)
    with first.locked() as file:
        file.write(b"first")
        with pytest.raises(BlockingIOError), second.locked():
            pytest.fail("two hold the lock")
    with pytest.raises(ZeroDivisionError), first.locked():
        raise ZeroDivisionError
    with second.locked() as file:
        assert file.read() == b"first"
    with first.locked() as file:
        file.write(b"again")
    first.close()
    first.close()
    with first.locked() as file:
        assert file.read() == b"again"


def test_reading_does_not_wait_for_the_lock(tmp_path: Path) -> None:
    """Opened for reading only: beside a holder, never writable, closed afterwards; a file that is
    not there is not made."""
    path = tmp_path / "file"
    with pytest.raises(FileNotFoundError), LockedFile(path).opened():
        pytest.fail("there is no file")
    assert not path.exists()
    reader = LockedFile(path)
    with LockedFile(path).locked() as file:
        file.write(b"held")
        with reader.opened():
            assert reader.read() == b"held"
            with pytest.raises(OSError, match="Bad file descriptor"):
                reader.write(b"x")
    with pytest.raises(ValueError, match="lock the file before using it"):
        reader.read()
    with pytest.raises(ValueError, match="lock the file before using it"):
        reader.write(b"x")


def test_no_child_inherits_the_file(tmp_path: Path) -> None:
    """A program that is started does not keep the lock of the one that started it."""
    file = LockedFile(tmp_path / "file")
    for held in (file.locked, file.opened):
        with held():
            links = {fd: Path(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")}
            (ours,) = [fd for fd, at in links.items() if at.resolve() == tmp_path / "file"]
            assert not os.get_inheritable(int(ours))
        file.close()
