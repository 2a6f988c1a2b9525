"""From facts to drawings; each carries the bar it became known and the bars it changed.

The page shows of a drawing only what was known at the slider's bar, so nothing here may put a later
fact (an end, an exit price) into what is visible from `known` on: it goes into `stages`, `notes`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import isnan
from typing import Any

from fractaltrader.chart.facts import LABELS, SHORT, Fact, name_of, reason_of


@dataclass(slots=True)
class Stage:
    """From `bar` on a drawing ends there, is of `layer`, and ends at price `y1` if it has one."""

    bar: int
    layer: str
    y1: float | None = None


@dataclass(slots=True)
class Drawing:
    """A mark (a point), a line (y0 at `start` to y1 at its end) or a box (y0 to y1).

    It runs from bar `start` to bar `stop`, or as far as the slider when `stop` is None. `notes` are
    (bar, text): what the pointer reads from that bar on.
    """

    layer: str
    known: int
    start: int
    stop: int | None
    y0: float
    y1: float
    hover: str
    label: str = ""
    stages: list[Stage] = field(default_factory=list)
    notes: list[tuple[int, str]] = field(default_factory=list)

    @property
    def end(self) -> int | None:
        """The last bar it is drawn to in its final state; None while it lasts."""
        return self.stages[-1].bar if self.stages else self.stop

    def document(self) -> dict[str, Any]:
        """As the page reads it."""
        return {
            "layer": self.layer,
            "known": self.known,
            "from": self.start,
            "to": self.stop,
            "y0": self.y0,
            "y1": self.y1,
            "hover": self.hover,
            "label": self.label,
            "stages": [[stage.bar, stage.layer, stage.y1] for stage in self.stages],
            "notes": self.notes,
        }


# How a later fact changes what is drawn of the one it refers to.
_AFTER = {
    "fvg_filled": "gone",
    "fvg_inverse": "failed",
    "ob_mitigated": "gone",
    "ob_invalidated": "failed",
    "block_invalidated": "failed",
    "expired": "gone",
}
_LEVEL_AFTER = {"sweep": "spent", "taken": "spent", "expired": "spent", "pool": "spent"}
_LEVELS = ("pool",)
_PERIODS = ("prev_day", "prev_week", "prev_month")


def drawings_of(facts: list[Fact]) -> list[Drawing]:
    """Every drawing of `facts`, which are in the order they became known."""
    by_id = {fact.id: fact for fact in facts}
    later: dict[int, list[Fact]] = defaultdict(list)
    for fact in facts:
        later[fact.ref].append(fact)
    made: dict[int, Drawing] = {}
    drawings = []
    for fact in facts:
        draw = _DRAW.get(fact.kind)
        if draw is None or isnan(fact.level):
            continue
        for drawing in draw(fact, by_id, later[fact.id]):
            drawings.append(drawing)
            made.setdefault(fact.id, drawing)
    _end_periods(facts, made)
    _end_merged(facts, made)
    return drawings


def _hover(fact: Fact, by_id: dict[int, Fact]) -> str:
    return f"<b>{name_of(fact)}</b>, known at bar {fact.known}<br>{reason_of(fact, by_id)}"


def _notes(later: list[Fact]) -> list[tuple[int, str]]:
    return [(fact.known, f"{name_of(fact)} at bar {fact.known}") for fact in later]


def _sided(layer: str, fact: Fact) -> str:
    return layer + ("+" if fact.side > 0 else "-")


def _zone(layer: str) -> Callable[..., Iterator[Drawing]]:
    def draw(fact: Fact, by_id: dict[int, Fact], later: list[Fact]) -> Iterator[Drawing]:
        stages: list[Stage] = []
        for after in later:
            # A failed zone stays failed, whatever else is said of it.
            if after.kind in _AFTER and not (stages and stages[-1].layer == "failed"):
                stages.append(Stage(after.known, _AFTER[after.kind]))
        yield Drawing(
            _sided(layer, fact), fact.known, fact.known, None, fact.low, fact.high,
            _hover(fact, by_id), stages=stages, notes=_notes(later),
        )  # fmt: skip

    return draw


def _swing(fact: Fact, by_id: dict[int, Fact], later: list[Fact]) -> Iterator[Drawing]:
    label = next((after.kind.upper() for after in later if after.kind in LABELS), "")
    stages = [Stage(after.known, "superseded") for after in later if after.kind == "superseded"]
    yield Drawing(
        _sided("swing", fact), fact.known, fact.at, fact.at, fact.level, fact.level,
        _hover(fact, by_id), f"{label} {fact.timeframe}".strip(), stages, _notes(later),
    )  # fmt: skip


def _break(label: str) -> Callable[..., Iterator[Drawing]]:
    def draw(fact: Fact, by_id: dict[int, Fact], later: list[Fact]) -> Iterator[Drawing]:
        yield Drawing(
            _sided(fact.kind, fact), fact.known, fact.origin, fact.at, fact.level, fact.level,
            _hover(fact, by_id), f"{label} {fact.timeframe}".strip(), notes=_notes(later),
        )  # fmt: skip

    return draw


def _pool(fact: Fact, by_id: dict[int, Fact], later: list[Fact]) -> Iterator[Drawing]:
    joined = by_id.get(fact.ref)
    stages = [Stage(after.known, _LEVEL_AFTER[after.kind]) for after in later
              if after.kind in _LEVEL_AFTER]  # fmt: skip
    yield Drawing(
        "pool", fact.known, joined.at if joined else fact.at, None, fact.level, fact.level,
        _hover(fact, by_id), ("EQH" if fact.side > 0 else "EQL"), stages[:1], _notes(later),
    )  # fmt: skip


def _sweep(fact: Fact, by_id: dict[int, Fact], later: list[Fact]) -> Iterator[Drawing]:
    extreme = fact.high if fact.side > 0 else fact.low
    hover = _hover(fact, by_id)
    yield Drawing(
        _sided("sweep", fact), fact.known, fact.at, fact.at, extreme, extreme, hover,
    )  # fmt: skip
    yield Drawing(
        "swept", fact.known, fact.origin, fact.at, fact.level, fact.level, hover,
    )  # fmt: skip


def _strength(fact: Fact, by_id: dict[int, Fact], later: list[Fact]) -> Iterator[Drawing]:
    yield Drawing(
        _sided(fact.kind, fact), fact.known, fact.at, fact.at, fact.level, fact.level,
        _hover(fact, by_id),
    )  # fmt: skip


def _mark(layer: str, label: str = "") -> Callable[..., Iterator[Drawing]]:
    def draw(fact: Fact, by_id: dict[int, Fact], later: list[Fact]) -> Iterator[Drawing]:
        yield Drawing(
            layer, fact.known, fact.at, fact.at, fact.level, fact.level, _hover(fact, by_id), label,
        )  # fmt: skip

    return draw


def _period(fact: Fact, by_id: dict[int, Fact], later: list[Fact]) -> Iterator[Drawing]:
    yield Drawing(
        "level", fact.known, fact.known, None, fact.level, fact.level, _hover(fact, by_id),
        SHORT[fact.kind] + ("H" if fact.side > 0 else "L"), notes=_notes(later),
    )  # fmt: skip


def _end_periods(facts: list[Fact], made: dict[int, Drawing]) -> None:
    """A period's extreme holds until the next one of its kind and side is known."""
    open_: dict[tuple[str, int], Drawing] = {}
    for fact in facts:
        if fact.kind not in (*_PERIODS, "range"):
            continue
        key = (fact.kind, fact.side if fact.kind in _PERIODS else 0)
        before = open_.pop(key, None)
        if before is not None:
            before.stages.append(Stage(fact.known, before.layer))
        if fact.id in made:
            open_[key] = made[fact.id]


