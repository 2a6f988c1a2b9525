"""What a run's own files tell: `fractal status`, its health check, `fractal report`."""

import os
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from fractaltrader.cli.main import main
from fractaltrader.exchange.clock import SystemClock
from fractaltrader.exchange.port import Position
from fractaltrader.live.control import Verb, request
from fractaltrader.live.ledger import Ledger
from fractaltrader.live.lock import GUARD_FILE_NAME, guard_looked, only_bot, only_guard
from fractaltrader.live.orphans import intent_to_hold
from fractaltrader.live.state import Epoch
from fractaltrader.live.state_manager import StateManager
from fractaltrader.risk.breaker import Breaker
from fractaltrader.risk.breaker_parameters import BreakerParameters, Cause
from fractaltrader.risk.breaker_state import Phase

NOW_MS = 1_800_000_000_000


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


def shown(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    sys.argv = ["fractal", command]
    with pytest.raises(SystemExit) as exit_:
        main()
    assert (exit_.value.code or 0) == 0
    return capsys.readouterr().out


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of a run with an account and an empty ledger, on a wide terminal."""
    monkeypatch.setenv("FRACTAL_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    folder = tmp_path / "runs" / "bot"
    with StateManager(folder, SystemClock()).update() as state:
        state.account, state.venue, state.pid = "0xabc", "http://127.0.0.1:3001", 7
    Ledger(folder).close()
    return folder


def test_status_tells_what_waits_and_what_is_open(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Everything that keeps the bot from entering, each position with its stop or the lack of
    one, a breaker that probes, equity, and the newest incidents."""
    monkeypatch.setattr("time.time", lambda: NOW_MS / 1000)
    position = Position("BTC", Decimal("0.5"), Decimal(100), Decimal(0), 10, None, Decimal(100))
    with StateManager(run, SystemClock()).update() as state:
        state.heartbeat_ms, state.paused, state.flattening = NOW_MS - 3_000, True, ["ETH", "*"]
        intent = intent_to_hold("0xabc", position, Decimal(95), NOW_MS)
        state.epochs["BTC"] = Epoch(intent=intent, size=Decimal("0.5"), opened_ms=NOW_MS)
        state.epochs["SOL"] = Epoch(intent=None, size=Decimal(-7), opened_ms=NOW_MS)
        Breaker(BreakerParameters(), state.breaker).error(NOW_MS, "timeout", recognised=True)
        state.breaker.latches[Cause.ERRORS].phase = Phase.HALF_OPEN
        state.breaker.latches[Cause.DAILY_LOSS].phase = Phase.OPEN
        state.breaker.latches[Cause.DAILY_LOSS].until_ms = NOW_MS
    request(StateManager(run, SystemClock()), Verb.RESUME, "", NOW_MS)
    ledger = Ledger(run)
    for number in range(6):
        ledger.add_incident(NOW_MS + number, "stream lost", f"reason {number}")
        ledger.add_equity(NOW_MS + number, Decimal(1_000 + number))
    ledger.close()
    with only_bot(run):
        text = shown("status", capsys)
    for part in (
        "bot running, process 7, heartbeat 3 s ago",
        "equity 1005.00 USDC at 2027-01-15",
        "paused by the operator; `fractal resume` ends it",
        "flattening ETH, all coins",
        "commands waiting: resume",
        "half-open: one probe entry",
        "TRIPPED until 2027-01-15",
        "stream lost: reason 5",
    ):
        assert part in text
    assert "reason 0" not in text
    rows = {line.split()[1]: line.split() for line in text.splitlines() if "│" in line}
    assert rows["BTC"][3:8:2] == ["0.5", "95", "-"]
    assert rows["SOL"][3:8:2] == ["-7", "?", "?"]


def test_a_young_run_has_no_figures_yet(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before two bars have closed the report gives no return, and says why."""
    assert "bot not running" in shown("status", capsys)
    assert "not enough bars yet" in shown("report", capsys)
