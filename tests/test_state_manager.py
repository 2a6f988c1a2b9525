"""The state file under several real processes, kills and damage."""

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fractaltrader.errors import UserError
from fractaltrader.exchange.clock import SystemClock
from fractaltrader.live.control import ACKNOWLEDGED_KEPT, PENDING_LIMIT, Verb, request
from fractaltrader.live.state import (
    SCHEMA_VERSION,
    Acknowledgement,
    Command,
    Control,
    Epoch,
    Intent,
)
from fractaltrader.live.state_manager import (
    BACKUPS,
    MAX_BYTES,
    StateCorruptError,
    StateLockedError,
    StateManager,
    StateTooLargeError,
)
from fractaltrader.risk.breaker import Breaker
from fractaltrader.risk.breaker_parameters import BreakerParameters
from fractaltrader.risk.breaker_state import BreakerState
from fractaltrader.validation.hammer import hammer_state

SPAWN = multiprocessing.get_context("spawn")
PROCESSES = 4
UPDATES = 25
RECORDED = Path(__file__).parent / "live" / "recorded"


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
    assert manager.load().streak == BACKUPS + 2
    assert manager.recovery is not None
    assert (manager.recovery.broken_file is None) == (damage == "missing")
    assert "nothing was lost" in str(manager.recovery)
    assert len(list(tmp_path.glob("*.bak*"))) == BACKUPS


def test_recovery_from_an_older_backup_says_what_is_lost(tmp_path: Path) -> None:
    """With the file and its copy damaged, the last minute's backup is used and the updates that it
    lacks are counted from what the damaged file still tells."""
    clock = StepClock()
    manager = StateManager(tmp_path, clock)
    for streak in range(10):
        clock.now += 20_000
        with manager.update() as state:
            state.streak = streak
    manager.path.write_bytes(manager.path.read_bytes().replace(b'"streak":9', b'"streak":8'))
    manager.path.with_name(f"{manager.path.name}.bak1").write_bytes(b"")
    recovered = manager.load().streak
    assert manager.recovery is not None
    assert manager.recovery.lost_updates == 9 - recovered > 0
    assert f"{9 - recovered} newer updates are lost" in str(manager.recovery)
    assert "0 positions, 0 open intentions, breaker closed" in str(manager.recovery)


def test_version_1_is_migrated(tmp_path: Path) -> None:
    """A file that version 1 wrote loads whole, with the new fields at their defaults and without
    its stop flag, which was meant for a process that has ended; the next save is version 2."""
    manager = StateManager(tmp_path, StepClock())
    shutil.copy(RECORDED / "trading_state_v1.json", manager.path)
    with manager.update() as state:
        pass
    assert (state.account, state.streak, state.pid) == ("0x" + "19" * 20, -2, 4242)
    assert state.intents["ETH"].limit == Decimal("91020")
    assert state.epochs["BTC"].realized_pnl == Decimal("-0.41")
    assert state.opening_equity == Decimal("10000.0")
    assert (state.control, state.breaker) == (Control(), BreakerState())
    assert json.loads(manager.path.read_text())["schema_version"] == SCHEMA_VERSION == 2
    assert manager.load() == state
    assert manager.recovery is None


def test_an_unknown_old_version_is_damage(tmp_path: Path) -> None:
    """A version that never was is not guessed at."""
    manager = StateManager(tmp_path, StepClock())
    shutil.copy(RECORDED / "trading_state_v1.json", manager.path)
    document = json.loads(manager.path.read_text()) | {"schema_version": 0}
    manager.path.write_text(json.dumps(document))
    with pytest.raises(StateCorruptError):
        manager.load()


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


def test_an_update_inside_an_update_of_the_same_manager_is_refused(tmp_path: Path) -> None:
    """The lock would let its own process in; the manager does not."""
    manager = StateManager(tmp_path, StepClock())
    with manager.update(), pytest.raises(RuntimeError, match="inside an update"), manager.update():
        pytest.fail("nested")


