"""A process that writes the state is killed at a thousand random moments."""

import subprocess
import sys
from pathlib import Path

import pytest

from fractaltrader.exchange.clock import SystemClock
from fractaltrader.live.state_manager import StateCorruptError, StateManager

KILLS = 1_000
LONGEST_LIFE_SECONDS = 0.004

# Forks writers one after the other, each killed by its parent after a random while; a start of
# Python for each would take minutes. An update is acknowledged by a byte in a pipe.
_KILLER = f"""
import os, random, select, signal, sys, time
from pathlib import Path
from fractaltrader.exchange.clock import SystemClock
from fractaltrader.live.state_manager import StateManager
folder, rng = Path(sys.argv[1]), random.Random(20261122)
StateManager(folder, SystemClock()).load()
counted = killed_while_writing = 0
for kill in range({KILLS}):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        manager = StateManager(folder, SystemClock())
        while True:
            with manager.update() as state:
                state.streak += 1
            os.write(writer, b"x")
    select.select([reader], [], [], 60)  # one that is at work
    time.sleep(rng.random() * {LONGEST_LIFE_SECONDS})
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(writer)
    acknowledged = 0
    while got := os.read(reader, 65536):
        acknowledged += len(got)
    os.close(reader)
    manager = StateManager(folder, SystemClock())
    held = manager.load().streak
    assert manager.recovery is None, str(manager.recovery)
    assert counted + acknowledged <= held <= counted + acknowledged + 1, (kill, counted, held)
    killed_while_writing += held - counted - acknowledged
    counted = held
print(counted, killed_while_writing)
"""


@pytest.mark.slow
@pytest.mark.integration
def test_a_thousand_kills_lose_nothing(tmp_path: Path) -> None:
    """After each of 1,000 SIGKILLs the state is whole and holds every acknowledged update; some
    of the kills hit between the write and its acknowledgement."""
    done = subprocess.run(
        [sys.executable, "-c", _KILLER, tmp_path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    counted, unacknowledged = map(int, done.stdout.split())
    assert counted >= KILLS
    assert unacknowledged > 0
    assert StateManager(tmp_path, SystemClock()).read().streak == counted


def test_a_reader_neither_recovers_nor_writes(tmp_path: Path) -> None:
    """`read`, which `fractal status` uses, refuses a damaged file and changes no byte of any."""
    manager = StateManager(tmp_path, SystemClock())
    for streak in range(3):
        with manager.update() as state:
            state.streak = streak
    manager.path.write_bytes(manager.path.read_bytes()[:100])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(StateCorruptError, match="the bot recovers it when it starts"):
        manager.read()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert manager.load().streak == 2
