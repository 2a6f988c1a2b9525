"""Sessions and kill zones: half-open spans of wall-clock time in an IANA zone.

A zone's changes of offset are looked up before the run, so that the kernels only add numbers.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import NamedTuple, Self
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from fractaltrader.errors import UserError, did_you_mean
from fractaltrader.market.timeframe import DAY_MS, MINUTE_MS

# As traders name them: the exchange hours of three cities, and the hours around their opens in
# New York time that the inner-circle school trades.
SESSIONS = {
    "asia": "09:00-18:00@Asia/Tokyo",
    "london": "08:00-17:00@Europe/London",
    "new_york": "08:00-17:00@America/New_York",
    "asia_kill_zone": "20:00-00:00@America/New_York",
    "london_kill_zone": "02:00-05:00@America/New_York",
    "new_york_kill_zone": "07:00-10:00@America/New_York",
    "london_close_kill_zone": "10:00-12:00@America/New_York",
    "stock_open": "09:30-16:00@America/New_York",
}
MOST_SESSIONS = 8
MOST_CHANGES = 288  # of a zone's offset; four a year is the most there is
_FIRST_YEAR, _LAST_YEAR = 1990, 2060
_SPAN = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)@([\w+\-/]+)")


@dataclass(frozen=True, slots=True)
class Session:
    """A span of every day: first and past-the-last minute of the day in `zone`."""

    name: str
    start_minute: int
    end_minute: int
    zone: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """A known name, or `name=HH:MM-HH:MM@Area/City`; raises UserError for anything else."""
        name, _, span = text.partition("=")
        if not span:
            if name not in SESSIONS:
                hint = did_you_mean(name, list(SESSIONS)) or f"; known are {', '.join(SESSIONS)}"
                raise UserError(f"session: unknown name {name!r}{hint}, or name=HH:MM-HH:MM@Zone")
            span = SESSIONS[name]
        match = _SPAN.fullmatch(span)
        if not match or not name:
            raise UserError(f"session: {text!r} is not name=HH:MM-HH:MM@Area/City")
        hour, minute, end_hour, end_minute = (int(part) for part in match.groups()[:4])
        start, end = hour * 60 + minute, end_hour * 60 + end_minute
        if minute > 59 or end_minute > 59 or start >= 1440 or end > 1440 or start == end:
            raise UserError(
                f"session: {text!r} must start before 24:00, end by 24:00 and not be empty"
            )
        try:
            ZoneInfo(match[5])
        except (OSError, ValueError, KeyError):
            raise UserError(
                f"session: {text!r}: {match[5]!r} is not an IANA time zone; write it like "
                "Europe/London"
            ) from None
        return cls(name, start, end, match[5])


class SessionTables(NamedTuple):
    """Sessions as the kernels read them; unused changes of offset lie beyond all times."""

    span: NDArray[np.int64]  # [MOST_SESSIONS, 3]: start, end (past the start), opening range; ms
    change: NDArray[np.int64]  # [MOST_SESSIONS, MOST_CHANGES]: UTC ms from which the offset holds
    offset: NDArray[np.int64]  # [MOST_SESSIONS, MOST_CHANGES]: local minus UTC, ms


def session_tables(names: tuple[str, ...], opening_range_minutes: int) -> SessionTables:
    """The tables of sessions given as text; raises UserError for a wrong one."""
    sessions = [Session.parse(name) for name in names]
    if len(sessions) > MOST_SESSIONS:
        raise UserError(f"sessions: {len(sessions)} are too many; give at most {MOST_SESSIONS}")
    zones = [_offsets(session.zone) for session in sessions]
    span = np.zeros((MOST_SESSIONS, 3), np.int64)
    change = np.full((MOST_SESSIONS, MOST_CHANGES), np.iinfo(np.int64).max)
    offset = np.zeros((MOST_SESSIONS, MOST_CHANGES), np.int64)
    for i, (session, zone) in enumerate(zip(sessions, zones, strict=True)):
        start = session.start_minute * MINUTE_MS
        end = session.end_minute * MINUTE_MS
        length = (end - start) % DAY_MS or DAY_MS
        span[i] = start, start + length, min(opening_range_minutes * MINUTE_MS, length)
        change[i, : len(zone)] = [when for when, _ in zone]
        offset[i, : len(zone)] = [shift for _, shift in zone]
    return SessionTables(span, change, offset)


@cache
def _offsets(zone: str) -> tuple[tuple[int, int], ...]:
    """(UTC ms from which it holds, offset in ms) of every change of a zone's offset, in order."""
    info = ZoneInfo(zone)

    def offset(when: datetime) -> timedelta:
        return when.astimezone(info).utcoffset() or timedelta(0)

    step = timedelta(days=7)  # no zone changes twice within a week
    before = datetime(_FIRST_YEAR, 1, 1, tzinfo=UTC)
    found = [(np.iinfo(np.int64).min, _ms(offset(before)))]
    while before.year < _LAST_YEAR:
        after = before + step
        if offset(after) != offset(before):
            low, high = before, after
            while high - low > timedelta(seconds=1):
                middle = low + (high - low) / 2
                low, high = (middle, high) if offset(middle) == offset(before) else (low, middle)
            when = high.replace(microsecond=0)
            found.append((int(when.timestamp()) * 1000, _ms(offset(when))))
        before = after
    return tuple(found)


def _ms(length: timedelta) -> int:
    return round(length.total_seconds() * 1000)
