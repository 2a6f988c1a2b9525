"""Signed actions: who signed, may they, and which room executes them (hyperliquid.md section 3)."""

from typing import Any

from fractaltrader.market import Clock
from fractaltrader.simulator.clearing import leverage_actions
from fractaltrader.simulator.core import Core, Handler
from fractaltrader.simulator.protocol.account_forms import NoopAction
from fractaltrader.simulator.protocol.envelope import Action, parse_envelope
from fractaltrader.simulator.protocol.identity import acting_user
from fractaltrader.simulator.refusal import RefusedError
from fractaltrader.simulator.trading import order_actions

WEIGHT_LIMIT = 200


def _nothing(_core: Core, _user: str, _action: NoopAction) -> dict[str, Any]:
    return {"type": "default"}


_HANDLERS: dict[type, Handler] = {
    **order_actions.HANDLERS,
    **leverage_actions.HANDLERS,
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
    for asset in action.assets() - core.by_asset.keys():
        raise RefusedError(f"Invalid asset {asset}")
    core.account(user).requests += max(action.weight(), 1)
    return _HANDLERS[type(action)](core, user, action)
