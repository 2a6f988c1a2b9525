"""Order, cancel and modify actions as they arrive (hyperliquid.md 3.2)."""

from typing import Literal

import msgspec

from fractaltrader.market.instrument import to_wire
from fractaltrader.simulator.protocol.forms import (
    ActionForm,
    UnprocessableError,
    cloid_of,
    decimal_of,
)


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
        self.p, self.s = to_wire(decimal_of(self.p)), to_wire(decimal_of(self.s))
        if (self.t.limit is None) == (self.t.trigger is None):
            raise UnprocessableError("order type must be limit or trigger")
        if self.t.trigger is not None:
            self.t.trigger.trigger_px = to_wire(decimal_of(self.t.trigger.trigger_px))
        if self.c is not None:
            self.c = cloid_of(self.c)


class Builder(msgspec.Struct):
    b: str
    f: int


class OrderAction(ActionForm, tag_field="type", tag="order", omit_defaults=True):
    orders: list[OrderWire]
    grouping: Literal["na", "normalTpsl", "positionTpsl"]
    builder: Builder | None = None

    def normalise(self) -> None:
        for order in self.orders:
            order.normalise()

    def weight(self) -> int:
        return len(self.orders)

    def assets(self) -> set[int]:
        return {order.a for order in self.orders}


class CancelWire(msgspec.Struct):
    a: int
    o: int


class CancelAction(ActionForm, tag_field="type", tag="cancel"):
    cancels: list[CancelWire]

    def weight(self) -> int:
        return len(self.cancels)


class CancelByCloidWire(msgspec.Struct):
    asset: int
    cloid: str


class CancelByCloidAction(ActionForm, tag_field="type", tag="cancelByCloid"):
    cancels: list[CancelByCloidWire]

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


class ModifyAction(ActionForm, tag_field="type", tag="modify"):
    oid: int | str
    order: OrderWire

    def normalise(self) -> None:
        self.oid = _reference_of(self.oid)
        self.order.normalise()

    def assets(self) -> set[int]:
        return {self.order.a}


class BatchModifyAction(ActionForm, tag_field="type", tag="batchModify"):
    modifies: list[ModifyWire]

    def normalise(self) -> None:
        for item in self.modifies:
            item.normalise()

    def weight(self) -> int:
        return len(self.modifies)

    def assets(self) -> set[int]:
        return {item.order.a for item in self.modifies}
