"""`fractal validate`: weeks of the real bot against the local exchange, with everything failing."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fractaltrader.validation.report import Result

EXIT_VIOLATION = 1
LONGEST_DAYS = 60.0
MOST_SEEDS = 1000
MOST_JOBS = 256


def validate(
    days: Annotated[float, typer.Option(help="Days of market time per run.")] = 7.0,
    scenario: Annotated[str, typer.Option(help="'all', or names separated by commas.")] = "all",
    seeds: Annotated[int, typer.Option(help="Run seeds 1 to this.")] = 20,
    seed: Annotated[int | None, typer.Option(help="Run only this seed.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document a run.")] = False,
    jobs: Annotated[
        int | None, typer.Option(help="Processes side by side; without it, one a processor.")
    ] = None,
    crash_matrix: Annotated[
        bool, typer.Option("--crash-matrix", help="Kill one trading cycle everywhere instead.")
    ] = False,
) -> None:
    """Check the invariants over simulated weeks of faults; exit code 1 when one does not hold."""
    from fractaltrader.errors import UserError
    from fractaltrader.validation.report import campaign
    from fractaltrader.validation.scenarios import parse_scenarios
    from fractaltrader.validation.side_by_side import usable_cpus

    if not 0.05 <= days <= LONGEST_DAYS:
        raise UserError(f"days: {days:g} must be from 0.05 to {LONGEST_DAYS:g}")
    if not 1 <= seeds <= MOST_SEEDS:
        raise UserError(f"seeds: {seeds} must be from 1 to {MOST_SEEDS}")
    if seed is not None and seed < 0:
        raise UserError(f"seed: {seed} must not be negative; give 0 or more")
    jobs = usable_cpus() if jobs is None else jobs
    if not 1 <= jobs <= MOST_JOBS:
        raise UserError(f"jobs: {jobs} must be from 1 to {MOST_JOBS}")
    if crash_matrix:
        _matrix(1 if seed is None else seed, jobs)
        return
    chosen = parse_scenarios(scenario)
    numbers = range(1, seeds + 1) if seed is None else [seed]
    failed: list[Result] = []
    for result in campaign(chosen, numbers, days, jobs):
        _show(result, as_json=as_json)
        if result.violation_count:
            failed.append(result)
    if not as_json:
        typer.echo(f"{len(numbers) * len(chosen)} runs, {len(failed)} with violations")
        for result in failed:
            typer.echo(f"replay: {result.replay}")
    if failed:
        raise typer.Exit(EXIT_VIOLATION)


def _show(result: "Result", *, as_json: bool) -> None:
    typer.echo(json.dumps(result.document()) if as_json else "\n".join(result.lines()))


def _matrix(seed: int, jobs: int) -> None:
    """Print the matrix row by row as it comes to be."""
    from itertools import groupby

    from fractaltrader.validation.crash_matrix import (
        Cell,
        crash_matrix,
        matrix_row,
        matrix_summary,
    )

    cells: list[Cell] = []
    for _, group in groupby(crash_matrix(seed, jobs=jobs), key=lambda cell: cell.fault):
        row = list(group)
        typer.echo(matrix_row(row))
        cells += row
    for line in matrix_summary(cells):
        typer.echo(line)
    if any(cell.violations for cell in cells):
        raise typer.Exit(EXIT_VIOLATION)
