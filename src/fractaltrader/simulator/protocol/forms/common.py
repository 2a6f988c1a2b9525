"""Forms that every part of the wire shares: addresses, numbers, client order ids.

The venue hashes its own normal form of an action, not the client's bytes: a client with another
key order, trailing zeros or a cloid without 0x signs something else and appears as another user.
"""

import re
from decimal import Decimal
from typing import ClassVar

import msgspec

UNPARSEABLE = "Failed to deserialize the JSON body into the target type"
_ADDRESS = re.compile(r"(?:0x)?([0-9a-fA-F]{40})")
# Few enough digits for exact products in the 28 digits of the decimal context.
_NUMBER = re.compile(r"-?\d{1,15}(?:\.\d{1,12})?")
_CLOID = re.compile(r"(?:0x)?([0-9a-fA-F]{32})")


class UnprocessableError(Exception):
    """The request does not have the venue's form; HTTP answers 422 with this text."""

    def __init__(self, detail: str = "") -> None:
        super().__init__(f"{UNPARSEABLE}: {detail}" if detail else UNPARSEABLE)


class ActionForm(msgspec.Struct):
    """An action as it arrives, its keys in the venue's signing order (hyperliquid.md 3.2)."""

    # Whether a unified account, which has one balance, may send it.
    FOR_UNIFIED: ClassVar[bool] = True
    # Whether an API wallet may sign it for its master (hyperliquid.md 4.3).
    FOR_AGENTS: ClassVar[bool] = True

    def normalise(self) -> None:
        """Take the venue's own form, the one it hashes; raises UnprocessableError."""

    def weight(self) -> int:
        """How many orders or cancels it carries; 1 for any other action."""
        return 1

    def assets(self) -> set[int]:
        """Assets it names that must exist."""
        return set()


def address_of(text: object) -> str:
    """A lower-case address with 0x (ccxt leaves it out); raises UnprocessableError for another."""
    found = _ADDRESS.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise UnprocessableError("invalid address")
    return "0x" + found[1].lower()


def cloid_of(text: str) -> str:
    """The venue's form of a client order id: 0x and 32 lower-case hex digits."""
    found = _CLOID.fullmatch(text)
    if found is None:
        raise UnprocessableError("invalid cloid")
    return "0x" + found[1].lower()


def decimal_of(text: str) -> Decimal:
    """A decimal in fixed notation; raises UnprocessableError for anything else or too long."""
    if not _NUMBER.fullmatch(text):
        raise UnprocessableError(f"invalid number {text[:40]!r}")
    return Decimal(text)
