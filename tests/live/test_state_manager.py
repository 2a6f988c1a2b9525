"""The state file under several real processes, kills and damage."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from fractaltrader.errors import UserError
from fractaltrader.exchange.clock import SystemClock
from fractaltrader.live.state_manager import (
    BACKUPS,
    StateCorruptError,
    StateLockedError,
    StateManager,
)

SPAWN = multiprocessing.get_context("spawn")
PROCESSES = 4
UPDATES = 25


class StepClock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = 1_700_000_000_000

    def now_ms(self) -> int:
        return self.now


def _count_up(folder: Path, barrier) -> None:  # type: ignore[no-untyped-def]
    manager = StateManager(folder, SystemClock(), lock_timeout=60)
    barrier.wait()
    for _ in range(UPDATES):
        with manager.update() as state:
            state.streak += 1


def _own_counter(folder: Path, coin: str, barrier) -> None:  # type: ignore[no-untyped-def]
    manager = StateManager(folder, SystemClock(), lock_timeout=60)
    barrier.wait()
    for expected in range(UPDATES):
        with manager.update() as state:
            if state.decided.get(coin, 0) != expected:
                sys.exit(f"{coin}: update {expected} was lost, found {state.decided.get(coin)}")
            state.decided[coin] = expected + 1
        if manager.load().decided[coin] != expected + 1:
            sys.exit(f"{coin}: update {expected} is not in what was loaded")


def _hold_lock(folder: Path, held, release) -> None:  # type: ignore[no-untyped-def]
    with StateManager(folder, SystemClock()).update() as state:
        state.streak = 7
        held.set()
        release.wait()


def _run_all(processes) -> None:  # type: ignore[no-untyped-def]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * len(processes)


@pytest.mark.integration
def test_concurrent_access_with_file_locking(tmp_path: Path) -> None:
    """Several processes that count at the same moment lose not one of their updates."""
    barrier = SPAWN.Barrier(PROCESSES)
    _run_all([SPAWN.Process(target=_count_up, args=(tmp_path, barrier)) for _ in range(PROCESSES)])
    assert StateManager(tmp_path, SystemClock()).load().streak == PROCESSES * UPDATES


@pytest.mark.integration
def test_file_lock_acquisition(tmp_path: Path) -> None:
    """While another process holds the lock an update waits, gives up naming it, changes nothing."""
    held, release = SPAWN.Event(), SPAWN.Event()
    holder = SPAWN.Process(target=_hold_lock, args=(tmp_path, held, release))
    holder.start()
    assert held.wait(60)
    impatient = StateManager(tmp_path, SystemClock(), lock_timeout=0.2)
    try:
        with pytest.raises(StateLockedError, match=f"process {holder.pid}"), impatient.update():
            pytest.fail("the update ran although the lock was held")
        assert not impatient.path.exists()
    finally:
        release.set()
        holder.join(60)
    assert impatient.load().streak == 7


@pytest.mark.integration
def test_file_lock_with_load_and_save(tmp_path: Path) -> None:
    """Processes that load and save in turn always find their own last update."""
    barrier = SPAWN.Barrier(PROCESSES)
    coins = [f"COIN{n}" for n in range(PROCESSES)]
    _run_all([SPAWN.Process(target=_own_counter, args=(tmp_path, coin, barrier)) for coin in coins])
    state = StateManager(tmp_path, SystemClock()).load()
    assert state.decided == dict.fromkeys(coins, UPDATES)


def test_an_update_inside_an_update_is_kept_out(tmp_path: Path) -> None:
    """A second writer between read and write of the first is refused: no lost update."""
    first = StateManager(tmp_path, StepClock())
    second = StateManager(tmp_path, StepClock(), lock_timeout=0.05)
    with first.update() as state:
        state.streak = 1
        with pytest.raises(StateLockedError), second.update() as other:
            other.streak = 2
    assert second.load().streak == 1


_COUNTER = """
import sys
from pathlib import Path
from fractaltrader.exchange.clock import SystemClock
from fractaltrader.live.state_manager import StateManager
manager = StateManager(Path(sys.argv[1]), SystemClock())
while True:
    with manager.update() as state:
        state.streak += 1
    print(state.streak, flush=True)
