"""Our signatures against the official SDK's and the published vectors."""

import json
import random
from decimal import Decimal
from pathlib import Path

import eth_account
import pytest
from hyperliquid.utils import signing as sdk
from hyperliquid.utils.types import Cloid

from fractaltrader.errors import UserError
from fractaltrader.exchange.hyperliquid.orders import order_action
from fractaltrader.exchange.hyperliquid.signing import (
    Signer,
    recover_action_signer,
    recover_address,
    user_signed_digest,
)
from fractaltrader.exchange.port import OrderRequest, Side, Trigger
from fractaltrader.market import Instrument


def _random_order(rng: random.Random) -> OrderRequest:
    decimals = rng.randint(0, 5)
    trigger = None
    if rng.random() < 0.4:
        trigger = Trigger(Decimal(rng.randint(1, 10**6)).scaleb(-2), rng.choice(["tp", "sl"]))
    return OrderRequest(
        Instrument("X", rng.randint(0, 300), decimals, 10),
        rng.choice(list(Side)),
        Decimal(rng.randint(1, 10**7)).scaleb(-decimals),
        Decimal(rng.randint(1, 99_999)).scaleb(rng.randint(-4, 2)),
        "0x" + rng.randbytes(16).hex(),
        rng.choice(["Gtc", "Ioc", "Alo"]),
        rng.random() < 0.5,
        trigger,
    )


def _random_action(rng: random.Random) -> dict:
    kind = rng.choice(["order", "cancel", "cancelByCloid", "updateLeverage"])
    asset = rng.randint(0, 300)
    if kind == "order":
        orders = [_random_order(rng) for _ in range(rng.randint(1, 4))]
        return order_action(orders, rng.choice(["na", "normalTpsl", "positionTpsl"]))
    if kind == "cancel":
        return {"type": kind, "cancels": [{"a": asset, "o": rng.randint(1, 2**52)}]}
    if kind == "cancelByCloid":
        return {
            "type": kind,
            "cancels": [{"asset": asset, "cloid": "0x" + rng.randbytes(16).hex()}],
        }
    return {
        "type": kind,
        "asset": asset,
        "isCross": rng.random() < 0.5,
        "leverage": rng.randint(1, 50),
    }


def test_thousand_random_actions_are_signed_as_the_sdk_signs_them() -> None:
    """On 1,000 random actions r, s and v equal the official SDK's, and the signer is recovered."""
    rng = random.Random(20261122)
    for _ in range(1_000):
        key = "0x" + rng.randbytes(32).hex()
        action = _random_action(rng)
        nonce = rng.randint(0, 2**45)
        vault = "0x" + rng.randbytes(20).hex() if rng.random() < 0.3 else None
        expires = rng.randint(0, 2**45) if rng.random() < 0.3 else None
        mainnet = rng.random() < 0.5
        wallet = eth_account.Account.from_key(key)
        expected = sdk.sign_l1_action(wallet, action, vault, nonce, expires, mainnet)
        signer = Signer(key)
        ours = signer.sign_action(
            action, nonce, mainnet=mainnet, vault_address=vault, expires_after=expires
        )
        assert ours == expected
        envelope = {
            "action": action,
            "nonce": nonce,
            "signature": ours,
            "vaultAddress": vault,
            "expiresAfter": expires,
        }
        assert recover_action_signer(envelope, mainnet=mainnet) == signer.address
        assert signer.address == wallet.address.lower()


def test_order_wire_equals_the_sdk() -> None:
    """Orders we build are the dictionaries, in key order, that the SDK builds."""
    instrument = Instrument("ETH", 1, 4, 25)
    cloid = "0x" + "0" * 31 + "1"
    stop = OrderRequest(
        instrument,
        Side.SELL,
        Decimal("0.50"),
        Decimal("1900"),
        cloid,
        reduce_only=True,
        trigger=Trigger(Decimal("2000.0"), "sl"),
    )
    wire = sdk.order_request_to_order_wire(
        {
            "coin": "ETH",
            "is_buy": False,
            "sz": 0.5,
            "limit_px": 1900.0,
            "reduce_only": True,
            "order_type": {"trigger": {"isMarket": True, "triggerPx": 2000.0, "tpsl": "sl"}},
            "cloid": Cloid.from_str(cloid),
        },
        1,
    )
    (ours,) = order_action([stop], "na")["orders"]
    assert json.dumps(ours) == json.dumps(wire)


def _numbers(signature: dict) -> tuple[int, int, int]:
    return int(signature["r"], 16), int(signature["s"], 16), signature["v"]


def test_published_vectors(shared_folder: Path) -> None:
    """Every published L1 vector of the fixtures is reproduced."""
    vectors = json.loads((shared_folder / "fixtures/signing/vectors.json").read_text())
    checked = 0
    for vector in vectors:
        if vector["scheme"] != "L1":
            continue
        signer = Signer(vector["privateKey"])
        for network in ("mainnet", "testnet"):
            ours = signer.sign_action(
                vector["action"],
                vector["nonce"],
                mainnet=network == "mainnet",
                vault_address=vector["vaultAddress"],
                expires_after=vector["expiresAfter"],
            )
            assert _numbers(ours) == _numbers(vector[network]), vector["name"]
            checked += 1
    assert checked >= 10


def test_published_vectors_of_wallets(shared_folder: Path) -> None:
    """Every published user-signed vector is reproduced, field by field in the venue's order."""
    vectors = json.loads((shared_folder / "fixtures/signing/vectors.json").read_text())
    checked = [vector for vector in vectors if vector["scheme"] == "user-signed"]
    for vector in checked:
        digest = user_signed_digest(
            vector["primaryType"].removeprefix("HyperliquidTransaction:"),
            [(field["name"], field["type"]) for field in vector["types"]],
            vector["message"],
            chain_id=vector["chainId"],
        )
        signer = Signer(vector["privateKey"])
        ours = signer.sign_digest(digest)
        assert _numbers(ours) == _numbers(vector["signature"]), vector["name"]
        assert recover_address(digest, ours) == signer.address
    assert len(checked) >= 3


@pytest.mark.parametrize(
    "key", ["", "0x", "zz" * 32, "0x1234", "0x" + "0" * 64, "0x" + "f" * 64, "ab" * 33]
)
def test_malformed_key_is_refused_without_showing_it(key: str) -> None:
    """A malformed private key gives one clear line that does not contain the key."""
    with pytest.raises(UserError, match="private key") as caught:
        Signer(key)
    if len(key) > 4:
        assert key.removeprefix("0x") not in str(caught.value)
    assert caught.value.__cause__ is None


def test_repr_hides_the_key() -> None:
    """Printing a signer shows its address only."""
    key = "0123456789" * 6 + "0123"
    assert key not in repr(vars(Signer(key)).get("address", "")) + repr(Signer(key))
