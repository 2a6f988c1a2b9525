"""What of a drawing may be seen at a bar, stated a second time and independently of the page."""

from typing import NamedTuple

from fractaltrader.chart.drawings import Drawing


class Seen(NamedTuple):
    layer: str
    start: int
    to: int
    y0: float
    y1: float
    label: str
    hover: str


def seen_at(drawing: Drawing, bar: int) -> Seen | None:
    """The drawing at the close of `bar`; None before it is known."""
    if bar < drawing.known:
        return None
    layer, to, y1 = drawing.layer, bar, drawing.y1
    if drawing.stop is not None:
        to = min(bar, drawing.stop)
    for stage in drawing.stages:
        if stage.bar <= bar:
            layer, to = stage.layer, stage.bar
            y1 = drawing.y1 if stage.y1 is None else stage.y1
    notes = [text for since, text in drawing.notes if since <= bar]
    hover = "<br>".join([drawing.hover, *notes])
    return Seen(layer, drawing.start, to, drawing.y0, y1, drawing.label, hover)


def visible_at(drawing: Drawing, bar: int) -> Seen:
    """The drawing at the close of `bar`, by which it is known."""
    seen = seen_at(drawing, bar)
    assert seen is not None
    return seen


def all_seen(drawings: list[Drawing], bar: int) -> list[Seen]:
    """Every drawing that can be seen at `bar`."""
    return [seen for drawing in drawings if (seen := seen_at(drawing, bar)) is not None]
