"""Backup and restore of a run through the command line, and what damage does."""

import gzip
import io
import sqlite3
import sys
import tarfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fractaltrader.cli.main import main
from fractaltrader.errors import UserError
from fractaltrader.exchange.clock import SystemClock
from fractaltrader.live import backup
from fractaltrader.live.backup import MANIFEST, back_up, restore
from fractaltrader.live.ledger import Ledger
from fractaltrader.live.state_manager import StateManager


def a_run(home: Path) -> Path:
    """A run with a state and an incident in its ledger, as a live bot leaves them."""
    folder = home / "runs" / "bot"
    with StateManager(folder, SystemClock()).update() as state:
        state.account, state.venue, state.streak = "0xabc", "http://127.0.0.1:1", -3
    ledger = Ledger(folder)
    ledger.add_incident(1_800_000_000_000, "candles stopped", "BTC")
    ledger.close()
    return folder


def fractal(*arguments: str) -> int:
    sys.argv = ["fractal", *arguments]
    with pytest.raises(SystemExit) as exit_:
        main()
    return int(exit_.value.code or 0)


def test_a_restored_run_is_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On another machine state and history are the same, readable by their owner alone; what
    exists there is not overwritten."""
    a_run(tmp_path / "here")
    monkeypatch.setenv("FRACTAL_HOME", str(tmp_path / "here"))
    file = tmp_path / "bot.tar.gz"
    assert fractal("backup", str(file)) == 0
    assert file.stat().st_mode & 0o777 == 0o600
    assert fractal("backup", str(file)) == 2
    monkeypatch.setenv("FRACTAL_HOME", str(tmp_path / "there"))
    assert fractal("restore", str(file)) == 0
    assert fractal("restore", str(file)) == 2
    folder = tmp_path / "there" / "runs" / "bot"
    assert StateManager(folder, SystemClock()).load().streak == -3
    ledger = Ledger(folder)
    assert [kind for _, kind, _ in ledger.incidents()] == ["candles stopped"]
    ledger.close()


def test_a_backup_while_the_bot_writes_is_whole(tmp_path: Path) -> None:
    """A transaction of the bot that is not yet complete is not in the copy, and is not disturbed:
    neither waits for the other."""
    folder = a_run(tmp_path)
    writer = sqlite3.connect(folder / "ledger.sqlite", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("INSERT INTO incidents (time_ms, kind, detail) VALUES (2, 'half', 'done')")
    back_up(folder, tmp_path / "b.tar.gz", SystemClock())
    writer.execute("COMMIT")
    writer.close()
    restore(tmp_path / "b.tar.gz", tmp_path / "again", SystemClock())
    ledger = Ledger(tmp_path / "again")
    assert [kind for _, kind, _ in ledger.incidents()] == ["candles stopped"]
    ledger.close()


@settings(max_examples=40)
@given(at=st.integers(0, 10**9), bits=st.integers(1, 255), cut=st.booleans(), packed=st.booleans())
def test_a_damaged_backup_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, at: int, bits: int, cut: bool, packed: bool
) -> None:
    """Any byte changed, packed or inside, or any end cut off, is refused with one line and leaves
    nothing, where it is not without meaning."""
    home = tmp_path_factory.mktemp("damaged")
    back_up(a_run(home), home / "b.tar.gz", SystemClock())
    content = bytearray((home / "b.tar.gz").read_bytes())
    if not packed:
        content = bytearray(gzip.decompress(content))
    at %= len(content)
    if cut:
        del content[at:]
    else:
        content[at] ^= bits
    (home / "b.tar.gz").write_bytes(content if packed else gzip.compress(content))
    before = sorted(path.name for path in home.iterdir())
    said, streak = restored(home / "b.tar.gz", home / "again")
    if said is not None:
        assert "\n" not in said
        assert sorted(path.name for path in home.iterdir()) == before
    else:  # the byte was of the archive: a file's owner, or padding
        assert streak == -3


def restored(file: Path, folder: Path) -> tuple[str | None, int]:
    """What the user is told where the file is refused, and the streak of the run otherwise."""
    try:
        return None, restore(file, folder, SystemClock()).state.streak
    except UserError as error:
        return str(error), 0


Files = dict[str, bytes]


def with_a_stranger(files: Files) -> None:
    files["../elsewhere"] = b"x"


def without_manifest(files: Files) -> None:
    del files[MANIFEST]


def without_state(files: Files) -> None:
    del files[".trading_state.json"]


def of_a_later_format(files: Files) -> None:
    files[MANIFEST] = msgspec.json.encode(msgspec.json.decode(files[MANIFEST]) | {"format": 2})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (with_a_stranger, "holds '../elsewhere'; it is no backup"),
        (without_manifest, "has no readable manifest"),
        (without_state, "is damaged: a checksum differs"),
        (of_a_later_format, "has format 2, this program knows 1; use the FractalTrader that wrote"),
    ],
)
def test_what_is_no_backup_of_ours(tmp_path: Path, change, says: str) -> None:  # type: ignore[no-untyped-def]
    """A whole archive with other files, too few, or of a later format is refused; nothing is
    written, not even where a name leads elsewhere."""
    back_up(a_run(tmp_path), tmp_path / "b.tar.gz", SystemClock())
    with tarfile.open(tmp_path / "b.tar.gz") as archive:
        files = {one.name: archive.extractfile(one).read() for one in archive}  # type: ignore[union-attr]
    change(files)
    with tarfile.open(tmp_path / "b.tar.gz", "w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    with pytest.raises(UserError, match=says):
        restore(tmp_path / "b.tar.gz", tmp_path / "again", SystemClock())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.tar.gz", "runs"]


def test_a_file_too_large_to_be_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What would fill the memory is refused by its announced size, before it is read."""
    back_up(a_run(tmp_path), tmp_path / "b.tar.gz", SystemClock())
    monkeypatch.setattr(backup, "MAX_BYTES", 10)
    with pytest.raises(UserError, match="is too large"):
        restore(tmp_path / "b.tar.gz", tmp_path / "again", SystemClock())


