"""The state file by its rules: names, locks, copies in their order, recovery, versions."""

import json
import os
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from filelock import FileLock

from fractaltrader.errors import UserError
from fractaltrader.live import state_manager
from fractaltrader.live.migrations import MIGRATIONS, Document, migrate
from fractaltrader.live.state import ALL_COINS, SCHEMA_VERSION, BotState, Control, Epoch
from fractaltrader.live.state_manager import (
    StateCorruptError,
    StateLockedError,
    StateManager,
    StateTooLargeError,
)
from fractaltrader.risk.breaker_state import BreakerState, Latch, Phase

MINUTE = 60_000
START = 1_700_000_040_000  # a whole minute
NAME = ".trading_state.json"


class StepClock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = START

    def now_ms(self) -> int:
        return self.now


def manager(folder: Path, clock: StepClock | None = None) -> StateManager:
    return StateManager(folder, clock or StepClock(), lock_timeout=0.02)


def save(tested: StateManager, streak: int) -> None:
    with tested.update() as state:
        state.streak = streak


def streaks(folder: Path) -> list[int]:
    """What the file and its backups hold, the newest name first."""
    names = [NAME, *(f"{NAME}.bak{n}" for n in range(1, 8))]
    files = [folder / name for name in names if (folder / name).exists()]
    return [json.loads(file.read_bytes())["state"]["streak"] for file in files]


def test_copies_stand_in_their_order(tmp_path: Path) -> None:
    """The first backup is every save's copy; the others are what stood when a minute began, five in
    all, and saves within a minute move none of them."""
    clock = StepClock()
    tested = manager(tmp_path, clock)
    expected = {0: [0, 0], 1: [1, 1, 0], 2: [2, 2, 1, 0], 3: [3, 3, 2, 1, 0]}
    for minute in range(9):
        clock.now = START + minute * MINUTE
        save(tested, minute)
        newest = range(minute - 1, max(minute - 5, -1), -1)
        assert streaks(tmp_path) == expected.get(minute, [minute, minute, *newest])
    clock.now += MINUTE - 1
    save(tested, 9)
    assert streaks(tmp_path) == [9, 9, 7, 6, 5, 4]
    clock.now += 1
    save(tested, 10)
    assert streaks(tmp_path) == [10, 10, 9, 7, 6, 5]
    assert {path.name for path in tmp_path.iterdir()} == {
        NAME, f"{NAME}.lock", *(f"{NAME}.bak{n}" for n in range(1, 6)),
    }  # fmt: skip


def test_the_copy_is_written_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that refuses the file has taken the copy already; the file is as it was."""
    tested = manager(tmp_path)
    save(tested, 1)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save(tested, 2)
    assert streaks(tmp_path) == [1, 2]


def test_the_document_says_what_it_is(tmp_path: Path) -> None:
    """Version, time and number of the save; each save counts one."""
    clock = StepClock()
    tested = manager(tmp_path, clock)
    for number in (1, 2, 3):
        clock.now += 7
        save(tested, number)
        document = json.loads(tested.path.read_bytes())
        assert (document["schema_version"], document["sequence"]) == (2, number)
        assert (document["saved_ms"], SCHEMA_VERSION) == (START + 7 * number, 2)
    assert tested.recovery is None


def test_an_empty_folder_is_a_new_state_and_a_backup_alone_is_not(tmp_path: Path) -> None:
    """Loading makes nothing where nothing was; where only a copy is left it is the state."""
    tested = manager(tmp_path)
    assert tested.load() == BotState()
    assert [path.name for path in tmp_path.iterdir()] == [f"{NAME}.lock"]
    save(tested, 1)
    tested.path.unlink()
    assert tested.load().streak == 1


def test_the_holder_of_the_lock_is_named(tmp_path: Path) -> None:
    """After the time it waits the update gives up and says who, where and how long; a holder that
    has not signed is unknown. The lock itself is signed, and free afterwards."""
    tested, other = manager(tmp_path), manager(tmp_path)
    with other.update():
        for use in (tested.load, tested.update().__enter__):
            with pytest.raises(StateLockedError) as caught:
                use()
            assert str(caught.value) == (
                f"state lock: {tmp_path / NAME}.lock is held by process {os.getpid()} for more "
                "than 0.02 s; wait for that process or end it"
            )
    lock = tmp_path / f"{NAME}.lock"
    assert lock.read_text() == f"process {os.getpid():<10}\n"
    lock.write_text("")
    with FileLock(lock), pytest.raises(StateLockedError, match="is held by unknown for"):
        tested.load()
    save(tested, 3)
    assert tested.load().streak == 3
    assert state_manager.LOCK_TIMEOUT_SECONDS == 10
    assert state_manager.POLL_SECONDS < 0.05  # the library's own would starve one of several


def test_nothing_is_written_when_the_change_fails(tmp_path: Path) -> None:
    """What raised passes through, the file stays, and the lock is free."""
    tested = manager(tmp_path)
    save(tested, 1)
    with pytest.raises(ZeroDivisionError), tested.update() as state:
        state.streak = 2 // 0
    assert streaks(tmp_path) == [1, 1]
    with tested.update(), pytest.raises(RuntimeError, match="an update inside an update"):
        tested.load()
    assert tested.load().streak == 1


def test_a_reader_takes_no_lock_and_recovers_nothing(tmp_path: Path) -> None:
    """It reads beside a holder, and leaves damage and absence to the bot."""
    tested = manager(tmp_path)
    with pytest.raises(StateCorruptError, match="the bot recovers it when it starts"):
        tested.read()
    save(tested, 1)
    with manager(tmp_path).update():
        assert tested.read().streak == 1
    tested.path.write_bytes(tested.path.read_bytes().replace(b'"streak":1', b'"streak":2'))
    with pytest.raises(StateCorruptError, match=r"cannot be read \(checksum differs"):
        tested.read()
    assert (tested.recovery, len(list(tmp_path.glob("*.broken-*")))) == (None, 0)


def test_the_largest_document(tmp_path: Path) -> None:
    """256 KiB are written, a byte more is not, and then neither file nor copy changes."""
    tested = manager(tmp_path)
    save(tested, 1)
    room = 256 * 1024 - tested.path.stat().st_size
    with tested.update() as state:
        state.account = "x" * room
    assert tested.path.stat().st_size == 256 * 1024
    with pytest.raises(StateTooLargeError) as caught, tested.update() as state:
        state.account += "x"
    assert str(caught.value) == f"state: {256 * 1024 + 1} bytes are more than {256 * 1024}"
    assert len(tested.load().account) == room
    assert (tmp_path / f"{NAME}.bak1").stat().st_size == 256 * 1024


def damaged(tested: StateManager, *backups: int) -> None:
    """Spoil the file's content, not its head, and empty these backups."""
    content = tested.path.read_bytes()
    tested.path.write_bytes(content.replace(b'"streak":', b'"streak": '))
    for number in backups:
        tested.path.with_name(f"{NAME}.bak{number}").write_bytes(b"")


