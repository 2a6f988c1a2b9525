"""Detection worked by hand, a few bars at a time."""

import msgspec
import pytest
from markets import bars_of, mirrored

from fractaltrader.errors import UserError
from fractaltrader.market import Bar
from fractaltrader.smc import EngineParameters, Event, EventKind, SmcEngine

SMALL = EngineParameters(left=1, right=1, atr_bars=2, equal_atr=0.1)


def events_of(bars: list[Bar], params: EngineParameters = SMALL) -> list[Event]:
    engine = SmcEngine(params)
    return [event for bar in bars for event in engine.on_bar(bar)]


def brief(bars: list[Bar], *kinds: EventKind, side: int, params: EngineParameters = SMALL) -> list:
    """(kind, at, known, level) of the events of one side, optionally of some kinds."""
    return [
        (e.kind.name, e.at, e.known, e.level)
        for e in events_of(bars, params)
        if e.side == side and (not kinds or e.kind in kinds)
    ]


def test_swing_is_known_right_bars_later() -> None:
    """A swing high with two bars each side is stated at the close of the second bar after it."""
    bars = bars_of(
        (101, 99, 100), (102, 100, 101), (105, 101, 104), (103, 100, 101), (104, 99, 100)
    )
    params = EngineParameters(left=2, right=2)
    assert brief(bars, side=1, params=params) == [("SWING", 2, 4, 105.0)]
    assert events_of(bars[:4], params) == []


@pytest.mark.parametrize(("tie", "found"), [("first", [("SWING", 1, 2, 105.0)]), ("strict", [])])
def test_tie_rule_of_a_plateau(tie: str, found: list) -> None:
    """Of two equal highs side by side the first is the swing, or with strict ties none is."""
    bars = bars_of((101, 99, 100), (105, 99, 100), (105, 99, 100), (102, 99, 100), (101, 99, 100))
    params = EngineParameters(left=1, right=1, tie=tie)
    assert brief(bars, EventKind.SWING, side=1, params=params) == found


def test_break_with_and_against_the_bias() -> None:
    """The first close beyond a swing is a BOS, one against the bias a CHoCH; each level once."""
    bars = bars_of(
        (101, 100, 100.5),
        (105, 101, 104),  # swing high 105
        (103, 99, 100),  # swing low 99
        (105, 100, 105),  # closes at the level, not beyond it
        (107, 104, 106),  # BOS up
        (108, 106, 107),  # consumed: no second break
        (106, 98, 98.5),  # CHoCH down
    )
    breaks = (EventKind.BOS, EventKind.CHOCH)
    assert brief(bars, *breaks, side=1) == [("BOS", 4, 4, 105.0)]
    assert brief(bars, *breaks, side=-1) == [("CHOCH", 6, 6, 99.0)]
    swings = {e.id: e for e in events_of(bars) if e.kind is EventKind.SWING}
    for event in events_of(bars):
        if event.kind in breaks:
            assert swings[event.ref].level == event.level
            assert swings[event.ref].at == event.origin


def test_equal_highs_make_a_pool_at_the_outer_extreme() -> None:
    """A swing within a tenth of the ATR of an untouched one joins it; the level stays outermost."""
    bars = bars_of(
        (101, 100, 100), (110, 105, 106), (105, 100, 101), (109.5, 104, 105), (104, 99, 100)
    )
    pools = [e for e in events_of(bars) if e.kind is EventKind.POOL]
    # True ranges at bars 3 and 4: 8.5 and 6; a tenth of their mean is 0.725, and 0.5 is within it.
    assert [(p.at, p.known, p.level, p.low, p.high, p.members) for p in pools] == [
        (3, 4, 110.0, 109.5, 110.0, 2)
    ]
    first = next(e for e in events_of(bars) if e.kind is EventKind.SWING and e.side == 1)
    assert pools[0].ref == first.id
    apart = EngineParameters(left=1, right=1, atr_bars=2, equal_atr=0.05)
    assert brief(bars, EventKind.POOL, side=1, params=apart) == []


SWING_105 = ((101, 100, 100), (105, 101, 104), (103, 100, 102))


@pytest.mark.parametrize("upside_down", [False, True])
@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ([(106, 101, 104)], ("SWEEP", 3, 3, 106.0)),  # reclaimed by the same bar
        ([(106, 101, 105.5), (107, 104, 106), (106.5, 101, 104)], ("SWEEP", 3, 5, 107.0)),
        ([(106, 101, 105)] * 2 + [(106, 101, 105)], ("TAKEN", 3, 5, 106.0)),  # at it is not inside
        ([(106, 101, 105.5), (107, 105, 106), (108, 106, 107)], ("TAKEN", 3, 5, 108.0)),
        ([(105, 101, 104)], None),  # touched, not penetrated
        ([(106, 101, 105.5), (107, 104, 106)], None),  # still waiting
    ],
)
def test_sweep_or_taken(after: list, expected: tuple | None, upside_down: bool) -> None:
    """A penetration ends as a sweep by a close inside within three bars, else as taken."""
    bars = bars_of(*SWING_105, *after)
    side = 1
    if upside_down:
        bars, side = mirrored(bars), -1
    found = [
        (e.kind.name, e.at, e.known, e.high if side > 0 else 200 - e.low)
        for e in events_of(bars)
        if e.side == side and e.kind in (EventKind.SWEEP, EventKind.TAKEN)
    ]
    assert found == ([expected] if expected else [])


def test_oldest_level_expires_when_the_side_is_full() -> None:
    """With room for two levels the third swing makes the oldest expire, as an event of its own."""
    peaks = [(110 - 2 * i, 99, 100) for i in range(3)]
    valley = (101, 99, 100)
    bars = bars_of(valley, peaks[0], valley, peaks[1], valley, peaks[2], valley)
    params = EngineParameters(left=1, right=1, max_levels=2, equal_atr=0)
    assert brief(bars, EventKind.EXPIRED, side=1, params=params) == [("EXPIRED", 1, 6, 110.0)]


def test_parameters_are_refused_by_name() -> None:
    """A misspelt parameter gets a suggestion, one out of bounds its rule, in one line."""
    with pytest.raises(UserError, match="unknown parameter 'reclaim_bar'; did you mean 'reclaim_b"):
        EngineParameters.parse({"reclaim_bar": 2}, "engine")
    with pytest.raises(UserError, match=r"^engine: left = '0': .*greater than or equal to 1$"):
        EngineParameters.parse({"left": "0"}, "engine")


def test_snapshot_of_another_is_refused() -> None:
    """A snapshot made with other parameters, or broken, is refused and changes nothing."""
    engine = SmcEngine(SMALL)
    for bar in bars_of(*SWING_105):
        engine.on_bar(bar)
    before = engine.snapshot()
    with pytest.raises(UserError, match="made by another"):
        engine.restore(SmcEngine(EngineParameters()).snapshot())
    with pytest.raises(UserError, match="start afresh"):
        engine.restore(before[:-7])
    whole = msgspec.msgpack.decode(before)
    for name in ("clock", "cores.0.zones.near"):
        cut = whole | {"arrays": whole["arrays"] | {name: whole["arrays"][name][:-8]}}
        with pytest.raises(UserError, match=f"{name} has the wrong length; start afresh"):
            engine.restore(msgspec.msgpack.encode(cut))
    assert engine.snapshot() == before
