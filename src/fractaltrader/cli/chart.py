"""`fractal chart`: candles, structure, zones and trades in one page, as known bar by bar."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fractaltrader.errors import UserError

if TYPE_CHECKING:
    from fractaltrader.market import Candles

CandleFile = Annotated[
    Path,
    typer.Option("--candles", help="Parquet or CSV candle file.", show_default=False),
]
TimeframeName = Annotated[
    str | None,
    typer.Option(
        "--timeframe",
        help="Candles are built up to this interval; the file's own by default.",
        show_default=False,
    ),
]
ProfileName = Annotated[str, typer.Option("--profile", help="The engine's set of clauses.")]
Clauses = Annotated[
    list[str] | None,
    typer.Option("--clause", metavar="KEY=VALUE", help="An engine clause; repeat for more."),
]
StrategyName = Annotated[
    str | None,
    typer.Option(
        "--strategy",
        help="Show the signals and backtest trades of this strategy too.",
        show_default=False,
    ),
]
Params = Annotated[
    list[str] | None,
    typer.Option("--param", metavar="KEY=VALUE", help="A strategy parameter; repeat for more."),
]
First = Annotated[
    int | None, typer.Option("--from", min=0, help="First bar shown.", show_default=False)
]
Last = Annotated[
    int | None,
    typer.Option("--to", min=0, help="Last bar shown; the newest by default.", show_default=False),
]
Bars = Annotated[int, typer.Option("--bars", min=1, help="Bars shown when --from is not given.")]
Out = Annotated[Path, typer.Option("--out", help="The page to write.", dir_okay=False)]


def chart(
    candles: CandleFile,
    timeframe: TimeframeName = None,
    profile: ProfileName = "fractal",
    clause: Clauses = None,
    strategy: StrategyName = None,
    param: Params = None,
    first: First = None,
    last: Last = None,
    bars: Bars = 1_000,
    out: Out = Path("chart.html"),
) -> None:
    """Write one interactive page; its slider shows only what was known at each bar.

    Open it at a bar with FILE.html#bar=400. Bars are counted from 0 at the file's first candle.
    """
    from fractaltrader.backtest import run_backtest
    from fractaltrader.certify.functions import parse_arguments
    from fractaltrader.chart import chart_page, engine_facts
    from fractaltrader.cli.backtest import parse_params
    from fractaltrader.data.candle_files import load_candles
    from fractaltrader.market import Timeframe
    from fractaltrader.strategies import load_strategy

    if param and strategy is None:
        raise UserError("--param: it needs --strategy; for the engine's clauses use --clause")
    chosen = load_strategy(strategy, parse_params(param or [])) if strategy else None
    market = load_candles(candles)
    if timeframe is not None:
        market = market.resampled(Timeframe.parse(timeframe))
    start, stop = _window(market, first, last, bars)
    clauses = parse_arguments(clause or [], "--clause")
    page = chart_page(
        market,
        engine_facts(market, profile, clauses, start, stop),
        first=start,
        last=stop,
        subtitle=f"profile {profile}" + (f", strategy {chosen.name}" if chosen else ""),
        backtest=run_backtest(market, chosen) if chosen else None,
    )
    _write(out, page)
    typer.echo(f"{out}: bars {start} to {stop}, {len(page) / 1e6:.1f} MB; open it in a browser")


def _window(market: "Candles", first: int | None, last: int | None, bars: int) -> tuple[int, int]:
    newest = len(market) - 1
    stop = newest if last is None else last
    if stop > newest:
        raise UserError(f"--to: {stop} is beyond the newest bar of {market.coin}, {newest}")
    start = max(0, stop - bars + 1) if first is None else first
    if start > stop:
        raise UserError(f"--from: {start} is after --to, {stop}")
    return start, stop


def _write(out: Path, page: str) -> None:
    try:
        out.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"--out: cannot write {out} ({error.strerror}); choose another place"
        ) from None
