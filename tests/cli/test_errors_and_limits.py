"""The commands that explain the venue's errors and show the shared budget."""

import asyncio
import re
from pathlib import Path
from random import Random

import pytest
from typer.testing import CliRunner

from fractaltrader.cli.errors import accuracy_lines, catalogue_document
from fractaltrader.cli.main import app
from fractaltrader.exchange.budget_parameters import Priority
from fractaltrader.exchange.catalogue import ROWS
from fractaltrader.exchange.classify import classify_refusal
from fractaltrader.exchange.clock import MonotonicClock, SystemClock
from fractaltrader.exchange.errors import CriticalError, error_record
from fractaltrader.exchange.limiter import Limiter, budget_path
from fractaltrader.exchange.limits import Cost
from fractaltrader.live.ledger import Ledger
from fractaltrader.live.state_manager import StateManager

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FRACTAL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path / "home"


def test_an_error_that_means_something_else_for_an_action() -> None:
    """Where an answer leaves open what became of an action, both meanings are told."""
    row = next(row for row in ROWS if row.action_kind is not row.kind and "{" not in row.texts[0])
    told = CliRunner().invoke(app, ["errors", "explain", row.texts[0]]).output
    assert f"kind: {row.kind.__name__}." in told
    assert f"for an action under way: {row.action_kind.__name__}." in told


def test_explaining_an_error() -> None:
    """A known text prints row, kind, who acts next and remedy; an unknown one exits with 1."""
    runner = CliRunner()
    known = runner.invoke(app, ["errors", "explain", "Insufficient margin to place order. asset=3"])
    assert known.exit_code == 0
    for part in ("row 4", "RejectedError", "must not resend", "remedy: deposit"):
        assert part in known.output
    lost = runner.invoke(app, ["errors", "explain", "order: HTTP 504: <html>rate limited</html>"])
    assert "row 95" in lost.output
    assert "UnknownOutcomeError" in lost.output
    unknown = runner.invoke(app, ["errors", "explain", "please deposit money"])
    assert unknown.exit_code == 1
    assert "unknown" in unknown.output


def test_the_documentation_is_the_catalogue() -> None:
    """docs/errors.md is what the command prints, and the list has every row."""
    printed = CliRunner().invoke(app, ["errors", "list", "--markdown"]).output
    assert (DOCS / "errors.md").read_text() == printed == catalogue_document()
    listed = CliRunner().invoke(app, ["errors", "list"]).output
    assert {int(n) for n in re.findall(r"^ *([0-9]+) ", listed, re.MULTILINE)} == {
        row.number for row in ROWS
    }


def test_accuracy_is_read_from_a_run(home: Path) -> None:
    """Incidents keep their row, kind and full context, also in a ledger from before they did, and
    the share recognised is counted from them."""
    folder = home / "runs" / "bot"
    with StateManager(folder, SystemClock()).update():
        pass
    ledger = Ledger(folder)
    ledger._db.executescript("ALTER TABLE incidents DROP COLUMN row")
    ledger._db.executescript("ALTER TABLE incidents DROP COLUMN context")
    ledger.close()
    ledger = Ledger(folder)
    ledger.add_incident(1, "stream lost", "closed")
    small = "Order must have minimum value of $10. asset=1"
    for text in (small, small, "Words that nobody has recorded"):
        error = classify_refusal(text).error(text, request={"type": "order"}, body="raw")
        ledger.add_incident(2, "entry refused", f"BTC: {text}", error)
    ledger.add_incident(3, "critical", "position", CriticalError("position: not ours"))
    records = [record for _, record in ledger.errors()]
    ledger.close()
    assert records[0].context == {"request": {"type": "order"}, "body": "raw"}
    lines = accuracy_lines(records)
    assert lines == [
        "recognised: 3 of 4 errors, 75.0%",
        "     2 x row 2",
        "     1 x unknown: Words that nobody has recorded",
    ]
    ran = CliRunner().invoke(app, ["errors", "accuracy", "--name", "bot"])
    assert ran.output.splitlines() == lines
    assert accuracy_lines([]) == ["no errors of the venue are recorded"]
    assert error_record(CriticalError("x")).recognised


def test_the_budget_is_visible(home: Path) -> None:
    """Who spent what, what was deferred and why, and what an address has left are shown."""
    runner = CliRunner()
    assert "nothing has been asked" in runner.invoke(app, ["limits"]).output
    own = Limiter(
        budget_path(home, "https://api.hyperliquid.xyz"),
        MonotonicClock(),
        spender="bot:77",
        rng=Random(1),
    )
    ticket = asyncio.run(own.acquire(Cost("meta", 20), Priority.RECONCILE))
    own.settle(ticket, 0)
    own.learn_address("0xabc", 12, 10_000)
    own.refused(ticket)
    shown = runner.invoke(app, ["limits"]).output
    own.close()
    for part in ("api.hyperliquid.xyz", "bot:77", "reconcile", "12 of 10000", "1 x HTTP 429"):
        assert part in shown
    assert "weight 20 of 1150" in shown


def test_every_request_passes_the_budget() -> None:
    """No command or live part reaches a real venue but through `connect`, and nothing posts to it
    but the link, which asks the budget first."""
    source = Path(__file__).resolve().parents[2] / "src/fractaltrader"
    posts, venues = set(), set()
    for path in source.rglob("*.py"):
        text = path.read_text()
        if re.search(r"transport\.post\(", text):
            posts.add(path.name)
        if re.search(r"\bHyperliquidVenue\(", text) and "class HyperliquidVenue" not in text:
            venues.add(path.name)
    # The faucet is the local exchange's own; demo, audit and validation have an exchange in their
    # process.
    assert posts == {"link.py", "local_venue.py"}
    assert venues == {"connect.py", "demo_run.py", "audit.py", "world.py", "week.py"}
