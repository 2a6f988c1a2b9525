"""`fractal certify`: does a target ever change what it said of a closed bar?"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fractaltrader.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console
    from rich.table import Table

    from fractaltrader.certify import Certificate
    from fractaltrader.certify.replay import Tell
    from fractaltrader.market import Candles

EXIT_REPAINTS = 1
OFFENCES_SHOWN = 10
INTERPRETED_PREFIXES = 20
# The generated market: long enough for the full run to see well beyond the last prefix.
BARS_BEYOND, GENERATED_SEED, GENERATED_START_MS = 1_000, 1, 1_735_689_600_000

TargetName = Annotated[
    str | None,
    typer.Option(
        "--target",
        metavar="MODULE:FUNCTION",
        help="A third-party function, or FILE.py:FUNCTION: it is given a pandas OHLCV frame and "
        "returns one reading a bar. Our own engine when neither this nor --strategy is given.",
        show_default=False,
    ),
]
StrategyName = Annotated[
    str | None,
    typer.Option("--strategy", help="A strategy by name, or its file.", show_default=False),
]
ProfileName = Annotated[str, typer.Option("--profile", help="The engine's set of clauses.")]
CandleFile = Annotated[
    Path | None,
    typer.Option(
        "--candles",
        help="Parquet or CSV candle file; a generated market by default.",
        show_default=False,
    ),
]
Prefixes = Annotated[int, typer.Option("--prefixes", min=2, help="How many prefixes to replay.")]
FirstPrefix = Annotated[int, typer.Option("--from", min=1, help="Bars in the first prefix.")]
Every = Annotated[
    int | None,
    typer.Option(
        "--every",
        min=1,
        help="Bars from a prefix to the next; 1 by default. A strategy that is not compiled is run "
        "anew on 20 prefixes over the same bars, unless this is given, and streamed over them all.",
        show_default=False,
    ),
]
UpTo = Annotated[
    int | None,
    typer.Option("--to", min=2, help="Bars in the full run; all by default.", show_default=False),
]
Args = Annotated[
    list[str] | None,
    typer.Option(
        "--arg",
        metavar="KEY=VALUE",
        help="An argument of the function, a clause of the engine or a parameter of the strategy; "
        "repeat for more.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the certificate as JSON.")]


def certify(
    target: TargetName = None,
    strategy: StrategyName = None,
    profile: ProfileName = "fractal",
    candles: CandleFile = None,
    prefixes: Prefixes = 2_000,
    first_prefix: FirstPrefix = 1_000,
    every: Every = None,
    to: UpTo = None,
    arg: Args = None,
    as_json: AsJson = False,
) -> None:
    """Replay prefixes of the candles and report every reading of a closed bar that changed.

    Exit code 0: certified, nothing shown was ever changed; 1: it repaints; 2: a mistake in the
    call.
    """
    from rich.console import Console

    from fractaltrader.certify import Plan, certify_engine, certify_function, certify_strategy
    from fractaltrader.certify.functions import parse_arguments
    from fractaltrader.strategies import load_strategy
    from fractaltrader.strategies.kernel_strategy import KernelStrategy

    if target is not None and strategy is not None:
        raise UserError("--target and --strategy exclude each other; give one")
    market = _market(candles, first_prefix + prefixes * (every or 1))
    if to is not None:
        if to > len(market):
            raise UserError(f"--to: {to} is beyond the {len(market)} candles of {market.coin}")
        market = market.slice(0, to)
    arguments = parse_arguments(arg or [])
    chosen = load_strategy(strategy, arguments) if strategy is not None else None
    plan = Plan(first_prefix, prefixes, every or 1)
    if every is None and chosen is not None and not isinstance(chosen, KernelStrategy):
        plan = plan.sparse(min(prefixes, INTERPRETED_PREFIXES))

    def run(tell: "Tell") -> "Certificate":
        if target is not None:
            return certify_function(target, market, plan, arguments=arguments, tell=tell)
        if chosen is not None:
            return certify_strategy(chosen, market, plan, tell=tell)
        return certify_engine(market, plan, profile=profile, clauses=arguments, tell=tell)

    found = _with_progress(run, plan.count)
    if as_json:
        typer.echo(as_document(found))
    else:
        show(found, Console())
    if not found.certified:
        sys.exit(EXIT_REPAINTS)


def _market(path: Path | None, least_bars: int) -> "Candles":
    from fractaltrader.data.candle_files import load_candles
    from fractaltrader.data.synthetic import generated_market
    from fractaltrader.market import Timeframe
    from fractaltrader.market.timeframe import DAY_MS

    if path is not None:
        return load_candles(path)
    timeframe = Timeframe.parse("15m")
    # A few days more, because the generated market has outages.
    days = (least_bars + BARS_BEYOND) * timeframe.ms // DAY_MS + 5
    return generated_market(
        ["BTC"], days=days, timeframe=timeframe, seed=GENERATED_SEED, start_ms=GENERATED_START_MS
    )["BTC"]


def _with_progress(run: "Callable[[Tell], Certificate]", total: int) -> "Certificate":
    """`run`, told on standard error how far it is."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("prefixes", total=total)
        return run(lambda done: progress.update(task, completed=done))


def as_document(found: "Certificate") -> str:
    """The certificate and its verdict as JSON."""
    from dataclasses import asdict

    import msgspec

    document = {"certified": found.certified, **asdict(found)}
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()


def show(found: "Certificate", console: "Console") -> None:
    """The certificate as people read it."""
    console.print(_findings_table(found))
    for check in found.checks:
        console.print(f"checked: {check}", highlight=False)
    offences = found.first_offences
    if offences:
        console.print(_offences_table(found))
    if found.certified:
        console.print(f"[bold green]CERTIFIED[/]: 0 rewrites in {found.prefixes:,} prefixes")
    else:
        console.print(
            f"[bold red]REPAINTS[/]: {found.rewritten:,} readings rewritten, "
            f"{found.erased:,} events erased in {found.prefixes:,} prefixes"
        )


def _findings_table(found: "Certificate") -> "Table":
    from rich.table import Table

    table = Table(
        "column",
        title=f"{found.target} on {found.coin} {found.timeframe}: {found.prefixes:,} prefixes "
        f"from bar {found.first_prefix:,}, full run {found.bars:,} bars",
        title_justify="left",
    )
    for heading in ("rewritten", "backfilled", "shown", "erased", "lag median / p90 / max"):
        table.add_column(heading, justify="right")
    for column in found.columns:
        lag = column.lag
        table.add_row(
            column.column,
            f"{column.rewritten:,}",
            f"{column.backfilled:,}",
            f"{column.shown:,}",
            f"{column.erased:,}" + (f" ({column.erased / column.shown:.0%})" if lag else ""),
            f"{lag.median:g} / {lag.p90:g} / {lag.max}" if lag else "-",
            style="red" if column.repaints else "",
        )
    return table


def _offences_table(found: "Certificate") -> "Table":
    from rich.table import Table

    from fractaltrader.market.bars import utc

    table = Table(title="First offences", title_justify="left")
    for heading in ("prefix", "bar", "time", "column", "before", "after"):
        table.add_column(heading, justify="right" if heading in ("prefix", "bar") else "left")
    for offence in found.first_offences[:OFFENCES_SHOWN]:
        table.add_row(
            str(offence.prefix),
            str(offence.bar),
            utc(offence.bar_time),
            offence.column,
            offence.before,
            offence.after,
        )
    return table
