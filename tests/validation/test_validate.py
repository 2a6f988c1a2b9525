"""`fractal validate`: every scenario for some hours, the command's promises, the crash matrix."""

import json

import pytest
from typer.testing import CliRunner

from fractaltrader.cli.main import app
from fractaltrader.errors import UserError
from fractaltrader.validation.crash_matrix import FAULTS, Cell, matrix_row, matrix_summary, one_cell
from fractaltrader.validation.report import campaign, validate
from fractaltrader.validation.scenarios import BY_NAME, parse_scenarios

SEED = 1
DAYS = 0.2


@pytest.mark.slow
@pytest.mark.parametrize("name", BY_NAME)
def test_hours_of_a_scenario_break_no_invariant(name: str) -> None:
    """The bot comes through some hours of each scenario with every invariant intact."""
    result = validate(BY_NAME[name], SEED, DAYS)
    assert result.violations == []
    assert result.bars_decided > 0
    assert result.caused_429 == result.false_stops == result.missed_stops == 0


@pytest.mark.slow
def test_a_seed_replays_the_same_run() -> None:
    """Two runs from one seed come to the same numbers."""
    first, second = (validate(BY_NAME["together"], 7, 0.1).document() for _ in range(2))
    first.pop("cpu_s"), second.pop("cpu_s")
    assert first == second


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_kill_in_the_middle_of_a_cycle_is_survived(fault: str, entry_bar: int) -> None:
    """Under every fault of the matrix the process may die as its entry is under way."""
    point = 1 + 3 * list(FAULTS).index(fault) % 24
    assert one_cell(SEED, entry_bar, fault, point).violations == []


@pytest.mark.slow
def test_processes_side_by_side_change_nothing() -> None:
    """Two processes give the same runs in the same order as one."""

    def told(jobs: int) -> list[dict[str, object]]:
        results = campaign([BY_NAME["calm"], BY_NAME["crash"]], [3, 4], 0.05, jobs)
        return [result.document() | {"cpu_s": 0} for result in results]

    alone = told(1)
    assert [(run["seed"], run["scenario"]) for run in alone] == [
        (3, "calm"),
        (3, "crash"),
        (4, "calm"),
        (4, "crash"),
    ]
    assert told(2) == alone


def test_an_unknown_scenario_names_the_known_ones() -> None:
    """A typing error is told with the name that was meant."""
    with pytest.raises(UserError, match="outage"):
        parse_scenarios("outge")


def test_the_command_prints_one_document_a_run() -> None:
    """--json gives the whole report of each run, with the command that replays it."""
    ran = CliRunner().invoke(
        app, ["validate", "--days", "0.05", "--scenario", "calm", "--seed", "3", "--json"]
    )
    assert ran.exit_code == 0, ran.output
    document = json.loads(ran.output)
    assert document["violation_count"] == 0
    assert document["replay"] == "fractal validate --days 0.05 --scenario calm --seed 3"


def test_the_matrix_shows_what_was_broken() -> None:
    """A row has a mark for each kill, and the summary names fault, points and invariant."""
    cells = [Cell("500", 1, True, ()), Cell("500", 2, True, ("INV-2: naked",))]
    cells.append(Cell("500", 3, False, ()))
    assert matrix_row(cells).split() == ["500", ".X-"]
    assert matrix_summary(cells) == [
        "2 kills under 1 faults, 1 with violations",
        "1 x 500, at points [2]: INV-2: naked",
    ]
