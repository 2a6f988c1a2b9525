"""Whether the facts that an entry is decided on are new enough. Pure."""

from dataclasses import dataclass
from typing import NamedTuple

from fractaltrader.exchange.port import Account, ClockSkew
from fractaltrader.live.parameters import DataParameters
from fractaltrader.market import Timeframe


class Look(NamedTuple):
    """The account as the venue showed it."""

    account: Account
    asked_s: float  # time of the event loop
    read_ms: int  # our clock


class Facts(NamedTuple):
    """What is known at the moment of a decision; the account was asked for `asked_ms` ago."""

    bar_time: int  # open time of the newest closed bar
    look: Look
    asked_ms: float
    now_ms: int  # our clock
    skew: ClockSkew | None


@dataclass(frozen=True, slots=True)
class Freshness:
    """The limits of [data]. `venue_time` is False where the venue's market has a time of its own
    (the local exchange may replay any day at any speed), so clocks cannot be compared."""

    limits: DataParameters
    timeframe: Timeframe
    venue_time: bool

    def refusal(self, facts: Facts) -> str | None:
        """Why no entry may be made on `facts`; None when one may."""
        return self._bar(facts) or self._account(facts) or self._clock(facts)

    def _bar(self, facts: Facts) -> str | None:
        venue_ms = facts.look.account.time_ms + facts.now_ms - facts.look.read_ms
        age_ms = venue_ms - self.timeframe.close_time(facts.bar_time)
        limit_ms = min(self.limits.max_bar_age_s * 1000, self.timeframe.ms)
        if age_ms <= limit_ms:
            return None
        return (
            f"stale: the newest bar closed {age_ms / 1000:.0f} s ago, the limit is "
            f"{limit_ms / 1000:.0f} s"
        )

    def _account(self, facts: Facts) -> str | None:
        age_ms = facts.asked_ms
        if self.venue_time and facts.skew is not None:
            age_ms = max(age_ms, facts.now_ms + facts.skew.ahead_ms - facts.look.account.time_ms)
        if age_ms <= self.limits.max_account_age_s * 1000:
            return None
        return (
            f"stale: the account view is {age_ms / 1000:.1f} s old, the limit is "
            f"{self.limits.max_account_age_s:g} s"
        )

    def _clock(self, facts: Facts) -> str | None:
        if not self.venue_time:
            return None
        skew, limit = facts.skew, self.limits.max_clock_skew_ms
        if skew is None or facts.now_ms - skew.measured_ms > self.limits.max_skew_age_s * 1000:
            return "stale: the venue's clock was not compared with ours lately"
        if facts.now_ms < skew.measured_ms:
            return "stale: our clock went backwards; the next reconciliation compares it anew"
        worst = abs(skew.ahead_ms) + skew.error_ms
        if worst <= limit:
            return None
        return f"stale: our clock is up to {worst} ms off the venue's, the limit is {limit} ms"
