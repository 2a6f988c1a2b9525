"""What a command costs before it does anything."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from fractaltrader import __version__

TARGET_SECONDS = 0.15
RUNS = 5


def children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.parametrize("argument", ["version", "--version"])
def test_the_version_is_told_at_once(argument: str) -> None:
    """`fractal version` takes less than 150 ms of processor time, interpreter included."""
    # The tests' own coverage follows child processes, and would be a part of the start.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE_")}
    spent = []
    for _ in range(RUNS):
        before = children_cpu()
        told = subprocess.run(
            [sys.executable, "-m", "fractaltrader", argument],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        spent.append(children_cpu() - before)
        assert told.stdout == f"{__version__}\n"
    assert min(spent) < TARGET_SECONDS


def test_a_command_loads_no_more_than_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looking at the limits loads neither the lab's libraries nor the keystore's, nor a server."""
    monkeypatch.setenv("FRACTAL_HOME", str(tmp_path))
    script = (
        "import sys; sys.argv = ['fractal', 'limits'];"
        "from fractaltrader.__main__ import main\n"
        "try: main()\n"
        "finally: print(*sorted({'numba', 'polars', 'eth_keyfile', 'aiohttp'} & set(sys.modules)))"
    )
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert "nothing has been asked of a venue yet" in told.stdout, told.stderr
    assert told.stdout.splitlines()[-1] == ""
