"""An intention is on the disk before its order leaves, whatever else a power loss takes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
COMPILER = shutil.which("cc")

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        COMPILER is None or sys.platform != "linux", reason="no C compiler on this machine"
    ),
]


def after_power_loss(what: str, tmp_path: Path) -> Any:
    """What `power_loss.py` finds, run with every sync recorded."""
    library = tmp_path / "power.so"
    assert COMPILER is not None
    build = [COMPILER, "-shared", "-fPIC", "-O1", "-o", str(library), str(HERE / "power.c"), "-ldl"]
    subprocess.run(build, check=True)
    environment = os.environ | {
        "LD_PRELOAD": str(library),
        "POWER_FOLDER": str(tmp_path.resolve() / "run"),
        "POWER_IMAGE": str(tmp_path / "image"),
    }
    command = [sys.executable, str(HERE / "power_loss.py"), what]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def test_every_intention_survives_a_power_loss(tmp_path: Path) -> None:
    """Each intention is synced, with all that was written before it, by itself and not by luck:
    the row that follows the last one is gone."""
    left = after_power_loss("rows", tmp_path)
    assert left == {"intentions": [1, 2, 3, 4], "equity": [1, 2, 3, 4]}


def test_an_order_that_left_is_known_after_a_power_loss(tmp_path: Path) -> None:
    """The power fails when the venue has the order and nothing else is synced: the next life takes
    the intention from the ledger, settles it, and its position keeps its stop."""
    assert after_power_loss("entry", tmp_path) == {
        "in the state": False,
        "under way": True,
        "its position": True,
        "not acted on twice": True,
        "naked": [],
        "verdicts": [["enter", 1]],
    }
