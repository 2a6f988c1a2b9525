"""`fractal run` killed with SIGKILL at random moments; the campaign does it 200 times."""

from pathlib import Path

import pytest
from killing import kill_often

KILLS = 8


@pytest.mark.integration
@pytest.mark.slow
def test_kill_at_random_moments(tmp_path: Path) -> None:
    """Killed 8 times while it trades, the bot doubles no order, loses no acknowledged update,
    leaves no position without a stop but what an entry filled in part just before, protects that
    too once it runs again, and the audit agrees at the end."""
    toll = kill_often(tmp_path, KILLS)
    assert toll.clean, toll
    assert toll.kills == KILLS
    assert toll.acknowledged > KILLS
