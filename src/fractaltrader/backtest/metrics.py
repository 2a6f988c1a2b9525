"""Performance figures of one equity curve and its trades, with their edge cases stated."""

import math
from dataclasses import dataclass

import numpy as np

from fractaltrader.market.bars import FloatColumn, TimeColumn

YEAR_MS = 365 * 86_400_000  # crypto trades every day


@dataclass(frozen=True, slots=True)
class Metrics:
    """Ratios are fractions, money is USDC; None where a figure is undefined.

    Sharpe and Sortino come from the returns of every bar, annualised by the bar's real length, with
    no risk-free rate; undefined when the equity never moves. Sortino is infinite for gains without
    one losing bar, profit factor for wins without one losing trade. `max_drawdown` is positive.
    """

    total_return: float
    sharpe: float | None
    sortino: float | None
    max_drawdown: float
    win_rate: float | None
    profit_factor: float | None
    trades: int
    fees: float
    average_trade: float | None

    def rows(self) -> list[tuple[str, str]]:
        """Label and value of every figure, ready to show."""
        return [
            ("return", f"{self.total_return:+.2%}"),
            ("Sharpe", shown(self.sharpe)),
            ("Sortino", shown(self.sortino)),
            ("max drawdown", f"{self.max_drawdown:.2%}"),
            ("win rate", "-" if self.win_rate is None else f"{self.win_rate:.1%}"),
            ("profit factor", shown(self.profit_factor)),
            ("trades", str(self.trades)),
            ("average trade", shown(self.average_trade)),
            ("fees", f"{self.fees:,.2f}"),
        ]


def shown(value: float | None) -> str:
    """A figure with two decimals; a dash when it is undefined."""
    return "-" if value is None else f"{value:,.2f}"


def summarise(*, times: TimeColumn, equity: FloatColumn, pnl: FloatColumn, fees: float) -> Metrics:
    """Metrics of an account.

    `equity` [n], USDC, starts with the account's first value and is stamped by `times` [n], epoch
    ms ascending; a bar's length is their mean step. `pnl` [trades] is net of fees.
    """
    annual = 0.0
    if len(times) > 1:
        annual = math.sqrt(YEAR_MS * (len(times) - 1) / float(times[-1] - times[0]))
    sharpe, sortino = _ratios(equity, annual)
    peaks = np.maximum.accumulate(equity)
    won = float(pnl[pnl > 0].sum())
    lost = -float(pnl[pnl < 0].sum())
    return Metrics(
        total_return=float(equity[-1] / equity[0] - 1),
        sharpe=sharpe,
        sortino=sortino,
        max_drawdown=float(((peaks - equity) / peaks).max()),
        win_rate=float((pnl > 0).mean()) if len(pnl) else None,
        profit_factor=_ratio(won, lost),
        trades=len(pnl),
        fees=fees,
        average_trade=float(pnl.mean()) if len(pnl) else None,
    )


def _ratios(curve: FloatColumn, annual: float) -> tuple[float | None, float | None]:
    """Sharpe (sample deviation) and Sortino (root mean square of the negative returns)."""
    if (curve <= 0).any() or len(curve) < 3:
        return None, None
    returns = np.diff(curve) / curve[:-1]
    mean = float(returns.mean())
    deviation = float(returns.std(ddof=1))
    downside = math.sqrt(float(np.square(np.minimum(returns, 0)).mean()))
    if not returns.any() or deviation == 0:
        return None, None
    sortino = _ratio(mean, downside)
    return mean / deviation * annual, sortino * annual if sortino is not None else None


def _ratio(gain: float, loss: float) -> float | None:
    if loss > 0:
        return gain / loss
    return math.inf if gain > 0 else None
