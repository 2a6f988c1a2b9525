"""A generated market: seeded candles with the habits of real perpetuals, for demos and tests.

What is imitated, with magnitudes measured on recorded Hyperliquid candles: fat tails, volatility
that comes in regimes and follows the hour, trends that last a day or two, coins that move together,
volume that grows with range, wicks beyond an old extreme that close back inside, price gaps and
rare outages (absent bars). Nothing is planted that pays: after such a wick the next move is a coin
toss, so a profit on this market says nothing about a strategy.
"""

from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.random import Generator
from numpy.typing import NDArray

from fractaltrader.errors import UserError
from fractaltrader.market import Candles, Timeframe
from fractaltrader.market.bars import FloatColumn, TimeColumn
from fractaltrader.market.instrument import MAX_PRICE_DECIMALS, SIGNIFICANT_FIGURES
from fractaltrader.market.timeframe import DAY_MS, MINUTE_MS

HOUR_MS = 60 * MINUTE_MS
YEAR_MS = 365 * DAY_MS

# Start price in USDC, volatility per year between the fat tails, volume in USDC per day.
_PROFILES = {
    "BTC": (60_000.0, 0.45, 2e9),
    "ETH": (3_000.0, 0.70, 9e8),
    "SOL": (150.0, 0.80, 4e8),
    "HYPE": (25.0, 1.20, 2e8),
    "XRP": (2.2, 0.80, 6e7),
    "DOGE": (0.18, 0.90, 3e7),
    "SUI": (3.3, 1.00, 4e7),
    "AVAX": (22.0, 0.95, 2e7),
    "LINK": (14.0, 0.90, 2e7),
    "kPEPE": (0.012, 1.20, 4e7),
}

# Volatility regimes: multiple of the usual volatility and mean stay in hours.
_REGIMES = ((0.5, 14.0), (0.9, 18.0), (2.1, 5.0))
_TREND_STAY_HOURS = 30.0
_TREND_PER_BAR = 0.06  # drift of a trending bar, in its own standard deviations
_TAIL_FREEDOM = 6.0  # Student-t degrees of freedom of a bar's move
_FACTOR_SHARE = 0.88  # of a coin's move, in standard deviations: coins then correlate at 0.77
_GAP_RATE = 0.002  # bars that open away from the last close
_OUTAGE_RATE, _OUTAGE_BARS = 0.0006, 3.0  # outages a bar, and their mean length
_HUNT_WINDOW, _HUNT_RECENT = 48, 4  # bars an old extreme may be away, at most and at least
_HUNT_RATE = 0.12  # of the bars that come near an old extreme


@dataclass(frozen=True, slots=True)
class _Backdrop:
    """What all coins of one seed share, per bar; `factor` per sub-step."""

    open_time: TimeColumn
    steps_per_bar: int
    volatility: FloatColumn  # multiple of the usual
    drift: FloatColumn  # in standard deviations of the bar
    factor: FloatColumn  # standard normal, shape (bars, steps_per_bar)
    present: NDArray[np.bool_]


def generated_market(
    coins: list[str], *, days: int, timeframe: Timeframe, seed: int, start_ms: int
) -> dict[str, Candles]:
    """Candles of each coin over `days` from the bar that contains `start_ms` (UTC epoch ms).

    The same arguments give the same candles, and a coin's candles do not depend on which others
    are asked for. Prices are legal ticks (5 significant figures). Raises UserError when `days` hold
    no bar or `seed` is negative.
    """
    bars = days * DAY_MS // timeframe.ms
    if bars < 1:
        raise UserError(f"days: {days} days hold no {timeframe} candle; ask for more days")
    if seed < 0:
        raise UserError(f"seed: {seed} must not be negative; give 0 or more")
    backdrop = _backdrop(bars, timeframe, seed, timeframe.floor(start_ms))
    return {coin: _candles(coin, timeframe, seed, backdrop) for coin in coins}


