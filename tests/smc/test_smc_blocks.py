"""Structure clauses, labels, order blocks, breakers and levels, worked by hand."""

import pytest
from markets import events_of, mirrored, ohlc, told

from fractaltrader.smc import EngineParameters, EventKind

# A swing high of 105 at bar 1 is broken by the close of bar 5; the leg's lowest bars are 3 and 4.
LEG = (
    (100, 101, 99, 100),
    (100, 105, 100, 104),
    (104, 104, 98, 99),
    (99, 100, 97, 98),
    (98, 102, 97, 101),
    (101, 107, 101, 106),
)


@pytest.mark.parametrize("upside_down", [False, True])
@pytest.mark.parametrize(
    ("clauses", "at", "low", "high"),
    [
        ({}, 4, 97, 102),  # of two equal lows the last
        ({"block_tie": "first"}, 3, 97, 100),
        ({"candle_select": "last_opposite"}, 3, 97, 100),  # the last that closed down
        ({"candle_select": "last_opposite", "zone": "body"}, 3, 98, 99),
        # ATR(2) at bar 4 is (3 + 5) / 2 = 4: ranges of 4 and more are passed over.
        ({"block_volatile_atr": 1.0}, 3, 97, 100),
    ],
)
def test_order_block_of_a_break(
    clauses: dict, at: int, low: float, high: float, upside_down: bool
) -> None:
    """The break chooses its block in the leg from the broken swing, by tie, colour and width."""
    bars = ohlc(*LEG)
    if upside_down:
        bars, low, high = mirrored(bars), 200 - high, 200 - low
    events = events_of(bars, **clauses)
    (block,) = [e for e in events if e.kind is EventKind.OB]
    side = -1 if upside_down else 1
    near = low if upside_down else high
    assert block[1:4] == (side, at, 5)
    assert (block.level, block.low, block.high) == (near, low, high)
    assert events[block.ref].kind is EventKind.BOS


def test_no_order_block_without_a_fitting_candle() -> None:
    """Where every candle of the leg is too wide there is a break and no block."""
    found = told(ohlc(*LEG), "BOS", "OB", block_volatile_atr=0.1)
    assert [e[0] for e in found] == ["BOS"]


@pytest.mark.parametrize(
    ("clauses", "after", "expected"),
    [
        # The block of LEG is 97…102, its middle 99.5.
        ({}, [(106, 107, 102, 104)], ["TOUCHED"]),
        ({}, [(106, 107, 99.5, 104)], ["TOUCHED", "MITIGATED"]),
        ({"mitigation": "touch"}, [(106, 107, 102, 104)], ["TOUCHED", "MITIGATED"]),
        ({}, [(106, 107, 96, 97)], ["TOUCHED", "MITIGATED"]),  # closes at the edge
        ({}, [(106, 107, 96, 96.9)], ["TOUCHED", "MITIGATED", "INVALIDATED"]),
        ({"block_end": "wick"}, [(106, 107, 96, 104)], ["TOUCHED", "MITIGATED", "INVALIDATED"]),
        ({"block_end": "wick"}, [(106, 107, 97, 104)], ["TOUCHED", "MITIGATED"]),
        ({"mitigation": "close_through"}, [(106, 107, 98, 104)], ["TOUCHED"]),
        (
            {"mitigation": "close_through"},
            [(106, 107, 98, 104), (104, 104, 96, 96.5)],
            ["TOUCHED", "MITIGATED", "INVALIDATED"],
        ),
    ],
)
def test_life_of_an_order_block(clauses: dict, after: list, expected: list[str]) -> None:
    """Touched at the near edge, mitigated where the clause says, invalidated beyond the far one."""
    names = ("OB_TOUCHED", "OB_MITIGATED", "OB_INVALIDATED")
    found = told(ohlc(*LEG, *after), *names, side=1, **clauses)
    assert [e[0].removeprefix("OB_") for e in found] == expected
    assert all(e[3] > 5 for e in found)