def test_a_run_without_a_ledger(tmp_path: Path) -> None:
    """A run that has not yet written history is backed up and restored too."""
    folder = a_run(tmp_path)
    (folder / "ledger.sqlite").unlink()
    assert list(back_up(folder, tmp_path / "b.tar.gz", SystemClock()).sha256) == [
        ".trading_state.json"
    ]
    again = restore(tmp_path / "b.tar.gz", tmp_path / "again", SystemClock())
    assert again.state.streak == -3
    assert not (tmp_path / "again" / "ledger.sqlite").exists()


def overwritten(ledger: Path) -> None:
    content = bytearray(ledger.read_bytes())
    content[-8192:-4096] = b"\xff" * 4096  # a page in the middle of a table
    ledger.write_bytes(content)


def contradictory(ledger: Path) -> None:
    database = sqlite3.connect(ledger)
    database.execute("PRAGMA writable_schema=ON")
    database.execute("UPDATE sqlite_master SET sql = replace(sql, 'detail TEXT', 'detail BLOB')")
    database.execute("CREATE INDEX broken ON incidents (kind)")
    database.execute("UPDATE sqlite_master SET sql = replace(sql, '(kind)', '(detail)')")
    database.commit()
    database.close()


@pytest.mark.parametrize("spoil", [overwritten, contradictory])
def test_a_ledger_that_was_damaged_before_it_was_backed_up(tmp_path: Path, spoil) -> None:  # type: ignore[no-untyped-def]
    """The copy is as damaged as the ledger was, and is not taken for history."""
    folder = a_run(tmp_path)
    ledger = Ledger(folder)
    for number in range(300):
        ledger.add_incident(number, "stream lost", "x" * 200)
    ledger.close()
    spoil(folder / "ledger.sqlite")
    back_up(folder, tmp_path / "b.tar.gz", SystemClock())
    with pytest.raises(UserError, match=r"the ledger in .* is damaged"):
        restore(tmp_path / "b.tar.gz", tmp_path / "again", SystemClock())
    assert not (tmp_path / "again").exists()
