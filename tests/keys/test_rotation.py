"""Rotating an agent: at every moment, and after a crash at any step, a key of the name works."""

import os
from pathlib import Path

import pytest
from wallet_world import DAY_MS, QUICK_SCRYPT, World, in_world, key_of, signer_of

from fractaltrader.errors import UserError
from fractaltrader.exchange.errors import ExchangeError
from fractaltrader.keys import rotation
from fractaltrader.keys.agents import Standing, approve, prune
from fractaltrader.keys.keystore import Keystore
from fractaltrader.keys.rotation import finish, next_agent_name, rotate

PHRASE = "correct horse"
BOT = signer_of("bot")


class CrashError(Exception):
    """The process dies here."""


class Rotating:
    """A store whose key `bot` is the master's agent `fractal`."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.store = Keystore(folder)
        self.store.create("bot", key_of("bot"), PHRASE, scrypt_n=QUICK_SCRYPT)
        self.owner = world.owned(world.master)
        self.made = 0

    async def sleep(self, seconds: float) -> None:
        await self.world.clock.sleep_ms(round(seconds * 1000))

    async def approved(self) -> None:
        until = self.world.clock.now_ms() + DAY_MS
        master = self.world.master.address
        await approve(self.owner, master, BOT.address, "fractal", until, sleep=self.sleep)

    def new_key(self) -> bytes:
        self.made += 1
        return key_of(f"bot {self.made}")

    async def rotate(self, trader=None) -> tuple[Standing, Standing]:
        return await rotate(
            self.store,
            "bot",
            PHRASE,
            self.world.master.address,
            venue=self.owner,
            trader=trader or self.world.venue,
            new_key=self.new_key,
            until_ms=self.world.clock.now_ms() + 30 * DAY_MS,
            sleep=self.sleep,
            scrypt_n=QUICK_SCRYPT,
        )

    async def finish(self) -> Standing | None:
        master = self.world.master.address
        return await finish(self.store, "bot", master, venue=self.owner, sleep=self.sleep)

    async def works(self, stage="") -> str:
        """Use the key; its address."""
        signer = self.store.open("bot", PHRASE, stage=stage)
        await self.world.venue(signer, self.world.master.address).noop()
        return signer.address


def test_the_old_agent_works_until_it_is_pruned(tmp_path: Path) -> None:
    """After a rotation both keys work, the new one under the name; finishing deregisters the old
    one and deletes its file. A second rotation waits for that."""

    async def story(world: World) -> None:
        mine = Rotating(world, tmp_path / "keys")
        await mine.approved()
        old, new = await mine.rotate()
        assert (old.agent, new.agent) == ("fractal", "fractal-2")
        assert await mine.works() == new.address == signer_of("bot 1").address
        assert await mine.works("old") == old.address == BOT.address
        with pytest.raises(UserError, match="not finished; `fractal keys rotate bot --finish`"):
            await mine.rotate()
        assert (await mine.finish()) == old
        assert await mine.works() == new.address
        with pytest.raises(ExchangeError):
            await world.venue(BOT, world.master.address).noop()
        assert [path.name for path in mine.store.folder.iterdir()] == ["bot.json"]
        with pytest.raises(UserError, match="no rotation waits"):
            await mine.finish()
        await world.clock.sleep_ms(6_000)  # the venue's pending removal
        assert (await mine.rotate())[1].agent == "fractal-3"

    in_world(story)


@pytest.mark.parametrize("step", ["create", "approve", "noop", "link", "replace"])
def test_a_crash_at_any_step_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Whatever fails, the name's key works on, and doing it again ends as if nothing had failed,
    with one new key."""

    def crash(*_: object, **__: object) -> None:
        raise CrashError

    done = getattr(os, step, None)

    def unless_swapping(source: Path, target: Path) -> None:
        if Path(source).name in ("bot.json", "bot.next.json"):
            raise CrashError
        done(source, target)

    broken = {
        "create": (Keystore, "create", crash),
        "approve": (rotation, "approve", crash),
        "link": (os, "link", unless_swapping),
        "replace": (os, "replace", unless_swapping),
    }

    async def story(world: World) -> None:
        mine = Rotating(world, tmp_path / "keys")
        await mine.approved()
        with monkeypatch.context() as patch:
            if step in broken:
                patch.setattr(*broken[step])
            with pytest.raises(CrashError):
                await mine.rotate(trader=crash if step == "noop" else None)
        assert await mine.works() == BOT.address
        with pytest.raises(UserError, match=r"no rotation waits|was interrupted"):
            await mine.finish()
        _, new = await mine.rotate()
        assert await mine.works() == new.address
        assert await mine.works("old") == BOT.address
        agents = await mine.owner.agents(world.master.address)
        assert sorted(agent.name for agent in agents) == ["fractal", "fractal-2"]

    in_world(story)


def test_finishing_needs_the_right_account_and_bears_a_venue_that_has_forgotten(
    tmp_path: Path,
) -> None:
    """With another account's key nothing is deregistered; an old agent that is gone already only
    loses its file."""

    async def story(world: World) -> None:
        mine = Rotating(world, tmp_path / "keys")
        await mine.approved()
        old, _ = await mine.rotate()
        stranger = world.stranger
        with pytest.raises(UserError, match=f"is no agent of {stranger.address}; give the key of"):
            await finish(
                mine.store,
                "bot",
                stranger.address,
                venue=world.owned(stranger),
                sleep=mine.sleep,
            )
        assert mine.store.has("bot", "old")
        await prune(mine.owner, old, sleep=mine.sleep)
        assert await mine.finish() is None
        assert not mine.store.has("bot", "old")

    in_world(story)


def test_a_taken_name_is_passed_over(tmp_path: Path) -> None:
    """Another agent that has the next name keeps it."""

    async def story(world: World) -> None:
        mine = Rotating(world, tmp_path / "keys")
        await mine.approved()
        await mine.owner.approve_agent(signer_of("other").address, "fractal-2")
        _, new = await mine.rotate()
        assert new.agent == "fractal-3"
        agents = await mine.owner.agents(world.master.address)
        assert {agent.name for agent in agents} == {"fractal", "fractal-2", "fractal-3"}

    in_world(story)


def test_what_cannot_be_rotated_is_named(tmp_path: Path) -> None:
    """A wrong password, an unapproved key and an unnamed agent are refused before anything is
    written or signed."""

    async def story(world: World) -> None:
        mine = Rotating(world, tmp_path / "keys")
        with pytest.raises(UserError, match="is no named agent"):
            await mine.rotate()
        await mine.owner.approve_agent(BOT.address, "")
        with pytest.raises(UserError, match="is no named agent"):
            await mine.rotate()
        assert [path.name for path in mine.store.folder.iterdir()] == ["bot.json"]

    in_world(story)


@pytest.mark.parametrize(
    ("name", "following"),
    [
        ("fractal", "fractal-2"),
        ("fractal-2", "fractal-3"),
        ("fractal-9", "fractal-10"),
        ("sixteen-letters-", "sixteen-letter-2"),
        ("fourteen-char-9", "fourteen-char-10"),
        ("a", "a-2"),
    ],
)
def test_names_go_on(name: str, following: str) -> None:
    """The next agent's name differs and fits the venue's 16 characters."""
    assert next_agent_name(name) == following
    assert len(following) <= 16
