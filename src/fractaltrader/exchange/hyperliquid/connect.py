"""The venue as every process of ours reaches it: with the shared budget and the shared nonces."""

import os
from pathlib import Path
from random import Random

from fractaltrader.exchange.budget_parameters import BudgetParameters, Priority
from fractaltrader.exchange.clock import MonotonicClock, SystemClock
from fractaltrader.exchange.hyperliquid.client import HyperliquidVenue
from fractaltrader.exchange.hyperliquid.nonces import NonceAllocator, nonce_path
from fractaltrader.exchange.hyperliquid.signing import Signer
from fractaltrader.exchange.limiter import Limiter, budget_path
from fractaltrader.exchange.transport import Transport


def connect(
    transport: Transport,
    url: str,
    signer: Signer | None,
    *,
    account: str,
    home: Path,
    spender: str,
    params: BudgetParameters | None = None,
    priority: Priority = Priority.RECONCILE,
    mainnet: bool = False,
    pace: float = 1.0,
) -> HyperliquidVenue:
    """The venue at `url`, charged to the budget under `home` in the name of `spender`.

    `pace` is how many times as fast as time a local exchange replays its market.

    Nothing is written before the first request.
    """
    clock = SystemClock()
    seed = os.getpid()  # processes that lost the venue together must not return together
    limiter = Limiter(
        budget_path(home, url, pace),
        MonotonicClock(pace),
        spender=f"{spender}:{seed}",
        rng=Random(seed),  # nosec B311
        params=params,
    )
    nonces = None
    if signer is not None:
        nonces = NonceAllocator(clock, nonce_path(home, signer.address))
    return HyperliquidVenue(
        transport,
        signer,
        account=account,
        clock=clock,
        mainnet=mainnet,
        limiter=limiter,
        nonces=nonces,
        priority=priority,
        rng=Random(seed + 1),  # nosec B311
    )
