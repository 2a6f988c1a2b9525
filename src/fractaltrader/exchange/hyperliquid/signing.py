"""Signing: L1 actions (msgpack hash, EIP-712 phantom agent) and user-signed ones (EIP-712).

Source: the venue's signing rules, equal byte for byte to hyperliquid-python-sdk (a test oracle).
"""

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import coincurve
import msgspec
import sha3

from fractaltrader.errors import UserError

HIDDEN = "[private key]"


def keccak256(data: bytes) -> bytes:
    """Keccak-256 as Ethereum uses it (not NIST SHA3-256)."""
    digest: bytes = sha3.keccak_256(data).digest()
    return digest


def _word(value: int) -> bytes:
    return value.to_bytes(32, "big")


def _domain_separator(name: bytes, chain_id: int) -> bytes:
    return keccak256(
        keccak256(
            b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
        )
        + keccak256(name)
        + keccak256(b"1")
        + _word(chain_id)
        + _word(0)
    )


_DOMAIN_SEPARATOR = _domain_separator(b"Exchange", 1337)
_AGENT_TYPE = keccak256(b"Agent(string source,bytes32 connectionId)")
_SOURCE = {True: keccak256(b"a"), False: keccak256(b"b")}


def action_hash(
    action: Mapping[str, Any],
    nonce: int,
    vault_address: str | None = None,
    expires_after: int | None = None,
) -> bytes:
    """The 32-byte connection id of an action; key order of `action` is part of it."""
    data = msgspec.msgpack.encode(action) + nonce.to_bytes(8, "big")
    if vault_address is None:
        data += b"\x00"
    else:
        data += b"\x01" + bytes.fromhex(vault_address.removeprefix("0x"))
    if expires_after is not None:
        data += b"\x00" + expires_after.to_bytes(8, "big")
    return keccak256(data)


def agent_digest(connection_id: bytes, *, mainnet: bool) -> bytes:
    """The EIP-712 digest that an L1 action's signature signs."""
    struct_hash = keccak256(_AGENT_TYPE + _SOURCE[mainnet] + connection_id)
    return keccak256(b"\x19\x01" + _DOMAIN_SEPARATOR + struct_hash)


def _encoded(kind: str, value: Any) -> bytes:
    """One field of an EIP-712 struct."""
    match kind:
        case "string":
            return keccak256(str(value).encode())
        case "address":
            return _word(int(value, 16))
        case _:  # bool and uint64
            return _word(int(value))


def user_signed_digest(
    primary_type: str,
    fields: Sequence[tuple[str, str]],
    message: Mapping[str, Any],
    *,
    chain_id: int,
) -> bytes:
    """The EIP-712 digest of a user-signed action (hyperliquid.md 4.2).

    `fields` are (name, EIP-712 type) in signing order, `primary_type` goes without its prefix
    `HyperliquidTransaction:`; raises OverflowError for a number that is negative or too large.
    """
    listed = ",".join(f"{kind} {name}" for name, kind in fields)
    struct_hash = keccak256(
        keccak256(f"HyperliquidTransaction:{primary_type}({listed})".encode())
        + b"".join(_encoded(kind, message[name]) for name, kind in fields)
    )
    domain = _domain_separator(b"HyperliquidSignTransaction", chain_id)
    return keccak256(b"\x19\x01" + domain + struct_hash)


def address_of(public_key: coincurve.PublicKey) -> str:
    """Lower-case 0x address of a public key."""
    return "0x" + keccak256(public_key.format(compressed=False)[1:])[-20:].hex()


def recover_address(digest: bytes, signature: Mapping[str, Any]) -> str:
    """The address that signed `digest`; raises ValueError when r, s, v are malformed.

    Unpadded hex and v of 0/1 or 27/28 are accepted, as the venue does.
    """
    v = int(signature["v"])
    raw = (
        _word(int(signature["r"], 16))
        + _word(int(signature["s"], 16))
        + bytes([v - 27 if v >= 27 else v])
    )
    try:
        key = coincurve.PublicKey.from_signature_and_message(raw, digest, hasher=None)
    except Exception as error:  # coincurve raises bare Exception
        raise ValueError("signature cannot be recovered") from error
    return address_of(key)


class Signer:
    """Holds a private key and signs with it; never shows it."""

    def __init__(self, private_key: str) -> None:
        """Raises UserError unless `private_key` is 32 bytes of hex within the curve's order."""
        text = private_key.strip().removeprefix("0x")
        try:
            if len(text) != 64:
                raise ValueError
            self._key = coincurve.PrivateKey(bytes.fromhex(text))
        except ValueError:
            # The value is a secret: name the rule, never the value.
            raise UserError(
                "private key: not a valid secp256k1 key; give 0x followed by 64 hex digits"
            ) from None
        self.address = address_of(self._key.public_key)

    def __repr__(self) -> str:
        return f"Signer({self.address})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Signer holds a private key and is not pickled or copied")

    def redact(self, text: str) -> str:
        """`text` without this key, however it is spelt: hex of any case, decimal, base64, bytes."""
        secret = self._key.secret
        shown = repr(secret)[2:-1]
        forms = (
            secret.hex(),
            str(int.from_bytes(secret, "big")),
            base64.b64encode(secret).decode().rstrip("="),
            base64.urlsafe_b64encode(secret).decode().rstrip("="),
            shown,
            shown.replace("\\", "\\\\"),  # the same within JSON
        )
        pattern = "|".join(re.escape(form) for form in forms)
        return re.sub(f"(?:0x)?(?:{pattern})=?", HIDDEN, text, flags=re.IGNORECASE)

    def sign_action(
        self,
        action: Mapping[str, Any],
        nonce: int,
        *,
        mainnet: bool,
        vault_address: str | None = None,
        expires_after: int | None = None,
    ) -> dict[str, str | int]:
        """r, s, v of an L1 action as the envelope carries them."""
        connection_id = action_hash(action, nonce, vault_address, expires_after)
        return self.sign_digest(agent_digest(connection_id, mainnet=mainnet))

    def sign_digest(self, digest: bytes) -> dict[str, str | int]:
        """r, s, v over a 32-byte digest."""
        raw = self._key.sign_recoverable(digest, hasher=None)
        return {
            "r": hex(int.from_bytes(raw[:32], "big")),
            "s": hex(int.from_bytes(raw[32:64], "big")),
            "v": raw[64] + 27,
        }


def recover_action_signer(envelope: Mapping[str, Any], *, mainnet: bool) -> str:
    """The address that signed an `/exchange` envelope; ValueError when it cannot be recovered."""
    connection_id = action_hash(
        envelope["action"],
        envelope["nonce"],
        envelope.get("vaultAddress"),
        envelope.get("expiresAfter"),
    )
    return recover_address(agent_digest(connection_id, mainnet=mainnet), envelope["signature"])