def test_block_of_a_displacement() -> None:
    """With confirm=displacement the block comes from the candle before the large body."""
    calm = (100, 101, 99, 100)
    bars = ohlc(calm, calm, (100, 100.5, 99, 99.5), (99.5, 104, 99.5, 104))
    events = events_of(bars, confirm="displacement", candle_select="last_opposite")
    (block,) = [e for e in events if e.kind is EventKind.OB]
    assert (block.at, block.known, block.low, block.high) == (2, 3, 99, 100.5)
    assert events[block.ref].kind is EventKind.DISPLACEMENT


# After LEG price makes another high (or not), falls through the block and below the swing low 97.
HIGHER = ((106, 109, 105, 108), (108, 108, 103, 104), (104, 104, 95, 96))
LOWER = ((106, 106.2, 101, 102), (102, 104, 101.5, 103), (103, 106, 103, 104), (104, 104, 95, 96))


@pytest.mark.parametrize(
    ("after", "kind"),
    [(HIGHER, "BREAKER"), (LOWER, "MITIGATION")],
)
def test_failed_block_turns_round(after: tuple, kind: str) -> None:
    """The opposite break makes a breaker of an invalidated block whose leg raided the last high."""
    bars = ohlc(*LEG, *after)
    events = events_of(bars)
    (turned,) = [e for e in events if e.kind.name in ("BREAKER", "MITIGATION")]
    (block,) = [e for e in events if e.kind is EventKind.OB and e.side == 1]
    last = len(bars) - 1
    assert (turned.kind.name, turned.side, turned.at, turned.known) == (kind, -1, block.at, last)
    assert (turned.ref, turned.low, turned.high) == (block.id, block.low, block.high)
    back = ohlc(*LEG, *after, (96, 98, 95, 96), (96, 104, 96, 103))
    life = [e for e in events_of(back) if e.ref == turned.id]
    assert [(e.kind.name, e.known - last) for e in life] == [
        ("BLOCK_TOUCHED", 1),
        ("BLOCK_INVALIDATED", 2),
    ]


def test_wick_trigger() -> None:
    """A wick beyond the swing breaks it where the clause says so, at its own bar; a touch never."""
    bars = ohlc(*LEG[:5], (101, 105, 101, 102), (102, 106, 101, 103))
    assert told(bars, "BOS", side=1) == []
    assert told(bars, "BOS", side=1, trigger="wick") == [("BOS", 1, 6, 6, 105, 105, 106)]


# BOS up at bar 5 from the swing low 97 at bar 3; then a higher low 102 at bar 7 breaks at bar 9.
ORIGIN = (
    (100, 101, 99, 100), (100, 105, 100, 104), (104, 104, 98, 99), (99, 100, 97, 98),
    (98, 102, 98, 101), (101, 107, 101, 106), (106, 108, 104, 107), (107, 107, 102, 104),
    (104, 106, 103, 105), (105, 105, 100, 101), (101, 101, 95, 96),
)  # fmt: skip


def test_reversal_of_the_last_swing_or_of_the_break_s_origin() -> None:
    """last_swing turns at the higher low, bos_origin only where the break of structure began."""
    changes = told(ohlc(*ORIGIN), "CHOCH")
    assert [(e[1], e[3], e[4]) for e in changes] == [(-1, 9, 102)]
    changes = told(ohlc(*ORIGIN), "CHOCH", which_pivot="bos_origin")
    assert [(e[1], e[3], e[4]) for e in changes] == [(-1, 10, 97)]


def test_labels_and_supersession() -> None:
    """Labels compare with the swing before, equal is no higher; a second in a row supersedes."""
    low, highs = 100.0, (105, 107, 107, 104)
    bars = [(100, 101, 99, 100)]
    for high in highs:
        bars += [(100, high, low, 102), (101, 102, low, 101)]
    names = ("HH", "LH", "SUPERSEDED")
    found = told(ohlc(*bars), *names, side=1, tie="strict")
    assert [(e[0], e[2], e[3]) for e in found] == [
        ("HH", 3, 4), ("SUPERSEDED", 3, 4), ("LH", 5, 6), ("LH", 7, 8),
    ]  # fmt: skip
    assert told(ohlc(*bars), *names, labels=False) == []
    found = told(mirrored(ohlc(*bars)), "LL", "HL", "SUPERSEDED", side=-1, tie="strict")
    assert [e[0] for e in found] == ["LL", "SUPERSEDED", "HL", "HL"]


