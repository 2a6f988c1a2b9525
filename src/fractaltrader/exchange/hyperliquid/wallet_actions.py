"""Actions that only the account's own key may sign, as EIP-712 typed data (hyperliquid.md 4.2)."""

from dataclasses import dataclass
from typing import Any

from fractaltrader.exchange.hyperliquid.signing import user_signed_digest

# Any chain may sign; this is the one that the official SDK names.
SIGNATURE_CHAIN = "0x66eee"
# Approving this address removes the agent of the given name.
NOBODY = "0x" + "0" * 40
_APPROVE_AGENT = (
    ("hyperliquidChain", "string"),
    ("agentAddress", "address"),
    ("agentName", "string"),
    ("nonce", "uint64"),
)


@dataclass(frozen=True, slots=True)
class WalletAction:
    """An action as it is sent, and the digest that its signature signs."""

    action: dict[str, Any]
    digest: bytes


def approve_agent(address: str, name: str, *, nonce: int, mainnet: bool) -> WalletAction:
    """Approve the lower-case `address` as agent `name`; an empty name means the unnamed agent."""
    action: dict[str, Any] = {
        "type": "approveAgent",
        "hyperliquidChain": "Mainnet" if mainnet else "Testnet",
        "signatureChainId": SIGNATURE_CHAIN,
        "agentAddress": address,
        "agentName": name,
        "nonce": nonce,
    }
    digest = user_signed_digest(
        "ApproveAgent", _APPROVE_AGENT, action, chain_id=int(SIGNATURE_CHAIN, 16)
    )
    if not name:  # signed as empty, then left out, as the official SDK does
        del action["agentName"]
    return WalletAction(action, digest)
