"""Actions on who an account is and what it chose, signed as L1 actions (hyperliquid.md 3.2)."""

from typing import Literal

from fractaltrader.simulator.protocol.forms.common import ActionForm, address_of


class MasterForm(ActionForm):
    """Only the account's own key may sign it."""

    FOR_AGENTS = False


class CreateSubAccountAction(MasterForm, tag_field="type", tag="createSubAccount"):
    name: str


class SubAccountModifyAction(MasterForm, tag_field="type", tag="subAccountModify", rename="camel"):
    sub_account_user: str
    name: str

    def normalise(self) -> None:
        self.sub_account_user = address_of(self.sub_account_user)


class SetReferrerAction(MasterForm, tag_field="type", tag="setReferrer"):
    code: str


class RegisterReferrerAction(MasterForm, tag_field="type", tag="registerReferrer"):
    code: str


class SetDisplayNameAction(MasterForm, tag_field="type", tag="setDisplayName", rename="camel"):
    display_name: str


class ClaimRewardsAction(MasterForm, tag_field="type", tag="claimRewards"):
    pass


class AgentEnableDexAbstractionAction(
    ActionForm, tag_field="type", tag="agentEnableDexAbstraction"
):
    pass


class AgentSetAbstractionAction(ActionForm, tag_field="type", tag="agentSetAbstraction"):
    """`i` disabled, `u` unified account, `p` portfolio margin."""

    abstraction: Literal["i", "u", "p"]


class EvmUserModifyAction(MasterForm, tag_field="type", tag="evmUserModify", rename="camel"):
    using_big_blocks: bool


IDENTITY = (
    CreateSubAccountAction
    | SubAccountModifyAction
    | SetReferrerAction
    | RegisterReferrerAction
    | SetDisplayNameAction
    | ClaimRewardsAction
    | AgentEnableDexAbstractionAction
    | AgentSetAbstractionAction
    | EvmUserModifyAction
)