"""


@pytest.mark.integration
def test_kill_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """After kill -9 the file is whole and holds at least the last acknowledged update."""
    manager = StateManager(tmp_path, SystemClock())
    for acknowledgements in (1, 3, 8):
        with subprocess.Popen(
            [sys.executable, "-c", _COUNTER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            for _ in range(acknowledgements):
                line = process.stdout.readline()
            process.send_signal(signal.SIGKILL)
            acknowledged = int((process.stdout.read().split() or [line])[-1])
        assert acknowledged <= manager.load().streak <= acknowledged + 1
    assert manager.recovery is None


def test_failed_write_keeps_the_old_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk refuses a write the caller hears of it and the old state stays."""
    manager = StateManager(tmp_path, StepClock())
    with manager.update() as state:
        state.opening_equity = Decimal("10000.01")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"), manager.update() as state:
        state.opening_equity = Decimal(1)
    assert manager.load().opening_equity == Decimal("10000.01")


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "missing"])
def test_damage_is_recovered_from_the_newest_backup(tmp_path: Path, damage: str) -> None:
    """A damaged file is set aside, the newest valid backup used, and the recovery reported."""
    clock = StepClock()
    manager = StateManager(tmp_path, clock)
    for streak in range(BACKUPS + 3):
        clock.now += 60_000
        with manager.update() as state:
            state.streak = streak
    content = manager.path.read_bytes()
    if damage == "missing":
        manager.path.unlink()
    else:
        broken = {
            "truncate": content[:-20],
            "flip": content.replace(b'"streak":7', b'"streak":9'),
            "empty": b"",
        }[damage]
        manager.path.write_bytes(broken)
    assert manager.load().streak == BACKUPS + 1
    assert manager.recovery is not None
    assert (manager.recovery.broken_file is None) == (damage == "missing")
    assert len(list(tmp_path.glob("*.bak*"))) == BACKUPS


def test_damage_without_backup_changes_nothing(tmp_path: Path) -> None:
    """Without a readable backup the manager refuses and leaves the damaged file as it is."""
    manager = StateManager(tmp_path, StepClock())
    manager.path.write_bytes(b"{damaged")
    with pytest.raises(StateCorruptError, match="nothing was changed"):
        manager.load()
    assert manager.path.read_bytes() == b"{damaged"


def test_newer_schema_is_refused(tmp_path: Path) -> None:
    """A file of a newer program is neither read nor replaced by a backup."""
    manager = StateManager(tmp_path, StepClock())
    with manager.update():
        pass
    document = json.loads(manager.path.read_text()) | {"schema_version": 99}
    manager.path.write_text(json.dumps(document))
    with pytest.raises(UserError, match="schema version 99"):
        manager.load()


def test_size_stays_small(tmp_path: Path) -> None:
    """A state with twenty open positions and intentions stays under its ceiling of 64 kB."""
    from fractaltrader.live.state import Epoch, Intent

    manager = StateManager(tmp_path, StepClock())
    amount = Decimal("12345.678901")
    with manager.update() as state:
        for n in range(20):
            intent = Intent(
                coin=f"COIN{n}",
                strategy="liquidity_sweep",
                bar_time=1_700_000_000_000,
                side=1,
                size=amount,
                limit=amount,
                stop=amount,
                target=amount,
                entry_cloid="0x" + "a" * 32,
                stop_cloid="0x" + "b" * 32,
                target_cloid="0x" + "c" * 32,
                created_ms=1_700_000_000_000,
                expires_ms=1_700_000_010_000,
            )
            state.intents[intent.coin] = intent
            state.epochs[intent.coin] = Epoch(intent=intent, size=amount, opened_ms=1)
    assert manager.path.stat().st_size < 64_000
