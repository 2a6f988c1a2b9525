"""The real bot against the exchange in a storm of every fault of the way."""

import sys
from pathlib import Path
from typing import Any

import pytest

from fractaltrader.simulator.faults.injector import Injector
from fractaltrader.simulator.faults.plan import parse_plan
from fractaltrader.simulator.serving.transport import InProcessTransport
from fractaltrader.simulator.virtual_time import run_virtual

STORM = [
    {
        "kind": "latency",
        "ms": 300,
        "distribution": "lognormal",
        "paths": ["info", "exchange", "ws"],
    },
    {"kind": "lost_request", "probability": 0.02},
    {"kind": "lost_answer", "probability": 0.02},
    {"kind": "timeout", "probability": 0.01, "executed": True},
    {"kind": "rate_limit", "probability": 0.02},
    {"kind": "server_error", "probability": 0.02, "executed": True},
    {"kind": "garbled_answer", "probability": 0.02},
    {"kind": "duplicate_message", "probability": 0.02},
    {"kind": "reorder_message", "probability": 0.02},
    {"kind": "dropped_socket", "probability": 0.005},
    {"kind": "half_open", "every": "12h", "lasts": "1h", "begins": "8h"},
    {"kind": "unreachable", "every": "12h", "lasts": "20m", "begins": "5h"},
    {"kind": "thin_book", "every": "12h", "lasts": "2h", "begins": "3h", "depth": 0.01},
    {"kind": "halt", "every": "1d", "lasts": "30m", "begins": "20h"},
    {"kind": "rejected_order", "probability": 0.05},
]


@pytest.fixture
def world_class(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The bot's world in virtual time, which lives with the bot's tests."""
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[1] / "live"))
    import virtual_world

    yield virtual_world
    del sys.modules["virtual_world"]


def test_two_days_of_the_bot_in_a_storm_are_the_same_twice(
    world_class: Any, tmp_path: Path
) -> None:
    """The bot trades to the end of the market, every fault of the way has struck, and a second run
    from the same seed has the same faults, fills and account."""

    def days(folder: Path) -> tuple[dict[str, int], list[tuple[Any, ...]], Any]:
        folder.mkdir()
        world = world_class.World(folder, days=2, seed=6)
        faults = Injector(parse_plan({"fault": STORM}), seed=1)

        def venue(_fault: object = None) -> Any:
            transport = InProcessTransport(world.exchange, world.clock, faults=faults)
            return world_class.HyperliquidVenue(
                transport,
                world.signer,
                account=world.signer.address,
                clock=world.clock,
                mainnet=False,
            )

        async def trade() -> None:
            world.open()
            world.venue = venue
            assert await world.trade()

        run_virtual(trade())
        account = world.exchange.state.accounts[world.signer.address]
        fills = [(fill.time_ms, fill.oid, fill.price, fill.size) for fill in account.fills]
        return faults.counts(), fills, account.cash

    counts, fills, cash = days(tmp_path / "first")
    assert fills
    # An order is refused only where one is sent.
    assert {kind for kind, struck in counts.items() if not struck} <= {"halt", "rejected_order"}
    assert days(tmp_path / "second") == (counts, fills, cash)
