"""`fractal data`: import and inspect candle files."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from fractaltrader.data.quality import Quality

app = typer.Typer(help="Import and inspect candle files.", no_args_is_help=True)

Files = Annotated[
    list[Path],
    typer.Argument(
        help="Parquet or CSV files with open_time (UTC epoch ms), open, high, low, close, volume; "
        "their names begin with the coin, like BTC-5m.csv.",
        show_default=False,
    ),
]


@app.command("import")
def data_import(files: Files) -> None:
    """Check candle files and merge them into FRACTAL_HOME/data; all of them or none."""
    from rich.console import Console
    from rich.table import Table

    from fractaltrader.data.candle_files import load_candles
    from fractaltrader.data.store import CandleStore
    from fractaltrader.home import fractal_home

    store = CandleStore(fractal_home() / "data")
    table = Table("coin", "timeframe", title=f"Imported into {store.folder}")
    for heading in ("new bars", "bars in all"):
        table.add_column(heading, justify="right")
    for added in store.add([load_candles(file) for file in files]):
        table.add_row(
            added.coin, str(added.timeframe), f"{added.new_bars:,}", f"{added.total_bars:,}"
        )
    Console().print(table)


@app.command("inspect")
def data_inspect(files: Files) -> None:
    """Check candle files and report what they hold: period, gaps, empty bars, largest jump."""
    from rich.console import Console

    from fractaltrader.data.candle_files import load_candles
    from fractaltrader.data.quality import quality

    console = Console()
    for file in files:
        console.print(_quality_table(file, quality(load_candles(file))))


def _quality_table(file: Path, report: "Quality") -> "Table":
    from rich.table import Table

    from fractaltrader.market.bars import utc

    longest = "none"
    if report.longest_gap_time is not None:
        longest = f"{report.longest_gap:,} bars from {utc(report.longest_gap_time)}"
    jump = "none"
    if report.largest_jump_time is not None:
        jump = f"{report.largest_jump:+.2%} at {utc(report.largest_jump_time)}"
    table = Table(title=file.name, show_header=False, title_justify="left", min_width=60)
    for name, value in (
        ("candles", f"{report.coin} {report.timeframe}"),
        ("bars", f"{report.bars:,}"),
        ("period", f"{utc(report.first_time)} to {utc(report.last_time)}"),
        ("gaps", f"{report.gaps:,} ({report.missing_bars:,} bars missing)"),
        ("longest gap", longest),
        ("bars without volume", f"{report.zero_volume:,}"),
        ("flat bars", f"{report.flat:,}"),
        ("largest jump", jump),
    ):
        table.add_row(name, value)
    return table
