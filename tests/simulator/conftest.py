"""A small exchange and funded traders."""

from collections.abc import Callable, Iterator
from decimal import Decimal

import pytest
from exchange_world import LISTINGS, ORIGIN_MS, Trader
from served_world import ServedWorld

from fractaltrader.simulator.local_exchange import LocalExchange
from fractaltrader.simulator.virtual_time import SteppedClock


@pytest.fixture
def clock() -> SteppedClock:
    """Time that a test moves by hand."""
    return SteppedClock(ORIGIN_MS)


@pytest.fixture
def exchange(clock: SteppedClock) -> LocalExchange:
    """BTC at 100000 and ETH at 4000."""
    made = LocalExchange(LISTINGS, clock=clock, seed=7)
    made.move("BTC", Decimal(100_000))
    made.move("ETH", Decimal(4_000))
    return made


@pytest.fixture
def trader(exchange: LocalExchange) -> Callable[..., Trader]:
    """Makes a funded trader by name."""
    return lambda name="alice", usd="10000": Trader(exchange, name, usd)


@pytest.fixture(scope="module")
def world() -> Iterator[ServedWorld]:
    """A served exchange that the tests of a file share."""
    with ServedWorld() as made:
        yield made
