"""Strategies: from the events of detection to at most one signal a bar."""

from fractaltrader.parameters import Parameters
from fractaltrader.smc.events import Event, EventKind
from fractaltrader.strategies.base import Signal, SignalColumns, Strategy, StrategySession
from fractaltrader.strategies.kernel_strategy import StrategyKind, scan_of
from fractaltrader.strategies.registry import STRATEGIES, load_strategy
from fractaltrader.strategies.user import Proposal, UserStrategy

__all__ = [
    "STRATEGIES",
    "Event",
    "EventKind",
    "Parameters",
    "Proposal",
    "Signal",
    "SignalColumns",
    "Strategy",
    "StrategyKind",
    "StrategySession",
    "UserStrategy",
    "load_strategy",
    "scan_of",
]
