"""Fixtures of the live room's tests."""

from pathlib import Path

import pytest
from virtual_world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A fresh world; its test opens it inside a virtual-time loop."""
    return World(tmp_path)
