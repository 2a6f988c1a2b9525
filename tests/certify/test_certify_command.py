"""`fractal certify` as a user runs it: exit codes, the table, the JSON and the errors."""

from pathlib import Path

import msgspec
import pytest
import typer
from typer.testing import CliRunner, Result

from fractaltrader.cli.certify import certify
from fractaltrader.errors import UserError
from fractaltrader.market import Candles
from fractaltrader.market.bars import COLUMNS

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(certify)

TARGETS = """
def honest(frame, bars=3):
    print("loading")
    return frame.close.rolling(bars).mean()

def repaints(frame):
    return {"last": frame.index == frame.index[-1]}

def fails(frame):
    raise ZeroDivisionError("no range")

def short(frame):
    return frame.close.iloc[1:]

number = 3
"""


@pytest.fixture
def folder(tmp_path: Path, market: Candles) -> Path:
    """Targets, and a candle file of 200 bars."""
    (tmp_path / "targets.py").write_text(TARGETS)
    (tmp_path / "broken.py").write_text("def f(:")
    rows = (",".join(map(str, bar)) for bar in market.slice(0, 200).bars())
    (tmp_path / "BTC-15m.csv").write_text("\n".join([",".join(COLUMNS), *rows]))
    return tmp_path


def run(folder: Path, target: str, *more: str) -> Result:
    return CliRunner().invoke(
        app,
        ["--candles", str(folder / "BTC-15m.csv"), "--from", "50", "--prefixes", "20",
         "--target", target, *more],
        catch_exceptions=False,
    )  # fmt: skip


def test_an_honest_function_passes(folder: Path) -> None:
    """Exit code 0 and the verdict; arguments reach the function, its prints stay off the output."""
    result = run(folder, f"{folder}/targets.py:honest", "--arg", "bars=5")
    assert result.exit_code == 0
    assert "CERTIFIED" in result.stdout
    assert "loading" not in result.stdout


def test_a_repainting_function_fails_with_the_details(folder: Path) -> None:
    """Exit code 1, and the JSON names bar, column, value before and after, and prefix."""
    result = run(folder, f"{folder}/targets.py:repaints", "--json")
    assert result.exit_code == 1
    found = msgspec.json.decode(result.stdout)
    assert found["certified"] is False
    (column,) = found["columns"]
    assert (column["rewritten"], column["erased"]) == (19, 19)
    offence = column["offences"][0]
    assert (offence["bar"], offence["prefix"], offence["before"], offence["after"]) == (
        49, 51, "1", "-",
    )  # fmt: skip
    table = run(folder, f"{folder}/targets.py:repaints")
    assert "REPAINTS: 19 readings rewritten, 19 events erased" in table.stdout


@pytest.mark.slow
def test_our_engine_on_a_generated_market() -> None:
    """Without a target and candles it certifies our engine, clauses by --arg."""
    result = CliRunner().invoke(
        app,
        ["--prefixes", "30", "--from", "400", "--arg", "right=3", "--json"],
        catch_exceptions=False,
    )
    assert result.exit_code == 0
    found = msgspec.json.decode(result.stdout)
    swings = next(column for column in found["columns"] if column["column"] == "SWING")
    assert found["target"] == "engine, profile fractal"
    assert swings["lag"] == {"median": 3.0, "p90": 3.0, "max": 3}


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("targets.py:honset", "did you mean 'honest'"),
        ("targets.py:number", "not a function"),
        ("targets.py:fails", "raised ZeroDivisionError over 200 bars: no range"),
        ("targets.py:short", "one reading a bar"),
        ("missing.py:f", "there is no file"),
        ("broken.py:f", "broken.py raised SyntaxError"),
    ],
)
def test_mistakes_in_the_target(folder: Path, target: str, words: str) -> None:
    """Each mistake is one line that says what is wrong."""
    with pytest.raises(UserError, match=words):
        run(folder, f"{folder}/{target}")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--target", "no_such_package_here:f"], "cannot import"),
        (["--target", "math"], "module:function"),
        (["--target", "math:sqrt", "--strategy", "x"], "exclude"),
        (["--target", "math:sqrt", "--arg", "five"], "KEY=VALUE"),
        (["--target", "math:sqrt", "--arg", "a=1", "--arg", "a=2"], "a is given twice"),
        (["--target", "math:sqrt", "--to", "999999"], "beyond the"),
        (["--strategy", "no_such_strategy"], "unknown name|no_such_strategy"),
    ],
)
def test_mistakes_in_the_call(arguments: list[str], words: str) -> None:
    """Contradictory or malformed options are user errors."""
    with pytest.raises(UserError, match=words):
        CliRunner().invoke(app, ["--prefixes", "5", *arguments], catch_exceptions=False)
