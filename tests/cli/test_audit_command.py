"""`fractal audit` against a served venue: its exit code, and what is said when it cannot ask."""

import sys
from decimal import Decimal
from pathlib import Path

import pytest

from fractaltrader.cli.main import main
from fractaltrader.exchange.clock import SystemClock
from fractaltrader.live.ledger import Ledger
from fractaltrader.live.state_manager import StateManager
from fractaltrader.simulator.serving.background import BackgroundExchange

pytestmark = pytest.mark.integration

ACCOUNT = "0x" + "ab" * 20


def a_run(home: Path, venue: str, equity: int) -> Path:
    """A run whose accounting began with this equity and that has traded nothing."""
    folder = home / "runs" / "bot"
    with StateManager(folder, SystemClock()).update() as state:
        state.account, state.venue, state.opening_equity = ACCOUNT, venue, Decimal(equity)
        state.ledger_since_ms = SystemClock().now_ms() + 1
    Ledger(folder).close()
    return folder


def audited(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str]:
    monkeypatch.setenv("FRACTAL_HOME", str(home))
    monkeypatch.setenv("COLUMNS", "200")
    sys.argv = ["fractal", "audit"]
    with pytest.raises(SystemExit) as ended:
        main()
    output = capsys.readouterr()
    return int(ended.value.code or 0), output.out + output.err


@pytest.mark.parametrize(("equity", "code"), [(10_000, 0), (9_999, 1)])
def test_one_difference_is_an_exit_code(
    equity: int,
    code: int,
    tmp_path: Path,
    local_exchange: BackgroundExchange,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Books that agree to the cent give 0; a dollar too few gives 1 and the line that differs."""
    local_exchange.fund(ACCOUNT)
    a_run(tmp_path, local_exchange.url, equity)
    ended, told = audited(tmp_path, monkeypatch, capsys)
    different = [line.split("│")[1].strip() for line in told.splitlines() if "DIFFERENT" in line]
    assert (ended, different) == (code, ["equity, USDC"] if code else [])


def test_a_venue_that_refuses_to_tell(
    tmp_path: Path,
    local_exchange: BackgroundExchange,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What the venue answers instead is one line with its address."""
    url = f"{local_exchange.url}/elsewhere"
    a_run(tmp_path, url, 10_000)
    ended, told = audited(tmp_path, monkeypatch, capsys)
    assert ended == 2
    assert told.startswith(f"error: venue {url}: ")
    assert "404" in told
