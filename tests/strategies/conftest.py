"""Compiled kernels of the tests live in pytest's own cache, never in the user's home."""

import pytest


@pytest.fixture(autouse=True)
def _kernels_in_pytest_cache(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRACTAL_HOME", str(request.config.cache.mkdir("fractal")))
