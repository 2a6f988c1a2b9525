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
    control,
    data,
    demo,
    errors,
    exchange,
    guard,
    limits,
    report,
    run,
    status,
    strategy,
    validate,
)
from fractaltrader.errors import UserError

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
    control.stop,
    control.kill,
    control.pause,
    control.resume,
    control.flatten,
    control.reset_breaker,
    guard.guard,
    report.report,
    audit.audit,
    backtest.backtest,
    certify.certify,
    chart.chart,
    exchange.exchange,
    limits.limits,
    validate.validate,
):
    app.command()(command)
app.add_typer(data.app, name="data")
app.add_typer(errors.app, name="errors")
app.add_typer(strategy.app, name="strategy")


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def main() -> None:
    """Entry point; a user's mistake becomes one line and its exit code, a disk's or system's 1."""
    try:
        app()
    except UserError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except (OSError, sqlite3.Error) as error:
        typer.echo(f"error: {type(error).__name__}: {error}; check the disk and paths", err=True)
        sys.exit(EXIT_SYSTEM_ERROR)
