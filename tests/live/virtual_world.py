"""The world of the bot's tests is the validator's."""

from fractaltrader.exchange.hyperliquid.client import HyperliquidVenue
from fractaltrader.validation.world import (
    KEY,
    SPEED,
    FaultyTransport,
    Killed,
    WatchedLedger,
    WatchedStateManager,
    World,
    lost_answer,
    no_fault,
)

__all__ = [
    "KEY",
    "SPEED",
    "FaultyTransport",
    "HyperliquidVenue",
    "Killed",
    "WatchedLedger",
    "WatchedStateManager",
    "World",
    "lost_answer",
    "no_fault",
]
