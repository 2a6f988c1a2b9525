"""What the shared budget and the shared nonces add to a request."""

import asyncio
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from benchmarks.timing import Row, seconds_each
from fractaltrader.exchange.budget_parameters import Priority
from fractaltrader.exchange.clock import MonotonicClock, SystemClock
from fractaltrader.exchange.hyperliquid.nonces import NonceAllocator
from fractaltrader.exchange.limiter import Limiter
from fractaltrader.exchange.limits import Cost

OTHERS = 5
REPEAT = 200


def rows() -> list[Row]:
    """One request through a budget as full as that of four bots and a person, and one nonce."""
    with TemporaryDirectory() as folder, asyncio.Runner() as runner:
        path = Path(folder) / "budget.json"
        clock = MonotonicClock()
        limiters = [
            Limiter(path, clock, spender=f"bot{number}:1", rng=Random(number))
            for number in range(1 + OTHERS)
        ]
        nonces = NonceAllocator(SystemClock(), Path(folder) / "nonce")
        ours = limiters[0]
        for limiter in limiters[1:]:
            limiter._change(lambda state: _busy_minute(state.weight, clock.now_ms()))

        async def requests() -> None:
            for _ in range(REPEAT):
                # Free, so that the measurement itself never has to wait for the budget.
                cost = Cost("order", 0, address="0xab")
                ours.settle(await ours.acquire(cost, Priority.PROTECT), 0)

        async def signers() -> None:
            for _ in range(REPEAT):
                await nonces.next()

        gate, signer = seconds_each([lambda: runner.run(requests()), lambda: runner.run(signers())])
        for limiter in limiters:
            limiter.close()
        nonces.close()
    return [
        Row("acquire and settle a request", gate / REPEAT, "request", "budget file shared by 6"),
        Row("a nonce across processes", signer / REPEAT, "nonce", "one file a signer"),
    ]


def _busy_minute(window: list[tuple[int, int]], now_ms: int) -> None:
    """A window with as many entries as a minute can have."""
    window[:] = [(now_ms + 500 * number, 1) for number in range(1, 121)]
