"""`fractal data import` and `inspect` as a user runs them."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from fractaltrader.cli.data import app
from fractaltrader.data.store import CandleStore
from fractaltrader.data.synthetic import generated_market
from fractaltrader.errors import UserError
from fractaltrader.market import Timeframe
from fractaltrader.market.bars import COLUMNS

TIMEFRAME = Timeframe.parse("1h")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A FRACTAL_HOME that does not exist yet."""
    monkeypatch.setenv("FRACTAL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """A CSV each of two coins, thirty days of hours less the outages."""
    market = generated_market(
        ["BTC", "kPEPE"], days=30, timeframe=TIMEFRAME, seed=8, start_ms=1_741_910_400_000
    )
    paths = []
    for coin, candles in market.items():
        path = tmp_path / f"{coin}-1h.csv"
        rows = (",".join(map(str, bar)) for bar in candles.bars())
        path.write_text("\n".join([",".join(COLUMNS), *rows]))
        paths.append(str(path))
    return paths


def test_import_stores_both_and_tells_the_count(home: Path, files: list[str]) -> None:
    """Import writes every coin under FRACTAL_HOME/data and prints the bars; again, none are new."""
    first = CliRunner().invoke(app, ["import", *files], catch_exceptions=False)
    stored = CandleStore(home / "data").load("kPEPE", TIMEFRAME)
    assert (first.exit_code, len(stored) > 700) == (0, True)
    for part in ("BTC", "kPEPE", "1h", str(len(stored))):
        assert part in first.output
    again = CliRunner().invoke(app, ["import", *files], catch_exceptions=False)
    assert again.output.count(" 0 ") == 2


def test_inspect_reports_without_writing(home: Path, files: list[str]) -> None:
    """Inspect prints period, gaps and jump of each file and leaves no trace."""
    result = CliRunner().invoke(app, ["inspect", *files], catch_exceptions=False)
    assert result.exit_code == 0
    for part in ("BTC-1h.csv", "kPEPE 1h", "2025-03-14 00:00:00Z", "gaps", "largest jump"):
        assert part in result.output
    assert not home.exists()


def test_one_bad_file_means_nothing_is_written(home: Path, files: list[str]) -> None:
    """A bad file among good ones is a UserError, and FRACTAL_HOME is not even made."""
    bad = Path(files[1])
    bad.write_text(bad.read_text() + "\n1,2,3")
    with pytest.raises(UserError, match=r"kPEPE-1h\.csv: row"):
        CliRunner().invoke(app, ["import", *files], catch_exceptions=False)
    assert not home.exists()
