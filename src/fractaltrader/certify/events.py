"""Replay of a target that answers with events: our engine."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from fractaltrader.certify.certificate import (
    OFFENCES_KEPT,
    Certificate,
    ColumnFindings,
    Offence,
    lag_of,
)
from fractaltrader.certify.replay import Plan, Tell, silent
from fractaltrader.market import Candles

if TYPE_CHECKING:
    import polars as pl


class Fact(NamedTuple):
    """An event as it is compared: every public field of it."""

    kind: str
    side: int
    at: int
    known: int
    level: float | None
    low: float | None
    high: float | None
    ref: int
    id: int
    origin: int
    members: int
    timeframe: str

    def __str__(self) -> str:
        side = {1: "up ", -1: "down "}.get(self.side, "")
        prices = ("-" if price is None else f"{price:.10g}" for price in self[4:7])
        level, low, high = prices
        return (
            f"{side}at {self.at} from {self.origin}: {level} ({low} to {high}), {self.timeframe}, "
            f"{self.members} members, id {self.id}, ref {self.ref}"
        )


Detect = Callable[[Candles], "pl.DataFrame"]
Stream = Callable[[Candles], Iterable[list[Fact]]]
Cells = Mapping[tuple[str, int], str]


class _Tally:
    """What changed and what was shown, by kind of event; a kind is a column, `known` its row."""

    def __init__(self, candles: Candles) -> None:
        self._candles = candles
        self._rewritten: dict[str, int] = defaultdict(int)
        self._backfilled: dict[str, int] = defaultdict(int)
        self._offences: dict[str, list[Offence]] = defaultdict(list)
        self._first_seen: dict[Fact, int] = {}

    def take(self, previous: "pl.DataFrame", closed: int, frame: "pl.DataFrame", bars: int) -> None:
        """Compare the events of one prefix with `previous`, those of the one of `closed` bars."""
        fresh = frame.slice(len(previous))
        if frame.head(len(previous)).equals(previous) and (fresh["known"] >= closed).all():
            self._show(_facts(fresh), bars)
            return
        before, after = _facts(previous), _facts(frame)
        self.compare(before, [fact for fact in after if fact.known < closed], bars)
        self._show(set(after) - set(before), bars)

    def compare(self, before: Iterable[Fact], after: Iterable[Fact], bars: int) -> None:
        """Count every reading, the events of a kind at a bar, that differs."""
        was, now = _cells(before), _cells(after)
        for cell in sorted(was.keys() | now.keys(), key=lambda cell: (cell[1], cell[0])):
            if was.get(cell) == now.get(cell):
                continue
            kind, bar = cell
            self._rewritten[kind] += 1
            self._backfilled[kind] += cell not in was
            if len(self._offences[kind]) < OFFENCES_KEPT:
                time = int(self._candles.open_time[bar])
                self._offences[kind].append(
                    Offence(kind, bar, time, bars, was.get(cell, "-"), now.get(cell, "-"))
                )

    def _show(self, facts: Iterable[Fact], bars: int) -> None:
        for fact in facts:
            self._first_seen.setdefault(fact, bars)

    def findings(self, full: list[Fact]) -> Iterator[ColumnFindings]:
        """One a kind, in the order the kinds first became known."""
        lasting = set(full)
        kinds = dict.fromkeys([fact.kind for fact in full])
        kinds |= dict.fromkeys([*(fact.kind for fact in self._first_seen), *self._rewritten])
        for kind in kinds:
            seen = {fact: bars for fact, bars in self._first_seen.items() if fact.kind == kind}
            yield ColumnFindings(
                column=kind,
                rewritten=self._rewritten[kind],
                backfilled=self._backfilled[kind],
                shown=len(seen),
                erased=sum(fact not in lasting for fact in seen),
                lag=lag_of([bars - 1 - fact.at for fact, bars in seen.items()]),
                offences=tuple(self._offences[kind]),
            )


def certify_events(
    target: str,
    detect: Detect,
    stream: Stream,
    candles: Candles,
    plan: Plan,
    *,
    tell: Tell = silent,
) -> Certificate:
    """Hold `detect` on every prefix against the prefix before, and `stream` against the full run.

    An event's row is the bar at which it was `known`; its lag is counted from the bar it describes.
    `stream` gives the events of each bar as the bot, which sees one bar at a time, learns them.
    Raises UserError for a plan the candles do not hold.
    """
    lengths = plan.lengths(candles)
    full = _facts(detect(candles))
    tally = _Tally(candles)
    previous = detect(candles.slice(0, plan.first))
    tell(1)
    for done, bars in enumerate(lengths[1:], start=2):
        frame = detect(candles.slice(0, bars))
        tally.take(previous, bars - plan.every, frame, bars)
        previous = frame
        tell(done)
    last = lengths[-1]
    tally.compare(_facts(previous), [fact for fact in full if fact.known < last], len(candles))
    live = [fact for facts in stream(candles.slice(0, last)) for fact in facts]
    tally.compare(live, [fact for fact in full if fact.known < last], len(candles))
    return Certificate(
        target=target,
        coin=candles.coin,
        timeframe=str(candles.timeframe),
        bars=len(candles),
        first_prefix=plan.first,
        prefixes=plan.count,
        every=plan.every,
        checks=(
            f"{plan.count:,} prefixes run anew, each compared with the one before",
            f"{last:,} bars streamed one by one and compared with the full run",
        ),
        columns=tuple(tally.findings(full)),
    )


def _facts(frame: "pl.DataFrame") -> list[Fact]:
    # Column by column: a query of polars costs a prefix more than its detection.
    columns = (frame[name].to_list() for name in Fact._fields)
    # NaN, no price, would not even equal itself.
    return [
        Fact._make(None if value != value else value for value in row)
        for row in zip(*columns, strict=True)
    ]


def _cells(facts: Iterable[Fact]) -> Cells:
    cells: dict[tuple[str, int], str] = {}
    for fact in facts:
        cell = (fact.kind, fact.known)
        cells[cell] = f"{cells[cell]}; {fact}" if cell in cells else str(fact)
    return cells
