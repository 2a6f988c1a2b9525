"""Commands to the bot and `status` as a person uses them; none of them needs a bot here."""

import sys
from pathlib import Path

import pytest

from fractaltrader.cli.main import main
from fractaltrader.exchange.clock import SystemClock
from fractaltrader.live.ledger import Ledger
from fractaltrader.live.lock import only_bot
from fractaltrader.live.state_manager import StateManager
from fractaltrader.risk.breaker import Breaker
from fractaltrader.risk.breaker_parameters import BreakerParameters

COMMANDS = ("stop", "kill", "pause", "resume", "flatten")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a run that has ended, its breaker tripped by a drawdown."""
    monkeypatch.setenv("FRACTAL_HOME", str(tmp_path))
    folder = tmp_path / "runs" / "bot"
    with StateManager(folder, SystemClock()).update() as state:
        breaker, now = Breaker(BreakerParameters(), state.breaker), SystemClock().now_ms()
        breaker.equity(now, 10_000)
        breaker.equity(now, 7_900)
    Ledger(folder).close()
    return folder


def ended(arguments: list[str]) -> int:
    sys.argv = ["fractal", *arguments]
    with pytest.raises(SystemExit) as exit_:
        main()
    code = exit_.value.code
    return code if isinstance(code, int) else 0


@pytest.mark.parametrize("command", COMMANDS)
def test_without_a_bot_the_command_says_so(
    command: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line names the folder and how to start one; no command is left for a later bot."""
    assert ended([command]) == 2
    assert f"error: {command}: no bot is running in {run}" in capsys.readouterr().err
    assert StateManager(run, SystemClock()).load().control.pending == []


def test_status_shows_the_breaker(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Value, limit, distance, trips today, where it stands and why, for every cause."""
    monkeypatch.setenv("COLUMNS", "200")
    assert ended(["status"]) == 0
    lines = capsys.readouterr().out.splitlines()
    row = next(line for line in lines if "drawdown" in line)
    for text in ("21.00%", "20.00%", "0.00%", "1", "TRIPPED", "7900.00 is 21.00% below"):
        assert text in row
    assert "armed" in next(line for line in lines if "consecutive_losses" in line)


def test_reset_breaker_works_on_a_stopped_bot(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It closes what was tripped, says what, writes it to the ledger, and refuses a misspelt
    cause."""
    assert ended(["reset-breaker", "--cause", "drawdwn"]) == 2
    assert "'drawdwn' is unknown; known are daily_loss, drawdown" in capsys.readouterr().err
    assert ended(["reset-breaker", "--cause", "drawdown"]) == 0
    assert "breaker of bot reset: drawdown" in capsys.readouterr().out
    state = StateManager(run, SystemClock()).load()
    assert state.breaker.latches["drawdown"].phase == "closed"  # type: ignore[index]
    assert state.breaker.latches["daily_loss"].phase == "open"  # type: ignore[index]
    ledger = Ledger(run)
    assert ("drawdown", "reset") in [(e.cause, e.change) for e in ledger.breaker_events()]
    ledger.close()


def test_a_bot_that_does_not_answer_is_named(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """While a process holds the run but takes no commands, the wait ends with where to look."""
    with only_bot(run):
        assert ended(["pause", "--wait", "0.2"]) == 2
    assert "pause: no answer within 0.2 s" in capsys.readouterr().err
