"""Which tests are too slow for the stage before a commit: those of slow_tests.txt are marked so.

`make slow-tests` measures them and writes the file anew. What is slow by its nature (`slow`), or
starts processes or sockets (`integration`), is marked where it stands.
"""

from collections import defaultdict
from pathlib import Path

import pytest

LIST = Path(__file__).with_name("slow_tests.txt")
# All that is not slow takes so long together, in one process on a calm machine.
BUDGET_SECONDS = 24.0


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option of `make slow-tests`."""
    parser.addoption(
        "--write-slow-tests", action="store_true", help="measure and write tests/slow_tests.txt"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark before pytest selects by marks."""
    slow = set(LIST.read_text().split())
    for item in items:
        if test_of(item.nodeid) in slow:
            item.add_marker(pytest.mark.slow)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the list from the durations of this run."""
    config = session.config
    if not config.getoption("write_slow_tests") or hasattr(config, "workerinput"):
        return
    taken: dict[str, float] = defaultdict(float)
    for reports in config.pluginmanager.get_plugin("terminalreporter").stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                taken[test_of(report.nodeid)] += report.duration
    unseen = set(LIST.read_text().split()) - taken.keys()
    LIST.write_text("".join(f"{name}\n" for name in sorted(unseen | too_slow(taken))))


def too_slow(taken: dict[str, float], budget: float = BUDGET_SECONDS) -> set[str]:
    """The slowest tests, by name to seconds, without which the others fit into `budget`."""
    slow, together = set(), sum(taken.values())
    for name in sorted(taken, key=lambda name: taken[name], reverse=True):
        if together <= budget:
            break
        slow.add(name)
        together -= taken[name]
    return slow


def test_of(nodeid: str) -> str:
    """A test's name without the parameters of one case."""
    return nodeid.partition("[")[0]
