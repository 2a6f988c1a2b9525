"""What happens by the clock alone, such as funding or a scheduled cancel, in order of time."""

from collections.abc import Callable
from typing import NamedTuple

from fractaltrader.simulator.clearing import funding, liquidation, prices
from fractaltrader.simulator.core import Core
from fractaltrader.simulator.trading import flow, schedule_cancel, twap


class Timed(NamedTuple):
    """One kind of timed event: when the next is due (UTC epoch ms, None for never), and do it.

    `run` is called at the due time and must move `next_due` beyond it.
    """

    next_due: Callable[[Core], int | None]
    run: Callable[[Core], None]


KINDS: tuple[Timed, ...] = (
    Timed(funding.next_due, funding.run),
    Timed(liquidation.next_due, liquidation.run),
    Timed(schedule_cancel.next_due, schedule_cancel.run),
    Timed(flow.next_due, flow.run),
    Timed(twap.next_due, twap.run),
)


def advance(core: Core) -> None:
    """Let everything happen that is due by now, each at its own time; then prices are as of now."""
    now = core.now_ms()
    while True:
        coming = [(due, kind) for kind in KINDS if (due := kind.next_due(core)) is not None]
        due, kind = min(coming, key=lambda item: item[0], default=(now + 1, None))
        if kind is None or due > now:
            break
        with core.block(due):
            prices.observe(core)
            kind.run(core)
    with core.block(now):
        prices.observe(core)
