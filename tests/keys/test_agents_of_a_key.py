"""Who a key is to the venue, what is wrong with it, and how agents are approved."""

import msgspec
import pytest
from wallet_world import DAY_MS, World, in_world, signer_of

from fractaltrader.errors import UserError
from fractaltrader.exchange.errors import ExchangeError
from fractaltrader.exchange.hyperliquid.client import HyperliquidVenue
from fractaltrader.keys.agents import TRIES, Standing, approve, prune, require_master, standing
from fractaltrader.live.wallet import check_wallet
from fractaltrader.simulator.serving.transport import InProcessTransport

BOT, GUARD = signer_of("bot"), signer_of("guard")


async def approved(world: World, signer=BOT, name: str = "fractal", days: int = 30) -> Standing:
    """`signer` as an agent of the master."""
    return await approve(
        world.owned(world.master),
        world.master.address,
        signer.address,
        name,
        world.clock.now_ms() + days * DAY_MS,
        sleep=lambda seconds: world.clock.sleep_ms(round(seconds * 1000)),
    )


async def checked(world: World, signer, account: str | None = None, **options: bool) -> Standing:
    """The start's check of `signer`."""
    settings = {"mainnet": world.mainnet, "allow_master_key": False} | options
    return await check_wallet(
        world.owned(signer), signer.address, account, now_ms=world.clock.now_ms(), **settings
    )


@pytest.mark.parametrize("mainnet", [False, True])
def test_an_approved_agent_trades(mainnet: bool) -> None:
    """On either network an approval makes the key the master's agent, with name and expiry, and
    what it signs is executed; before, and on the other network, it is not."""

    async def story(world: World) -> None:
        with pytest.raises(ExchangeError):
            await world.venue(BOT, world.master.address).noop()
        found = await approved(world)
        until = world.clock.now_ms() + 30 * DAY_MS
        assert found.account == world.master.address
        assert (found.role, found.agent) == ("agent", "fractal")
        assert found.valid_until_ms is not None
        assert abs(found.valid_until_ms - until) < 60_000
        await world.venue(BOT, world.master.address).noop()
        assert await checked(world, BOT) == found
        assert await checked(world, BOT, world.master.address) == found
        world.mainnet = not world.mainnet
        with pytest.raises(ExchangeError):
            await world.venue(BOT, world.master.address).noop()

    in_world(story, mainnet=mainnet)


def test_an_approval_cuts_nobody_off_by_accident() -> None:
    """A name in use, a used address, a malformed name, and a key that is no account's own are
    refused before anything is signed; --replace insists on the name."""

    async def story(world: World) -> None:
        await approved(world)
        with pytest.raises(UserError, match=f"'fractal' is {BOT.address}, which would be cut off"):
            await approved(world, GUARD)
        with pytest.raises(UserError, match="good for one approval"):
            await approved(world, BOT, "second")
        with pytest.raises(UserError, match="must be 1 to 16 letters"):
            await approved(world, GUARD, "a valid_until 9")
        for wrong, told in ((BOT, "agent fractal of"), (GUARD, "unknown to the venue")):
            with pytest.raises(UserError, match=f"master key: {wrong.address} is {told}"):
                await require_master(world.owned(wrong), wrong.address)
            with pytest.raises(ExchangeError, match="Must deposit"):
                await approve(
                    world.owned(wrong), wrong.address, "0x" + "1" * 40, "x", 2**42, sleep=None
                )
        assert [agent.address for agent in await agents(world)] == [BOT.address]
        await approve(
            world.owned(world.master),
            world.master.address,
            GUARD.address,
            "fractal",
            world.clock.now_ms() + DAY_MS,
            sleep=None,
            replace=True,
        )
        assert [agent.address for agent in await agents(world)] == [GUARD.address]

    in_world(story)


async def agents(world: World):
    return await world.owned(world.master).agents(world.master.address)


