"""Fixtures for testing Hyperliquid clients offline; pytest finds them by itself once installed."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    # Every run of pytest loads this module, most of them without need of an exchange.
    from fractaltrader.simulator.local_exchange import LocalExchange
    from fractaltrader.simulator.serving.background import BackgroundExchange
    from fractaltrader.simulator.virtual_time import SteppedClock

STARTED_MS = 1_750_000_000_000 // 60_000 * 60_000


class Stepped(NamedTuple):
    """An exchange without sockets, and the clock that a test moves by hand."""

    exchange: "LocalExchange"
    clock: "SteppedClock"


@pytest.fixture
def local_exchange() -> "Iterator[BackgroundExchange]":
    """A served exchange of this test alone: `.url`, `.fund`, `.move`, `.add_fault`, `.do`."""
    from fractaltrader.simulator.serving.background import BackgroundExchange

    with BackgroundExchange() as served:
        yield served


@pytest.fixture
def stepped_exchange() -> Stepped:
    """The same engine in process, where time stands still until the test moves the clock."""
    from fractaltrader.simulator.local_exchange import LocalExchange
    from fractaltrader.simulator.serving.background import LISTINGS, PRICES
    from fractaltrader.simulator.virtual_time import SteppedClock

    clock = SteppedClock(STARTED_MS)
    exchange = LocalExchange(LISTINGS, clock=clock)
    for coin, price in PRICES.items():
        exchange.move(coin, price)
    return Stepped(exchange, clock)
