"""Which key signs, and whether it may trade the account."""

from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path

from fractaltrader.errors import UserError
from fractaltrader.exchange.hyperliquid.client import HyperliquidVenue
from fractaltrader.exchange.hyperliquid.signing import Signer, keccak256
from fractaltrader.keys.agents import Standing, standing
from fractaltrader.keys.keystore import Keystore
from fractaltrader.keys.password import Passwords
from fractaltrader.live.local_venue import is_loopback
from fractaltrader.market.bars import utc


@dataclass(frozen=True, slots=True)
class KeySource:
    """Where a process takes its key from: the keystore's `name`, else the environment's
    `variable`, else, for the local exchange alone, a throwaway key."""

    name: str | None
    variable: str


def keystore_in(home: Path) -> Keystore:
    """The keys of this FRACTAL_HOME."""
    return Keystore(home / "keys")


def play_signer(home: Path) -> Signer:
    """The throwaway key of this folder: anyone who knows the folder's path knows it too."""
    return Signer(keccak256(f"fractaltrader local play key {home.resolve()}".encode()).hex())


def signer_for(
    url: str,
    home: Path,
    source: KeySource,
    environment: MutableMapping[str, str],
    passwords: Passwords,
    *,
    mainnet: bool,
) -> Signer:
    """The key to sign with; a variable that holds one is removed, so that no child inherits it.

    Raises UserError when a real venue is meant and no key is given, or it cannot be used.
    """
    private_key = environment.pop(source.variable, None)
    if source.name is not None:
        return keystore_in(home).open(source.name, passwords.of(source.name))
    if private_key and mainnet:
        raise UserError(
            f"private key: {source.variable} is not taken on mainnet, the environment is no place "
            "for real money; `fractal keys import NAME` encrypts it, then give --key NAME"
        )
    if private_key:
        return Signer(private_key)
    if mainnet or not is_loopback(url):
        raise UserError(
            f"private key: no --key is given and {source.variable} is not set; it is needed to "
            f"trade on {url}: `fractal keys new NAME` makes one"
        )
    return play_signer(home)


async def check_wallet(
    venue: HyperliquidVenue,
    address: str,
    account: str | None,
    *,
    mainnet: bool,
    allow_master_key: bool,
    now_ms: int,
) -> Standing:
    """Who the signing `address` is, and in its `account` whom it trades for; `account` is the
    configured one.

    Raises UserError that names the wrong role: an agent's address given as the account, an agent
    that is not approved, has expired or is somebody else's, an account's own key on mainnet.
    """
    if account is not None:
        await _check_account(venue, account.lower())
    found = await standing(venue, address)
    if found.account is None:
        raise UserError(await _why_not(venue, address, found, account))
    if account is not None and account.lower() != found.account:
        raise UserError(
            f"private key: it belongs to {found.account}, not to venue.account = {account}; "
            "give the key of that account or of an agent it approved"
        )
    if found.valid_until_ms is not None and found.valid_until_ms <= now_ms:
        raise UserError(_expired(found.address, found.valid_until_ms))
    if mainnet and found.role == "user" and not allow_master_key:
        raise UserError(
            f"private key: {found.address} is the account's own key, which can also withdraw; "
            "`fractal keys approve-agent` makes one that cannot, --allow-master-key insists"
        )
    return found


async def _check_account(venue: HyperliquidVenue, account: str) -> None:
    found = await standing(venue, account)
    if found.role == "agent":
        raise UserError(
            f"venue.account: {account} is the address of an agent wallet, which has no positions "
            f"of its own; give its master, {found.account}"
        )


async def _why_not(
    venue: HyperliquidVenue, address: str, found: Standing, account: str | None
) -> str:
    """What is wrong with a signer that trades nobody's account."""
    if found.role != "missing":
        return (
            f"private key: {address} is a {found.role}, which has no key of its own to trade with; "
            "give the key of its master or of an agent"
        )
    if account is None:
        return (
            f"private key: the venue does not know {address}; deposit to it, or approve it as an "
            "agent of the account: `fractal keys approve-agent`"
        )
    for entry in await venue.agents(account.lower()):
        if entry.address.lower() == address and entry.valid_until is not None:
            return _expired(address, entry.valid_until)
    return (
        f"private key: {address} is no agent of venue.account = {account} (never approved, or "
        "expired and pruned); `fractal keys approve-agent` approves it"
    )


def _expired(address: str, until_ms: int) -> str:
    return (
        f"private key: agent {address} expired at {utc(until_ms)}; an address is good once: make "
        "another key with `fractal keys new` and approve that"
    )