def _backdrop(bars: int, timeframe: Timeframe, seed: int, start_ms: int) -> _Backdrop:
    rng = np.random.default_rng([seed, 0])
    per_hour = HOUR_MS / timeframe.ms
    open_time = start_ms + timeframe.ms * np.arange(bars, dtype=np.int64)
    stays = np.array([stay for _, stay in _REGIMES]) * per_hour
    regime = _markov(rng, stays, bars)
    tails = np.sqrt(_TAIL_FREEDOM / rng.chisquare(_TAIL_FREEDOM, bars)).clip(max=3.5)
    level = np.array([level for level, _ in _REGIMES])[regime]
    trend = _markov(rng, np.full(3, _TREND_STAY_HOURS * per_hour), bars) - 1
    steps = int(np.clip(timeframe.ms // MINUTE_MS, 10, 60))
    return _Backdrop(
        open_time,
        steps,
        level * tails * _seasonality(open_time, timeframe),
        _TREND_PER_BAR * trend.astype(np.float64),
        rng.standard_normal((bars, steps)),
        _present(rng, bars),
    )


def _markov(rng: Generator, mean_stays: FloatColumn, bars: int) -> NDArray[np.int64]:
    """States of a Markov chain that leaves a state for any other with equal chance."""
    leave = 1.0 / np.maximum(mean_stays, 1.0)
    dice, state = rng.random(bars), int(rng.integers(len(mean_stays)))
    hops = rng.integers(1, len(mean_stays), bars)
    states = np.empty(bars, dtype=np.int64)
    for bar in range(bars):
        if dice[bar] < leave[state]:
            state = int(state + hops[bar]) % len(mean_stays)
        states[bar] = state
    return states


def _seasonality(open_time: TimeColumn, timeframe: Timeframe) -> FloatColumn:
    """Busiest around 15:00 UTC, weekends quiet; flat for bars that span a day."""
    if timeframe.ms >= DAY_MS:
        return np.ones(len(open_time))
    hour = open_time % DAY_MS / HOUR_MS
    weekday = (open_time // DAY_MS + 3) % 7  # Monday is 0; the epoch was a Thursday
    daily = 1.0 + 0.35 * np.cos((hour - 15.0) * (2 * np.pi / 24))
    return np.where(weekday >= 5, 0.75, 1.0) * daily


def _present(rng: Generator, bars: int) -> NDArray[np.bool_]:
    """False for bars lost in an outage; the first and the last bar are never lost."""
    present = np.ones(bars, dtype=np.bool_)
    for start in np.flatnonzero(rng.random(bars) < _OUTAGE_RATE):
        present[start : start + rng.geometric(1.0 / _OUTAGE_BARS)] = False
    present[[0, -1]] = True
    return present


def _profile(coin: str) -> tuple[float, float, float]:
    """Start price, volatility and volume of a coin; derived from its name when not in the table."""
    if coin in _PROFILES:
        return _PROFILES[coin]
    rng = np.random.default_rng(crc32(coin.encode()))
    return float(10 ** rng.uniform(-1, 2)), float(rng.uniform(0.8, 1.3)), 1.5e7


def _candles(coin: str, timeframe: Timeframe, seed: int, backdrop: _Backdrop) -> Candles:
    price, annual, daily_volume = _profile(coin)
    # 1 + : stream 0 is the backdrop's.
    rng = np.random.default_rng([seed, 1 + crc32(coin.encode())])
    bars = len(backdrop.open_time)
    own = np.exp(0.15 * rng.standard_normal(bars))
    deviation = annual * np.sqrt(timeframe.ms / YEAR_MS) * backdrop.volatility * own
    path, opens = _path(rng, deviation, backdrop)
    _hunt_stops(rng, path, opens, deviation)
    logs = np.stack(
        [
            opens,
            np.maximum(opens, path.max(axis=1)),
            np.minimum(opens, path.min(axis=1)),
            path[:, -1],
        ]
    )
    ohlc = _legal_ticks(price * np.exp(logs))
    volume = _volume(rng, logs[1] - logs[2], daily_volume * timeframe.ms / DAY_MS) / ohlc[3]
    keep = backdrop.present
    columns = [*(column[keep] for column in ohlc), np.round(volume[keep], 4)]
    return Candles(coin, timeframe, backdrop.open_time[keep], *columns).validated()


def _path(
    rng: Generator, deviation: FloatColumn, backdrop: _Backdrop
) -> tuple[FloatColumn, FloatColumn]:
    """Log price after each sub-step, shape (bars, steps), and at each open; the first is 0."""
    bars, steps = backdrop.factor.shape
    alone = rng.standard_normal((bars, steps))
    moves = _FACTOR_SHARE * backdrop.factor + np.sqrt(1 - _FACTOR_SHARE**2) * alone
    moves = (moves / np.sqrt(steps) + backdrop.drift[:, None] / steps) * deviation[:, None]
    gaps = np.where(rng.random(bars) < _GAP_RATE, rng.normal(0.0, 2.0, bars) * deviation, 0.0)
    gaps[0] = 0.0
    closes = np.cumsum(moves.sum(axis=1) + gaps)
    opens = np.append(0.0, closes[:-1]) + gaps
    return opens[:, None] + np.cumsum(moves, axis=1), opens


def _hunt_stops(
    rng: Generator, path: FloatColumn, opens: FloatColumn, deviation: FloatColumn
) -> None:
    """Let some bars that come near an old extreme pierce it for one sub-step and close inside."""
    bars, steps = path.shape
    if bars <= _HUNT_WINDOW or steps < 3:
        return
    for side in (1.0, -1.0):
        reach = np.maximum(side * opens, (side * path).max(axis=1))
        close = side * path[:, -1]
        # Extreme of bars t-WINDOW … t-RECENT-1, for every bar t from WINDOW on.
        old = sliding_window_view(reach, _HUNT_WINDOW - _HUNT_RECENT).max(axis=1)
        level = np.full(bars, np.nan)
        level[_HUNT_WINDOW:] = old[: bars - _HUNT_WINDOW]
        near = (reach < level) & (level - reach < 1.5 * deviation) & (close < level)
        hunted = np.flatnonzero(near & (rng.random(bars) < _HUNT_RATE))
        beyond = (0.1 + rng.exponential(0.5, len(hunted))) * deviation[hunted]
        path[hunted, rng.integers(0, steps - 1, len(hunted))] = side * (level[hunted] + beyond)


def _legal_ticks(prices: FloatColumn) -> FloatColumn:
    """Prices at 5 significant figures and at most 6 decimals; integers stay as they are."""
    figures = SIGNIFICANT_FIGURES - 1 - np.floor(np.log10(prices)).astype(np.int64)
    decimals = figures.clip(0, MAX_PRICE_DECIMALS)
    rounded = np.empty_like(prices)
    for places in np.unique(decimals):
        chosen = decimals == places
        rounded[chosen] = np.round(prices[chosen], int(places))
    return rounded


def _volume(rng: Generator, spread: FloatColumn, usual: float) -> FloatColumn:
    """Volume in USDC: grows with the bar's range, with noise of its own."""
    relative = spread / max(float(np.median(spread)), 1e-12)
    noise = np.exp(0.35 * rng.standard_normal(len(spread)))
    return np.asarray(usual * (0.02 + relative**1.2) * noise, dtype=np.float64)
