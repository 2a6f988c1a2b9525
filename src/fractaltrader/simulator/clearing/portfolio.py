"""What accounts were worth over time: hourly samples of a month, daily ones from then on."""

from decimal import Decimal

from fractaltrader.simulator.clearing.margin import account_value
from fractaltrader.simulator.core import Core
from fractaltrader.simulator.numbers import ZERO
from fractaltrader.simulator.state import Account, Sample

HOURS_KEPT = 31 * 24
DAYS_KEPT = 1_000
DAY_MS = 86_400_000
# The venue shows a few dozen points a period (hyperliquid.md 2.2, recorded 2025).
POINTS = 48
PERIODS = {"day": DAY_MS, "week": 7 * DAY_MS, "month": 30 * DAY_MS, "allTime": None}


def sample_of(core: Core, account: Account) -> Sample:
    """The account as it is now; its profit is its perp value less what was brought in, net."""
    worth = account_value(account, core.mark)
    pnl = worth - account.deposited
    return Sample(core.now_ms(), worth, account.spot_usdc, pnl, account.volume)


def sample_all(core: Core) -> None:
    """Note every account's value, once an hour."""
    for account in core.state.accounts.values():
        sample = sample_of(core, account)
        days = account.daily_samples
        if not days or sample.time_ms // DAY_MS > days[-1].time_ms // DAY_MS:
            days.append(sample)
            del days[:-DAYS_KEPT]
        account.samples.append(sample)
        del account.samples[:-HOURS_KEPT]


def history(core: Core, account: Account, span_ms: int | None) -> list[Sample]:
    """Samples of the last `span_ms` (None: of all time) and of now, at most about `POINTS`."""
    now = sample_of(core, account)
    old = span_ms is None and len(account.samples) == HOURS_KEPT
    kept = account.daily_samples if old else account.samples
    start = 0 if span_ms is None else now.time_ms - span_ms
    past = [sample for sample in kept if start <= sample.time_ms < now.time_ms]
    step = max(len(past) // POINTS, 1)
    return [*past[::step], now]


def profit_since(account: Account, samples: list[Sample]) -> list[tuple[int, Decimal]]:
    """Profit since the first of `samples`, by time; since its beginning for a young account."""
    born = account.daily_samples[0].time_ms if account.daily_samples else samples[0].time_ms
    first = samples[0].pnl if samples[0].time_ms > born else ZERO
    return [(sample.time_ms, sample.pnl - first) for sample in samples]
