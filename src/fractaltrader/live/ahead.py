"""The account, read a moment before a bar closes: an entry at the close need not wait for it."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from fractaltrader.exchange.budget_parameters import Priority
from fractaltrader.exchange.errors import TransientError
from fractaltrader.live.desk import Desk
from fractaltrader.live.freshness import Look
from fractaltrader.market import Timeframe

log = structlog.get_logger()

# Long enough for an answer, short enough that little changes until the close.
LEAD_MS = 2_000


async def before_each_close(
    desk: Desk, timeframe: Timeframe, act: Callable[[], Awaitable[None]]
) -> None:
    """`act` a moment before each close, by the venue's clock as far as it is known; endless."""
    while True:
        skew = desk.venue.skew
        now = desk.clock.now_ms() + (skew.ahead_ms if skew is not None else 0)
        left_ms = timeframe.floor(now) + timeframe.ms - now
        if left_ms > LEAD_MS:
            await desk.clock.sleep_ms(left_ms - LEAD_MS)
        else:
            await act()
            await desk.clock.sleep_ms(left_ms + LEAD_MS)  # beyond the close, though it ends early


async def look_ahead(desk: Desk) -> None:
    """Read the account for the entries of the bar that is about to close.

    Without an answer before that there is nothing to use, and an entry asks by itself. Raises what
    the error table does not know.
    """
    asked = asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout(LEAD_MS / 1000):
            venue = desk.venue.with_priority(Priority.ENTER)
            account = await desk.judge(await venue.account())
    except (TransientError, TimeoutError) as error:
        if isinstance(error, TransientError) and not error.recognised:
            raise
        log.debug("the account could not be read ahead of the close", error=str(error))
        return
    desk.looked = Look(account, asked, desk.clock.now_ms())
