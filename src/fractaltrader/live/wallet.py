"""Which key signs, and whether it may trade the account."""

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from fractaltrader.errors import UserError
from fractaltrader.exchange.errors import TransportError
from fractaltrader.exchange.hyperliquid.signing import Signer, keccak256
from fractaltrader.exchange.transport import Transport

KEY_VARIABLE = "FRACTAL_PRIVATE_KEY"
GUARD_KEY_VARIABLE = "FRACTAL_GUARD_KEY"
SIM_FUNDS_USD = "10000"


def is_loopback(url: str) -> bool:
    """Whether `url` is an address of this machine."""
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")


async def check_local_exchange(url: str) -> None:
    """Raise UserError when `url` is an address of this machine and nothing listens there: that
    exchange is ours to start, so waiting for it would be wrong."""
    if not is_loopback(url):
        return
    place = urlsplit(url)
    try:
        _, writer = await asyncio.open_connection(place.hostname, place.port or 80)
    except OSError as error:
        raise UserError(
            f"venue: cannot reach {url} ({error.strerror or error}); start the local exchange "
            "with `fractal exchange`"
        ) from None
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


def signer_for(url: str, home: Path, variable: str = KEY_VARIABLE) -> Signer:
    """The key from the environment; for the local exchange a throwaway key of this folder.

    Raises UserError when a real venue is meant and no key is given, or the key is malformed.
    """
    private_key = os.environ.get(variable)
    if private_key:
        return Signer(private_key)
    if not is_loopback(url):
        raise UserError(f"private key: {variable} is not set; it is needed to trade on {url}")
    # Play money only: anyone who knows the folder's path knows this key.
    return Signer(keccak256(f"fractaltrader local play key {home.resolve()}".encode()).hex())


def check_role(role: dict[str, Any], signer: Signer, account: str | None) -> str:
    """The account that `signer` trades; `role` is the venue's `userRole` answer.

    Raises UserError when the key is neither the account's own nor an agent of it, or unknown.
    """
    kind = role.get("role")
    if kind == "missing":
        raise UserError(
            f"private key: the venue does not know {signer.address}; deposit to it, or approve it "
            "as an agent of the account"
        )
    owner = signer.address
    if kind == "agent":
        owner = str(role["data"]["user"]).lower()
    if account is not None and account.lower() != owner:
        raise UserError(
            f"private key: it belongs to {owner}, not to venue.account = {account}; "
            "give the key of that account or of an agent it approved"
        )
    return owner


async def fund_from_faucet(transport: Transport, address: str) -> None:
    """Play money for an account of the local exchange."""
    body = msgspec.json.encode({"user": address, "usd": SIM_FUNDS_USD})
    try:
        status, answer = await transport.post("/admin/faucet", body)
    except TransportError as error:
        raise UserError(f"faucet: no answer ({error}); is the exchange still running?") from error
    if status != 200:
        raise UserError(
            f"faucet: the venue answered HTTP {status} {answer[:80]!r}; mode 'sim' needs the "
            "local exchange, start it with `fractal exchange`"
        )
