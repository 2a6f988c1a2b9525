"""A request that is tried again is charged again."""

from pathlib import Path
from random import Random

from tenacity import AsyncRetrying, retry_if_exception_type, wait_fixed

from fractaltrader.exchange.budget_parameters import BudgetParameters, Priority
from fractaltrader.exchange.errors import TransientError, TransportError
from fractaltrader.exchange.hyperliquid.client import HyperliquidVenue
from fractaltrader.exchange.limiter import Limiter, peek
from fractaltrader.exchange.transport import Socket
from fractaltrader.simulator.virtual_time import LoopClock, run_virtual

FAILURES: list[tuple[int, bytes] | TransportError] = [
    (503, b"Service Unavailable"),
    TransportError("reset", sent=True),
    TransportError("refused", sent=False),
    (200, b"<html>"),
    (429, b"null"),
]
MIDS_WEIGHT = 2


class FailsAtFirst:
    """A transport that gives one failure after the other, then the answer."""

    def __init__(self) -> None:
        self.requests = 0

    async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        self.requests += 1
        if self.requests > len(FAILURES):
            return 200, b'{"BTC":"1"}'
        failure = FAILURES[self.requests - 1]
        if isinstance(failure, TransportError):
            raise failure
        return failure

    async def connect(self) -> Socket:
        raise TransportError("no socket here", sent=False)

    async def close(self) -> None:
        """Nothing to release."""


def test_every_attempt_is_charged(tmp_path: Path) -> None:
    """With tenacity around a read that fails in every way, the budget holds the weight of each
    attempt, whatever became of it."""

    async def world() -> tuple[int, int]:
        clock, transport, path = LoopClock(0), FailsAtFirst(), tmp_path / "budget.json"
        limiter = Limiter(path, clock, spender="bot", rng=Random(1))
        venue = HyperliquidVenue(
            transport, None, account="0x0", clock=clock, mainnet=False, limiter=limiter
        )
        attempts = AsyncRetrying(wait=wait_fixed(1), retry=retry_if_exception_type(TransientError))
        await attempts(venue.mid_prices)
        budget = peek(path, BudgetParameters(), clock.now_ms())
        limiter.close()
        return transport.requests, budget.spenders["bot"].weights[Priority.RECONCILE]

    requests, charged = run_virtual(world())
    assert requests == len(FAILURES) + 1
    assert charged == requests * MIDS_WEIGHT
