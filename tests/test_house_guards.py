"""The guards of house_guards.py fail what they are there for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HOUSE = Path(__file__).parent
SUITE = """
import socket
from pathlib import Path

import pytest


@pytest.fixture
def asserting():
    assert 1 < 2


def test_asserts():
    assert 2 > 1


def test_expects_an_error():
    with pytest.raises(ValueError):
        int("x")


def test_does_nothing():
    pass


def test_leaves_it_to_its_fixture(asserting):
    pass


def test_asks_for_a_name():
    with pytest.raises(RuntimeError):
        socket.getaddrinfo("example.org", 443)


def test_connects_away():
    with socket.socket() as link:
        try:
            link.connect(("192.0.2.1", 9))
        except RuntimeError:
            pass
    assert True


def test_connects_here():
    with socket.socket() as server, socket.socket() as link:
        server.bind(("127.0.0.1", 0))
        server.listen()
        link.connect(server.getsockname())
        assert link.getpeername() == server.getsockname()


def test_writes_a_state():
    path = Path.home() / ".fractal" / "runs" / "bot" / ".trading_state.json"
    path.write_bytes(path.read_bytes())
    assert path.exists()


def test_leaves_a_file():
    Path("left.txt").write_text("")
    assert True
"""
FAILED = {
    "test_does_nothing": "without executing an assertion",
    "test_leaves_it_to_its_fixture": "without executing an assertion",
    "test_asks_for_a_name": "reached for the network: example.org",
    "test_connects_away": "reached for the network: 192.0.2.1",
    "test_writes_a_state": "changed files of the user",
    "test_leaves_a_file": "left files in",
}


@pytest.mark.integration
def test_each_guard_fails_what_it_guards_against(tmp_path: Path) -> None:
    """Tests without an assertion, with a connection, with a touched state or a file left behind
    fail and say why; the others pass."""
    (tmp_path / "test_planted.py").write_text(SUITE)
    (tmp_path / "pytest.ini").write_text("[pytest]\nenable_assertion_pass_hook = true\n")
    options = ["-p", "house_guards", "-p", "no:randomly", "-p", "no:cacheprovider", "-rA"]
    done = subprocess.run(
        [sys.executable, "-B", "-m", "pytest", *options],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(HOUSE), "PYTEST_ADDOPTS": "", "COLUMNS": "400"},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "PASSED"))]
    verdicts = {line.split("::")[1].split()[0]: line for line in lines}
    assert len(verdicts) == SUITE.count("def test_"), done.stdout + done.stderr
    for name, line in verdicts.items():
        assert line.startswith("FAILED" if name in FAILED else "PASSED"), line
        assert FAILED.get(name, "") in line