def test_a_wrong_role_is_named() -> None:
    """An agent's address as the account, an agent that is not approved, somebody else's, an
    expired one and an unknown key each have their own text with the remedy."""

    async def story(world: World) -> None:
        master, stranger = world.master.address, world.stranger.address
        with pytest.raises(UserError, match=f"no agent of venue.account = {master}.*approve-agent"):
            await checked(world, BOT, master)
        with pytest.raises(UserError, match=r"the venue does not know .*deposit"):
            await checked(world, BOT)
        await approved(world, days=2)
        with pytest.raises(UserError, match=f"address of an agent wallet.*master, {master}"):
            await checked(world, BOT, BOT.address)
        with pytest.raises(UserError, match=f"belongs to {master}, not to venue.account"):
            await checked(world, BOT, stranger)
        with pytest.raises(UserError, match=f"belongs to {master}, not to venue.account"):
            await checked(world, world.master, stranger)
        late = world.clock.now_ms() + 3 * DAY_MS
        with pytest.raises(UserError, match=r"expired at 2025-06-1.*fractal keys new"):
            await check_wallet(
                world.owned(BOT), BOT.address, master,
                mainnet=False, allow_master_key=False, now_ms=late,
            )  # fmt: skip
        await world.clock.sleep_ms(3 * DAY_MS)
        with pytest.raises(UserError, match="never approved, or expired and pruned"):
            await checked(world, BOT, master)

    in_world(story)


def test_a_master_key_on_mainnet_needs_a_word() -> None:
    """An account's own key trades testnet, and mainnet only with the explicit flag."""

    async def refused(world: World) -> None:
        with pytest.raises(UserError, match=r"also withdraw.*approve-agent.*--allow-master-key"):
            await checked(world, world.master)
        found = await checked(world, world.master, allow_master_key=True)
        assert found.account == world.master.address

    async def fine(world: World) -> None:
        assert (await checked(world, world.master)).role == "user"

    in_world(refused, mainnet=True)
    in_world(fine)


def test_an_unnamed_agent_is_known_too() -> None:
    """The venue's own app approves agents without a name; they trade, their end is not told."""

    async def story(world: World) -> None:
        await world.owned(world.master).approve_agent(BOT.address, "")
        found = await standing(world.owned(BOT), BOT.address)
        assert found == Standing(BOT.address, "agent", world.master.address)
        assert str(found) == f"agent (unnamed) of {world.master.address}"
        await world.venue(BOT, world.master.address).noop()

    in_world(story)


class Answering(InProcessTransport):
    """The in-process transport; a read in `answers` is answered so, whoever is asked about."""

    answers: dict[str, object]

    async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        kind = msgspec.json.decode(body).get("type")
        if kind in self.answers:
            return 200, msgspec.json.encode(self.answers[kind])
        return await super().post(path, body)


def answering(world: World, signer, **answers: object) -> HyperliquidVenue:
    """The venue as `signer` sees it, with these answers."""
    transport = Answering(world.exchange, world.clock)
    transport.answers = answers
    return HyperliquidVenue(
        transport, signer, account=signer.address, clock=world.clock, mainnet=world.mainnet
    )


def test_a_venue_whose_reads_lag_for_ever() -> None:
    """What the venue took but does not show is not believed, and not waited for without end."""

    async def story(world: World) -> None:
        slept: list[float] = []

        async def sleep(seconds: float) -> None:
            slept.append(seconds)

        master = world.master
        blind = answering(world, master, extraAgents=[])
        until = world.clock.now_ms() + DAY_MS
        with pytest.raises(UserError, match=f"took {BOT.address} but does not list it"):
            await approve(blind, master.address, BOT.address, "fractal", until, sleep=sleep)
        assert len(slept) == TRIES
        (listed,) = await agents(world)
        entry = {"name": listed.name, "address": listed.address, "validUntil": listed.valid_until}
        stale = answering(world, master, extraAgents=[entry])
        old = Standing(BOT.address, "agent", master.address, "fractal", until)
        with pytest.raises(UserError, match=f"goes on listing {BOT.address}; try again"):
            await prune(stale, old, sleep=sleep)
        assert await agents(world) == []

    in_world(story)


@pytest.mark.parametrize(
    ("role", "listed", "told"),
    [
        ("vault", None, "is a vault, which has no key of its own to trade with"),
        ("subAccount", None, "is a subAccount, which has no key of its own"),
        ("missing", 1_749_000_000_000, "expired at 2025-06-04.*fractal keys new"),
    ],
)
def test_what_cannot_sign_is_named(role: str, listed: int | None, told: str) -> None:
    """A vault's or sub-account's address, and an agent whose end the venue still tells."""

    async def story(world: World) -> None:
        master = world.master.address
        venue = answering(
            world,
            BOT,
            userRole={"role": role},
            extraAgents=[{"name": "old", "address": BOT.address, "validUntil": listed}],
        )
        with pytest.raises(UserError, match=told):
            await check_wallet(
                venue,
                BOT.address,
                master,
                mainnet=False,
                allow_master_key=False,
                now_ms=world.clock.now_ms(),
            )

    in_world(story)
