"""The command `fractal`. Command modules import what they need inside the command."""

import sqlite3
import sys

import typer

from fractaltrader import __version__
from fractaltrader.cli import (
    audit,
    backtest,
    certify,
    chart,
    data,
    demo,
    exchange,
    report,
    run,
    status,
    stop,
    strategy,
)
from fractaltrader.errors import UserError

EXIT_USER_ERROR = 2
EXIT_SYSTEM_ERROR = 1

app = typer.Typer(
    name="fractal",
    help="Smart Money Concepts trading for Hyperliquid perpetuals.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (
    demo.demo,
    run.run,
    status.status,
    stop.stop,
    report.report,
    audit.audit,
    backtest.backtest,
    certify.certify,
    chart.chart,
    exchange.exchange,
):
    app.command()(command)
app.add_typer(data.app, name="data")
app.add_typer(strategy.app, name="strategy")


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def main() -> None:
    """Entry point; a user's mistake becomes one line and exit code 2, a disk's or system's 1."""
    try:
        app()
    except UserError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(EXIT_USER_ERROR)
    except (OSError, sqlite3.Error) as error:
        typer.echo(f"error: {type(error).__name__}: {error}; check the disk and paths", err=True)
        sys.exit(EXIT_SYSTEM_ERROR)
