"""docs/hardening.md: every row has a proof, and every proof exists."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
import typer

from fractaltrader.cli.main import app

TREE = Path(__file__).parents[1]
PAGE = TREE / "docs" / "hardening.md"
NOT_YET = re.compile(r"not yet \(issue \d+\)")
NODE = re.compile(r"tests/\S+\.py::test_\w+")
PROOFS = 14


def rows() -> dict[str, list[str]]:
    """The cells of every row of every table, by the first; RuntimeError when one comes twice."""
    found: dict[str, list[str]] = {}
    for line in PAGE.read_text().splitlines():
        if line.startswith("| ") and not line.startswith("| # "):
            cells = [cell.strip() for cell in line.strip("| ").split(" | ")]
            if cells[0] in found:
                raise RuntimeError(f"two rows {cells[0]}")
            found[cells[0]] = cells
    return found


def proofs() -> list[str]:
    """What the last cells of all rows name in backquotes."""
    return [proof for cells in rows().values() for proof in re.findall(r"`([^`]+)`", cells[-1])]


def test_no_row_lacks_its_proof() -> None:
    """Each row has four cells, and the last names a test or a command, or says of which issue it
    waits; a row that waits for a part says so in its own words too."""
    for cells in rows().values():
        assert len(cells) == 4, cells
        assert re.search(r"`[^`]+`", cells[-1]) or NOT_YET.fullmatch(cells[-1]), cells


@pytest.mark.slow
@pytest.mark.integration
def test_every_test_named_is_collected(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """pytest itself finds each of them: it has already, or does now what this run left out."""
    named = {proof for proof in proofs() if proof.startswith("tests/")}
    assert all(NODE.fullmatch(node) for node in named)
    named -= {item.nodeid.partition("[")[0] for item in request.session.items}
    files = sorted({node.partition("::")[0] for node in named})
    if not files:
        return
    command = [sys.executable, "-m", "pytest", "--collect-only", "-p", "no:randomly"]
    done = subprocess.run(
        [*command, "-o", f"cache_dir={tmp_path}", "-o", "addopts=-q", *files],
        cwd=TREE,
        capture_output=True,
        text=True,
        check=False,
    )
    collected = {line.partition("[")[0] for line in done.stdout.splitlines()}
    assert done.returncode == 0, done.stdout
    assert named - collected == set()


def test_every_command_named_is_one() -> None:
    """Targets of the Makefile, our own commands with options that parse, and git."""
    targets = set(re.findall(r"^([a-z-]+):", (TREE / "Makefile").read_text(), re.MULTILINE))
    fractal = typer.main.get_command(app)
    commands = [proof for proof in proofs() if not proof.startswith("tests/")]
    assert len(commands) >= 20
    for command in commands:
        name, *arguments = shlex.split(command)
        match name:
            case "make":
                assert set(arguments) <= targets, command
            case "fractal":
                parsed(fractal, arguments)
            case _:
                assert name == "git", command
                assert shutil.which(name), command


def parsed(command: click.Command, arguments: list[str]) -> None:
    """Parse as the command line would; click's UsageError for what it does not know."""
    with command.make_context("fractal", arguments) as context:
        if isinstance(command, click.Group):
            _, inner, rest = command.resolve_command(context, context.protected_args + context.args)
            assert inner is not None
            parsed(inner, rest)


def test_no_row_of_the_audit_is_missing(shared_folder: Path) -> None:
    """Each numbered row of the audit's section on the document, its limitations, next steps and
    measures, and each of the proofs of its last section, has its row here."""
    audit = (shared_folder / "original.md").read_text()
    claims = audit.partition("\n## 4. ")[2].partition("\n## 5. ")[0]
    wanted = set(re.findall(r"^\| ([0-5]\.\d|L\d\.\d|(?:Immediate|Short|Long) \d)", claims, re.M))
    measures = claims.partition("### 4.8")[2].partition("### 4.9")[0]
    wanted |= set(re.findall(r"^\| ([A-Z][A-Za-z ]+?)(?: \d| high| medium)", measures, re.M))
    wanted |= {f"C{n}" for n in range(1, claims.partition("### 4.9")[2].count("\n- ") + 1)}
    wanted |= {str(n) for n in range(1, PROOFS + 1)}
    assert len(wanted) >= 80
    assert wanted - set(rows()) == set()


def test_no_page_dates_or_scores_itself() -> None:
    """No page says of itself when it was finished or how ready the program is in per cent."""
    pages = [TREE / "README.md", *sorted((TREE / "docs").rglob("*.md"))]
    assert len(pages) > 10
    for page in pages:
        text = page.read_text()
        assert not re.search(r"readiness[^\n]{0,40}\d+ ?%", text, re.IGNORECASE), page
        assert not re.search(r"^\**(Date|Status|Last updated)\b.*\d{4}", text, re.MULTILINE), page
