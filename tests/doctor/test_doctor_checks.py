"""Each thing that can be wrong is found, alone, with its remedy; what is fine is left alone."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest
from filelock import FileLock

from fractaltrader.config import Config
from fractaltrader.doctor import machine
from fractaltrader.doctor.budget import budgets
from fractaltrader.doctor.files import key_files, state_files
from fractaltrader.doctor.finding import Finding
from fractaltrader.doctor.runs import runs
from fractaltrader.exchange.budget_parameters import BudgetParameters, Priority
from fractaltrader.exchange.clock import MonotonicClock
from fractaltrader.exchange.limiter import Limiter, budget_path
from fractaltrader.exchange.limits import Cost
from fractaltrader.keys.keystore import Keystore
from fractaltrader.live.lock import GUARD_FILE_NAME, only_bot
from fractaltrader.live.state import Epoch
from fractaltrader.live.state_manager import StateManager
from fractaltrader.simulator.virtual_time import SteppedClock

NOW_MS = 1_750_000_000_000
URL = "https://api.hyperliquid.xyz"


def told(findings: list[Finding]) -> list[str]:
    """What is not fine, as level and text."""
    bad = [one for one in findings if one.level != "ok"]
    assert all(one.remedy for one in bad)
    return [f"{one.level} {one.check}: {one.found}" for one in bad]


@pytest.mark.parametrize(
    ("version", "level"),
    [((3, 10, 9), "problem"), ((3, 11, 0), "ok"), ((3, 13, 2), "ok"), ((3, 14, 0), "warning")],
)
def test_the_interpreter(version: tuple[int, int, int], level: str) -> None:
    """What the tests run on is fine, older is a problem, newer a warning."""
    assert machine.python(version).level == level


def test_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Room for a month is fine, less a warning, next to none a problem; the folder need not be
    there yet."""
    home = tmp_path / "not" / "there"
    levels = []
    for free in (2_000_000_000, 500_000_000, 50_000_000):
        usage = type("Usage", (), {"free": free})()
        monkeypatch.setattr("shutil.disk_usage", lambda path, usage=usage: usage)
        levels.append(str(machine.disk(home).level))
    assert levels == ["ok", "warning", "problem"]
    assert machine.folder(home).level == "ok"
    (tmp_path / "not").write_text("a file")
    assert "is not a folder" in machine.folder(home).found
    monkeypatch.setattr("os.access", lambda *_: False)  # root may write everywhere
    assert f"{tmp_path} cannot be written" in machine.folder(tmp_path / "new").found


def test_the_environment() -> None:
    """A misspelt variable is named with the nearest one; a secret in a variable is a warning that
    does not show it."""
    assert told(machine.environment({"FRACTAL_HOME": "/x", "HOME": "/y"})) == []
    (misspelt,) = told(machine.environment({"FRACTAL_HOEM": "/x"}))
    assert "FRACTAL_HOEM is not read; did you mean 'FRACTAL_HOME'" in misspelt
    (secret,) = told(machine.environment({"FRACTAL_PRIVATE_KEY": "0xsecret"}))
    assert "0xsecret" not in secret


def test_key_files(tmp_path: Path) -> None:
    """A key that others can read, a damaged one, an open folder and an open password file are
    each found; whole private ones are not."""
    store, password = Keystore(tmp_path / "keys"), tmp_path / "password"
    for name in ("bot", "guard"):
        store.create(name, name.encode().ljust(32, b"\1"), "correct horse", scrypt_n=2)
    password.write_text("correct horse")
    password.chmod(0o600)
    environment = {"FRACTAL_PASSWORD_FILE": str(password)}
    assert told(key_files(tmp_path, environment)) == []
    store.path("bot").chmod(0o640)
    store.path("guard").write_text("{}")
    password.chmod(0o644)
    wide, damaged, opened = told(key_files(tmp_path, environment))
    assert "mode 0640" in wide
    assert "is damaged" in damaged
    assert "mode 0644" in opened
    store.folder.chmod(0o755)
    assert "mode 0755" in told(key_files(tmp_path, {}))[0]


@pytest.fixture
def manager(tmp_path: Path) -> StateManager:
    """The state of run `bot`, ended as told a minute ago."""
    made = StateManager(tmp_path / "runs" / "bot", SteppedClock(NOW_MS))
    with made.update() as state:
        state.heartbeat_ms, state.ended, state.pid = NOW_MS - 60_000, True, 7
    return made


def look(manager: StateManager) -> list[str]:
    return told(runs(manager.path.parents[2], Config(), SteppedClock(NOW_MS)))


