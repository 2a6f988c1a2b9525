"""The gate, `make check`, is broken on purpose: each of its checks must refuse what it is for."""

import subprocess
import sys
from pathlib import Path

import pytest

TREE = Path(__file__).parents[1]
PYPROJECT = str(TREE / "pyproject.toml")
TOOLS = Path(sys.executable).parent
SOUND = '"""A module."""\n\nNUMBER = 1\n'
BROAD = "try:\n    NUMBER = 1\nexcept Exception:\n    NUMBER = 2\n"
SHELL = "import subprocess\n\nsubprocess.call('ls', shell=True)\n"
GUESSED = "import random\n\nKEY = random.random()\n"
# The check as its hook calls it, less the paths; a defect it must refuse; what it must say.
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
    name, and a hook calls it."""
    name, *options = check.format(config=PYPROJECT).split()
    assert f"entry: .venv/bin/{name}" in (TREE / ".pre-commit-config.yaml").read_text()
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
