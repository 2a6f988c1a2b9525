"""Approving an agent, signed as the official SDK signs it."""

import eth_account
from hyperliquid.utils import signing as sdk
from hypothesis import given
from hypothesis import strategies as st
from wallet_world import key_of, signer_of

from fractaltrader.exchange.hyperliquid.wallet_actions import approve_agent

ADDRESSES = st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex())
NAMES = st.one_of(st.just(""), st.text("abcXYZ019_-", max_size=16), st.just("a valid_until 99"))


@given(ADDRESSES, NAMES, st.integers(0, 2**53), st.booleans())
def test_the_signature_is_the_sdks(address: str, name: str, nonce: int, mainnet: bool) -> None:
    """For any agent, name, nonce and network, action and signature equal the official SDK's."""
    ours = approve_agent(address, name, nonce=nonce, mainnet=mainnet)
    theirs = {
        "type": "approveAgent",
        "agentAddress": address,
        "agentName": name,
        "nonce": nonce,
    }
    wallet = eth_account.Account.from_key(key_of("master"))
    signature = sdk.sign_agent(wallet, theirs, mainnet)
    if not name:
        del theirs["agentName"]
    assert ours.action == theirs
    assert signer_of("master").sign_digest(ours.digest) == signature