def test_state_files(manager: StateManager) -> None:
    """A state that others can write is a problem."""
    home = manager.path.parents[2]
    assert told(state_files(home)) == []
    manager.path.chmod(0o666)
    (found,) = told(state_files(home))
    assert "mode 0666: others can change it" in found


def crashed(manager: StateManager) -> None:
    with manager.update() as state:
        state.ended = False


def open_position(manager: StateManager) -> None:
    with manager.update() as state:
        state.epochs["BTC"] = Epoch(intent=None, size=Decimal(1), opened_ms=1)


def truncated(manager: StateManager) -> None:
    manager.path.write_bytes(manager.path.read_bytes()[:-9])


def set_aside(manager: StateManager) -> None:
    manager.path.with_name(f"{manager.path.name}.broken-1").write_text("x")


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (crashed, "warning run bot: ended without being told to, 60 s ago"),
        (open_position, "warning run bot: was stopped with 1 open positions, whose stops rest"),
        (truncated, "problem run bot: state: .* cannot be read"),
        (set_aside, "warning run bot: 1 damaged state files were set aside"),
    ],
)
def test_a_run_that_is_over(
    manager: StateManager, spoil: Callable[[StateManager], None], expected: str
) -> None:
    """A clean end is fine; a crash, positions nobody watches and damage are told."""
    assert look(manager) == []
    spoil(manager)
    (found,) = look(manager)
    assert re.match(expected, found)


def test_a_run_that_goes_on(manager: StateManager) -> None:
    """A beating heart is fine; a process that lives without one hangs; a heartbeat in the future
    means a clock that was set."""
    with only_bot(manager.path.parent):
        (hangs,) = look(manager)
        assert hangs == ("problem run bot: process 7 lives but its last heartbeat was 60 s ago")
        for beat, count in ((NOW_MS - 2_000, 0), (NOW_MS + 60_000, 1)):
            with manager.update() as state:
                state.heartbeat_ms = beat
            found = look(manager)
            assert len(found) == count
            assert all("60 s in the future" in one for one in found)


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Another holder of the lock at `path`."""
    lock = FileLock(path, timeout=0, is_singleton=False)
    with lock:
        path.write_text(f"process {os.getpid()}\n")
        yield


def test_a_lock_that_is_not_given_back(
    manager: StateManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A state lock that stays held is a problem that names its holder; one left by a dead process
    is none."""
    monkeypatch.setattr("fractaltrader.doctor.runs.LOCK_PATIENCE_SECONDS", 0.05)
    lock = manager.path.with_name(f"{manager.path.name}.lock")
    lock.write_text("process 99\n")
    assert look(manager) == []
    with held(lock):
        (stuck,) = look(manager)
        lock.write_text("")  # of a holder that had no time to write its name
        (nameless,) = look(manager)
    assert f"process {os.getpid()} holds the state's lock" in stuck
    assert "a process holds the state's lock" in nameless
    assert look(manager) == []
    lock.unlink()  # as in a run that was restored from a backup
    assert look(manager) == []


def test_mainnet_without_a_guard(manager: StateManager) -> None:
    """A bot that trades real money without a guard is a warning, and none with one."""
    config = Config.from_tables({"venue": {"mode": "mainnet"}}, "test")
    home, clock = manager.path.parents[2], SteppedClock(NOW_MS)
    with manager.update() as state:
        state.heartbeat_ms = NOW_MS
    with only_bot(manager.path.parent):
        (found,) = told(runs(home, config, clock))
        assert "runs without a guard" in found
        with held(manager.path.with_name(GUARD_FILE_NAME)):
            assert told(runs(home, config, clock)) == []


def test_budgets(tmp_path: Path) -> None:
    """A 429 and an address that is short of actions are told; a quiet venue is not."""
    clock, params = MonotonicClock(), BudgetParameters()
    limiter = Limiter(budget_path(tmp_path, URL), clock, spender="bot:1", rng=Random(1))
    limiter.learn_address("0x" + "ab" * 20, 100, 10_000)
    assert told(budgets(tmp_path, params, clock.now_ms())) == []
    limiter.learn_address("0x" + "ab" * 20, 9_800, 10_000)
    (short,) = told(budgets(tmp_path, params, clock.now_ms()))
    assert "has 200 actions left" in short
    ticket = limiter.acquire_at_once(Cost("info", 20), Priority.INFORM)
    assert ticket is not None
    limiter.refused(ticket)
    slowed, _ = told(budgets(tmp_path, params, clock.now_ms()))
    assert "weight" in slowed
    assert "slowed down after HTTP 429" in slowed
    limiter.close()
