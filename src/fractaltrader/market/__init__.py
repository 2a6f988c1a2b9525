"""What a market is: bars, timeframes, instruments and the clock."""

from fractaltrader.market.bars import Bar, Candles
from fractaltrader.market.clock import Clock
from fractaltrader.market.instrument import Instrument
from fractaltrader.market.timeframe import Timeframe

__all__ = ["Bar", "Candles", "Clock", "Instrument", "Timeframe"]
