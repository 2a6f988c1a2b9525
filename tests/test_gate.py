"""The gate, `make check`, is broken on purpose: each of its checks must refuse what it is for."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

TREE = Path(__file__).parents[1]
PYPROJECT = str(TREE / "pyproject.toml")
TOOLS = Path(sys.executable).parent
SOUND = '"""A module."""\n\nNUMBER = 1\n'
# What raises by itself, and what checks those elements of a recording that a condition picks.
CONDITIONAL = {
    "tests/cli/test_demo.py::test_the_demo_of_make_trades_its_month",
    "tests/simulator/test_fixture_reading.py::test_our_client_reads_the_recorded_frames",
    "tests/simulator/test_recorded_accounts.py"
    "::test_our_tables_of_known_coins_are_the_recorded_ones",
}
BROAD = "try:\n    NUMBER = 1\nexcept Exception:\n    NUMBER = 2\n"
SHELL = "import subprocess\n\nsubprocess.call('ls', shell=True)\n"
GUESSED = "import random\n\nKEY = random.random()\n"
# The check as the Makefile calls it, less the paths; a defect it must refuse; what it must say.
CHECKS = [
    ("black --check --quiet --config {config}", "NUMBER = ( 1 )\n", ""),
    ("ruff check --quiet --no-cache --config {config}", "import os\n", "F401"),
    ("ruff check --quiet --no-cache --config {config}", BROAD, "BLE001"),
    ("bandit --quiet --configfile {config}", SHELL, "B602"),
    ("bandit --quiet --configfile {config}", GUESSED, "B311"),
    ("mypy --no-incremental --config-file {config}", "def f(x):\n    return x\n", "no-untyped-def"),
]
WARNS = "import warnings\ndef test_x() -> None:\n    warnings.warn('old')\n    assert True\n"
BROKEN_TESTS = {
    "unknown marker": ("@pytest.mark.slwo\ndef test_x() -> None:\n    assert True\n", "slwo"),
    "warning": (WARNS, "UserWarning: old"),
    "failure": ("def test_x() -> None:\n    assert 1 == 2\n", "assert 1 == 2"),
}


def run(command: list[str], folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.parametrize(
    ("check", "defect", "says"), CHECKS, ids=[f"{c[0][:6]}{c[2]}" for c in CHECKS]
)
def test_each_check_refuses_a_planted_defect(
    tmp_path: Path, check: str, defect: str, says: str
) -> None:
    """With our configuration each check accepts a sound module and refuses a planted defect by
    name, and the Makefile calls it."""
    name, *options = check.format(config=PYPROJECT).split()
    assert re.search(rf"^\t\$\(BIN\)/{name}\b", (TREE / "Makefile").read_text(), re.MULTILINE)
    module = tmp_path / "module.py"
    module.write_text(SOUND)
    command = [str(TOOLS / name), *options, str(module)]
    sound = run(command, tmp_path)
    assert sound.returncode == 0, sound.stdout + sound.stderr
    module.write_text(f'"""A module."""\n\n{defect}')
    refused = run(command, tmp_path)
    assert refused.returncode != 0
    assert says in refused.stdout + refused.stderr


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.parametrize("defect", BROKEN_TESTS)
def test_pytest_refuses_a_planted_defect(tmp_path: Path, defect: str) -> None:
    """With our configuration an unknown marker, a warning and a failure end a test run red."""
    source, says = BROKEN_TESTS[defect]
    (tmp_path / "test_planted.py").write_text(f"import pytest\n{source}")
    command = [sys.executable, "-m", "pytest", "-c", PYPROJECT, "--rootdir", str(tmp_path)]
    done = run([*command, "-o", f"cache_dir={tmp_path}", "test_planted.py"], tmp_path)
    assert done.returncode != 0
    assert says in done.stdout + done.stderr


def test_every_dependency_is_locked_with_hashes() -> None:
    """Each requirement is one exact version with hashes, the install demands them, and what was
    unmaintained is not among them."""
    text = (TREE / "requirements.lock").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    unlocked = [line[:60] for line in lines if "==" not in line or "--hash=sha256:" not in line]
    names = {line.partition("==")[0] for line in lines}
    assert unlocked == []
    assert {"filelock", "tenacity", "coincurve"} <= names
    assert "ratelimit" not in names
    assert "--require-hashes" in (TREE / "Makefile").read_text()


def asserts(function: ast.FunctionDef, helpers: set[str]) -> bool:
    """Whether a test asserts outside every branch: by a statement, by `pytest.raises`, or through
    a helper that does. Loops are taken on trust: theirs run over cases written beside them."""

    def unconditional(body: list[ast.stmt]) -> Iterator[ast.stmt]:
        for statement in body:
            if isinstance(statement, ast.With | ast.AsyncWith | ast.Try | ast.For):
                yield from unconditional(statement.body)
            if isinstance(statement, ast.If) and statement.orelse:
                ways = [list(unconditional(way)) for way in (statement.body, statement.orelse)]
                asserting = [any(isinstance(s, ast.Assert) for s in way) for way in ways]
                yield from ways[0] if all(asserting) else []
            yield statement

    for statement in unconditional(function.body):
        if isinstance(statement, ast.Assert):
            return True
        if isinstance(statement, ast.If | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for node in ast.walk(statement):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                if called in ("pytest.raises", "raises") or called.split(".")[-1] in helpers:
                    return True
    return False


def assertive_helpers(trees: list[ast.Module]) -> set[str]:
    """Names of functions of the tests' own that assert somewhere in them."""
    return {
        node.name
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and not node.name.startswith("test_")
        and any(isinstance(inner, ast.Assert) for inner in ast.walk(node))
    }


def test_every_test_asserts() -> None:
    """Each test has an assertion that does not hang on a condition."""
    files = sorted((TREE / "tests").rglob("*.py"))
    trees = {path: ast.parse(path.read_text()) for path in files}
    helpers = assertive_helpers(list(trees.values()))
    vacuous = {
        f"{path.relative_to(TREE)}::{node.name}"
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        and node.name.startswith("test_")
        and path.name.startswith("test_")
        and not asserts(node, helpers)
    }
    assert vacuous == CONDITIONAL
