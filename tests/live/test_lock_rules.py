"""One bot a folder and an account, one guard a bot; who holds a lock is named."""

import os
import time
from pathlib import Path

import pytest
from filelock import FileLock

from fractaltrader.errors import UserError
from fractaltrader.live.lock import (
    GUARD_FILE_NAME,
    guard_looked,
    guard_silence,
    holder,
    is_running,
    only_bot,
    only_guard,
    only_trader,
)


def me() -> str:
    """As a lock is signed; asked for when it is used, for a test may run in a fork."""
    return f"process {os.getpid()}"


def test_a_second_bot_in_a_folder_is_refused_by_name(tmp_path: Path) -> None:
    """The process that trades and the way to end it are told; once it has ended, the folder is
    free, whatever ended it."""
    folder = tmp_path / "runs" / "bot"
    assert (is_running(folder), holder(folder)) == (False, None)
    assert not folder.exists()
    with only_bot(folder):
        assert (is_running(folder), holder(folder)) == (True, os.getpid())
        with pytest.raises(UserError) as caught, only_bot(folder):
            pytest.fail("two bots in one folder")
        assert (is_running(folder), holder(folder)) == (True, os.getpid())
    assert str(caught.value) == (f"run: {me()} already trades in {folder}; `fractal stop` ends it")
    assert (is_running(folder), holder(folder)) == (False, None)
    with pytest.raises(ZeroDivisionError), only_bot(folder):
        raise ZeroDivisionError
    with only_bot(folder):
        assert is_running(folder)
    assert (folder / "bot.lock").read_text() == f"{me()}\n"


def test_nobody_waits_for_a_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a bot runs, and that it runs already, is told at once: no time is slept."""
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("a lock was waited for"))
    with only_bot(tmp_path):
        assert is_running(tmp_path)
        with pytest.raises(UserError), only_bot(tmp_path):
            pytest.fail("two bots in one folder")


def test_looking_does_not_take_the_lock(tmp_path: Path) -> None:
    """After anybody has asked whether a bot runs, one can still start."""
    with only_bot(tmp_path):
        pass
    assert not is_running(tmp_path)
    with only_bot(tmp_path):
        assert is_running(tmp_path)


def test_the_guard_has_a_lock_of_its_own(tmp_path: Path) -> None:
    """Bot and guard hold a folder together, two guards do not."""
    with only_bot(tmp_path), only_guard(tmp_path):
        assert is_running(tmp_path, GUARD_FILE_NAME)
        with pytest.raises(UserError) as caught, only_guard(tmp_path):
            pytest.fail("two guards")
    assert str(caught.value) == (
        f"guard: {me()} already watches over the bot in {tmp_path}; one guard is enough"
    )
    assert not is_running(tmp_path, GUARD_FILE_NAME)


def test_a_guard_leaves_the_time_of_its_look(tmp_path: Path) -> None:
    """The silence is counted from the newest look, in seconds; where no guard ever was there is
    none."""
    assert guard_silence(tmp_path, 100.0) is None
    with only_guard(tmp_path):
        file = tmp_path / GUARD_FILE_NAME
        os.utime(file, (1_000.0, 1_000.0))
        assert guard_silence(tmp_path, 1_030.5) == 30.5
        before = time.time() - 1  # the file's clock may lag by a tick of the kernel's
        guard_looked(tmp_path)
        assert file.stat().st_mtime >= before
    assert guard_silence(tmp_path, file.stat().st_mtime + 7) == pytest.approx(7)


def test_an_account_on_a_venue_is_traded_once(tmp_path: Path) -> None:
    """Another account or another venue is another matter."""
    with (
        only_trader(tmp_path, "0xabc", "https://one"),
        only_trader(tmp_path, "0xabd", "https://one"),
        only_trader(tmp_path, "0xabc", "https://two"),
    ):
        again = only_trader(tmp_path, "0xabc", "https://one")
        with pytest.raises(UserError) as caught, again:
            pytest.fail("two bots on one account")
        assert len(list((tmp_path / "locks").glob("*.lock"))) == 3
        assert {len(path.stem) for path in (tmp_path / "locks").glob("*.lock")} == {16}
    assert str(caught.value) == (
        f"run: {me()} already trades account 0xabc on https://one; `fractal stop` ends it"
    )
    with only_trader(tmp_path, "0xabc", "https://one"):
        assert (tmp_path / "locks").is_dir()


def test_a_holder_that_has_not_signed(tmp_path: Path) -> None:
    """Between taking a lock and signing it the holder is unknown, and is no process id."""
    lock = FileLock(tmp_path / "bot.lock")
    with lock:
        assert (is_running(tmp_path), holder(tmp_path)) == (True, None)
        with (
            pytest.raises(UserError, match="run: another process already trades"),
            only_bot(tmp_path),
        ):
            pytest.fail("two bots")
        (tmp_path / "bot.lock").write_text("somebody\n")
        assert holder(tmp_path) is None


def test_a_folder_that_cannot_be_used_says_so(tmp_path: Path) -> None:
    """Where a file stands in the way the folder, the reason and the remedy are told."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError) as caught, only_bot(tmp_path / "file" / "bot"):
        pytest.fail("there is no such folder")
    assert str(caught.value) == (
        f"run: cannot use {tmp_path / 'file' / 'bot'} (Not a directory); set FRACTAL_HOME to a "
        "folder you can write to"
    )
