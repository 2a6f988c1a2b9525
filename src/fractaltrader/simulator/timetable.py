"""What happens by the clock alone, such as funding or a scheduled cancel, in order of time."""

from collections.abc import Callable
from typing import NamedTuple

from fractaltrader.simulator.clearing import funding, liquidation
from fractaltrader.simulator.core import Core
from fractaltrader.simulator.trading import flow, path, schedule_cancel, twap


class Timed(NamedTuple):
    """One kind of timed event: when the next is due (UTC epoch ms, None for never), and do it.

    `run` is called at the due time and must move `next_due` beyond it.
    """

    next_due: Callable[[Core], int | None]
    run: Callable[[Core], None]


def _fund(core: Core) -> None:
    """Funding changes everybody's equity."""
    funding.run(core)
    liquidation.check_all(core)


KINDS: tuple[Timed, ...] = (
    Timed(funding.next_due, _fund),
    Timed(liquidation.next_due, liquidation.run),
    Timed(schedule_cancel.next_due, schedule_cancel.run),
    Timed(flow.next_due, flow.run),
    Timed(twap.next_due, twap.run),
)


def advance(core: Core) -> None:
    """Let everything happen that is due by now, each at its own time; then prices are as of now."""
    now = core.now_ms()
    while True:
        due, kind = now + 1, None
        for one in KINDS:
            next_due = one.next_due(core)
            if next_due is not None and next_due < due:
                due, kind = next_due, one
        if kind is None:
            break
        with core.block(due):
            path.drift(core)
            kind.run(core)
            liquidation.after_executions(core)
    with core.block(now):
        path.drift(core)
        liquidation.after_executions(core)
