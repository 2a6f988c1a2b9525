"""Fixtures that every room's tests share."""

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

_SHARED = Path(__file__).resolve().parents[2] / "shared"
_HELPERS = (path.stem for path in Path(__file__).parent.rglob("*.py"))

# An assertion in a helper counts, and explains itself, as one in a test does.
pytest.register_assert_rewrite(*(name for name in _HELPERS if not name.startswith("test_")))

pytest_plugins = ["house_durations", "house_guards"]

# How long an example takes is the machine's matter, and no reason for a test to fail.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("fast", settings.get_profile("any machine"), max_examples=15)
settings.load_profile("any machine")


# Files without a disk, where there is such a folder. A killed process leaves the kernel alive: what
# a disk loses is the subject of tests that drop what was not synced.
MEMORY_FOLDER = Path("/dev/shm")
ROOM_BYTES = 1 << 30


def pytest_configure() -> None:
    """What tests write stays in memory where that has room: no test waits for a disk."""
    if MEMORY_FOLDER.is_dir() and shutil.disk_usage(MEMORY_FOLDER).free > ROOM_BYTES:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY_FOLDER))


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """Real market data and exchange responses that live beside the repository."""
    if not _SHARED.is_dir():
        pytest.skip("the shared folder with real data is not beside the repository")
    return _SHARED


@pytest.fixture(autouse=True)
def _home_in_pytest_cache(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing a test does reaches the user's home; compiled kernels are kept in pytest's cache."""
    monkeypatch.setenv("FRACTAL_HOME", str(request.config.cache.mkdir("fractal")))
