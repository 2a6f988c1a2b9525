"""A user's mistake: one clear line, exit code 2, no traceback, nothing written."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fractaltrader.cli.main import main

GOOD = """open_time,open,high,low,close,volume
1735689600000,100,102,99,101,5
1735690500000,101,103,100,102,5
1735691400000,102,104,101,103,5
"""
BAD_CANDLES = {
    "missing column": (GOOD.replace("volume", "vol"), "volume"),
    "not a number": (GOOD.replace("101,103,100", "nan,103,100"), "row 2"),
    "unsorted": (GOOD.replace("1735691400000", "1735688700000"), "sorted"),
    "duplicate time": (GOOD.replace("1735690500000", "1735689600000"), "duplicate"),
    "high below low": (GOOD.replace("101,103,100", "101,99,100"), "high"),
}


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str], code: int = 2) -> str:
    """Run the command; the one line it ends with."""
    sys.argv = ["fractal", *arguments]
    with pytest.raises(SystemExit) as ended:
        main()
    output = capsys.readouterr()
    assert ended.value.code == code
    assert "Traceback" not in output.out + output.err
    lines = output.err.strip().splitlines()
    assert len(lines) == 1, output.err
    return lines[0]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A FRACTAL_HOME that does not exist yet and must not come into being."""
    folder = tmp_path / "home"
    monkeypatch.setenv("FRACTAL_HOME", str(folder))
    monkeypatch.delenv("FRACTAL_PRIVATE_KEY", raising=False)
    return folder


