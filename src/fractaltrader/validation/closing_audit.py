"""The books held against the exchange's account when a week is over."""

from decimal import Decimal

from fractaltrader.live.audit import CENT, Line, audit
from fractaltrader.live.desk import Desk
from fractaltrader.simulator.state import Account

EQUITY = "equity, USDC"


async def differences(desk: Desk, account: Account) -> list[str]:
    """What `fractal audit` finds to differ; `account` is the exchange's own record.

    Raises RateLimitedError when the budget has no room for the requests.
    """
    await desk.venue.instruments()
    taken = taken_over(account)
    return [
        f"{line.what}: ours {line.ours}, venue {line.venue}"
        for line in await audit(desk.venue, desk.ledger, desk.state.load())
        if not line.agrees and not _explained(line, taken)
    ]


def taken_over(account: Account) -> Decimal:
    """Equity that the venue's backstop took with liquidated positions, or paid when it was below
    zero, in USDC: no execution tells of it (hyperliquid.md 7.6)."""
    kept = account.deposited - account.fees
    kept += sum((fill.closed_pnl for fill in account.fills), Decimal(0))
    kept += sum((payment.usdc for payment in account.fundings), Decimal(0))
    return kept - account.cash


def _explained(line: Line, taken: Decimal) -> bool:
    """Whether an equity differs by just what was taken over, both figures being rounded."""
    if line.what != EQUITY or not taken:
        return False
    return abs(Decimal(line.ours) - taken - Decimal(line.venue)) < 2 * CENT
