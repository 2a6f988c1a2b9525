"""Actions that the user's own wallet signs as EIP-712 typed data (hyperliquid.md 4.2).

Strings are hashed as they arrived; the number that repeats the nonce is taken from the envelope, so
one that differs from it recovers another wallet.
"""

import re
from typing import Any, ClassVar

from fractaltrader.exchange.hyperliquid.signing import user_signed_digest
from fractaltrader.simulator.protocol.forms.common import (
    ActionForm,
    UnprocessableError,
    address_of,
    decimal_of,
)

_CHAIN_ID = re.compile(r"0x[0-9a-fA-F]{1,16}")
_PERCENT = re.compile(r"\d{1,3}(?:\.\d{1,6})?%")


class UserSignedForm(ActionForm, kw_only=True, rename="camel"):
    """Common to all: the chain whose wallet signed (any) and the network it is meant for."""

    PRIMARY_TYPE: ClassVar[str]
    FIELDS: ClassVar[tuple[tuple[str, str], ...]]

    signature_chain_id: str
    hyperliquid_chain: str

    def normalise(self) -> None:
        if not _CHAIN_ID.fullmatch(self.signature_chain_id):
            raise UnprocessableError("invalid signatureChainId")
        for name, kind in self.FIELDS:
            if kind == "address":  # hashed as a number, so its spelling is free
                setattr(self, _snake(name), address_of(getattr(self, _snake(name))))

    def digest(self, nonce: int, *, mainnet: bool) -> bytes:
        """What the wallet signed, had it signed for this network and `nonce`.

        Raises OverflowError for a number outside its type.
        """
        message: dict[str, Any] = {"hyperliquidChain": "Mainnet" if mainnet else "Testnet"}
        for name, _ in self.FIELDS:
            message[name] = nonce if name in ("time", "nonce") else getattr(self, _snake(name))
        fields = (("hyperliquidChain", "string"), *self.FIELDS)
        chain_id = int(self.signature_chain_id, 16)
        return user_signed_digest(self.PRIMARY_TYPE, fields, message, chain_id=chain_id)


def _snake(name: str) -> str:
    return re.sub(r"[A-Z]", lambda found: "_" + found[0].lower(), name)


def _check_address(text: str) -> None:
    """Raise UnprocessableError unless `text`, which is signed as it stands, has 0x and all."""
    if address_of(text) != text.lower():
        raise UnprocessableError("invalid address")


class UsdSendAction(UserSignedForm, tag_field="type", tag="usdSend", kw_only=True):
    PRIMARY_TYPE = "UsdSend"
    FIELDS = (("destination", "string"), ("amount", "string"), ("time", "uint64"))

    destination: str
    amount: str
    time: int

    def normalise(self) -> None:
        super().normalise()
        _check_address(self.destination)
        decimal_of(self.amount)


class SpotSendAction(UserSignedForm, tag_field="type", tag="spotSend", kw_only=True):
    PRIMARY_TYPE = "SpotSend"
    FIELDS = (
        ("destination", "string"),
        ("token", "string"),
        ("amount", "string"),
        ("time", "uint64"),
    )

    destination: str
    token: str
    amount: str
    time: int

    def normalise(self) -> None:
        super().normalise()
        _check_address(self.destination)
        decimal_of(self.amount)


class Withdraw3Action(UserSignedForm, tag_field="type", tag="withdraw3", kw_only=True):
    PRIMARY_TYPE = "Withdraw"
    FIELDS = (("destination", "string"), ("amount", "string"), ("time", "uint64"))

    destination: str
    amount: str
    time: int

    def normalise(self) -> None:
        super().normalise()
        _check_address(self.destination)
        decimal_of(self.amount)


