"""TWAP and scheduled-cancel actions as they arrive (hyperliquid.md 3.2 and 3.4)."""

from typing import Annotated

import msgspec

from fractaltrader.simulator.protocol.forms.common import ActionForm
from fractaltrader.simulator.protocol.forms.orders import normal_number


class TwapWire(msgspec.Struct):
    """Asset, buy, size, reduce only, minutes (5 to 7 days), randomise.

    In which words the venue refuses other minutes is not recorded: here they fit no form.
    """

    a: int
    b: bool
    s: str
    r: bool
    m: Annotated[int, msgspec.Meta(ge=5, le=7 * 24 * 60)]
    t: bool


class TwapTriggerWire(msgspec.Struct):
    """Start when the mark is at `p` or above (`a`), or at `p` or below."""

    p: str
    a: bool


class TwapDetails(msgspec.Struct):
    """Start and stop by mark price; the wire carries both keys, null for none."""

    t: TwapTriggerWire | None
    s: str | None


class TwapOrderAction(ActionForm, tag_field="type", tag="twapOrder", omit_defaults=True):
    twap: TwapWire
    details: TwapDetails | None = None

    def normalise(self) -> None:
        self.twap.s = normal_number(self.twap.s)
        if self.details is None:
            return
        if self.details.t is not None:
            self.details.t.p = normal_number(self.details.t.p)
        if self.details.s is not None:
            self.details.s = normal_number(self.details.s)

    def assets(self) -> set[int]:
        return {self.twap.a}


class TwapCancelAction(ActionForm, tag_field="type", tag="twapCancel"):
    """Asset and TWAP id."""

    a: int
    t: int

    def assets(self) -> set[int]:
        return {self.a}


class ScheduleCancelAction(ActionForm, tag_field="type", tag="scheduleCancel", omit_defaults=True):
    """`time` is UTC epoch ms; absent to unset."""

    time: int | None = None


TIMED = TwapOrderAction | TwapCancelAction | ScheduleCancelAction
