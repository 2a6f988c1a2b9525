"""L1 actions that move a user's own money (hyperliquid.md 3.2); user-signed ones live elsewhere."""

import msgspec

from fractaltrader.simulator.protocol.forms.common import (
    ActionForm,
    UnprocessableError,
    address_of,
    decimal_of,
)

# Amounts on the wire are integers of a millionth of a USDC.
MOST_MICRO_USD = 10**18


def _check_usd(amount: int) -> None:
    if abs(amount) > MOST_MICRO_USD:
        raise UnprocessableError("invalid amount")


class UpdateIsolatedMarginAction(
    ActionForm, tag_field="type", tag="updateIsolatedMargin", rename="camel"
):
    """`ntli` is in millionths of a USDC, below zero to take margin out; `is_buy` is ignored."""

    asset: int
    is_buy: bool
    ntli: int

    def normalise(self) -> None:
        _check_usd(self.ntli)

    def assets(self) -> set[int]:
        return {self.asset}


class TopUpIsolatedOnlyMarginAction(ActionForm, tag_field="type", tag="topUpIsolatedOnlyMargin"):
    """`leverage` is a decimal as text."""

    asset: int
    leverage: str

    def normalise(self) -> None:
        decimal_of(self.leverage)

    def assets(self) -> set[int]:
        return {self.asset}


class SubAccountTransferAction(
    ActionForm, tag_field="type", tag="subAccountTransfer", rename="camel"
):
    """`usd` in millionths, from the master when `is_deposit`, else to it."""

    FOR_UNIFIED = False
    FOR_AGENTS = False

    sub_account_user: str
    is_deposit: bool
    usd: int

    def normalise(self) -> None:
        self.sub_account_user = address_of(self.sub_account_user)
        _check_usd(self.usd)


class SubAccountSpotTransferAction(
    ActionForm, tag_field="type", tag="subAccountSpotTransfer", rename="camel"
):
    """A token of the spot balance, such as `USDC:0x…`, to or from a sub-account."""

    FOR_UNIFIED = False
    FOR_AGENTS = False

    sub_account_user: str
    is_deposit: bool
    token: str
    amount: str

    def normalise(self) -> None:
        self.sub_account_user = address_of(self.sub_account_user)
        decimal_of(self.amount)


class VaultTransferAction(ActionForm, tag_field="type", tag="vaultTransfer", rename="camel"):
    """`usd` in millionths, into a vault or out of it."""

    FOR_AGENTS = False

    vault_address: str
    is_deposit: bool
    usd: int

    def normalise(self) -> None:
        self.vault_address = address_of(self.vault_address)
        _check_usd(self.usd)


class ReserveRequestWeightAction(
    ActionForm, tag_field="type", tag="reserveRequestWeight", omit_defaults=True
):
    """Buys actions for the address budget of `destination`, else of the sender."""

    FOR_AGENTS = False

    # An action has a weight of its own: that of the request.
    units: int = msgspec.field(name="weight")
    destination: str | None = None

    def normalise(self) -> None:
        if not 0 < self.units <= MOST_MICRO_USD:
            raise UnprocessableError("invalid weight")
        if self.destination is not None:
            self.destination = address_of(self.destination)


class AgentSendAssetAction(ActionForm, tag_field="type", tag="agentSendAsset", rename="camel"):
    """As `sendAsset`, but an agent may sign it; the nonce repeats the envelope's."""

    destination: str
    source_dex: str
    destination_dex: str
    token: str
    amount: str
    from_sub_account: str
    nonce: int

    def normalise(self) -> None:
        self.destination = address_of(self.destination)
        decimal_of(self.amount)
        if self.from_sub_account:
            address_of(self.from_sub_account)


MONEY = (
    UpdateIsolatedMarginAction
    | TopUpIsolatedOnlyMarginAction
    | SubAccountTransferAction
    | SubAccountSpotTransferAction
    | VaultTransferAction
    | ReserveRequestWeightAction
    | AgentSendAssetAction
)
