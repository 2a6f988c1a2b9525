"""What is left of the venue's limits, from the shared budget's files."""

from pathlib import Path

from fractaltrader.doctor.finding import Finding, ok, warning
from fractaltrader.exchange import limits
from fractaltrader.exchange.budget_parameters import BudgetParameters
from fractaltrader.exchange.limiter import peek


def budgets(home: Path, params: BudgetParameters, monotonic_ms: int) -> list[Finding]:
    """One finding for each venue that was asked, one more for each address that is short."""
    found: list[Finding] = []
    for path in sorted((home / "budget").glob("*.json")):
        state = peek(path, params, monotonic_ms)
        used = f"{path.stem}: weight {limits.used_weight(state)} of {params.weight_per_minute}"
        if limits.recovered_share(state, params) < 1:
            remedy = "it comes back by itself within minutes; `fractal limits` shows who asked"
            found.append(warning("limits", f"{used}, slowed down after HTTP 429", remedy))
        else:
            found.append(ok("limits", used))
        for address, budget in sorted(state.addresses.items()):
            left = budget.cap - budget.used
            if left <= params.address_reserve:
                told = f"{address} has {left} actions left; entries stop at the reserve"
                remedy = "trade volume earns more (1 USDC an action), or buy request weight"
                found.append(warning("limits", told, remedy))
    return found or [ok("limits", "no venue has been asked yet")]