@pytest.mark.parametrize("command", ["demo", "backtest", "exchange", "import", "inspect"])
@pytest.mark.parametrize("case", BAD_CANDLES)
def test_bad_candle_files(
    command: str,
    case: str,
    home: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Every command that reads candles names file, place and rule of a bad one."""
    text, expected = BAD_CANDLES[case]
    path = tmp_path / "BTC-15m.csv"
    path.write_text(text)
    arguments = {
        "demo": ["demo", "--candles", str(path)],
        "backtest": ["backtest", "--candles", str(path), "--strategy", "liquidity_sweep"],
        "exchange": ["exchange", "--candles", str(path)],
        "import": ["data", "import", str(path)],
        "inspect": ["data", "inspect", str(path)],
    }[command]
    line = refused(arguments, capsys)
    assert "BTC-15m.csv" in line
    assert expected in line
    assert not home.exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["demo", "--timeframe", "7m"], "'7m'"),
        (["demo", "--strategy", "liquidity_sweeep"], "did you mean 'liquidity_sweep'"),
        (["run", "--timeframe", "7m"], "'7m'"),
        (["run", "--name", "../x"], "plain folder name"),
        (["run", "--name", "x" * 300], "1 to 64 characters"),
        (["run", "--coins", ","], "coins"),
        (["run", "--coins", "BTC,BTC"], "every coin may be named once"),
        (["run", "--url", "http://[::1"], "url"),
        (["demo", "--timeframe", "1w"], "leave"),
        (["exchange", "--state", "/"], "is a folder"),
        (["run", "--url", "http://127.0.0.1:1"], "cannot reach http://127.0.0.1:1"),
        (["run", "--url", "https://example.org"], "FRACTAL_PRIVATE_KEY is not set"),
        (["run", "--config", "nothing.toml"], "cannot read nothing.toml"),
        (["status"], "no run found"),
        (["stop"], "no run found"),
        (["audit", "--name", "other"], "no run 'other'"),
        (["report"], "no run found"),
        (["data", "inspect", "nothing.csv"], "nothing.csv"),
    ],
)
def test_bad_arguments(
    arguments: list[str], expected: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wrong names, addresses and files are refused with the value and the remedy."""
    assert expected in refused(arguments, capsys)
    assert not home.exists()


def test_malformed_configuration(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A misspelt key names file, section, key and the nearest known one."""
    path = tmp_path / "bot.toml"
    path.write_text("[risk]\nbase_rsk = 0.01\n")
    line = refused(["run", "--config", str(path)], capsys)
    assert "bot.toml [risk]" in line
    assert "did you mean 'base_risk'" in line
    assert not home.exists()


def test_configuration_that_is_not_text(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that is not UTF-8 is named as such."""
    path = tmp_path / "bot.toml"
    path.write_bytes(b"\xff\xfe[risk]")
    assert "not UTF-8" in refused(["run", "--config", str(path)], capsys)
    assert not home.exists()


@pytest.mark.integration
def test_home_that_is_a_file(
    home: Path, exchange_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A FRACTAL_HOME that cannot be a folder is refused and left as it is."""
    home.write_text("mine")
    assert "FRACTAL_HOME" in refused(["run", "--url", exchange_url], capsys)
    assert home.read_text() == "mine"


@pytest.mark.integration
def test_timeframe_without_candles(
    home: Path, exchange_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A timeframe the venue has no candles of is refused before anything is written."""
    line = refused(["run", "--url", exchange_url, "--timeframe", "5m"], capsys)
    assert "serves no 5m candles of BTC" in line
    assert not (home / "runs").exists()


def test_a_refused_demo_keeps_the_last_one(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A demo that cannot start leaves the files of the last one alone."""
    kept = home / "runs/demo/ledger.sqlite"
    kept.parent.mkdir(parents=True)
    kept.write_text("the last demo")
    path = tmp_path / "BTC-15m.csv"
    path.write_text(GOOD)
    assert "feed" in refused(["demo", "--candles", str(path)], capsys)
    assert kept.read_text() == "the last demo"


def test_malformed_strategy_parameter(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A misspelt strategy parameter is refused before anything is contacted."""
    path = tmp_path / "bot.toml"
    path.write_text("[strategy]\nmin_r = 2\n")
    assert "'min_r'" in refused(["run", "--config", str(path)], capsys)
    assert not home.exists()


@pytest.mark.parametrize("key", ["0x1234", "not a key", "0x" + "0" * 64])
def test_malformed_private_key(
    key: str, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A malformed key is refused without being shown."""
    monkeypatch.setenv("FRACTAL_PRIVATE_KEY", key)
    line = refused(["run"], capsys)
    assert line.startswith("error: private key: not a valid")
    assert key not in line
    assert not home.exists()


@pytest.fixture(scope="module")
def exchange_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real local exchange in a process of its own."""
    command = [sys.executable, "-c", "from fractaltrader.cli.main import main; main()"]
    environment = os.environ | {"FRACTAL_HOME": str(tmp_path_factory.mktemp("exchange"))}
    with subprocess.Popen(
        [*command, "exchange", "--port", "0", "--days", "10"],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1]
        process.terminate()
        process.communicate(timeout=30)


@pytest.mark.integration
def test_unknown_symbol(home: Path, exchange_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A coin that the venue does not list is named, with the nearest one it lists."""
    line = refused(["run", "--url", exchange_url, "--coins", "BTC,ETHH"], capsys)
    assert "'ETHH'; did you mean 'ETH'" in line
    assert not (home / "runs").exists()


@pytest.mark.integration
def test_wrong_private_key(
    home: Path,
    tmp_path: Path,
    exchange_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A valid key that may not trade the configured account is refused, naming both addresses."""
    monkeypatch.setenv("FRACTAL_PRIVATE_KEY", "0x" + "5" * 64)
    path = tmp_path / "bot.toml"
    account = "0x" + "ab" * 20
    path.write_text(f'[venue]\nurl = "{exchange_url}"\naccount = "{account}"\n')
    line = refused(["run", "--config", str(path)], capsys)
    assert f"is no agent of venue.account = {account}" in line
    assert not (home / "runs").exists()


@pytest.mark.integration
def test_port_in_use(home: Path, exchange_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A second exchange on the same port says which port is taken and what to do."""
    port = exchange_url.rsplit(":", 1)[1]
    line = refused(["exchange", "--port", port, "--days", "10"], capsys)
    assert port in line
    assert "--port" in line
    assert not home.exists()