def saved_every_half_minute(folder: Path, count: int) -> StateManager:
    clock = StepClock()
    tested = manager(folder, clock)
    for streak in range(count):
        save(tested, streak)
        clock.now += MINUTE // 2
    return tested


def test_the_copy_of_the_last_save_costs_nothing(tmp_path: Path) -> None:
    """Damage to the file alone: its copy is used, nothing is lost, and the file is whole again."""
    tested = saved_every_half_minute(tmp_path, 4)
    with tested.update() as state:
        state.breaker.latches["errors"] = Latch(phase=Phase.OPEN)  # type: ignore[index]
        state.breaker.latches["drawdown"] = Latch()  # type: ignore[index]
        state.epochs["BTC"] = Epoch(intent=None, size=Decimal(1), opened_ms=1)
    damaged(tested)
    assert tested.load().streak == 3
    assert str(tested.recovery) == (
        f"{NAME}.bak1, saved at 2023-11-14T22:16:00Z, was used: 1 positions, 0 open intentions, "
        "breaker errors; nothing was lost; the damaged file is kept as "
        f"{NAME}.broken-{START + 2 * MINUTE}"
    ).replace("2023-11-14T22:16:00Z", str(tested.recovery).split(" saved at ")[1].split(",")[0])
    assert tested.recovery is not None
    assert (tested.recovery.lost_updates, tested.recovery.saved_ms) == (0, START + 2 * MINUTE)
    assert tested.path.read_bytes() == (tmp_path / f"{NAME}.bak1").read_bytes()
    assert manager(tmp_path).load().streak == 3


def test_an_older_backup_lacks_what_is_counted(tmp_path: Path) -> None:
    """With copy and newest backup gone too the next one is used; the damaged file's head tells how
    many updates are lost, its absence that nobody knows."""
    tested = saved_every_half_minute(tmp_path, 6)
    assert streaks(tmp_path) == [5, 5, 3, 1]
    damaged(tested, 1, 2)
    assert tested.load().streak == 1
    assert tested.recovery is not None
    assert (tested.recovery.lost_updates, tested.recovery.backup.name) == (4, f"{NAME}.bak3")
    assert "4 newer updates are lost" in str(tested.recovery)
    assert "breaker closed" in str(tested.recovery)
    again = saved_every_half_minute(tmp_path / "again", 6) if _made(tmp_path / "again") else tested
    again.path.unlink()
    (tmp_path / "again" / f"{NAME}.bak1").write_bytes(b"{")
    assert again.load().streak == 3
    assert again.recovery is not None
    assert (again.recovery.broken_file, again.recovery.lost_updates) == (None, None)
    assert str(again.recovery).endswith("what was saved after it, if anything, is lost")


def _made(folder: Path) -> bool:
    folder.mkdir()
    return True