def _merged(fact: Fact, by_id: dict[int, Fact], later: list[Fact]) -> Iterator[Drawing]:
    yield Drawing(
        _sided("merged", fact), fact.known, fact.known, None, fact.low, fact.high,
        _hover(fact, by_id),
    )  # fmt: skip


def _end_merged(facts: list[Fact], made: dict[int, Drawing]) -> None:
    """United gaps last until a gap with their far edge is over, or a greater union holds them."""
    open_: list[Fact] = []
    for fact in facts:
        if fact.kind not in ("fvg_merged", "fvg_filled", "expired"):
            continue
        for union in list(open_):
            if (union.side, union.timeframe) != (fact.side, fact.timeframe):
                continue
            if fact.kind == "fvg_merged":
                over = fact.low <= union.low and union.high <= fact.high
            else:
                far = union.low if union.side > 0 else union.high
                over = far == (fact.low if fact.side > 0 else fact.high)
            if over:
                made[union.id].stages.append(Stage(fact.known, "gone"))
                open_.remove(union)
        if fact.kind == "fvg_merged":
            open_.append(fact)


def _session(layer: str) -> Callable[..., Iterator[Drawing]]:
    def draw(fact: Fact, by_id: dict[int, Fact], later: list[Fact]) -> Iterator[Drawing]:
        opened = by_id.get(fact.ref)
        # The high's event carries the low too: one box for both.
        if fact.side > 0 and opened is not None:
            yield Drawing(
                layer, fact.known, opened.at, fact.known, fact.low, fact.high, _hover(fact, by_id)
            )

    return draw


def _range(fact: Fact, by_id: dict[int, Fact], later: list[Fact]) -> Iterator[Drawing]:
    yield Drawing(
        "range", fact.known, fact.known, None, fact.low, fact.high, _hover(fact, by_id),
        notes=_notes(later),
    )  # fmt: skip


_DRAW: dict[str, Callable[[Fact, dict[int, Fact], list[Fact]], Iterator[Drawing]]] = {
    "swing": _swing,
    "bos": _break("BOS"),
    "choch": _break("CHoCH"),
    "mss": _mark("mss"),
    "fvg": _zone("fvg"),
    "fvg_merged": _merged,
    "strong": _strength,
    "weak": _strength,
    "ob": _zone("ob"),
    "breaker": _zone("breaker"),
    "mitigation": _zone("breaker"),
    "pool": _pool,
    "sweep": _sweep,
    "taken": _mark("taken"),
    "displacement": _mark("displacement"),
    "ote": _mark("ote"),
    "hole": _mark("hole", "hole"),
    "candidate": _mark("candidate"),
    "prev_day": _period,
    "prev_week": _period,
    "prev_month": _period,
    "session": _session("session"),
    "opening_range": _session("opening"),
    "range": _range,
}
