"""The generated market: reproducible, legal, and with the habits of a real one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fractaltrader.data.quality import quality
from fractaltrader.data.synthetic import generated_market
from fractaltrader.errors import UserError
from fractaltrader.market import Candles, Instrument, Timeframe
from fractaltrader.market.bars import COLUMNS
from fractaltrader.market.instrument import to_decimal

START = 1_741_910_400_000  # 2025-03-14 00:00 UTC
QUARTER_HOUR = Timeframe.parse("15m")
COINS = ["BTC", "ETH", "SOL", "kPEPE", "NEWCOIN"]


def same(one: Candles, other: Candles) -> bool:
    """Whether both hold the same bars."""
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in COLUMNS)


@settings(max_examples=20, deadline=None)
@given(
    st.integers(0, 2**40),
    st.lists(st.sampled_from(COINS), min_size=1, unique=True),
    st.sampled_from(["1m", "15m", "1h", "4h"]),
)
def test_a_coin_depends_on_the_seed_alone(seed: int, coins: list[str], name: str) -> None:
    """The same seed gives the same candles whichever coins are asked along; another seed others."""
    timeframe = Timeframe.parse(name)

    def run(coins: list[str], seed: int) -> dict[str, Candles]:
        return generated_market(coins, days=2, timeframe=timeframe, seed=seed, start_ms=START)

    together = run(coins, seed)
    assert list(together) == coins
    for coin in coins:
        assert same(together[coin], run([coin], seed)[coin])
        assert not np.array_equal(together[coin].close, run([coin], seed + 1)[coin].close)


@pytest.mark.parametrize("name", ["1m", "5m", "15m", "1h", "1d", "1w"])
def test_bars_are_valid_and_prices_legal_ticks(name: str) -> None:
    """At every timeframe bars obey the candle rules, cover the days asked, and every price is legal
    for a lot as fine as the venue gives a coin of that price."""
    timeframe = Timeframe.parse(name)
    market = generated_market(
        COINS, days=14, timeframe=timeframe, seed=5, start_ms=timeframe.floor(START) + 1
    )
    bars = 14 * 86_400_000 // timeframe.ms
    lots = {"BTC": 5, "ETH": 4, "SOL": 2}
    for coin, candles in market.items():
        candles.validated()
        assert candles.open_time[0] == timeframe.floor(START)
        assert candles.open_time[-1] == timeframe.floor(START) + (bars - 1) * timeframe.ms
        instrument = Instrument(coin, 0, lots.get(coin, 0), 10)
        for column in ("open", "high", "low", "close"):
            for price in getattr(candles, column)[:300]:
                assert instrument.is_legal_price(to_decimal(float(price)))
    assert [round(market[coin].open[0]) for coin in ("BTC", "ETH", "SOL")] == [60_000, 3_000, 150]


@pytest.mark.parametrize("seed", [0, 1, 2026])
def test_statistics_are_those_of_a_real_market(seed: int) -> None:
    """Each habit lies within bounds around the figures measured on 15-minute Hyperliquid candles:
    fat tails, clustered volatility, correlation, range, wicks, volume that follows range."""
    market = generated_market(
        ["BTC", "ETH", "SOL"], days=90, timeframe=QUARTER_HOUR, seed=seed, start_ms=START
    )
    moves = {}
    for coin, candles in market.items():
        move = np.diff(np.log(candles.close))
        spread = np.log(candles.high / candles.low)
        body = np.abs(np.log(candles.close / candles.open))
        traded = (spread > 0) & (candles.volume > 0)
        moves[coin] = move
        assert 0.0015 < np.median(spread) < 0.008, "real: 0.0024 BTC to 0.0048 SOL"
        assert 7 < np.mean((move - move.mean()) ** 4) / move.var() ** 2 < 60, "real: 14 to 22"
        calm, clustered = np.abs(move[:-1]), np.abs(move[1:])
        assert 0.1 < np.corrcoef(calm, clustered)[0, 1] < 0.45, "real: 0.18 to 0.29"
        assert 0.45 < body.sum() / spread.sum() < 0.65, "real: 0.50 to 0.55"
        follows = np.corrcoef(np.log(spread[traded]), np.log(candles.volume[traded]))[0, 1]
        assert 0.6 < follows < 0.97, "real: 0.66 to 0.82"
        report = quality(candles)
        assert 0 < report.missing_bars < 60, "outages are rare but there"
        gaps = np.abs(candles.open[1:] / candles.close[:-1] - 1)
        assert (gaps > 0.001).any(), "some bars open away from the last close"
        assert np.median(gaps) < 1e-4, "most do not"
    for one, other in (("BTC", "ETH"), ("BTC", "SOL"), ("ETH", "SOL")):
        correlation = np.corrcoef(moves[one], moves[other])[0, 1]
        assert 0.6 < correlation < 0.9, "real: 0.79 to 0.80"


def test_old_extremes_are_swept_and_sweeping_pays_nothing() -> None:
    """Bars that pierce a two-to-twelve-hour extreme and close back inside come about once a day on
    either side, and the twenty bars after them drift neither way."""
    after: list[float] = []
    days = 0
    for seed in range(6):
        coin = "BTC"
        candles = generated_market(
            [coin], days=90, timeframe=QUARTER_HOUR, seed=seed, start_ms=START
        )[coin]
        days += 90
        scale = np.log(candles.close).std() / np.sqrt(len(candles))
        for high, close, side in (
            (candles.high, candles.close, 1),
            (-candles.low, -candles.close, -1),
        ):
            for bar in range(48, len(candles) - 20):
                level = high[bar - 48 : bar - 4].max()
                if high[bar] > level > max(close[bar], high[bar - 4 : bar].max()):
                    move = np.log(candles.close[bar + 20] / candles.close[bar])
                    after.append(float(side * move / scale))
    assert 0.7 < len(after) / days / 2 < 2.0, "real: 0.80 to 0.96 a day"
    error = np.std(after) / np.sqrt(len(after))
    assert abs(np.mean(after)) < 4 * error, "a sweep foretells the next move"


def test_impossible_requests_are_user_errors() -> None:
    """No days and a negative seed are refused in one line."""
    with pytest.raises(UserError, match="ask for more days"):
        generated_market(["BTC"], days=0, timeframe=QUARTER_HOUR, seed=1, start_ms=START)
    with pytest.raises(UserError, match="hold no 1w candle"):
        generated_market(["BTC"], days=6, timeframe=Timeframe.parse("1w"), seed=1, start_ms=START)
    with pytest.raises(UserError, match="seed: -1"):
        generated_market(["BTC"], days=1, timeframe=QUARTER_HOUR, seed=-1, start_ms=START)