def test_a_head_that_tells_nothing(tmp_path: Path) -> None:
    """A file damaged from its first byte, or one that claims to be older than its backup, does not
    tell what is lost."""
    for content in (b"{damaged", b'{"sequence":1}'):
        for path in tmp_path.iterdir():
            path.unlink()
        tested = saved_every_half_minute(tmp_path, 4)
        tested.path.write_bytes(content)
        (tmp_path / f"{NAME}.bak1").write_bytes(b"")
        assert tested.load().streak == 1
        assert tested.recovery is not None
        assert tested.recovery.lost_updates is None
    tested.path.write_bytes(b'{"sequence":2}')
    (tmp_path / f"{NAME}.bak1").write_bytes(b"")
    tested.load()
    assert tested.recovery.lost_updates == 0


def test_five_damaged_files_are_kept(tmp_path: Path) -> None:
    """The newest five, by the time they were set aside."""
    clock = StepClock()
    tested = manager(tmp_path, clock)
    save(tested, 1)
    for _ in range(7):
        clock.now += 1
        tested.path.write_bytes(b"{")
        assert tested.load().streak == 1
    kept = sorted(path.name for path in tmp_path.glob("*.broken-*"))
    assert kept == [f"{NAME}.broken-{START + n}" for n in range(3, 8)]


def test_without_a_readable_backup_nothing_changes(tmp_path: Path) -> None:
    """Damaged or missing, with nothing to recover from, the operator decides; all stays."""
    tested = saved_every_half_minute(tmp_path, 2)
    damaged(tested, 1)
    before = tested.path.read_bytes()
    with pytest.raises(StateCorruptError, match="is damaged and no backup is readable"):
        save(tested, 9)
    assert tested.path.read_bytes() == before
    assert [path.name for path in tmp_path.glob("*.broken-*")] == []
    tested.path.unlink()
    with pytest.raises(StateCorruptError, match="nothing was changed"):
        tested.load()
    assert not tested.path.exists()


def test_a_newer_program_is_not_understood(tmp_path: Path) -> None:
    """The next version is refused by name, as the file is and as a backup would be."""
    tested = manager(tmp_path)
    save(tested, 1)
    document = json.loads(tested.path.read_text()) | {"schema_version": 3}
    tested.path.write_text(json.dumps(document))
    with pytest.raises(UserError) as caught:
        tested.load()
    assert str(caught.value) == (
        f"state: {tested.path} has schema version 3, this program knows 2; run the newer "
        "FractalTrader that wrote it"
    )
    assert json.loads(tested.path.read_text())["schema_version"] == 3


def test_versions_are_migrated_one_by_one() -> None:
    """Version 1 loses its stop flag and nothing else; today's is left alone; others are unknown."""
    assert migrate({"control": {"stop": True}, "streak": 2}, 1) == {"streak": 2}
    assert migrate({"streak": 2}, 1) == {"streak": 2}
    assert migrate({"control": 1}, 2) == {"control": 1}
    for unknown in (0, -1):
        with pytest.raises(ValueError, match=f"schema version {unknown} is not known"):
            migrate({}, unknown)


def test_every_version_between_is_migrated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three versions behind there are three steps, in their order."""
    monkeypatch.setitem(migrate.__globals__, "SCHEMA_VERSION", 4)

    def step(number: int) -> Callable[[Document], Document]:
        return lambda document: {"done": [*document["done"], number]}

    for number in (1, 2, 3):
        monkeypatch.setitem(MIGRATIONS, number, step(number))
    assert migrate({"done": []}, 1) == {"done": [1, 2, 3]}
    assert migrate({"done": []}, 3) == {"done": [3]}


def test_a_file_of_an_older_version_takes_its_migration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the step changes is loaded; version 1 did not count its saves, so the next is the
    first."""
    monkeypatch.setitem(MIGRATIONS, 1, lambda document: document | {"streak": 7})
    tested = manager(tmp_path)
    save(tested, 1)
    document = json.loads(tested.path.read_bytes()) | {"schema_version": 1}
    del document["sequence"]
    tested.path.write_text(json.dumps(document, separators=(",", ":")))
    assert tested.load().streak == 7
    with tested.update() as state:
        assert state.streak == 7
    assert json.loads(tested.path.read_bytes())["sequence"] == 1
    assert (tested.load().streak, tested.recovery) == (7, None)


def test_a_new_state_knows_nothing() -> None:
    """What a file lacks reads as nothing done, nothing open and nothing asked."""
    assert msgspec.to_builtins(BotState()) == {
        "account": "", "venue": "", "intents": {}, "epochs": {}, "adopted": {}, "decided": {},
        "streak": 0, "opening_equity": None, "opening_positions": {}, "opening_value": "0",
        "ledger_since_ms": 0, "fills_complete_ms": 0, "transferred": "0",
        "breaker": msgspec.to_builtins(BreakerState()), "paused": False, "flattening": [],
        "control": {"last_number": 0, "pending": [], "acknowledged": []}, "heartbeat_ms": 0,
        "ended": False, "pid": 0,
    }  # fmt: skip
    epoch = Epoch(intent=None, size=Decimal(1), opened_ms=5)
    assert (epoch.realized_pnl, epoch.repairs) == (0, 0)
    assert (Control().last_number, ALL_COINS) == (0, "*")
