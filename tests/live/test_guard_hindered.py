"""What hinders the guard is written down once, and the next look does what this one could not."""

import asyncio
import sqlite3
from decimal import Decimal

import pytest
from by_hand_world import cancel_all, rest_by_hand
from by_kind import Answers, instead, refused, venue_by_kind
from test_guard import AGENT, approve_agent, position_then_death
from virtual_world import World

from fractaltrader.exchange.port import Side
from fractaltrader.live import guard as guard_module
from fractaltrader.live.guard import Guard
from fractaltrader.live.ledger import Ledger
from fractaltrader.live.parameters import GuardParameters
from fractaltrader.live.state_manager import StateManager
from fractaltrader.simulator.virtual_time import run_virtual

QUICK = {"heartbeat_limit_s": 5, "poll_s": 1}


def guard_of(world: World, answers: Answers, **limits: object) -> Guard:
    """A guard with its own key; `answers` may be changed meanwhile."""
    return Guard(
        venue_by_kind(world, answers, AGENT),
        StateManager(world.folder, world.clock),
        Ledger(world.folder / "guard"),
        world.clock,
        GuardParameters.model_validate(QUICK | limits),
        account=world.signer.address,
        orphans="stop",
    )


async def dead_bot(world: World, answers: Answers, **limits: object) -> Guard:
    """A guard that is about to find a bot with a long in BTC dead."""
    world.days = 1
    world.open()
    world.replay.cancel()
    approve_agent(world)
    await position_then_death(world)
    guard = guard_of(world, answers, **limits)
    await guard.look()
    await asyncio.sleep(6)
    return guard


def incidents(world: World) -> list[tuple[str, str]]:
    """What the guard has written down."""
    ledger = Ledger(world.folder / "guard")
    found = [(kind, detail) for _, kind, detail in ledger.incidents()]
    ledger.close()
    return found


def test_the_guard_needs_no_price(world: World) -> None:
    """Though the venue tells no price, the stop the bot intended is placed at the first look."""

    async def play() -> None:
        guard = await dead_bot(world, {"allMids": instead({})})
        await cancel_all(world, "BTC")
        assert world.naked_positions() != []
        await guard.look()
        assert world.naked_positions() == []

    run_virtual(play())
    assert [kind for kind, _ in incidents(world)] == ["bot dead", "stop placed"]


def test_a_stop_that_is_refused_closes_the_position(world: World) -> None:
    """Where the venue takes no stop a position is not left bare, it is closed."""

    async def play() -> None:
        answers: Answers = {}
        guard = await dead_bot(world, answers)
        await cancel_all(world, "BTC")
        stop = refused("Too many open trigger orders.")

        async def first_refused(send):  # type: ignore[no-untyped-def]
            answers.pop("order")
            return await stop(send)

        answers["order"] = first_refused
        await guard.look()
        assert (await world.venue().account()).positions == {}

    run_virtual(play())
    told = dict(incidents(world))
    assert "stop refused: " in told["position closed"]
    assert "Too many open trigger orders" in told["position closed"]


def test_flattening_needs_no_price(world: World) -> None:
    """By the policy a dead bot's position is closed, by what the venue values it at where it tells
    no price."""

    async def play() -> None:
        answers: Answers = {"allMids": instead("<html>", status=502)}
        guard = await dead_bot(world, answers, policy="flatten", flatten_after_s=30)
        await asyncio.sleep(30)
        await guard.look()
        assert (await world.venue().account()).positions == {}

    run_virtual(play())
    assert [kind for kind, _ in incidents(world)] == ["bot dead", "position closed"]


def test_an_order_that_cannot_be_cancelled(world: World) -> None:
    """A refused cancel does not keep the guard from its other work, and is tried again."""

    async def play() -> None:
        answers: Answers = {"cancel": refused("not now")}
        guard = await dead_bot(world, answers, cancel_orders="all")
        await rest_by_hand(world, "ETH", Side.BUY, Decimal("0.1"), "0.5")
        await guard.look()
        answers.clear()
        await guard.look()
        assert all(order.reduce_only for order in await world.venue().open_orders())

    run_virtual(play())
    _, hindered, done = incidents(world)
    assert hindered[0] == "cancel refused"
    assert "not now" in hindered[1]
    assert done[0] == "order cancelled"


def test_a_bot_that_lives_again_is_only_watched(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its heartbeat ends the guard's work, and what was said may be said of the next death; a
    memory of what was said has its bound."""

    async def play() -> None:
        guard = await dead_bot(world, {})
        monkeypatch.setattr(guard_module, "SAID_KEPT", 1)
        await guard.look()
        with StateManager(world.folder, world.clock).update() as state:
            state.heartbeat_ms = world.clock.now_ms()
        await guard.look()
        await asyncio.sleep(6)
        await guard.look()

    run_virtual(play())
    assert [kind for kind, _ in incidents(world)] == ["bot dead", "bot lives", "bot dead"]


def test_a_guard_that_cannot_write_protects_all_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ledger on a full disk keeps no position from its stop."""

    async def play() -> None:
        guard = await dead_bot(world, {})
        await cancel_all(world, "BTC")

        def full(*_: object) -> None:
            raise sqlite3.OperationalError("database or disk is full")

        monkeypatch.setattr(Ledger, "add_incident", full)
        await guard.look()
        assert world.naked_positions() == []

    run_virtual(play())
