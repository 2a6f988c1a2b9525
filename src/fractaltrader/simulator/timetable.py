"""What happens by the clock alone, such as funding or a scheduled cancel, in order of time."""

from collections.abc import Callable
from typing import NamedTuple

from fractaltrader.simulator.core import Core


class Timed(NamedTuple):
    """One kind of timed event: when the next is due (UTC epoch ms, None for never), and do it.

    `run` is called at the due time and must move `next_due` beyond it.
    """

    next_due: Callable[[Core], int | None]
    run: Callable[[Core], None]


KINDS: tuple[Timed, ...] = ()


def advance(core: Core) -> None:
    """Let everything happen that is due by now, each at its own time."""
    now = core.now_ms()
    while True:
        coming = [(due, kind) for kind in KINDS if (due := kind.next_due(core)) is not None]
        if not coming:
            return
        due, kind = min(coming, key=lambda item: item[0])
        if due > now:
            return
        with core.block(due):
            kind.run(core)
