"""The budget's answer without waiting, which most requests get."""

from pathlib import Path
from random import Random

from fractaltrader.exchange.budget_parameters import BudgetParameters, Priority
from fractaltrader.exchange.limiter import Limiter, peek
from fractaltrader.exchange.limits import Cost
from fractaltrader.exchange.locked_file import LockedFile
from fractaltrader.simulator.virtual_time import LoopClock, run_virtual

READ = Cost("info", 100)


def test_at_once_is_what_waiting_would_give_now(tmp_path: Path) -> None:
    """While there is room it charges as `acquire` does; without room, or while another process
    holds the file, it is None and charges nothing."""

    async def world() -> None:
        clock, path = LoopClock(0), tmp_path / "budget.json"

        def spent() -> int:
            return (
                peek(path, BudgetParameters(), clock.now_ms())
                .spenders["bot"]
                .weights[Priority.INFORM]
            )

        limiter = Limiter(path, clock, spender="bot", rng=Random(1))
        limiter.settle(await limiter.acquire(READ, Priority.INFORM), 0)
        assert spent() == READ.weight
        granted = 1
        while (ticket := limiter.acquire_at_once(READ, Priority.INFORM)) is not None:
            limiter.settle(ticket, 0)
            granted += 1
            assert spent() == granted * READ.weight
        assert granted > 1
        assert spent() == granted * READ.weight
        await clock.sleep_ms(70_000)
        with LockedFile(path).locked():
            assert limiter.acquire_at_once(READ, Priority.INFORM) is None
        assert limiter.acquire_at_once(READ, Priority.INFORM) is not None
        limiter.close()

    run_virtual(world())
    assert (tmp_path / "budget.json").exists()
