"""The dead man's switch: cancel everything at a time, unless it is moved (hyperliquid.md 3.4)."""

from typing import Any

from fractaltrader.market.instrument import to_wire
from fractaltrader.simulator.core import Core, Handler
from fractaltrader.simulator.numbers import truncated
from fractaltrader.simulator.protocol.forms.timed import ScheduleCancelAction
from fractaltrader.simulator.refusal import RefusedError
from fractaltrader.simulator.trading.lifecycle import finish_all
from fractaltrader.simulator.trading.triggers import settle_consequences

LEAST_AHEAD_MS = 5_000
TRIGGERS_A_DAY = 10
DAY_MS = 86_400_000


def schedule(core: Core, user: str, action: ScheduleCancelAction) -> dict[str, Any]:
    """Set, move or (without a time) unset the user's scheduled cancel; raises RefusedError."""
    required, traded = core.state.schedule_cancel_volume, core.account(user).volume
    if traded < required:
        raise RefusedError(
            "Cannot set scheduled cancel time until enough volume traded. "
            f"Required: ${to_wire(required)}. Traded: ${to_wire(truncated(traded, 2))}."
        )
    if action.time is None:
        core.state.scheduled_cancels.pop(user, None)
        return {"type": "default"}
    # Clients count from their own clock, which is another than the market's in a replay.
    ahead_ms = action.time - core.client_clock.now_ms()
    if ahead_ms < LEAST_AHEAD_MS:
        raise RefusedError("Scheduled cancel time too early, must be at least 5 seconds from now.")
    if _triggered_today(core, user) >= TRIGGERS_A_DAY:
        raise RefusedError(
            f"Too many scheduled cancels triggered for the day. Limit is {TRIGGERS_A_DAY}"
        )
    core.state.scheduled_cancels[user] = core.now_ms() + ahead_ms
    return {"type": "default"}


def _triggered_today(core: Core, user: str) -> int:
    day, count = core.state.cancels_triggered.get(user, (0, 0))
    return count if day == core.now_ms() // DAY_MS else 0


def next_due(core: Core) -> int | None:
    """When the next scheduled cancel is due, UTC epoch ms."""
    return min(core.state.scheduled_cancels.values(), default=None)


def run(core: Core) -> None:
    """Cancel every order of the users whose time has come."""
    now, scheduled = core.now_ms(), core.state.scheduled_cancels
    for user in [user for user, time_ms in scheduled.items() if time_ms <= now]:
        del scheduled[user]
        count = _triggered_today(core, user) + 1
        core.state.cancels_triggered[user] = (now // DAY_MS, count)
        finish_all(core, core.live_orders(user), "scheduledCancel")
        settle_consequences(core)


HANDLERS: dict[type, Handler] = {ScheduleCancelAction: schedule}
