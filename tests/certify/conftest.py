"""Markets that the certificate's tests share."""

from pathlib import Path

import pytest

from fractaltrader.data.candle_files import load_candles
from fractaltrader.data.synthetic import generated_market
from fractaltrader.market import Candles, Timeframe


@pytest.fixture(scope="session")
def market() -> Candles:
    """Thirty days of 15-minute bars, outages and all."""
    timeframe = Timeframe.parse("15m")
    return generated_market(
        ["BTC"], days=30, timeframe=timeframe, seed=3, start_ms=1_735_689_600_000
    )["BTC"]


@pytest.fixture(scope="session")
def euro(shared_folder: Path) -> Candles:
    """The recorded EURUSD bars on which the peers' rewrites were first counted."""
    return load_candles(shared_folder / "data/smc/EURUSD-15m-smc_reference.parquet")
