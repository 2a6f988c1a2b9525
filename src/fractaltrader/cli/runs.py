"""Where runs keep their files: FRACTAL_HOME/runs/<name>."""

from pathlib import Path
from typing import Annotated

import typer

from fractaltrader.errors import UserError
from fractaltrader.home import fractal_home

LONGEST_NAME = 64

RunName = Annotated[
    str | None, typer.Option("--name", help="Name of the run; the most recent one by default.")
]


def run_folder(name: str) -> Path:
    """Folder of the run called `name`, whether or not it exists."""
    if not name or "/" in name or name.startswith(".") or len(name) > LONGEST_NAME:
        raise UserError(f"name: {name[:80]!r} must be a plain folder name of 1 to 64 characters")
    return fractal_home() / "runs" / name


def existing_run(name: str | None) -> Path:
    """Folder of a run that has been started: `name`, or the one written to last."""
    from fractaltrader.live.state_manager import FILE_NAME

    if name is not None:
        folder = run_folder(name)
        if (folder / FILE_NAME).exists():
            return folder
        raise UserError(f"name: there is no run {name!r} in {folder.parent}; start one first")
    states = list((fractal_home() / "runs").glob(f"*/{FILE_NAME}"))
    if not states:
        raise UserError(
            f"no run found in {fractal_home() / 'runs'}; start one with `fractal demo` or "
            "`fractal run`"
        )
    return max(states, key=lambda path: path.stat().st_mtime).parent