def test_strong_and_weak_swings() -> None:
    """At a break the swing it began from is strong and the broken one, never strong, is weak."""
    found = told(ohlc(*LEG), "STRONG", "WEAK", strength=True)
    assert [e[:5] for e in found] == [("STRONG", -1, 3, 5, 97), ("WEAK", 1, 1, 5, 105)]


def test_leg_flip_looks_only_ahead() -> None:
    """A pivot is where the leg turns: later, further extremes of the same leg do not move it."""
    highs = (110, 109, 108, 112, 107, 106, 104, 105, 108, 109)
    bars = ohlc(*((h - 1, h, h - 2, h - 1) for h in highs))
    params = EngineParameters(detector="leg_flip", right=2)
    swings = [(e.side, e.at, e.known, e.level) for e in events_of(bars, params) if e.kind == 1]
    # 110 beats the two bars after it though none came before; 112 lies in the same bearish leg.
    assert swings == [(1, 0, 2, 110), (-1, 6, 8, 102)]


def test_candidates_are_typed_apart() -> None:
    """Tentative extremes follow price only where asked for, and nothing refers to them."""
    bars = ohlc(*LEG)
    events = events_of(bars, candidates=True)
    tentative = {e.id for e in events if e.kind is EventKind.CANDIDATE}
    assert tentative
    assert not tentative & {e.ref for e in events}
    plain = events_of(bars)
    assert [e[:5] for e in plain] == [e[:5] for e in events if e.id not in tentative]


@pytest.mark.parametrize(
    ("target", "ended"), [("swing", [1, 2]), ("equal_cluster", [2]), ("any", [1, 2])]
)
def test_target_chooses_whose_sweep_is_told(target: str, ended: list[int]) -> None:
    """With equal_cluster only a pool's sweep is an event; a single level ends unsaid."""
    bars = ohlc(
        (100, 101, 99, 100), (100, 110, 100, 106), (106, 106, 100, 101), (101, 109.9, 101, 105),
        (105, 105, 99, 100), (100, 107, 99.5, 101), (101, 102, 100, 101), (101, 108, 100, 101),
        (101, 111, 101, 105),
    )  # fmt: skip
    found = [
        e.members
        for e in events_of(bars, target=target)
        if e.kind is EventKind.SWEEP and e.side == 1
    ]
    assert found == ended


def test_zones_expire_by_age_and_number() -> None:
    """A zone older than expiry_bars, or the oldest of too many, ends with an event of its own."""
    only_gaps = {"order_blocks": False, "breakers": False, "liquidity": False}
    gaps = [(100, 101, 99, 100)]
    for i in range(4):
        base = 104 + 5 * i
        gaps += [(base - 4, base + 1, base - 4, base), (base, base + 1, base - 1, base)]
    events = events_of(ohlc(*gaps), max_zones=2, **only_gaps)
    made = [e.id for e in events if e.kind is EventKind.FVG]
    filled = {e.ref for e in events if e.kind is EventKind.FVG_FILLED}
    assert not filled
    expired = [e.ref for e in events if e.kind is EventKind.EXPIRED]
    assert expired == made[:-2]
    assert len(expired) >= 2
    calm = [(104, 106, 104, 105)] * 5
    bars = ohlc((100, 101, 99, 100), (100, 105, 100, 104), (104, 106, 103.5, 105), *calm)
    (old,) = [e for e in events_of(bars, expiry_bars=3, **only_gaps) if e.kind is EventKind.EXPIRED]
    assert old.known == 2 + 3 + 1
