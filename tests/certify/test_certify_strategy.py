"""A strategy's certificate, and that one which looks ahead does not get it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from fractaltrader.certify import Plan, certify_strategy
from fractaltrader.market import Candles, Timeframe
from fractaltrader.parameters import Parameters
from fractaltrader.smc.events import FloatArray
from fractaltrader.strategies import STRATEGIES, Signal, Strategy, StrategySession, load_strategy
from fractaltrader.strategies.base import SIDE, SignalColumns


@dataclass(frozen=True)
class Hindsight(Strategy):
    """Forgets, in batch, the signals that the next five bars speak against."""

    @property
    def inner(self) -> Strategy:
        """The honest strategy behind it."""
        return load_strategy("liquidity_sweep")

    def warmup_bars(self, timeframe: Timeframe) -> int:
        return self.inner.warmup_bars(timeframe)

    def session(self, coin: str) -> StrategySession:
        return self.inner.session(coin)

    def scan(self, candles: Candles) -> SignalColumns:
        found = self.inner.scan(candles)
        later = candles.close[np.minimum(found.bars + 5, len(candles) - 1)]
        kept = found.records[:, SIDE] * (later - candles.close[found.bars]) >= 0
        return SignalColumns(found.bars[kept], found.records[kept])

    def signal(self, coin: str, bar_time: int, record: FloatArray) -> Signal:
        return self.inner.signal(coin, bar_time, record)


@pytest.mark.slow
@pytest.mark.parametrize("name", STRATEGIES)
def test_our_strategies_change_no_signal(market: Candles, name: str) -> None:
    """Batch runs of growing prefixes and the bot's session all agree, signal by signal."""
    found = certify_strategy(load_strategy(name), market, Plan(1_000, 300, 6))
    assert found.certified
    assert len(found.checks) == 2
    assert max(column.shown for column in found.columns) > 0


def test_hindsight_is_found(market: Candles) -> None:
    """Signals shown live and gone a few bars later are counted as erased."""
    found = certify_strategy(Hindsight("hindsight", Parameters()), market, Plan(2_200, 500))
    side = next(column for column in found.columns if column.column == "side")
    assert not found.certified
    assert side.erased > 0
    assert side.rewritten > 0
    assert any(offence.after == "-" for offence in side.offences)


USER_FILE = """
from fractaltrader.strategies import Proposal, UserStrategy

class Every(UserStrategy):
    seen = []
    def on_bar(self, bar, events):
        HOW
        if len(self.seen) % 37 == 36:
            return Proposal(1, bar.close * 0.99, bar.close * 1.02, {"count": 50})
"""


@pytest.mark.parametrize(
    ("how", "honest"), [("self.seen = [*self.seen, bar.close]", True), ("self.seen += [0]", False)]
)
def test_a_users_file(market: Candles, tmp_path: Path, how: str, honest: bool) -> None:
    """State kept on the object is sound; kept on the class it leaks between runs and is found."""
    file = tmp_path / "every.py"
    file.write_text(USER_FILE.replace("HOW", how))
    plan = Plan(300, 200).sparse(5)
    found = certify_strategy(load_strategy(str(file)), market.slice(0, 500), plan)
    assert (plan.count, plan.lengths(market)[-1]) == (5, 496)
    assert found.certified == honest
    assert max(column.shown for column in found.columns) > 3
