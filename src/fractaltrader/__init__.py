"""FractalTrader: Smart Money Concepts trading for Hyperliquid perpetuals."""

__version__ = "0.1.0"