@pytest.mark.integration
def test_the_lock_of_a_dead_process_is_free(tmp_path: Path) -> None:
    """A holder that was killed leaves its lock file behind, but not its lock."""
    held, never = SPAWN.Event(), SPAWN.Event()
    holder = SPAWN.Process(target=_hold_lock, args=(tmp_path, held, never))
    holder.start()
    assert held.wait(60)
    assert holder.pid is not None
    os.kill(holder.pid, signal.SIGKILL)
    holder.join(60)
    manager = StateManager(tmp_path, SystemClock(), lock_timeout=0)
    with manager.update() as state:
        assert state.streak == 0


@pytest.mark.integration
@pytest.mark.slow
def test_eight_writers_hammer_one_file(tmp_path: Path) -> None:
    """For four seconds: no read finds damage, no update that was acknowledged is missing."""
    report = hammer_state(tmp_path, writers=8, seconds=4)
    assert (report.corrupt, report.lost, report.gave_up) == (0, 0, 0)
    assert report.acknowledged > 100
    assert report.reads > 100


NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
AMOUNTS = st.decimals(allow_nan=False, allow_infinity=False, places=8).filter(
    lambda amount: abs(amount) < 10**18
)


def _worst_intent(coin: str, amount: Decimal) -> Intent:
    return Intent(
        coin=coin,
        strategy="s" * 64,
        bar_time=2**53,
        side=-1,
        size=amount,
        limit=amount,
        stop=amount,
        target=amount,
        entry_cloid="0x" + "a" * 32,
        stop_cloid="0x" + "b" * 32,
        target_cloid="0x" + "c" * 32,
        created_ms=2**53,
        expires_ms=2**53,
    )


@given(reason=st.text(max_size=2_000), coin=NAMES, amount=AMOUNTS)
@settings(max_examples=15, deadline=None)
def test_the_file_is_bounded_whatever_is_stored(
    tmp_path_factory: pytest.TempPathFactory, reason: str, coin: str, amount: Decimal
) -> None:
    """The most of everything: 50 positions and 20 intentions of the bot on a venue of 250 coins, a
    breaker tripped by every cause with its longest reasons and fullest rings, the control queue
    full. It stays within 256 KB."""
    manager = StateManager(tmp_path_factory.mktemp("worst"), StepClock())
    parameters = BreakerParameters(max_errors=500, max_rejected_orders=100, rejected_orders_of=100)
    breaker = Breaker(parameters, BreakerState())
    for n in range(600):
        breaker.error(2**44 + n, reason)
        breaker.order(2**44 + n, reason)
        breaker.reconciled(2**44 + n, reason)
    breaker.critical(2**44, reason)
    with manager.update() as state:
        for n in range(250):
            name = f"{coin}{n}"
            intent = _worst_intent(name, amount)
            state.decided[name] = 2**53
            if n < 20:
                state.intents[name] = intent
            state.epochs[name] = Epoch(
                intent=intent if n < 50 else None, size=amount, opened_ms=2**53
            )
            state.flattening.append(name)
        state.breaker = breaker.state
        state.control.pending = [
            Command(number=2**53, verb=Verb.RESET_BREAKER, argument="x" * 64, requested_ms=2**53)
        ] * PENDING_LIMIT
        state.control.acknowledged = [
            Acknowledgement(number=2**53, verb=Verb.FLATTEN, result="x" * 200, time_ms=2**53)
        ] * ACKNOWLEDGED_KEPT
    with pytest.raises(UserError, match="the bot does not answer"):
        request(manager, Verb.FLATTEN, coin, 1)
    assert manager.path.stat().st_size <= MAX_BYTES == 256 * 1024


def test_a_state_beyond_the_ceiling_is_not_written(tmp_path: Path) -> None:
    """Whatever a bug may store, the file on disk stays as it was."""
    manager = StateManager(tmp_path, StepClock())
    with manager.update() as state:
        state.streak = 1
    before = manager.path.read_bytes()
    with pytest.raises(StateTooLargeError), manager.update() as state:
        state.account = "x" * MAX_BYTES
    assert manager.path.read_bytes() == before
    assert manager.load().streak == 1
