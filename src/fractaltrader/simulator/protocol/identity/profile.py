"""What users choose about their accounts: builders, referrals, names, modes (hyperliquid.md 3.2).

There is one class of account here (perpetuals in USDC), so the account mode is remembered and
shown, and only `portfolioMargin` is refused as the venue refuses small accounts.
"""

from decimal import Decimal
from typing import Any

from fractaltrader.simulator.clearing import fees
from fractaltrader.simulator.core import Core, Handler
from fractaltrader.simulator.protocol.forms.identity import (
    AgentEnableDexAbstractionAction,
    AgentSetAbstractionAction,
    ClaimRewardsAction,
    EvmUserModifyAction,
    RegisterReferrerAction,
    SetDisplayNameAction,
    SetReferrerAction,
)
from fractaltrader.simulator.protocol.forms.user_signed import (
    ApproveBuilderFeeAction,
    TokenDelegateAction,
    UserDexAbstractionAction,
    UserSetAbstractionAction,
)
from fractaltrader.simulator.protocol.identity.sub_accounts import require_sub_account
from fractaltrader.simulator.refusal import RefusedError
from fractaltrader.simulator.state import Profile

BUILDER_BALANCE = Decimal(100)
PORTFOLIO_VALUE = Decimal(10_000)
PORTFOLIO_VOLUME = Decimal(5_000_000)
MODES = {"i": "disabled", "u": "unifiedAccount", "p": "portfolioMargin"}
_DEFAULT = {"type": "default"}


def profile_of(core: Core, user: str) -> Profile:
    """The user's choices, to read; the default ones for a user who chose nothing."""
    return core.state.profiles.get(user) or Profile()


def _own_profile(core: Core, user: str) -> Profile:
    return core.state.profiles.setdefault(user, Profile())


def _approve_builder_fee(core: Core, user: str, action: ApproveBuilderFeeAction) -> dict[str, Any]:
    """A builder needs 100 USDC; a fee of zero withdraws the approval and always succeeds."""
    tenths = int(Decimal(action.max_fee_rate.rstrip("%")) * 1_000)
    approved = core.state.builder_fees.setdefault(user, {})
    if tenths == 0:
        approved.pop(action.builder, None)
        return _DEFAULT
    if core.account_or_empty(action.builder).cash < BUILDER_BALANCE:
        raise RefusedError("Builder has insufficient balance to be approved.")
    approved[action.builder] = tenths
    return _DEFAULT


def _set_referrer(core: Core, user: str, action: SetReferrerAction) -> dict[str, Any]:
    known = core.state.profiles.items()
    referrer = next((name for name, other in known if other.referral_code == action.code), None)
    if referrer is None:
        raise RefusedError("Referral code not registered")
    _own_profile(core, user).referred_by = referrer
    fees.grant_referral(core.account(user))
    return _DEFAULT


def _register_referrer(core: Core, user: str, action: RegisterReferrerAction) -> dict[str, Any]:
    if core.account(user).volume < core.state.referral_volume:
        raise RefusedError("Cannot generate referral code until enough volume traded")
    _own_profile(core, user).referral_code = action.code
    return _DEFAULT


def _set_display_name(core: Core, user: str, action: SetDisplayNameAction) -> dict[str, Any]:
    _own_profile(core, user).display_name = action.display_name
    return _DEFAULT


def _claim_rewards(_core: Core, _user: str, _action: ClaimRewardsAction) -> dict[str, Any]:
    raise RefusedError("No rewards to claim")


def _delegate(_core: Core, _user: str, _action: TokenDelegateAction) -> dict[str, Any]:
    raise RefusedError("Unknown validator")


def _set_mode(core: Core, user: str, mode: str) -> dict[str, Any]:
    account = core.account(user)
    small = account.cash < PORTFOLIO_VALUE and account.volume < PORTFOLIO_VOLUME
    if mode not in MODES.values():
        raise RefusedError("Abstraction transition not allowed")
    if mode == "portfolioMargin" and small:
        raise RefusedError(
            "Portfolio margin requires account value of $10000 or total volume of $5000000."
        )
    _own_profile(core, user).abstraction = mode
    return _DEFAULT


def _own_account(core: Core, signer: str, named: str) -> str:
    """The account an abstraction action names: the signer's or one of its sub-accounts."""
    return named if named == signer else require_sub_account(core, named, signer)


def _user_set(core: Core, user: str, action: UserSetAbstractionAction) -> dict[str, Any]:
    return _set_mode(core, _own_account(core, user, action.user), action.abstraction)


def _agent_set(core: Core, user: str, action: AgentSetAbstractionAction) -> dict[str, Any]:
    return _set_mode(core, user, MODES[action.abstraction])


def _user_dex(core: Core, user: str, action: UserDexAbstractionAction) -> dict[str, Any]:
    owner = _own_account(core, user, action.user)
    _own_profile(core, owner).dex_abstraction = action.enabled
    return _DEFAULT


def _agent_dex(core: Core, user: str, _action: AgentEnableDexAbstractionAction) -> dict[str, Any]:
    _own_profile(core, user).dex_abstraction = True
    return _DEFAULT


def _nothing(_core: Core, _user: str, _action: EvmUserModifyAction) -> dict[str, Any]:
    return _DEFAULT


HANDLERS: dict[type, Handler] = {
    ApproveBuilderFeeAction: _approve_builder_fee,
    SetReferrerAction: _set_referrer,
    RegisterReferrerAction: _register_referrer,
    SetDisplayNameAction: _set_display_name,
    ClaimRewardsAction: _claim_rewards,
    TokenDelegateAction: _delegate,
    UserSetAbstractionAction: _user_set,
    AgentSetAbstractionAction: _agent_set,
    UserDexAbstractionAction: _user_dex,
    AgentEnableDexAbstractionAction: _agent_dex,
    EvmUserModifyAction: _nothing,
}
