"""Agent wallets: keys that may trade an account but not withdraw (hyperliquid.md 4.3)."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fractaltrader.errors import UserError
from fractaltrader.exchange.hyperliquid.client import HyperliquidVenue
from fractaltrader.exchange.hyperliquid.wallet_actions import NOBODY
from fractaltrader.market.bars import utc

DAY_MS = 86_400_000
# The venue's own bound; without an end it takes 90 or 180 days (hyperliquid.md 12).
LONGEST_DAYS = 180
_NAME = re.compile(r"[A-Za-z0-9_-]{1,16}")
# The venue's reads may lag behind its actions.
TRIES, PAUSE_S = 20, 0.5

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Standing:
    """What an address is to the venue. `account` is whom it trades for: itself, its master, or
    nobody; `agent` and `valid_until_ms` are known of named agents alone."""

    address: str
    role: str
    account: str | None
    agent: str | None = None
    valid_until_ms: int | None = None

    def __str__(self) -> str:
        if self.role != "agent":
            return {"user": "the account's own key", "missing": "unknown to the venue"}.get(
                self.role, self.role
            )
        until = f", expires {utc(self.valid_until_ms)}" if self.valid_until_ms else ""
        return f"agent {self.agent or '(unnamed)'} of {self.account}{until}"


async def standing(venue: HyperliquidVenue, address: str) -> Standing:
    """Ask the venue who `address` is; raises ExchangeError."""
    answer = await venue.role(address)
    role = str(answer.get("role"))
    if role != "agent":
        return Standing(address, role, address if role == "user" else None)
    account = str(answer["data"]["user"]).lower()
    for entry in await venue.agents(account):
        if entry.address.lower() == address:
            return Standing(address, role, account, entry.name, entry.valid_until)
    return Standing(address, role, account)


async def require_master(venue: HyperliquidVenue, address: str) -> None:
    """UserError unless `address` is an account's own key; only that may approve agents."""
    found = await standing(venue, address)
    if found.role != "user":
        raise UserError(
            f"master key: {address} is {found}; agents are approved with the key of an account "
            "that holds a deposit"
        )


async def named_agent(venue: HyperliquidVenue, master: str, address: str) -> Standing | None:
    """`address` as a named agent of `master`; None when it is none. Weighs a quarter of asking
    who an address is."""
    for entry in await venue.agents(master):
        if entry.address.lower() == address:
            return Standing(address, "agent", master, entry.name, entry.valid_until)
    return None


async def approve(
    venue: HyperliquidVenue,
    master: str,
    address: str,
    name: str,
    until_ms: int,
    *,
    sleep: Sleep,
    replace: bool = False,
) -> Standing:
    """Approve `address` as agent `name` of `master`, whose key `venue` signs with, and wait until
    the venue lists it. UserError when the name is malformed or another agent's (unless `replace`),
    or the address is an agent already; ExchangeError when the venue refuses.
    """
    if not _NAME.fullmatch(name):
        raise UserError(f"agent name: {name!r} must be 1 to 16 letters, digits, - or _")
    for entry in await venue.agents(master):
        if entry.address.lower() == address:
            raise UserError(
                f"agent: {address} is agent {entry.name} of {master} already; an address is good "
                "for one approval, make another key with `fractal keys new`"
            )
        if entry.name == name and not replace:
            raise UserError(
                f"agent name: {name!r} is {entry.address}, which would be cut off; give another "
                "--agent-name, or --replace if that is meant"
            )
    await venue.approve_agent(address, f"{name} valid_until {until_ms}")
    for _ in range(TRIES):
        if (found := await named_agent(venue, master, address)) is not None:
            return found
        await sleep(PAUSE_S)
    raise UserError(f"agent: the venue took {address} but does not list it; `fractal keys show`")


async def prune(venue: HyperliquidVenue, old: Standing, *, sleep: Sleep) -> None:
    """Deregister a named agent, and wait until the venue lists it no more; `venue` signs with its
    master's key."""
    master = old.account or ""
    await venue.approve_agent(NOBODY, old.agent or "")
    for _ in range(TRIES):
        if await named_agent(venue, master, old.address) is None:
            return
        await sleep(PAUSE_S)
    raise UserError(f"agent: the venue goes on listing {old.address}; try again")
