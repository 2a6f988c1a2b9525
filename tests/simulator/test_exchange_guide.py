"""The guide, executed: every program, test, command and scenario of docs/exchange.md."""

import os
import re
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from fractaltrader.simulator.faults.plan import KINDS, parse_plan
from fractaltrader.simulator.serving.background import BackgroundExchange

pytestmark = pytest.mark.integration

REPOSITORY = Path(__file__).resolve().parents[2]
GUIDE = (REPOSITORY / "docs" / "exchange.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
PROGRAMS = [text for kind, text in BLOCKS if kind == "python" and not text.startswith("# ")]
COMMANDS = [text for kind, text in BLOCKS if kind == "console"]
URL = "http://127.0.0.1:3001"
PATIENCE_SECONDS = 60
MAIN = "from fractaltrader.cli.main import main; main()"


@pytest.mark.parametrize("program", PROGRAMS, ids=["sdk", "ccxt"])
def test_the_programs_run(program: str) -> None:
    """The official SDK and ccxt trade as the guide says, on a server with limits."""
    with BackgroundExchange(limits=True) as served:
        assert URL in program
        exec(compile(program.replace(URL, served.url), "docs/exchange.md", "exec"), {})


def test_the_test_file_passes(tmp_path: Path) -> None:
    """pytest finds the fixtures by itself and the guide's tests pass."""
    (text,) = (text for kind, text in BLOCKS if text.startswith("# test_my_bot.py"))
    (tmp_path / "test_my_bot.py").write_text(text)
    environment = {**os.environ, "PYTEST_ADDOPTS": "-p no:cacheprovider"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--rootdir", str(tmp_path), str(tmp_path)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert "3 passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_serve(command: str) -> None:
    """Each command of the guide starts a server and ends at SIGTERM."""
    arguments = command.removeprefix("$ fractal").split()
    server = subprocess.Popen(
        [sys.executable, "-c", MAIN, *arguments, "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        assert "exchange ready at http://127.0.0.1:" in server.stdout.readline()
        server.send_signal(signal.SIGTERM)
        assert server.wait(PATIENCE_SECONDS) == 0
    finally:
        server.kill()
        server.communicate()


def test_the_scenario_is_one_and_every_kind_is_named() -> None:
    """The scenario file is valid, and the table names exactly the kinds there are."""
    (scenario,) = (text for kind, text in BLOCKS if kind == "toml")
    assert len(parse_plan(tomllib.loads(scenario))) == 4
    rows = re.findall(r"^\| (?:requests|WebSocket|data|trading) \| (.*) \|$", GUIDE, re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert set(named) == {str(kind.__struct_config__.tag) for kind in KINDS}
