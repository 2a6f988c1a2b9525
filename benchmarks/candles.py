"""Loading and generating candles."""

from pathlib import Path

from benchmarks.timing import Row, seconds_each
from fractaltrader.data.candle_files import load_candles
from fractaltrader.data.store import CandleStore
from fractaltrader.data.synthetic import generated_market
from fractaltrader.market import Candles, Timeframe

REAL = (
    Path(__file__).resolve().parents[2] / "shared/data/ohlcv/BTCUSDT-1m-binance_spot-2022.parquet"
)
START_MS = 1_640_995_200_000  # 2022-01-01


def year_of_minutes(folder: Path) -> tuple[Path, str]:
    """A file of a year of BTC minutes and what it is: recorded when at hand, else generated."""
    if REAL.is_file():
        return REAL, "recorded BTC 1m, 2022"
    minutes = Timeframe.parse("1m")
    market = generated_market(["BTC"], days=365, timeframe=minutes, seed=1, start_ms=START_MS)
    (added,) = CandleStore(folder).add([market["BTC"]])
    return added.path, "GENERATED BTC 1m, one year"


def rows(path: Path, candles: Candles) -> list[Row]:
    """Load the file, and generate the demo's market."""
    bars = len(candles)

    def demo_market() -> dict[str, Candles]:
        return generated_market(
            ["BTC", "ETH", "SOL"],
            days=35,
            timeframe=Timeframe.parse("15m"),
            seed=1,
            start_ms=START_MS,
        )

    made = sum(map(len, demo_market().values()))
    load, generate = seconds_each([lambda: load_candles(path), demo_market], runs=5)
    return [
        Row("load a candle file", load / bars, "bar", f"{bars:,} bars checked"),
        Row("generate the demo's market", generate / made, "bar", f"{made:,} bars of 3 coins"),
    ]
