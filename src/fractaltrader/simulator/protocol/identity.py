"""Who an `/exchange` envelope acts for (hyperliquid.md section 4)."""

from fractaltrader.exchange.hyperliquid.signing import recover_action_signer
from fractaltrader.simulator.core import Core
from fractaltrader.simulator.protocol import nonces
from fractaltrader.simulator.protocol.envelope import Envelope, signed_form
from fractaltrader.simulator.refusal import RefusedError


def acting_user(core: Core, envelope: Envelope, now_ms: int) -> str:
    """The account that `envelope` acts for; uses up the nonce. Raises RefusedError."""
    try:
        signer = recover_action_signer(signed_form(envelope), mainnet=core.state.mainnet)
    except (ValueError, KeyError, OverflowError, TypeError):
        raise RefusedError("Unable to recover signer.") from None
    if signer not in core.state.accounts:
        raise RefusedError(f"User or API Wallet {signer} does not exist.")
    stored = core.state.nonces.setdefault(signer, [])
    fault = nonces.fault_of(stored, envelope.nonce, now_ms)
    if fault is not None:
        raise RefusedError(fault)
    nonces.use(stored, envelope.nonce)
    if envelope.expires_after is not None and envelope.expires_after < now_ms:
        raise RefusedError("Action already expired")
    if envelope.vault_address is not None:
        raise RefusedError(f"Vault not registered: {envelope.vault_address}")
    return signer
