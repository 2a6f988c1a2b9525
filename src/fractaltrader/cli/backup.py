"""`fractal backup`, `fractal restore`: a run's state and ledger in one file."""

from pathlib import Path
from typing import Annotated

import typer

from fractaltrader.cli.runs import RunName


def backup(
    to: Annotated[Path, typer.Argument(help="File to write, e.g. bot.tar.gz.")],
    name: RunName = None,
) -> None:
    """Write a run's state and ledger to one file; its bot may go on. Keys are not in it."""
    from fractaltrader.cli.runs import existing_run
    from fractaltrader.exchange.clock import SystemClock
    from fractaltrader.live.backup import back_up

    folder = existing_run(name)
    manifest = back_up(folder, to, SystemClock())
    typer.echo(f"backed up {folder.name} ({', '.join(manifest.sha256)}) to {to}")


def restore(
    file: Annotated[Path, typer.Argument(help="File that `fractal backup` wrote.")],
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the run; the one it had by default.")
    ] = None,
) -> None:
    """Bring a run back from its backup; nothing that exists is overwritten."""
    from fractaltrader.cli.runs import run_folder
    from fractaltrader.exchange.clock import SystemClock
    from fractaltrader.live.backup import read_manifest, restore
    from fractaltrader.market.bars import utc

    run = name or read_manifest(file).run
    done = restore(file, run_folder(run), SystemClock())
    typer.echo(
        f"restored {run} as of {utc(done.manifest.made_ms)}: {len(done.state.epochs)} positions; "
        "the bot asks the exchange what happened since when it starts"
    )
