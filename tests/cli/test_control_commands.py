"""Commands to the bot and `status` as a person uses them; none of them needs a bot here."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import cast

import pytest

from fractaltrader.cli import control as commands
from fractaltrader.cli.main import main
from fractaltrader.exchange.clock import SystemClock
from fractaltrader.exchange.port import Venue
from fractaltrader.live.control import Verb, carry_out, request
from fractaltrader.live.desk import Desk
from fractaltrader.live.ledger import Ledger
from fractaltrader.live.lock import only_bot
from fractaltrader.live.state import Acknowledgement
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


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["stop", "--wait", "0"], "stop: process 0 has not ended within 0 s; see"),
        (["flatten", "--wait", "0"], "flatten: no answer within 0 s"),
        (["reset-breaker", "--wait", "0"], "reset-breaker: no answer within 0 s"),
    ],
)
def test_the_wait_for_a_deaf_bot_ends(
    arguments: list[str], says: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each command that waits gives up in time, names the log, and leaves itself to be taken."""
    with only_bot(run):
        assert ended(arguments) == 2
    told = capsys.readouterr().err
    assert says in told
    assert f"{run}/bot.log" in told
    pending = StateManager(run, SystemClock()).load().control.pending
    assert [command.verb for command in pending] == [arguments[0]]


@contextmanager
def bot_at_work(
    run: Path, monkeypatch: pytest.MonkeyPatch, work: Callable[[Desk, ExitStack], None]
) -> Iterator[None]:
    """A bot that holds the run and does `work` whenever the command sleeps, which takes no time."""
    clock, now = SystemClock(), [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds
        work(desk, held)

    desk = Desk(
        venue=cast(Venue, None),
        account="0xabc",
        state=StateManager(run, clock),
        ledger=Ledger(run),
        clock=clock,
    )
    with ExitStack() as held:
        held.enter_context(only_bot(run))
        desk.open(venue_name="here", pid=7)
        monkeypatch.setattr("time.sleep", sleep)
        monkeypatch.setattr("time.monotonic", lambda: now[0])
        yield
    desk.ledger.close()


def obeys(desk: Desk, _: ExitStack) -> None:
    carry_out(desk)


def dies(_: Desk, held: ExitStack) -> None:
    held.close()


def is_of_another_version(desk: Desk, _: ExitStack) -> None:
    with desk.state.update() as state:
        (command,) = state.control.pending
        state.control.acknowledged = [
            Acknowledgement(
                number=command.number, verb=command.verb, result="unknown command", time_ms=1
            )
        ]


@pytest.mark.parametrize(
    ("arguments", "work", "code", "says"),
    [
        (["pause"], obeys, 0, "paused; `fractal resume` ends it (command 1, acknowledged at"),
        (["resume"], obeys, 0, "resumed (command 1"),
        (["reset-breaker", "--cause", "drawdown"], obeys, 0, "breaker reset (command 1"),
        (["pause"], dies, 2, "pause: the bot has ended meanwhile; it acts on it when started"),
        (["pause"], is_of_another_version, 2, "pause: unknown command"),
        (["flatten", "--wait", "0.2"], obeys, 2, "flatten: not flat within 0.2 s, the bot goes on"),
        (["stop"], dies, 0, "stopped bot; open positions: 0"),
        (["kill"], dies, 0, "killed bot"),
    ],
)
def test_what_the_bot_makes_of_a_command_is_told(
    arguments: list[str],
    work: Callable[[Desk, ExitStack], None],
    code: int,
    says: str,
    run: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Done, refused by a bot that does not know it, not done in time, or cut off by its end."""
    with bot_at_work(run, monkeypatch, work):
        assert ended(arguments) == code
    output = capsys.readouterr()
    assert says in (output.err if code else output.out)


def damaged(state: Path) -> None:
    state.unlink()
    state.mkdir()  # nothing can be written there


@pytest.mark.parametrize("spoil", [lambda _: None, damaged])
def test_a_bot_that_survives_a_kill_is_named(
    spoil: Callable[[Path], None],
    run: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A bot that takes no command, or whose files cannot be used, gets SIGKILL; when even that
    does not end it, its process is named."""
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(commands, "KILL_PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(os, "kill", lambda *what: sent.append(what))
    with only_bot(run):
        spoil(StateManager(run, SystemClock()).path)
        assert ended(["kill"]) == 2
    assert sent == [(os.getpid(), signal.SIGKILL)]
    assert f"kill: process {os.getpid()} does not end; look at it" in capsys.readouterr().err


def test_a_command_is_refused_when_too_many_wait(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bot that takes nothing is told so after sixteen commands, and an argument has a length."""
    with only_bot(run):
        assert ended(["flatten", "--coin", "X" * 65, "--wait", "0"]) == 2
        assert "is longer than 64 characters" in capsys.readouterr().err
        for _ in range(16):
            request(StateManager(run, SystemClock()), Verb.PAUSE, "", 1)
        assert ended(["pause", "--wait", "0"]) == 2
    assert "16 commands wait already, the bot does not answer" in capsys.readouterr().err
    assert len(StateManager(run, SystemClock()).load().control.pending) == 16
