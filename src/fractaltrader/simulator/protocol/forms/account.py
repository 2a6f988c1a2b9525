"""Actions on the account itself as they arrive (hyperliquid.md 3.2)."""

from fractaltrader.simulator.protocol.forms.common import ActionForm


class UpdateLeverageAction(ActionForm, tag_field="type", tag="updateLeverage", rename="camel"):
    asset: int
    is_cross: bool
    leverage: int

    def assets(self) -> set[int]:
        return {self.asset}


class NoopAction(ActionForm, tag_field="type", tag="noop"):
    pass
