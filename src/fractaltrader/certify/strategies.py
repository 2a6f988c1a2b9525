"""A strategy as a target: its signals, one reading a bar."""

from collections.abc import Callable

import numpy as np

from fractaltrader.certify.readings import Readings
from fractaltrader.market import Candles
from fractaltrader.strategies import Strategy
from fractaltrader.strategies.base import CONFIDENCE, ENTRY, SIDE, STOP, TARGET

FIELDS = {"side": SIDE, "entry": ENTRY, "stop": STOP, "target": TARGET, "confidence": CONFIDENCE}


def strategy_readings(strategy: Strategy) -> Callable[[Candles], Readings]:
    """What a fresh batch run of `strategy` says of every bar; NaN where it gives no signal."""

    def readings(candles: Candles) -> Readings:
        signals = strategy.scan(candles)
        columns = {}
        for name, field in FIELDS.items():
            column = np.full(len(candles), np.nan)
            column[signals.bars] = signals.records[:, field]
            columns[name] = column
        return columns

    return readings


def live_readings(strategy: Strategy, candles: Candles) -> Readings:
    """What a session, given the bars one by one as the bot is, said of every bar."""
    session = strategy.session(candles.coin)
    columns = {name: np.full(len(candles), np.nan) for name in FIELDS}
    for row, bar in enumerate(candles.bars()):
        signal = session.on_bar(bar)
        if signal is not None:
            for name in FIELDS:
                columns[name][row] = getattr(signal, name)
    return columns
