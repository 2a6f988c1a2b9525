"""One self-contained page: candles, drawings, and a slider over what was known when."""

import html
from collections.abc import Sequence
from importlib import import_module
from importlib.resources import files
from typing import Any

import msgspec

from fractaltrader.backtest import BacktestResult
from fractaltrader.chart.drawings import Drawing, drawings_of
from fractaltrader.chart.facts import Fact, lines_of
from fractaltrader.chart.trades import signals_of, trade_lines, trades_of
from fractaltrader.errors import UserError
from fractaltrader.market import Candles


def chart_page(
    candles: Candles,
    facts: Sequence[Fact],
    *,
    first: int = 0,
    last: int | None = None,
    subtitle: str = "",
    backtest: BacktestResult | None = None,
) -> str:
    """The page over bars `first`…`last` (inclusive; the newest by default) of `candles`.

    `facts` are the events of all `candles`, in the order they became known, so that what was alive
    before `first` is there too. Raises UserError for a range outside the candles and when plotly,
    of the `lab` extra, is missing.
    """
    last = len(candles) - 1 if last is None else last
    if not 0 <= first <= last < len(candles):
        raise UserError(
            f"bars: {first} to {last} is not a range within the {len(candles)} candles of "
            f"{candles.coin}"
        )
    drawings, lines = drawings_of(list(facts)), lines_of(list(facts))
    if backtest is not None:
        signals = list(signals_of(backtest, first, last))
        drawings += [*(drawing for drawing, _ in signals), *trades_of(backtest)]
        lines += [*(line for _, line in signals), *trade_lines(backtest)]
    document = {
        **_columns(candles, first, last),
        "coin": candles.coin,
        "subtitle": subtitle,
        "first": first,
        "drawings": [drawing.document() for drawing in drawings if _in_view(drawing, first, last)],
        "facts": [
            line._asdict()
            for line in sorted(lines, key=lambda line: line.known)
            if first <= line.known <= last
        ],
    }
    return _assembled(f"{candles.coin} {candles.timeframe}", msgspec.json.encode(document).decode())


def _columns(candles: Candles, first: int, last: int) -> dict[str, list[float]]:
    shown = candles.slice(first, last + 1)
    columns = {name: getattr(shown, name).tolist() for name in ("open", "high", "low", "close")}
    return {"time": shown.open_time.tolist(), "volume": shown.volume.tolist(), **columns}


def _in_view(drawing: Drawing, first: int, last: int) -> bool:
    end = drawing.end
    return drawing.known <= last and (end is None or end >= first)


def _assembled(title: str, data: str) -> str:
    parts = {
        "__TITLE__": html.escape(title),
        "__STYLE__": _text("page.css"),
        "__PLOTLY__": _plotly(),
        # A script element ends at the first "</script", wherever it stands.
        "__DATA__": data.replace("</", "<\\/"),
        "__SCRIPT__": _text("layers.js") + _text("page.js"),
    }
    page = _text("page.html")
    for name, text in parts.items():
        page = page.replace(name, text)
    return page


def _text(name: str) -> str:
    return files("fractaltrader.chart").joinpath(name).read_text(encoding="utf-8")


def _plotly() -> str:
    try:
        offline: Any = import_module("plotly.offline")
    except ImportError as missing:
        raise UserError(
            "charts need plotly, which is not installed; install the lab extra: "
            "pip install 'fractaltrader[lab]'"
        ) from missing
    script: str = offline.get_plotlyjs()
    return script
