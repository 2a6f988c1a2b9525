"""Guards over every test: it asserts something, stays on this machine, and leaves a user's files
alone. A test that does not is failed under its own name."""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from _pytest.assertion import util

CANARY = Path(".fractal", "runs", "bot", ".trading_state.json")
CONTENT = b'{"a state file": "that no test may touch"}\n'
LOCAL_NAMES = {"", "localhost", "0.0.0.0", "::", "ip6-localhost"}
# What a tool leaves in the folder that the tests are run from.
LEFT_BY_TOOLS = (".coverage", ".hypothesis", ".pytest_cache", ".mypy_cache", ".ruff_cache")


class Guards:
    """What the running test has done so far."""

    def __init__(self, home: Path, root: Path) -> None:
        self.home = home
        self.root = root
        self.asserted = False
        self.reached: list[str] = []
        self._unheard: Callable[[int, str, str], None] | None = None
        canary = home / CANARY
        canary.parent.mkdir(parents=True)
        canary.write_bytes(CONTENT)
        self._home_before = self._home_files()
        self._root_before = self._root_names()

    def begin(self) -> None:
        """A test starts; what its fixtures have asserted does not count."""
        self.asserted = False
        self.reached.clear()
        if self._unheard is not None:
            util._assertion_pass, self._unheard = self._unheard, None

    def hear_no_more(self) -> None:
        """One assertion is enough to know of; pytest writes each out in full where it is heard,
        which takes minutes where a law asserts about thousands of candles."""
        self.asserted = True
        self._unheard, util._assertion_pass = util._assertion_pass, None

    def end(self) -> None:
        """The test is over; pytest listens anew for the next one."""
        self._unheard = None

    def complaint(self) -> str | None:
        """What is wrong with the test that has just passed."""
        if not self.asserted:
            return "the test passed without executing an assertion"
        if self.reached:
            return f"the test reached for the network: {', '.join(self.reached)}"
        if (now := self._home_files()) != self._home_before:
            changed = sorted({str(path) for path, _ in now ^ self._home_before})
            self._home_before = now  # the next test is not to blame
            return f"the test changed files of the user: {', '.join(changed)}"
        if new := self._root_names() - self._root_before:
            self._root_before |= new
            return f"the test left files in {self.root}: {', '.join(sorted(new))}"
        return None

    def _home_files(self) -> set[tuple[Path, tuple[int, int, int]]]:
        files = (self.home / ".fractal").rglob("*")
        stats = ((path, path.stat()) for path in files)
        return {(path, (at.st_mtime_ns, at.st_size, at.st_ino)) for path, at in stats}

    def _root_names(self) -> set[str]:
        names = os.listdir(self.root)
        return {name for name in names if not name.startswith(LEFT_BY_TOOLS)}

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Refuse connections and look-ups beyond this machine (an audit hook of Python)."""
        if event == "socket.getaddrinfo":
            host = arguments[0]
        elif event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple):
            host = arguments[1][0]
        else:
            return
        name = host.decode() if isinstance(host, bytes) else str(host or "")
        if not is_local(name):
            self.reached.append(name)
            raise RuntimeError(f"the tests are offline, but one reached for {name}")


def is_local(host: str) -> bool:
    """Whether `host` names this machine."""
    if host in LOCAL_NAMES:
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


_GUARDS = pytest.StashKey[Guards]()


def pytest_configure(config: pytest.Config) -> None:
    """Move the home of every test to a folder with a canary in it, and start to watch."""
    home = Path(tempfile.mkdtemp(prefix="fractal-tests-home-"))
    os.environ["HOME"] = str(home)
    guards = config.stash[_GUARDS] = Guards(home, config.invocation_params.dir)
    sys.addaudithook(guards.audit)
    _count_calls(guards, pytest, "raises")
    for name in ("assert_allclose", "assert_array_equal", "assert_equal"):
        _count_calls(guards, np.testing, name)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Take the canary's folder away."""
    shutil.rmtree(config.stash[_GUARDS].home, ignore_errors=True)


def pytest_assertion_pass(item: pytest.Item) -> None:
    """One `assert` of the test, or of a helper that it calls, has held."""
    item.config.stash[_GUARDS].hear_no_more()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Fail a test that passed without deserving it."""
    guards = item.config.stash[_GUARDS]
    guards.begin()
    yield
    guards.end()
    if complaint := guards.complaint():
        pytest.fail(complaint, pytrace=False)


def _count_calls(guards: Guards, module: Any, name: str) -> None:
    """Let a call of `module.name`, which fails by itself where it does not hold, count too."""
    original: Callable[..., Any] = getattr(module, name)

    def counted(*arguments: Any, **keywords: Any) -> Any:
        guards.asserted = True
        return original(*arguments, **keywords)

    setattr(module, name, counted)
