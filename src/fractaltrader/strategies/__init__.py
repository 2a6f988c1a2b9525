"""Strategies: from the events of detection to at most one signal a bar."""

from fractaltrader.strategies.base import Signal, Strategy, StrategySession
from fractaltrader.strategies.registry import STRATEGIES, load_strategy

__all__ = ["STRATEGIES", "Signal", "Strategy", "StrategySession", "load_strategy"]
