"""`fractal status --health`, which the containers' health checks run."""

import os
import sys
from pathlib import Path

import pytest

from fractaltrader.cli.main import main
from fractaltrader.exchange.clock import SystemClock
from fractaltrader.live.lock import GUARD_FILE_NAME, guard_looked, only_guard
from fractaltrader.live.state_manager import StateManager


@pytest.mark.parametrize(
    ("age_s", "ended", "code", "says"),
    [
        (1, False, 0, "healthy: heartbeat 1 s ago"),
        (31, False, 1, "unhealthy: the last heartbeat was 31 s ago, limit 30 s"),
        (-40, False, 1, "unhealthy: the last heartbeat was -40 s ago, limit 30 s"),
        (1, True, 1, "unhealthy: the bot has ended"),
    ],
)
def test_health_is_red_without_a_young_heartbeat(
    age_s: int,
    ended: bool,
    code: int,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The exit code is 0 for a bot that beats, and 1 for one that hangs, ended, or beats in the
    future, where the clock was set back."""
    monkeypatch.setenv("FRACTAL_HOME", str(tmp_path))
    now_ms = 1_800_000_000_000
    monkeypatch.setattr("time.time", lambda: now_ms / 1000)
    with StateManager(tmp_path / "runs" / "bot", SystemClock()).update() as state:
        state.heartbeat_ms, state.ended = now_ms - age_s * 1000, ended
    sys.argv = ["fractal", "status", "--health"]
    with pytest.raises(SystemExit) as exit_:
        main()
    assert (exit_.value.code or 0) == code
    assert says in capsys.readouterr().out


@pytest.mark.parametrize(
    ("age_s", "code", "says"),
    [
        (None, 1, "unhealthy: no guard has watched over this run"),
        (5, 0, "healthy: the guard looked 5 s ago"),
        (121, 1, "unhealthy: the guard last looked 121 s ago, limit 120 s"),
    ],
)
def test_a_guard_is_healthy_while_it_looks(
    age_s: int | None,
    code: int,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The exit code is 0 for a guard that has just looked, and 1 for none and for one that hangs,
    whatever the bot does."""
    monkeypatch.setenv("FRACTAL_HOME", str(tmp_path))
    now_s = 1_800_000_000
    monkeypatch.setattr("time.time", lambda: float(now_s))
    folder = tmp_path / "runs" / "bot"
    with StateManager(folder, SystemClock()).update() as state:
        state.heartbeat_ms = 0
    if age_s is not None:
        with only_guard(folder):
            guard_looked(folder)
        os.utime(folder / GUARD_FILE_NAME, (now_s - age_s, now_s - age_s))
    sys.argv = ["fractal", "status", "--health", "--guard", "--name", "bot"]
    with pytest.raises(SystemExit) as exit_:
        main()
    assert (exit_.value.code or 0) == code
    assert says in capsys.readouterr().out
