"""The strategies by name: our own, installed ones, and files."""

from collections.abc import Mapping

from fractaltrader.errors import UserError, did_you_mean
from fractaltrader.strategies.base import Strategy
from fractaltrader.strategies.bos_orderblock import BOS_ORDERBLOCK
from fractaltrader.strategies.fvg_fill import FVG_FILL
from fractaltrader.strategies.kernel_strategy import StrategyKind
from fractaltrader.strategies.liquidity_sweep import LIQUIDITY_SWEEP
from fractaltrader.strategies.plugins import file_and_name, from_entry_point, from_file, installed

STRATEGIES: Mapping[str, StrategyKind] = {
    kind.name: kind for kind in (LIQUIDITY_SWEEP, FVG_FILL, BOS_ORDERBLOCK)
}


def load_strategy(name: str, params: Mapping[str, object] | None = None) -> Strategy:
    """The strategy `name` with `params` over its defaults.

    `name` is one of ours, one that an installed package offers, or "file.py" or "file.py:Name".
    Values may be text, as the command line has them. Raises UserError for an unknown name or
    parameter, for a value out of its bounds, and for a file that does not hold.
    """
    given = params or {}
    if name in STRATEGIES:
        kind = STRATEGIES[name]
        return kind.strategy(kind.parameters.parse(given, f"strategy {name}"))
    target = file_and_name(name)
    if target is not None:
        return from_file(*target, given)
    offered = installed()
    if name in offered:
        return from_entry_point(offered[name], given)
    known = [*STRATEGIES, *offered]
    hint = did_you_mean(name, known) or f"; known are {', '.join(known)}, or give a .py file"
    raise UserError(f"strategy: unknown name {name!r}{hint}")
