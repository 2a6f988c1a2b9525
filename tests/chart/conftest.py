"""A market and its facts."""

import pytest

from fractaltrader.chart import Fact, engine_facts
from fractaltrader.data.synthetic import generated_market
from fractaltrader.market import Candles, Timeframe


@pytest.fixture(scope="session")
def market() -> Candles:
    """Eight days of 15-minute bars."""
    timeframe = Timeframe.parse("15m")
    return generated_market(
        ["BTC"], days=8, timeframe=timeframe, seed=4, start_ms=1_735_689_600_000
    )["BTC"]


@pytest.fixture
def facts(market: Candles) -> list[Fact]:
    """Everything the engine knew of the market at its end."""
    return engine_facts(market, "fractal", {}, 0, len(market) - 1)
