"""Fixtures of the live room's tests."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from virtual_world import World

from fractaltrader.live.ledger import Ledger


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A fresh world; its test opens it inside a virtual-time loop."""
    return World(tmp_path)


@pytest.fixture(autouse=True)
def _no_ledger_stays_open(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Bots and guards that are killed leave their ledger to the system; here a test does that."""
    opened: list[Ledger] = []
    opening = Ledger.__init__

    def noted(ledger: Ledger, *arguments: Any) -> None:
        opening(ledger, *arguments)
        opened.append(ledger)

    monkeypatch.setattr(Ledger, "__init__", noted)
    yield
    for ledger in opened:
        ledger.close()
