"""Drawings say of each fact when it was known, and give nothing of the future away."""

from itertools import pairwise

import pytest
from known import all_seen, seen_at, visible_at

from fractaltrader.backtest import run_backtest
from fractaltrader.chart import Fact, engine_facts
from fractaltrader.chart.drawings import drawings_of
from fractaltrader.chart.facts import lines_of
from fractaltrader.chart.trades import signals_of, trade_lines, trades_of
from fractaltrader.market import Candles
from fractaltrader.smc import PROFILES
from fractaltrader.strategies import load_strategy


def fact(kind: str, known: int, number: int, **more: object) -> Fact:
    given: dict[str, object] = {
        "kind": kind, "side": 1, "at": known, "known": known, "level": 10.0, "low": 9.0,
        "high": 10.0, "ref": -1, "id": number, "origin": known, "members": 1, "timeframe": "",
    }  # fmt: skip
    return Fact(**{**given, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize("profile", PROFILES)
def test_what_is_seen_at_a_bar_depends_on_nothing_later(market: Candles, profile: str) -> None:
    """The prefix law of the chart: later facts change nothing that is seen at an earlier bar."""
    facts = engine_facts(market, profile, {}, 0, len(market) - 1)
    drawings, lines = drawings_of(facts), lines_of(facts)
    assert len(drawings) > 100
    for bar in range(3, len(market), 29):
        prefix = [one for one in facts if one.known <= bar]
        assert all_seen(drawings, bar) == all_seen(drawings_of(prefix), bar)
        assert [line for line in lines if line.known <= bar] == lines_of(prefix)


def test_a_gap_lives_is_filled_and_fails() -> None:
    """A zone runs from the bar it is known; once filled it ends there, once inverted it failed."""
    facts = [
        fact("fvg", 5, 0, at=4),
        fact("fvg_touched", 8, 1, ref=0),
        fact("fvg_filled", 9, 2, ref=0, level=9.0),
        fact("fvg_inverse", 12, 3, ref=0, level=9.0),
    ]
    (gap,) = drawings_of(facts)
    assert seen_at(gap, 4) is None
    alive, touched, filled, failed = (visible_at(gap, bar) for bar in (7, 8, 11, 15))
    assert [(one.layer, one.start, one.to) for one in (alive, touched, filled, failed)] == [
        ("fvg+", 5, 7), ("fvg+", 5, 8), ("gone", 5, 9), ("failed", 5, 12),
    ]  # fmt: skip
    assert "touched" not in alive.hover
    assert "touched" in touched.hover
    assert "filled" not in touched.hover
    assert (alive.y0, alive.y1) == (9.0, 10.0)


def test_a_failed_block_stays_failed() -> None:
    """What is said of an order block after it failed does not make it merely over."""
    facts = [
        fact("ob", 5, 0, at=2, side=-1),
        fact("ob_invalidated", 9, 1, ref=0),
        fact("expired", 30, 2, ref=0),
    ]
    (block,) = drawings_of(facts)
    late = visible_at(block, 40)
    assert (late.layer, late.to) == ("failed", 9)


def test_a_break_is_drawn_from_its_pivot_once_it_happened() -> None:
    """The line of a break spans the swing's bar to the break's, and is not there before."""
    (line,) = drawings_of([fact("choch", 20, 0, origin=11, side=-1)])
    assert seen_at(line, 19) is None
    seen = visible_at(line, 25)
    assert (seen.layer, seen.start, seen.to, seen.label) == ("choch-", 11, 20, "CHoCH")


def test_a_pool_is_spent_when_it_is_swept() -> None:
    """The level ends at the sweep, whose mark stands at the extreme of the penetration."""
    facts = [
        fact("swing", 3, 0, at=1),
        fact("pool", 8, 1, at=6, ref=0, members=2),
        fact("sweep", 12, 2, at=11, ref=1, origin=6, high=10.5, low=10.0),
    ]
    swing, pool, mark, swept = drawings_of(facts)
    assert [(one.layer, one.known) for one in (swing, pool, mark, swept)] == [
        ("swing+", 3), ("pool", 8), ("sweep+", 12), ("swept", 12),
    ]  # fmt: skip
    before, after = visible_at(pool, 11), visible_at(pool, 14)
    assert (before.layer, before.start, before.to) == ("pool", 1, 11)
    assert (after.layer, after.to) == ("spent", 12)
    assert (mark.start, mark.y0) == (11, 10.5)


def test_united_gaps_last_until_their_far_edge_is_filled() -> None:
    """A union is its own box from the bar it is known; a greater one takes its place, and it is
    over when the gap with its far edge is, not when a nearer one is filled."""
    union = {"at": 4, "members": 2, "high": 12.0}
    facts = [
        fact("fvg", 3, 0), fact("fvg", 5, 1, low=10.0, high=12.0),
        fact("fvg_merged", 5, 2, ref=1, **union),
        fact("fvg", 7, 3, low=11.0, high=13.0),
        fact("fvg_merged", 7, 4, ref=3, **{**union, "high": 13.0}),
        fact("fvg_filled", 9, 5, ref=3, low=11.0, high=13.0),
        fact("fvg_filled", 11, 6, ref=0),
        fact("fvg_merged", 20, 7, ref=1, side=-1, **union),
    ]  # fmt: skip
    first, second, other = [d for d in drawings_of(facts) if d.layer.startswith("merged")]
    assert seen_at(first, 4) is None
    assert [visible_at(first, bar).layer for bar in (6, 7)] == ["merged+", "gone"]
    assert [visible_at(second, bar).layer for bar in (7, 10, 11)] == ["merged+", "merged+", "gone"]
    assert (visible_at(other, 30).layer, visible_at(other, 30).to) == ("merged-", 30)


def test_swings_are_superseded_strong_and_weak() -> None:
    """A superseded swing fades once the further one is known; strength is a mark at the swing."""
    facts = [
        fact("swing", 3, 0, at=1), fact("swing", 8, 1, at=6, level=12.0),
        fact("superseded", 8, 2, ref=0, at=6, level=12.0),
        fact("weak", 12, 3, ref=1, at=6, level=12.0),
        fact("strong", 12, 4, ref=0, at=1, side=-1),
    ]  # fmt: skip
    old, new, weak, strong = drawings_of(facts)
    assert [visible_at(old, bar).layer for bar in (7, 8)] == ["swing+", "superseded"]
    assert visible_at(new, 40).layer == "swing+"
    assert [(d.layer, d.known, d.start, d.y0) for d in (weak, strong)] == [
        ("weak+", 12, 6, 12.0), ("strong-", 12, 1, 10.0),
    ]  # fmt: skip


def test_a_period_holds_until_the_next(market: Candles) -> None:
    """Yesterday's high and low run over today, and end where the next day's become known."""
    facts = engine_facts(market, "fractal", {}, 0, len(market) - 1)
    levels = [d for d in drawings_of(facts) if d.label in ("PDH", "PDL")]
    assert len(levels) >= 10
    for label in ("PDH", "PDL"):
        same = [level for level in levels if level.label == label]
        for level, following in pairwise(same):
            assert level.end == following.known == following.start


def test_a_trade_does_not_know_its_exit(market: Candles) -> None:
    """Until its exit bar a trade is a flat line without the exit's price, reason or result."""
    result = run_backtest(market, load_strategy("liquidity_sweep"))
    held = [drawing for drawing in trades_of(result) if drawing.layer == "held"]
    assert len(held) == len(result.trades) > 3
    for row, trade in enumerate(held):
        entered, left = int(result.trades.entry_bar[row]), int(result.trades.exit_bar[row])
        assert seen_at(trade, entered - 1) is None
        if left > entered:
            early = visible_at(trade, left - 1)
            assert (early.layer, early.y1) == ("held", early.y0)
            assert "left" not in early.hover
        late = visible_at(trade, left)
        assert late.layer == ("won" if result.trades.pnl[row] > 0 else "lost")
        assert late.y1 == result.trades.exit[row]
        assert result.trades.reason[row] in late.hover


def test_the_list_tells_every_entry_and_exit_at_its_bar(market: Candles) -> None:
    """The words beside the chart hold each trade twice, at its entry without and at its exit with
    the reason and the result, and the results add up to the account's."""
    result = run_backtest(market, load_strategy("liquidity_sweep"))
    trades, lines = result.trades, list(trade_lines(result))
    entries, exits = lines[::2], lines[1::2]
    assert len(entries) == len(exits) == len(trades) > 3
    assert [(e.known, e.side, e.name) for e in entries] == [
        (int(bar), int(side), "Entry")
        for bar, side in zip(trades.entry_bar, trades.side, strict=True)
    ]
    assert [(e.known, e.side > 0, e.name) for e in exits] == [
        (int(bar), pnl > 0, f"Exit by {reason}")
        for bar, pnl, reason in zip(trades.exit_bar, trades.pnl, trades.reason, strict=True)
    ]
    assert not any("USDC" in entry.reason for entry in entries)
    told = sum(float(e.reason.split()[-3].replace(",", "")) for e in exits)
    assert told == pytest.approx(result.equity[-1] - result.start_equity, abs=0.01 * len(exits))


def test_a_signal_is_known_at_its_bar_and_its_fate_later(market: Candles) -> None:
    """The pointer reads a signal's chain of facts at once, and what came of it a bar later."""
    result = run_backtest(market, load_strategy("liquidity_sweep"))
    signals = [drawing for drawing, _ in signals_of(result, 0, len(market) - 1)]
    assert len(signals) == len(result.signals) > 3
    for signal, fate in zip(signals, result.fates, strict=True):
        now, then = visible_at(signal, signal.known), visible_at(signal, signal.known + 1)
        assert "confidence" in now.hover
        assert then.hover == f"{now.hover}<br>then: {fate}"
