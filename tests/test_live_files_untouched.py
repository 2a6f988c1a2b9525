"""Tests run beside a live bot: its files stay what they are."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fractaltrader.exchange.clock import SystemClock
from fractaltrader.live.state_manager import StateManager

TREE = Path(__file__).parents[1]
# Each writes what a bot writes, under the home it is given.
WRITERS = [
    "tests/cli/test_demo.py::test_the_demo_can_be_repeated",
    "tests/cli/test_control_commands.py",
    "tests/cli/test_errors_and_limits.py",
    "tests/data/test_data_commands.py",
    "tests/live/test_config.py",
]


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below `folder`, by path."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def beside_the_code() -> set[str]:
    """Names in the tree; what measuring coverage keeps there is the measurer's."""
    return {path.name for path in TREE.iterdir() if not path.name.startswith(".coverage")}


@pytest.mark.slow
@pytest.mark.integration
def test_tests_leave_a_live_home_as_it_is(tmp_path: Path) -> None:
    """Tests that write states, ledgers and candles, run where FRACTAL_HOME and HOME hold those of
    a living bot, change and add no byte there, and none beside the code."""
    home = tmp_path / "home"
    for place in (home / "runs" / "bot", home / ".fractal" / "runs" / "bot"):
        with StateManager(place, SystemClock()).update() as state:
            state.streak = 7
    live, beside = contents(home), beside_the_code()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-o", f"cache_dir={tmp_path}", *WRITERS],
        cwd=TREE,
        env=os.environ | {"FRACTAL_HOME": str(home), "HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert contents(home) == live
    assert beside_the_code() == beside
