"""Signed actions: who signed, may they, and which room executes them (hyperliquid.md section 3)."""

from typing import Any

from fractaltrader.market import Clock
from fractaltrader.simulator.clearing import leverage_actions, spot_transfers, transfers
from fractaltrader.simulator.core import Core, Handler
from fractaltrader.simulator.protocol import limits
from fractaltrader.simulator.protocol.forms.account import NoopAction
from fractaltrader.simulator.protocol.forms.envelope import Action, parse_envelope
from fractaltrader.simulator.protocol.forms.orders import CancelAction, CancelByCloidAction
from fractaltrader.simulator.protocol.identity import agents, profile, sub_accounts
from fractaltrader.simulator.protocol.identity.acting import acting_user
from fractaltrader.simulator.refusal import RefusedError
from fractaltrader.simulator.trading import order_actions, schedule_cancel, twap

WEIGHT_LIMIT = 200


def _nothing(_core: Core, _user: str, _action: NoopAction) -> dict[str, Any]:
    return {"type": "default"}


_HANDLERS: dict[type, Handler] = {
    **order_actions.HANDLERS,
    **twap.HANDLERS,
    **schedule_cancel.HANDLERS,
    **leverage_actions.HANDLERS,
    **transfers.HANDLERS,
    **spot_transfers.HANDLERS,
    **agents.HANDLERS,
    **sub_accounts.HANDLERS,
    **profile.HANDLERS,
    NoopAction: _nothing,
}


def act(core: Core, body: object, nonce_clock: Clock) -> dict[str, Any]:
    """Verify and execute an `/exchange` body; raises UnprocessableError for a wrong form."""
    envelope = parse_envelope(body)
    try:
        user = acting_user(core, envelope, nonce_clock.now_ms())
        response = _execute(core, user, envelope.action)
    except RefusedError as refusal:
        return {"status": "err", "response": str(refusal)}
    return {"status": "ok", "response": response}


def _execute(core: Core, user: str, action: Action) -> dict[str, Any]:
    if action.weight() > WEIGHT_LIMIT:
        raise RefusedError(f"Signed action over weight limit of {WEIGHT_LIMIT}.")
    if not action.FOR_UNIFIED and profile.profile_of(core, user).abstraction == "unifiedAccount":
        raise RefusedError("Action disabled when unified account is active")
    for asset in action.assets() - core.by_asset.keys():
        raise RefusedError(f"Invalid asset {asset}")
    count = max(action.weight(), 1)
    cancels = isinstance(action, CancelAction | CancelByCloidAction)
    limits.check_budget(core, user, count, cancels=cancels, now_ms=core.limit_clock.now_ms())
    response = _HANDLERS[type(action)](core, user, action)
    limits.consume(core, user, count)
    return response
