"""`fractal guard`: what keeps it from watching is said in one line before it begins."""

import logging
import os
import signal
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
import structlog

from fractaltrader.cli.guard import _decided
from fractaltrader.cli.main import main
from fractaltrader.exchange.clock import SystemClock
from fractaltrader.exchange.port import Position
from fractaltrader.live.guard import Guard
from fractaltrader.live.ledger import Ledger
from fractaltrader.live.orphans import intent_to_hold
from fractaltrader.live.state_manager import StateManager
from fractaltrader.live.wallet import play_signer
from fractaltrader.simulator.serving.background import BackgroundExchange


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A FRACTAL_HOME; logs and tracebacks of this process go where they went before afterwards."""
    monkeypatch.setenv("FRACTAL_HOME", str(tmp_path))
    monkeypatch.delenv("FRACTAL_GUARD_KEY", raising=False)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    root, configuration = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    root.handlers = []
    yield tmp_path
    for handler in root.handlers:
        handler.close()
    root.handlers = handlers
    root.setLevel(level)
    structlog.configure(**configuration)


def a_run(home: Path, venue: str, account: str) -> Path:
    """A run that a bot has begun."""
    folder = home / "runs" / "bot"
    with StateManager(folder, SystemClock()).update() as state:
        state.account, state.venue = account, venue
    return folder


def guard(capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Run the command: exit code, output, and the line it ends with."""
    sys.argv = ["fractal", "guard"]
    with pytest.raises(SystemExit) as ended:
        main()
    output = capsys.readouterr()
    last = output.err.strip().splitlines()[-1:]
    return int(ended.value.code or 0), output.out, "".join(last)


def test_a_bot_that_has_never_started(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before the bot's first start there is no account to guard; the order of starting is told."""
    a_run(home, "", "")
    code, _, line = guard(capsys)
    assert code == 2
    assert "has never started; start it, then the guard" in line


@pytest.mark.integration
def test_an_address_without_the_protocol(
    home: Path, local_exchange: BackgroundExchange, capsys: pytest.CaptureFixture[str]
) -> None:
    """A venue that knows no such request ends the guard with its address, not with a traceback."""
    url = f"{local_exchange.url}/elsewhere"
    a_run(home, url, "0x" + "ab" * 20)
    code, _, line = guard(capsys)
    assert code == 2
    assert line.startswith(f"error: venue {url}: ")
    assert "404" in line


@pytest.mark.integration
def test_it_watches_until_it_is_told_to_end(
    home: Path,
    local_exchange: BackgroundExchange,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The play account's own key may guard it; what it promises is told, SIGTERM ends it well."""
    signer = play_signer(home)
    local_exchange.fund(signer.address)
    a_run(home, local_exchange.url, signer.address)
    look = Guard.look

    async def look_once(self: Guard) -> None:
        await look(self)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Guard, "look", look_once)
    code, told, _ = guard(capsys)
    assert code == 0
    assert "guarding bot: a naked position has its stop within 45 s" in told


def test_the_bots_own_plans_are_read_from_its_ledger(tmp_path: Path) -> None:
    """Without a readable state the guard takes stops from the bot's ledger; where there is none
    it makes none."""
    assert _decided(tmp_path) == []
    assert list(tmp_path.iterdir()) == []
    position = Position("BTC", Decimal("0.5"), Decimal(100), Decimal(0), 10, None, Decimal(100))
    intent = intent_to_hold("0xabc", position, Decimal(95), 1)
    ledger = Ledger(tmp_path)
    ledger.add_intent(intent)
    ledger.close()
    assert _decided(tmp_path) == [intent]
