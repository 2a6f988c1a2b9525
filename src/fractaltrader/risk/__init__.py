"""Risk: how much a signal may lose, and what the portfolio may hold. Pure."""

from fractaltrader.risk.portfolio import PortfolioLimits
from fractaltrader.risk.sizing import RiskParameters, SizeDecision, decide_size, next_streak

__all__ = ["PortfolioLimits", "RiskParameters", "SizeDecision", "decide_size", "next_streak"]
