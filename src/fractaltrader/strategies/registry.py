"""The strategies by name."""

from collections.abc import Mapping

from fractaltrader.errors import UserError, did_you_mean
from fractaltrader.strategies.base import Strategy, StrategyKind
from fractaltrader.strategies.liquidity_sweep import LIQUIDITY_SWEEP

STRATEGIES: Mapping[str, StrategyKind] = {kind.name: kind for kind in (LIQUIDITY_SWEEP,)}


def load_strategy(name: str, params: Mapping[str, object] | None = None) -> Strategy:
    """The strategy `name` with `params` over its defaults.

    Values may be text, as the command line has them. Raises UserError for an unknown name or
    parameter and for a value out of its bounds.
    """
    if name not in STRATEGIES:
        hint = did_you_mean(name, list(STRATEGIES)) or f"; known are {', '.join(STRATEGIES)}"
        raise UserError(f"strategy: unknown name {name!r}{hint}")
    kind = STRATEGIES[name]
    return Strategy(kind, kind.parameters.parse(params or {}, f"strategy {name}"))
