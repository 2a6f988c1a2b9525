"""The command `fractal`. Command modules import what they need inside the command."""

import sqlite3
import sys

import typer

from fractaltrader import __version__
from fractaltrader.cli import (
    arm,
    audit,
    backtest,
    backup,
    certify,
    chart,
    control,
    data,
    demo,
    doctor,
    errors,
    exchange,
    guard,
    keys,
    limits,
    report,
    run,
    status,
    strategy,
    validate,
)
from fractaltrader.errors import UserError
from fractaltrader.keys.hiding import hide_key_shaped, refuse_keys_in_arguments

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
    doctor.doctor,
    backup.backup,
    backup.restore,
    arm.arm,
    arm.disarm,
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
app.add_typer(keys.app, name="keys")
app.add_typer(strategy.app, name="strategy")


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def main() -> None:
    """Entry point; a user's mistake becomes one line and its exit code, a disk's or system's 1."""
    try:
        refuse_keys_in_arguments(sys.argv[1:])
        app()
    except UserError as error:
        typer.echo(f"error: {hide_key_shaped(str(error))}", err=True)
        sys.exit(error.exit_code)
    except (OSError, sqlite3.Error) as error:
        text = hide_key_shaped(f"{type(error).__name__}: {error}")
        typer.echo(f"error: {text}; check the disk and paths", err=True)
        sys.exit(EXIT_SYSTEM_ERROR)
