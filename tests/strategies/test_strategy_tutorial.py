"""The tutorial, executed: every block of docs/strategies.md, backtest and exchange."""

import re
import sqlite3
import tomllib
from contextlib import closing
from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner

from fractaltrader.cli import backtest, strategy
from fractaltrader.config import Config
from fractaltrader.data.synthetic import generated_market
from fractaltrader.live.ledger import FILE_NAME
from fractaltrader.market import Candles, Timeframe
from fractaltrader.simulator.virtual_time import run_virtual
from fractaltrader.strategies import load_strategy
from fractaltrader.strategies.base import Signal

REPOSITORY = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = BLOCK.findall((REPOSITORY / "docs" / "strategies.md").read_text())
FILES = {
    text.split()[1]: text for kind, text in BLOCKS if kind == "python" and text.startswith("# ")
}
(CONFIGURATION,) = (text for kind, text in BLOCKS if kind == "toml")


@pytest.fixture
def _desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with candles and the tutorial's files, as the reader would have it."""
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        Path(name).write_text(text)
    market = generated_market(
        ["BTC"], days=30, timeframe=Timeframe.parse("15m"), seed=11, start_ms=1_735_689_600_000
    )
    lines = ["open_time,open,high,low,close,volume"]
    lines += [",".join(map(str, bar)) for bar in market["BTC"].bars()]
    Path("BTC-15m.csv").write_text("\n".join(lines))


@pytest.mark.usefixtures("_desk")
def test_every_block_runs() -> None:
    """Each command ends well with trades to show, each program without an exception."""
    app = Typer()
    app.command()(backtest.backtest)
    app.add_typer(strategy.app, name="strategy")
    runner = CliRunner(env={"COLUMNS": "200"})
    ran = 0
    for kind, text in BLOCKS:
        if kind == "python" and not text.startswith("# "):
            exec(compile(text, "docs/strategies.md", "exec"), {})
        for line in text.splitlines() if kind == "console" else ():
            assert line.startswith("$ fractal ")
            done = runner.invoke(app, line.split()[2:])
            assert done.exit_code == 0, (line, done.output, done.exception)
            if "backtest" in line:
                trades = re.search(r"trades\W+(\d+)", done.output)
                assert trades is not None
                assert int(trades[1]) > 5, line
            ran += 1
    assert ran == 4


def test_the_example_is_short() -> None:
    """The whole example file, imports and all, has at most 30 lines of code."""
    code = [line for line in FILES["Pullback.py"].splitlines() if line.strip()]
    assert len(code) <= 30


def _signals(candles: Candles, name: str, params: dict[str, object]) -> dict[int, Signal]:
    loaded = load_strategy(name, params)
    found = loaded.described(candles, loaded.scan(candles))
    return {signal.bar_time: signal for signal in found}


@pytest.mark.usefixtures("_desk")
def test_backtest_and_local_exchange_give_the_same_signals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bot, trading the tutorial's file with the tutorial's configuration on the local exchange,
    decides on exactly the signals that the backtest finds in the same market, reasons included."""

    from fractaltrader.validation import world as virtual_world

    config = Config.from_tables(tomllib.loads(CONFIGURATION), "tutorial")
    world = virtual_world.World(tmp_path, days=4, coins=config.trade.coins)
    generated = virtual_world.generated_market
    markets: dict[str, Candles] = {}

    def kept(*coins: object, **options: object) -> dict[str, Candles]:
        markets.update(generated(*coins, **options))
        return markets

    monkeypatch.setattr(virtual_world, "generated_market", kept)

    async def days() -> None:
        world.open()
        world.config = config
        assert await world.trade()

    run_virtual(days())
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as book:
        rows = book.execute("SELECT * FROM decisions")
        names = [column[0] for column in rows.description]
        decided = [dict(zip(names, row, strict=True)) for row in rows]
    assert len(decided) > 10
    for coin, candles in markets.items():
        live = {row["bar_time"]: row for row in decided if row["coin"] == coin}
        signals = _signals(candles, config.trade.strategy, config.strategy)
        begun = world.feed.start_ms - candles.timeframe.ms
        last = max(live)
        assert set(live) == {time for time in signals if begun <= time <= last}
        for time, row in live.items():
            assert (row["side"], row["confidence"]) == (
                signals[time].side,
                signals[time].confidence,
            )
            assert signals[time].facts[0] in row["detail"]
