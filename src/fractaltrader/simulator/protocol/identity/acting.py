"""Who an `/exchange` envelope acts for (hyperliquid.md section 4)."""

from fractaltrader.exchange.hyperliquid.signing import recover_action_signer, recover_address
from fractaltrader.simulator.core import Core
from fractaltrader.simulator.protocol import limits
from fractaltrader.simulator.protocol.forms.envelope import Envelope, signed_form
from fractaltrader.simulator.protocol.forms.user_signed import UserSignedForm
from fractaltrader.simulator.protocol.identity import nonces
from fractaltrader.simulator.protocol.identity.agents import master_of
from fractaltrader.simulator.protocol.identity.sub_accounts import require_sub_account
from fractaltrader.simulator.refusal import RefusedError


def acting_user(core: Core, envelope: Envelope, now_ms: int) -> str:
    """The account that `envelope` acts for; uses up the nonce. Raises RefusedError."""
    signer = _signer(core, envelope)
    master = _master(core, envelope, signer)
    stored = core.state.nonces.setdefault(signer, [])
    fault = nonces.fault_of(stored, envelope.nonce, now_ms)
    if fault is not None:
        raise RefusedError(fault)
    nonces.use(stored, envelope.nonce)
    if isinstance(envelope.action, UserSignedForm):
        return master
    user = _addressed(core, envelope.vault_address, master)
    if envelope.expires_after is not None and envelope.expires_after < now_ms:
        limits.consume_stale(core, user, max(envelope.action.weight(), 1))
        raise RefusedError("Action already expired")
    return user


def _signer(core: Core, envelope: Envelope) -> str:
    """The recovered address, whoever that is."""
    mainnet = core.state.mainnet
    try:
        if isinstance(envelope.action, UserSignedForm):
            digest = envelope.action.digest(envelope.nonce, mainnet=mainnet)
            return recover_address(digest, envelope.signature)
        return recover_action_signer(signed_form(envelope), mainnet=mainnet)
    except (ValueError, KeyError, OverflowError, TypeError):
        raise RefusedError("Unable to recover signer.") from None


def _master(core: Core, envelope: Envelope, signer: str) -> str:
    """The account `signer` owns or, where agents may sign, is an agent of."""
    if signer in core.state.accounts:
        return signer
    if isinstance(envelope.action, UserSignedForm):
        raise RefusedError(f"Must deposit before performing actions. User: {signer}")
    master = master_of(core, signer)
    if master is None:
        raise RefusedError(f"User or API Wallet {signer} does not exist.")
    if not envelope.action.FOR_AGENTS:
        raise RefusedError(f"Must deposit before performing actions. User: {signer}")
    return master


def _addressed(core: Core, vault_address: str | None, master: str) -> str:
    """The sub-account that `vaultAddress` names, or the master itself."""
    if vault_address is None or vault_address == master:
        return master
    if vault_address not in core.state.accounts:
        raise RefusedError(f"Vault not registered: {vault_address}")
    return require_sub_account(core, vault_address, master)
