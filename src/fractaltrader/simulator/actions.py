"""Signed actions: who signed, may they, and what happens (hyperliquid.md section 3)."""

from typing import Any

from fractaltrader.exchange.hyperliquid.signing import recover_action_signer
from fractaltrader.market import Clock
from fractaltrader.simulator import nonces, wire
from fractaltrader.simulator.core import Core
from fractaltrader.simulator.lifecycle import finish
from fractaltrader.simulator.margin import leverage_of, summary_of
from fractaltrader.simulator.placing import Status, place_batch
from fractaltrader.simulator.state import Order
from fractaltrader.simulator.triggers import settle_consequences

WEIGHT_LIMIT = 200


class RefusedError(Exception):
    """The whole action is refused: `{"status":"err","response":text}`."""


def act(core: Core, body: object, nonce_clock: Clock) -> dict[str, Any]:
    """Verify and execute an `/exchange` body; raises UnprocessableError for a wrong form."""
    envelope = wire.parse_envelope(body)
    try:
        user = _authenticated(core, envelope, nonce_clock.now_ms())
        response = _execute(core, user, envelope.action)
    except RefusedError as refusal:
        return {"status": "err", "response": str(refusal)}
    return {"status": "ok", "response": response}


def _authenticated(core: Core, envelope: wire.Envelope, now_ms: int) -> str:
    """The acting user; uses up the nonce. Raises RefusedError."""
    try:
        signer = recover_action_signer(wire.signed_form(envelope), mainnet=core.state.mainnet)
    except (ValueError, KeyError, OverflowError, TypeError):
        raise RefusedError("Unable to recover signer.") from None
    if signer not in core.state.accounts:
        raise RefusedError(f"User or API Wallet {signer} does not exist.")
    stored = core.state.nonces.setdefault(signer, [])
    fault = nonces.fault_of(stored, envelope.nonce, now_ms)
    if fault is not None:
        raise RefusedError(fault)
    nonces.use(stored, envelope.nonce)
    if envelope.expires_after is not None and envelope.expires_after < now_ms:
        raise RefusedError("Action already expired")
    if envelope.vault_address is not None:
        raise RefusedError(f"Vault not registered: {envelope.vault_address}")
    return signer


def _execute(core: Core, user: str, action: wire.Action) -> dict[str, Any]:
    _check_batch(core, action)
    core.account(user).requests += max(_weight(action), 1)
    match action:
        case wire.OrderAction():
            return _with_statuses("order", place_batch(core, user, action))
        case wire.CancelAction():
            targets = [(item.a, item.o) for item in action.cancels]
            return _with_statuses("cancel", [_cancel(core, user, *target) for target in targets])
        case wire.CancelByCloidAction():
            cloids = core.account(user).cloids
            targets = [(item.asset, cloids.get(item.cloid, 0)) for item in action.cancels]
            return _with_statuses("cancel", [_cancel(core, user, *target) for target in targets])
        case wire.ModifyAction():
            status = _modify(core, user, action.oid, action.order)
            if isinstance(status, dict) and "error" in status:
                raise RefusedError(status["error"])
        case wire.BatchModifyAction():
            statuses = [_modify(core, user, item.oid, item.order) for item in action.modifies]
            return _with_statuses("order", statuses)
        case wire.UpdateLeverageAction():
            _update_leverage(core, user, action)
        case wire.NoopAction():
            pass
    return {"type": "default"}


def _with_statuses(kind: str, statuses: list[Status]) -> dict[str, Any]:
    return {"type": kind, "data": {"statuses": statuses}}


def _weight(action: wire.Action) -> int:
    match action:
        case wire.OrderAction():
            return len(action.orders)
        case wire.CancelAction() | wire.CancelByCloidAction():
            return len(action.cancels)
        case wire.BatchModifyAction():
            return len(action.modifies)
        case _:
            return 1


def _check_batch(core: Core, action: wire.Action) -> None:
    if _weight(action) > WEIGHT_LIMIT:
        raise RefusedError(f"Signed action over weight limit of {WEIGHT_LIMIT}.")
    match action:
        case wire.OrderAction():
            assets = {order.a for order in action.orders}
        case wire.ModifyAction():
            assets = {action.order.a}
        case wire.BatchModifyAction():
            assets = {item.order.a for item in action.modifies}
        case wire.UpdateLeverageAction():
            assets = {action.asset}
        case _:
            return
    for asset in assets - core.by_asset.keys():
        raise RefusedError(f"Invalid asset {asset}")


def _cancel(core: Core, user: str, asset: int, oid: int) -> Status:
    order = _live_order(core, user, asset, oid)
    if order is None:
        text = f"Order was never placed, already canceled, or filled. asset={asset}"
        return {"error": text}
    finish(core, order, "canceled")
    settle_consequences(core)
    return "success"


def _live_order(core: Core, user: str, asset: int, oid: int) -> Order | None:
    """The user's live order on that asset, else None."""
    order = core.state.orders.get(oid)
    if order is None or order.user != user or not order.is_live:
        return None
    return order if core.instruments[order.coin].asset == asset else None


def _modify(core: Core, user: str, reference: int | str, new: wire.OrderWire) -> Status:
    """Cancel and replace: new oid, and the original is gone when the replacement is refused."""
    if isinstance(reference, str):
        reference = core.account(user).cloids.get(reference, 0)
    order = _live_order(core, user, new.a, reference)
    if order is None:
        return {"error": "Cannot modify canceled or filled order"}
    finish(core, order, "canceled")
    action = wire.OrderAction(orders=[new], grouping="na")
    status = place_batch(core, user, action)[0]
    if isinstance(status, dict) and "error" in status:
        return {"error": f"Error placing new order during modify: {status['error']}"}
    return status


def _update_leverage(core: Core, user: str, action: wire.UpdateLeverageAction) -> None:
    instrument = core.by_asset[action.asset]
    account = core.account(user)
    if not 1 <= action.leverage <= instrument.max_leverage:
        raise RefusedError("Invalid leverage value")
    if not action.is_cross:
        # Isolated margin is a room of its own, to come; refusing beats pretending.
        raise RefusedError("Isolated margin is not supported by this exchange.")
    before = leverage_of(account, instrument)
    account.leverage[instrument.coin] = action.leverage
    summary = summary_of(account, core.instruments, core.mark)
    lacks_margin = summary.margin_used > summary.account_value
    if lacks_margin and action.leverage < before and instrument.coin in account.positions:
        account.leverage[instrument.coin] = before
        raise RefusedError(
            "Cross position does not have sufficient margin available to decrease leverage. "
            "To decrease leverage, deposit more collateral."
        )
