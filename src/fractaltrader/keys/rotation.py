"""A new agent in the place of an old one, so that at every moment one of them works.

The new key is written, approved and tried before it takes the old one's name; the old one is
deregistered only when nothing runs with it any more. Every step may be repeated after a crash.
"""

import re
from collections.abc import Callable

from fractaltrader.errors import UserError
from fractaltrader.exchange.hyperliquid.client import HyperliquidVenue
from fractaltrader.exchange.hyperliquid.signing import Signer
from fractaltrader.keys.agents import Sleep, Standing, approve, named_agent, prune
from fractaltrader.keys.keystore import SCRYPT_N, Keystore

LONGEST_NAME = 16


def next_agent_name(name: str) -> str:
    """`fractal`, `fractal-2`, `fractal-3`…: another name, because approving the same name again
    would cut the old agent off at once."""
    found = re.fullmatch(r"(.*?)(?:-([0-9]{1,4}))?", name)
    base, number = (found[1], found[2]) if found else (name, None)
    suffix = f"-{int(number or 1) + 1}"
    return base[: LONGEST_NAME - len(suffix)] + suffix


async def rotate(
    store: Keystore,
    name: str,
    password: str,
    master: str,
    *,
    venue: HyperliquidVenue,
    trader: Callable[[Signer, str], HyperliquidVenue],
    new_key: Callable[[], bytes],
    until_ms: int,
    sleep: Sleep,
    scrypt_n: int = SCRYPT_N,
) -> tuple[Standing, Standing]:
    """Old and new standing once key `name` is the new agent's. `venue` signs with the key of the
    account `master`; `trader` makes the venue as a signer sees it, for an account.

    Raises UserError when the key is no named agent of `master`, the password is wrong, or an
    earlier rotation is not finished; ExchangeError when the venue refuses. The old key works on in
    every case.
    """
    if store.has(name, "old") and not store.has(name, "next"):
        raise UserError(
            f"key {name!r}: the rotation before is not finished; `fractal keys rotate {name} "
            "--finish` deregisters the old agent"
        )
    store.open(name, password)  # the new key gets the same password, so it must be the right one
    old = await named_agent(venue, master, store.address(name))
    if old is None or old.agent is None:
        raise UserError(
            f"key {name!r}: {store.address(name)} is no named agent of {master}; only such can be "
            "rotated, see `fractal keys approve-agent`"
        )
    if not store.has(name, "next"):
        store.create(name, new_key(), password, stage="next", scrypt_n=scrypt_n)
    signer = store.open(name, password, stage="next")
    new = await named_agent(venue, master, signer.address)
    if new is None:
        taken = {entry.name for entry in await venue.agents(master)}
        agent = next_agent_name(old.agent)
        while agent in taken:
            agent = next_agent_name(agent)
        new = await approve(venue, master, signer.address, agent, until_ms, sleep=sleep)
    await trader(signer, master).noop()
    store.promote(name)
    return old, new


async def finish(
    store: Keystore, name: str, master: str, *, venue: HyperliquidVenue, sleep: Sleep
) -> Standing | None:
    """Deregister the old agent of `name` and delete its key; its last standing, None where the
    venue had forgotten it. Raises as `rotate`."""
    if not store.has(name, "old"):
        raise UserError(f"key {name!r}: no rotation waits to be finished")
    if store.has(name, "next"):  # the old key is still the one in use
        raise UserError(
            f"key {name!r}: the rotation was interrupted; `fractal keys rotate {name}` goes on "
            "with it"
        )
    if await named_agent(venue, master, store.address(name)) is None:
        raise UserError(
            f"key {name!r}: {store.address(name)} is no agent of {master}; give the key of its own "
            "account, the old agent stays until then"
        )
    old = await named_agent(venue, master, store.address(name, "old"))
    if old is not None:
        await prune(venue, old, sleep=sleep)
    store.remove(name, "old")
    return old
