"""A user's mistake: one clear line, exit code 2, no traceback, nothing written."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fractaltrader.cli.main import main
from fractaltrader.exchange.clock import SystemClock
from fractaltrader.live.state_manager import StateManager

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
        (["exchange", "--faucet", "0x12=5"], "faucet: '0x12=5' is not ADDRESS=USD"),
        (["exchange", "--faucet", f"0x{'1' * 40}=much"], "is not ADDRESS=USD"),
        (["exchange", "--faucet", f"0x{'1' * 40}=inf"], "is not ADDRESS=USD"),
        (["exchange", "--state", "/nowhere/x.bin"], "folder /nowhere does not exist"),
        (["exchange", "--days", "1", "--coins", "BTC"], "500 of 96 candles leave nothing"),
        (["validate", "--days", "0.01"], "days: 0.01 must be from 0.05 to 60"),
        (["validate", "--seeds", "0"], "seeds: 0 must be from 1 to 1000"),
        (["validate", "--seed", "-1"], "seed: -1 must not be negative"),
        (["validate", "--jobs", "0"], "jobs: 0 must be from 1 to 256"),
        (["arm"], "mode is 'sim'; only mainnet trades real money"),
        (["strategy", "new", "two words"], "'two words' cannot name a class"),
        (["keys", "show", "--venue", "moon"], "'sim', 'testnet' or 'mainnet'"),
        (["guard", "--name", "x/y"], "plain folder name"),
        (["errors", "accuracy"], "no run found"),
        (["restore", "nothing.tar.gz"], "nothing.tar.gz"),
    ],
)
def test_bad_arguments(
    arguments: list[str], expected: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wrong names, addresses and files are refused with the value and the remedy."""
    assert expected in refused(arguments, capsys)
    assert not home.exists()


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["demo", "--candles", "A", "--candles", "B"], "is a second file of BTC; give one a coin"),
        (["exchange", "--candles", "A", "--candles", "B"], "is a second file of BTC"),
        (
            ["demo", "--candles", "A", "--timeframe", "5m"],
            "5m cannot be built from the 15m candles",
        ),
        (["exchange", "--candles", "A"], "history-bars: 500 of 3 candles leave nothing to trade"),
    ],
)
def test_candle_files_that_do_not_fit(
    command: list[str],
    expected: str,
    home: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Good files that do not go together, or not with the options, are refused with the remedy."""
    files = {"A": tmp_path / "BTC-15m.csv", "B": tmp_path / "BTC-again-15m.csv"}
    for path in files.values():
        path.write_text(GOOD)
    arguments = [str(files.get(one, one)) for one in command]
    assert expected in refused(arguments, capsys)
    assert not home.exists()


def test_a_strategy_file_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A name in use is not overwritten; one that no file can have is refused with the reason."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Mine.py").write_text("mine")
    assert "Mine.py exists already" in refused(["strategy", "new", "Mine"], capsys)
    assert "cannot be written: File name too long" in refused(
        ["strategy", "new", "M" * 300], capsys
    )
    assert (tmp_path / "Mine.py").read_text() == "mine"


def test_what_backtest_cannot_use(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A parameter given twice or without a value, and money that is none."""
    path = tmp_path / "BTC-15m.csv"
    path.write_text(GOOD)
    twice = ["--param", "min_rr=2", "--param", "min_rr=3"]
    assert "min_rr is given twice" in refused(["backtest", "--candles", str(path), *twice], capsys)
    for arguments, expected in (
        (["--param", "=2"], "KEY=VALUE"),
        (["--equity", "0"], "above zero"),
    ):
        line = refused(["backtest", "--candles", str(path), *arguments], capsys)
        assert expected in line


def test_a_damaged_disk_is_the_systems_fault(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A ledger that is no database ends the command with exit code 1 and one line."""
    run = home / "runs" / "bot"
    with StateManager(run, SystemClock()).update():
        pass
    (run / "ledger.sqlite").write_text("no database at all, but long enough to be looked at")
    line = refused(["report"], capsys, code=1)
    assert "DatabaseError: file is not a database; check the disk and paths" in line


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
