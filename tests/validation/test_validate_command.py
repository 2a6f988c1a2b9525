"""`fractal validate` tells what it found, and its exit code is 1 for a violation."""

import asyncio
from dataclasses import fields
from functools import partial
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from fractaltrader.cli.main import app
from fractaltrader.errors import UserError
from fractaltrader.validation import crash_matrix, report
from fractaltrader.validation.crash_matrix import Cell, first_entry
from fractaltrader.validation.process import KilledAtAwait, Life
from fractaltrader.validation.report import Result
from fractaltrader.validation.scenarios import BY_NAME
from fractaltrader.validation.world import Killed


def a_result(*violations: str, **known: object) -> Result:
    """The result of a run with these violations."""
    document = {field.name: field.type() for field in fields(Result)}  # type: ignore[operator]
    document |= {"violations": list(violations), "violation_count": len(violations)}
    return Result(**(document | known))  # type: ignore[arg-type]


def test_a_campaign_tells_each_run_and_how_to_replay_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every scenario of every seed is told as it ends, and the runs with violations once more by
    the command that repeats them; without any the exit code is 0."""
    asked: list[tuple[list[str], list[int], float]] = []

    def campaign(scenarios, seeds, days, jobs):  # type: ignore[no-untyped-def]
        asked.append(([one.name for one in scenarios], list(seeds), days))
        for seed in seeds:
            bad = ["INV-2: naked"] if seed == 2 else []
            yield a_result(*bad, scenario="calm", seed=seed, days=days, errors=4)

    monkeypatch.setattr(report, "campaign", campaign)
    ran = CliRunner().invoke(app, ["validate", "--days", "1.5", "--seeds", "2"])
    assert ran.exit_code == 1
    assert asked == [(list(BY_NAME), [1, 2], 1.5)]
    lines = ran.output.splitlines()
    assert "calm, seed 1, 1.5 days: passed" in lines[0]
    assert "errors recognised 0 of 4 (0.0%)" in ran.output
    assert "calm, seed 2, 1.5 days: 1 VIOLATIONS" in ran.output
    assert "  INV-2: naked" in lines
    assert lines[-2] == f"{2 * len(BY_NAME)} runs, 1 with violations"
    assert lines[-1] == "replay: fractal validate --days 1.5 --scenario calm --seed 2"
    ran = CliRunner().invoke(app, ["validate", "--seed", "7", "--scenario", "calm"])
    assert ran.exit_code == 0
    assert asked[1] == (["calm"], [7], 7.0)


@pytest.mark.slow
def test_the_matrix_kills_and_tells(entry_bar: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault's row is one mark a kill, and what was survived is counted."""
    few = partial(crash_matrix.crash_matrix, faults=("none",), every=100)
    monkeypatch.setattr(crash_matrix, "crash_matrix", few)
    monkeypatch.setattr(crash_matrix, "first_entry", lambda _: entry_bar)
    ran = CliRunner().invoke(app, ["validate", "--crash-matrix", "--jobs", "1"])
    assert ran.exit_code == 0, ran.output
    row, summary = ran.output.splitlines()
    name, marks = row.split()
    assert name == "none"
    assert set(marks) == {"."}
    assert summary == f"{len(marks)} kills under 1 faults, 0 with violations"


def test_a_broken_cell_fails_the_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows come fault by fault; one violation makes the exit code 1."""
    cells = [Cell("500", 1, True, ()), Cell("429", 1, True, ("INV-1: doubled",))]
    monkeypatch.setattr(crash_matrix, "crash_matrix", lambda seed, jobs: iter(cells))
    ran = CliRunner().invoke(app, ["validate", "--crash-matrix", "--seed", "3"])
    assert ran.exit_code == 1
    assert [line.split() for line in ran.output.splitlines()[:2]] == [["500", "."], ["429", "X"]]


def test_a_market_without_an_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    """A seed whose market brings no signal has no cycle to kill, and that is said."""
    quiet = SimpleNamespace(entered_bars=[], begin_ms=0)
    monkeypatch.setattr(crash_matrix, "one_run", lambda *_, **__: quiet)
    with pytest.raises(UserError, match="seed 5 brings no entry; take another"):
        first_entry(5)


def test_a_process_dies_where_it_waits() -> None:
    """The coroutine under the watch dies at the await with its number, and runs on otherwise; it
    may be awaited like the one inside."""
    steps: list[int] = []

    async def work() -> None:
        for step in range(3):
            steps.append(step)
            await asyncio.sleep(0)

    async def killed() -> None:
        life = Life()
        life.dies_at = 3
        with pytest.raises(Killed):
            await asyncio.create_task(KilledAtAwait(work(), life))
        assert steps == [0, 1]
        await KilledAtAwait(work(), Life())
        assert steps == [0, 1, 0, 1, 2]
        unborn = KilledAtAwait(work(), Life())
        unborn.close()  # without a warning that it was never awaited
        assert steps == [0, 1, 0, 1, 2]

    asyncio.run(killed())
