"""What `/info` says of who an address is and what it chose (hyperliquid.md 2.2)."""

from collections.abc import Callable
from typing import Any

from fractaltrader.simulator.core import Core
from fractaltrader.simulator.numbers import venue_number
from fractaltrader.simulator.protocol.forms.common import address_of
from fractaltrader.simulator.protocol.identity.agents import agents_of, master_of
from fractaltrader.simulator.protocol.identity.profile import profile_of
from fractaltrader.simulator.protocol.identity.sub_accounts import sub_accounts_of
from fractaltrader.simulator.protocol.info.fields import Request, user_of
from fractaltrader.simulator.protocol.limits import request_cap
from fractaltrader.simulator.protocol.views.clearing import clearinghouse_state, spot_state

USDC = 0


def _user_rate_limit(core: Core, request: Request) -> Any:
    account = core.account_or_empty(user_of(request))
    return {
        "cumVlm": venue_number(account.volume),
        "nRequestsUsed": account.requests,
        "nRequestsCap": request_cap(account),
        "nRequestsSurplus": 0,
    }


def _user_role(core: Core, request: Request) -> Any:
    user = user_of(request)
    sub = core.state.sub_accounts.get(user)
    if sub is not None:
        return {"role": "subAccount", "data": {"master": sub.master}}
    if user in core.state.accounts:
        return {"role": "user"}
    master = master_of(core, user)
    if master is not None:
        return {"role": "agent", "data": {"user": master}}
    return {"role": "missing"}


def _extra_agents(core: Core, request: Request) -> Any:
    """Named agents only; the unnamed one shows in `webData2`."""
    mine = agents_of(core, user_of(request)).items()
    return [
        {"name": agent.name, "address": address, "validUntil": agent.valid_until_ms}
        for address, agent in mine
        if agent.name is not None
    ]


def _sub_account(core: Core, address: str) -> dict[str, Any]:
    sub = core.state.sub_accounts[address]
    return {"name": sub.name, "subAccountUser": address, "master": sub.master}


def _sub_accounts(core: Core, request: Request) -> Any:
    """Null for a user without any."""
    return [
        _sub_account(core, address)
        | {
            "clearinghouseState": clearinghouse_state(core, address),
            "spotState": spot_state(core, address),
        }
        for address in sub_accounts_of(core, user_of(request))
    ] or None


def _sub_accounts_2(core: Core, request: Request) -> Any:
    """The same with the state of every perp dex; there is one dex."""
    return [
        _sub_account(core, address)
        | {
            "dexToClearinghouseState": [["", clearinghouse_state(core, address)]],
            "spotState": spot_state(core, address),
        }
        for address in sub_accounts_of(core, user_of(request))
    ] or None


def _referrer_state(core: Core, user: str) -> dict[str, Any]:
    required, traded = core.state.referral_volume, core.account_or_empty(user).volume
    code = profile_of(core, user).referral_code
    if traded < required:
        return {"stage": "needToTrade", "data": {"required": venue_number(required - traded)}}
    if code is None:
        return {"stage": "needToCreateCode"}
    referred = [p for p in core.state.profiles.values() if p.referred_by == user]
    return {
        "stage": "ready",
        "data": {"code": code, "nReferrals": len(referred), "referralStates": []},
    }


def _referral(core: Core, request: Request) -> Any:
    """No rewards are paid here; volumes and the referrer are real."""
    user = user_of(request)
    referrer = profile_of(core, user).referred_by
    code = profile_of(core, referrer).referral_code if referrer else None
    figures = {
        "cumVlm": venue_number(core.account_or_empty(user).volume),
        "unclaimedRewards": "0.0",
        "claimedRewards": "0.0",
        "builderRewards": "0.0",
    }
    return {
        "referredBy": None if referrer is None else {"referrer": referrer, "code": code},
        **figures,
        "referrerState": _referrer_state(core, user),
        "rewardHistory": [],
        "tokenToState": [[USDC, dict(figures)]],
    }


def _max_builder_fee(core: Core, request: Request) -> Any:
    approved = core.state.builder_fees.get(user_of(request), {})
    return approved.get(address_of(request.get("builder")), 0)


def _approved_builders(core: Core, request: Request) -> Any:
    return list(core.state.builder_fees.get(user_of(request), {}))


def _pre_transfer_check(core: Core, request: Request) -> Any:
    user = user_of(request)
    address_of(request.get("source"))
    known = user in core.state.accounts
    sent = user in core.state.nonces
    return {
        # A transfer to a new address pays 1 USDC to activate it.
        "fee": "0.0" if known else "1.0",
        "isSanctioned": False,
        "userExists": known,
        "userHasSentTx": sent,
    }


def _legal_check(_core: Core, request: Request) -> Any:
    user_of(request)
    return {"ipAllowed": True, "acceptedTerms": True, "userAllowed": True}


def _is_vip(core: Core, request: Request) -> Any:
    """Nobody is; null for an unknown user."""
    return False if user_of(request) in core.state.accounts else None


def _constant(value: Any) -> Callable[[Core, Request], Any]:
    """The answer about a user for what this exchange does not have: vaults, staking, multi-sig."""

    def answer(_core: Core, request: Request) -> Any:
        user_of(request)
        return value

    return answer


def _vault_details(_core: Core, request: Request) -> Any:
    address_of(request.get("vaultAddress"))


_NOTHING_STAKED = {
    "delegated": "0.0",
    "undelegated": "0.0",
    "totalPendingWithdrawal": "0.0",
    "nPendingWithdrawals": 0,
}

HANDLERS: dict[str, Callable[[Core, Request], Any]] = {
    "userRateLimit": _user_rate_limit,
    "userRole": _user_role,
    "extraAgents": _extra_agents,
    "subAccounts": _sub_accounts,
    "subAccounts2": _sub_accounts_2,
    "referral": _referral,
    "maxBuilderFee": _max_builder_fee,
    "approvedBuilders": _approved_builders,
    "preTransferCheck": _pre_transfer_check,
    "legalCheck": _legal_check,
    "isVip": _is_vip,
    "userAbstraction": lambda core, request: profile_of(core, user_of(request)).abstraction,
    "userDexAbstraction": lambda core, r: profile_of(core, user_of(r)).dex_abstraction,
    "userVaultEquities": _constant([]),
    "userToMultiSigSigners": _constant(None),
    "delegations": _constant([]),
    "delegatorHistory": _constant([]),
    "delegatorRewards": _constant([]),
    "delegatorSummary": _constant(_NOTHING_STAKED),
    "leadingVaults": _constant([]),
    "vaultDetails": _vault_details,
    "vaultSummaries": lambda _core, _request: [],
}