class UsdClassTransferAction(
    UserSignedForm, tag_field="type", tag="usdClassTransfer", kw_only=True, rename="camel"
):
    """`amount` may end in ` subaccount:0x…`, whose balance then moves instead of the signer's."""

    FOR_UNIFIED = False
    PRIMARY_TYPE = "UsdClassTransfer"
    FIELDS = (("amount", "string"), ("toPerp", "bool"), ("nonce", "uint64"))

    amount: str
    to_perp: bool
    nonce: int

    def normalise(self) -> None:
        super().normalise()
        number, _, owner = self.amount.partition(" subaccount:")
        decimal_of(number)
        if owner:
            _check_address(owner)


class SendAssetAction(
    UserSignedForm, tag_field="type", tag="sendAsset", kw_only=True, rename="camel"
):
    """A dex is `""` for the first perp dex or `spot`; `from_sub_account` is empty or an address."""

    PRIMARY_TYPE = "SendAsset"
    FIELDS = (
        ("destination", "string"),
        ("sourceDex", "string"),
        ("destinationDex", "string"),
        ("token", "string"),
        ("amount", "string"),
        ("fromSubAccount", "string"),
        ("nonce", "uint64"),
    )

    destination: str
    source_dex: str
    destination_dex: str
    token: str
    amount: str
    from_sub_account: str
    nonce: int

    def normalise(self) -> None:
        super().normalise()
        _check_address(self.destination)
        decimal_of(self.amount)
        if self.from_sub_account:
            _check_address(self.from_sub_account)


class ApproveAgentAction(
    UserSignedForm, tag_field="type", tag="approveAgent", kw_only=True, rename="camel"
):
    """The unnamed agent is signed with an empty name, which the SDK then leaves out."""

    PRIMARY_TYPE = "ApproveAgent"
    FIELDS = (("agentAddress", "address"), ("agentName", "string"), ("nonce", "uint64"))

    agent_address: str
    nonce: int
    agent_name: str | None = ""

    def normalise(self) -> None:
        super().normalise()
        self.agent_name = self.agent_name or ""


class ApproveBuilderFeeAction(
    UserSignedForm, tag_field="type", tag="approveBuilderFee", kw_only=True, rename="camel"
):
    """`max_fee_rate` is a percentage as text, such as `0.001%`."""

    PRIMARY_TYPE = "ApproveBuilderFee"
    FIELDS = (("maxFeeRate", "string"), ("builder", "address"), ("nonce", "uint64"))

    max_fee_rate: str
    builder: str
    nonce: int

    def normalise(self) -> None:
        super().normalise()
        if not _PERCENT.fullmatch(self.max_fee_rate):
            raise UnprocessableError("invalid maxFeeRate")


class UserDexAbstractionAction(
    UserSignedForm, tag_field="type", tag="userDexAbstraction", kw_only=True
):
    PRIMARY_TYPE = "UserDexAbstraction"
    FIELDS = (("user", "address"), ("enabled", "bool"), ("nonce", "uint64"))

    user: str
    enabled: bool
    nonce: int


class UserSetAbstractionAction(
    UserSignedForm, tag_field="type", tag="userSetAbstraction", kw_only=True
):
    PRIMARY_TYPE = "UserSetAbstraction"
    FIELDS = (("user", "address"), ("abstraction", "string"), ("nonce", "uint64"))

    user: str
    abstraction: str
    nonce: int


class TokenDelegateAction(
    UserSignedForm, tag_field="type", tag="tokenDelegate", kw_only=True, rename="camel"
):
    PRIMARY_TYPE = "TokenDelegate"
    FIELDS = (
        ("validator", "address"),
        ("wei", "uint64"),
        ("isUndelegate", "bool"),
        ("nonce", "uint64"),
    )

    validator: str
    wei: int
    is_undelegate: bool
    nonce: int


USER_SIGNED = (
    UsdSendAction
    | SpotSendAction
    | Withdraw3Action
    | UsdClassTransferAction
    | SendAssetAction
    | ApproveAgentAction
    | ApproveBuilderFeeAction
    | UserDexAbstractionAction
    | UserSetAbstractionAction
    | TokenDelegateAction
)
