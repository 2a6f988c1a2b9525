"""Fixtures that every room's tests share."""

from pathlib import Path

import pytest

_SHARED = Path(__file__).resolve().parents[2] / "shared"


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
