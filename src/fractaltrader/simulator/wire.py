"""Actions as they arrive, in the venue's signing order (hyperliquid.md 3.2).

The venue hashes its own normal form of an action, not the client's bytes: a client with another
key order, trailing zeros or a cloid without 0x signs something else and appears as another user.
"""

import re
from decimal import Decimal
from typing import Any, Literal

import msgspec

from fractaltrader.market.instrument import to_wire

UNPARSEABLE = "Failed to deserialize the JSON body into the target type"
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
# Few enough digits for exact products in the 28 digits of the decimal context.
_NUMBER = re.compile(r"-?\d{1,15}(?:\.\d{1,12})?")
_CLOID = re.compile(r"(?:0x)?([0-9a-fA-F]{32})")


class UnprocessableError(Exception):
    """The request does not have the venue's form; HTTP answers 422 with this text."""

    def __init__(self, detail: str = "") -> None:
        super().__init__(f"{UNPARSEABLE}: {detail}" if detail else UNPARSEABLE)


class LimitTerms(msgspec.Struct):
    tif: Literal["Gtc", "Ioc", "Alo", "FrontendMarket"]


class TriggerWire(msgspec.Struct, rename="camel"):
    is_market: bool
    trigger_px: str
    tpsl: Literal["tp", "sl"]


class OrderTerms(msgspec.Struct, omit_defaults=True):
    """Exactly one of the two."""

    limit: LimitTerms | None = None
    trigger: TriggerWire | None = None


class OrderWire(msgspec.Struct, omit_defaults=True):
    a: int
    b: bool
    p: str
    s: str
    r: bool
    t: OrderTerms
    c: str | None = None


class Builder(msgspec.Struct):
    b: str
    f: int


class OrderAction(msgspec.Struct, tag_field="type", tag="order", omit_defaults=True):
    orders: list[OrderWire]
    grouping: Literal["na", "normalTpsl", "positionTpsl"]
    builder: Builder | None = None


class CancelWire(msgspec.Struct):
    a: int
    o: int


class CancelAction(msgspec.Struct, tag_field="type", tag="cancel"):
    cancels: list[CancelWire]


class CancelByCloidWire(msgspec.Struct):
    asset: int
    cloid: str


class CancelByCloidAction(msgspec.Struct, tag_field="type", tag="cancelByCloid"):
    cancels: list[CancelByCloidWire]


class ModifyWire(msgspec.Struct):
    oid: int | str
    order: OrderWire


class ModifyAction(msgspec.Struct, tag_field="type", tag="modify"):
    oid: int | str
    order: OrderWire


class BatchModifyAction(msgspec.Struct, tag_field="type", tag="batchModify"):
    modifies: list[ModifyWire]


class UpdateLeverageAction(msgspec.Struct, tag_field="type", tag="updateLeverage", rename="camel"):
    asset: int
    is_cross: bool
    leverage: int


class NoopAction(msgspec.Struct, tag_field="type", tag="noop"):
    pass


Action = (
    OrderAction
    | CancelAction
    | CancelByCloidAction
    | ModifyAction
    | BatchModifyAction
    | UpdateLeverageAction
    | NoopAction
)


class Envelope(msgspec.Struct, rename="camel"):
    """The body of POST /exchange."""

    action: Action
    nonce: int
    signature: dict[str, int | str]
    vault_address: str | None = None
    expires_after: int | None = None


def address_of(text: object) -> str:
    """A lower-case address; raises UnprocessableError when it is none."""
    if not isinstance(text, str) or not _ADDRESS.fullmatch(text):
        raise UnprocessableError("invalid address")
    return text.lower()


def cloid_of(text: str) -> str:
    """The venue's form of a client order id: 0x and 32 lower-case hex digits."""
    found = _CLOID.fullmatch(text)
    if found is None:
        raise UnprocessableError("invalid cloid")
    return "0x" + found[1].lower()


def decimal_of(text: str) -> Decimal:
    """A decimal in fixed notation; raises UnprocessableError for anything else or too long."""
    if not _NUMBER.fullmatch(text):
        raise UnprocessableError(f"invalid number {text[:40]!r}")
    return Decimal(text)


def _normalise_order(order: OrderWire) -> None:
    order.p, order.s = to_wire(decimal_of(order.p)), to_wire(decimal_of(order.s))
    if (order.t.limit is None) == (order.t.trigger is None):
        raise UnprocessableError("order type must be limit or trigger")
    if order.t.trigger is not None:
        order.t.trigger.trigger_px = to_wire(decimal_of(order.t.trigger.trigger_px))
    if order.c is not None:
        order.c = cloid_of(order.c)


def _reference_of(oid: int | str) -> int | str:
    return cloid_of(oid) if isinstance(oid, str) else oid


def parse_envelope(body: object) -> Envelope:
    """The envelope with its action in normal form; raises UnprocessableError."""
    try:
        envelope = msgspec.convert(body, Envelope)
    except msgspec.ValidationError as error:
        raise UnprocessableError(str(error)) from None
    action = envelope.action
    if isinstance(action, OrderAction):
        for order in action.orders:
            _normalise_order(order)
    elif isinstance(action, ModifyAction):
        action.oid = _reference_of(action.oid)
        _normalise_order(action.order)
    elif isinstance(action, BatchModifyAction):
        for modify in action.modifies:
            modify.oid = _reference_of(modify.oid)
            _normalise_order(modify.order)
    elif isinstance(action, CancelByCloidAction):
        for cancel in action.cancels:
            cancel.cloid = cloid_of(cancel.cloid)
    if envelope.vault_address is not None:
        envelope.vault_address = address_of(envelope.vault_address)
    return envelope


def signed_form(envelope: Envelope) -> dict[str, Any]:
    """The envelope as `recover_action_signer` takes it."""
    return {
        "action": msgspec.to_builtins(envelope.action),
        "nonce": envelope.nonce,
        "vaultAddress": envelope.vault_address,
        "expiresAfter": envelope.expires_after,
        "signature": envelope.signature,
    }
