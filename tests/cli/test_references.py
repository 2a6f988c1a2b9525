"""The generated pages are what the code says today."""

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from fractaltrader.environment import VARIABLES

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def reference(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script that writes the pages."""
    monkeypatch.setattr(sys, "path", [str(REPOSITORY / "scripts"), *sys.path])
    import reference

    return reference


def test_the_pages_are_up_to_date(reference: ModuleType) -> None:
    """docs/configuration.md and docs/cli.md equal what the script makes of the code."""
    for path, text in reference.pages().items():
        assert path.read_text() == text, f"{path.name}: run scripts/reference.py --write"
    assert reference.main([]) == 0


def test_the_pages_tell_everything(reference: ModuleType) -> None:
    """Every command, option, section and key is there, and a page that lags behind is noticed."""
    cli, configuration = reference.cli(), reference.configuration()
    for part in ("## fractal keys approve-agent", "`--allow-master-key`", "## fractal version"):
        assert part in cli
    for part in ("## [guard]", "`max_daily_loss`", "### fvg_fill", "`FRACTAL_PASSWORD_FILE`"):
        assert part in configuration
    assert "PydanticUndefined" not in configuration


def test_a_page_that_lags_behind_is_noticed(
    reference: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The script's exit code is 1 for a page that is missing or different, 0 once written."""
    monkeypatch.setattr(reference, "DOCS", tmp_path)
    assert reference.main([]) == 1
    assert reference.main(["--write"]) == 0
    assert reference.main([]) == 0
    (tmp_path / "cli.md").write_text("old")
    assert reference.main([]) == 1


def test_every_variable_is_listed() -> None:
    """No FRACTAL_ variable is read anywhere that the reference does not list."""
    used = {
        name
        for path in (REPOSITORY / "src").rglob("*.py")
        for name in re.findall(r"[\"']((?:FRACTAL)_[A-Z_]+)[\"']", path.read_text())
    }
    assert used <= set(VARIABLES)
    assert "FRACTAL_HOME" in used


def test_the_decisions_are_listed() -> None:
    """The index of decisions names every file once, with its title."""
    folder = REPOSITORY / "docs" / "adr"
    index = (folder / "README.md").read_text()
    for path in sorted(folder.glob("0*.md")):
        title = path.read_text().splitlines()[0].removeprefix("# ").partition(". ")[2]
        assert index.count(f"[{title}]({path.name})") == 1, path.name
