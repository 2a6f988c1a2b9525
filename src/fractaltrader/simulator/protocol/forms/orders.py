"""Order, cancel and modify actions as they arrive (hyperliquid.md 3.2)."""

import re
from typing import Annotated, Literal

import msgspec

from fractaltrader.market.instrument import to_wire
from fractaltrader.simulator.protocol.forms.common import (
    ActionForm,
    UnprocessableError,
    address_of,
    cloid_of,
    decimal_of,
)

_NORMAL = re.compile(r"(?:0|[1-9]\d{0,14})(?:\.\d{0,11}[1-9])?")


def normal_number(text: str) -> str:
    """`text` as the venue hashes it, without trailing zeros; raises UnprocessableError."""
    return text if _NORMAL.fullmatch(text) else to_wire(decimal_of(text))


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

    def normalise(self) -> None:
        """Take the venue's own form; raises UnprocessableError."""
        if not (_NORMAL.fullmatch(self.p) and _NORMAL.fullmatch(self.s)):
            self.p, self.s = normal_number(self.p), normal_number(self.s)
        trigger = self.t.trigger
        if (self.t.limit is None) == (trigger is None):
            raise UnprocessableError("order type must be limit or trigger")
        if trigger is not None:
            trigger.trigger_px = normal_number(trigger.trigger_px)
        if self.c is not None:
            self.c = cloid_of(self.c)


class Builder(msgspec.Struct):
    b: str
    f: int


class Priority(msgspec.Struct):
    """A priority rate of p/1e8 of the notional, paid from undelegated staking balance."""

    p: Annotated[int, msgspec.Meta(ge=0, le=100_000_000)]


class OrderAction(ActionForm, tag_field="type", tag="order", omit_defaults=True):
    orders: list[OrderWire]
    grouping: Literal["na", "normalTpsl", "positionTpsl"] | Priority
    builder: Builder | None = None

    def normalise(self) -> None:
        for order in self.orders:
            order.normalise()
        if self.builder is not None:
            self.builder.b = address_of(self.builder.b)

    def weight(self) -> int:
        return len(self.orders)

    def assets(self) -> set[int]:
        return {order.a for order in self.orders}


class CancelWire(msgspec.Struct):
    a: int
    o: int


class CancelAction(ActionForm, tag_field="type", tag="cancel", omit_defaults=True):
    """`f` asks for a fast cancel, which triggers do not have."""

    cancels: list[CancelWire]
    f: bool = False

    def weight(self) -> int:
        return len(self.cancels)


class CancelByCloidWire(msgspec.Struct):
    asset: int
    cloid: str


class CancelByCloidAction(ActionForm, tag_field="type", tag="cancelByCloid", omit_defaults=True):
    cancels: list[CancelByCloidWire]
    f: bool = False

    def normalise(self) -> None:
        for cancel in self.cancels:
            cancel.cloid = cloid_of(cancel.cloid)

    def weight(self) -> int:
        return len(self.cancels)


def _reference_of(oid: int | str) -> int | str:
    return cloid_of(oid) if isinstance(oid, str) else oid


class ModifyWire(msgspec.Struct):
    oid: int | str
    order: OrderWire

    def normalise(self) -> None:
        """Take the venue's own form; raises UnprocessableError."""
        self.oid = _reference_of(self.oid)
        self.order.normalise()


class ModifyAction(ActionForm, tag_field="type", tag="modify", omit_defaults=True):
    """`a` (always place): the new order is placed even if the old one is gone."""

    oid: int | str
    order: OrderWire
    a: bool = False

    def normalise(self) -> None:
        self.oid = _reference_of(self.oid)
        self.order.normalise()

    def assets(self) -> set[int]:
        return {self.order.a}


class BatchModifyAction(ActionForm, tag_field="type", tag="batchModify", omit_defaults=True):
    modifies: list[ModifyWire]
    a: bool = False

    def normalise(self) -> None:
        for item in self.modifies:
            item.normalise()

    def weight(self) -> int:
        return len(self.modifies)

    def assets(self) -> set[int]:
        return {item.order.a for item in self.modifies}
