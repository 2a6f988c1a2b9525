"""What follows each answer to an entry, and how a position gets its stop back: rule by rule."""

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from by_hand_world import cancel_all, intent_for, rest_by_hand, trade_by_hand
from by_kind import Answer, ByKind, Send, instead, marked, refused
from virtual_world import HyperliquidVenue, World, lost_answer, no_fault

from fractaltrader.exchange.errors import TransientError
from fractaltrader.exchange.port import OpenOrder, Position, Side
from fractaltrader.live.desk import Desk
from fractaltrader.live.executor import Executor
from fractaltrader.live.intents import exit_orders
from fractaltrader.live.protection import (
    NAKED_BOUND_MS,
    covering,
    is_protected,
    protect_position,
    stop_size,
    uncovered,
)
from fractaltrader.live.state import Intent
from fractaltrader.market import Instrument
from fractaltrader.market.instrument import MIN_NOTIONAL
from fractaltrader.simulator.serving.transport import InProcessTransport
from fractaltrader.simulator.virtual_time import run_virtual


class Asked(dict[str, Answer]):
    """How the test answers, how the orders of each action were to be grouped, and their sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.groupings: list[str] = []
        self.sizes: list[list[Decimal]] = []


class Grouped(ByKind):
    """Notes the grouping and the sizes of every action that places orders."""

    answers: Asked

    async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        action = msgspec.json.decode(body).get("action", {})
        if "grouping" in action:
            self.answers.groupings.append(action["grouping"])
            self.answers.sizes.append([Decimal(order["s"]) for order in action["orders"]])
        return await super().post(path, body)


Play = Callable[[World, Desk, Intent, Asked], Awaitable[None]]


def played(folder: Path, play: Play, *, usd: int = 1_000) -> None:
    """Let `play` happen in a world whose clock is the loop's, with an entry not yet sent."""
    world = World(folder, days=1, coins=("BTC",), speed=1.0)

    async def acted() -> None:
        world.open()
        answers, desk = Asked(), world.desk()
        transport = Grouped(InProcessTransport(world.exchange, world.clock), no_fault)
        transport.answers = answers
        desk.venue = HyperliquidVenue(
            transport, world.signer, account=desk.account, clock=world.clock, mainnet=False
        )
        intent = await intent_for(world, desk, usd)
        await play(world, desk, intent, answers)
        desk.ledger.close()
        world.replay.cancel()

    run_virtual(acted())


def told(desk: Desk) -> list[tuple[str, str]]:
    return [(kind, detail) for _, kind, detail in desk.ledger.incidents()]


def kinds(desk: Desk) -> list[str]:
    return [kind for kind, _ in told(desk)]


def events(desk: Desk) -> str:
    return "\n".join(text for _, text in desk.view.events)


async def exits(desk: Desk) -> list[tuple[str, Decimal]]:
    """Kind and size of all that rests."""
    return sorted((order.kind, order.size) for order in await desk.venue.open_orders())


def counted(answers: Asked, kind: str) -> list[float]:
    """The times at which something of this kind is asked for from now on."""
    times: list[float] = []

    async def answer(send: Send) -> tuple[int, bytes]:
        times.append(asyncio.get_running_loop().time())
        return await send()

    answers[kind] = answer
    return times


def statuses(*texts: str) -> Callable[[Send], Awaitable[tuple[int, bytes]]]:
    """Each order of the action is refused with its text."""
    data = {"statuses": [{"error": text} for text in texts]}
    return instead({"status": "ok", "response": {"type": "order", "data": data}})


def test_an_entry_that_fills_is_one_action_and_no_incident(tmp_path: Path) -> None:
    """Entry, stop and target leave together; nothing is asked, and the breaker learns it went
    through."""

    async def play(world: World, desk: Desk, intent: Intent, answers: Asked) -> None:
        sent, asked = counted(answers, "order"), counted(answers, "orderStatus")
        await Executor(desk).enter(intent)
        assert (len(sent), len(asked), kinds(desk)) == (1, 0, [])
        assert answers.groupings == ["normalTpsl"]
        assert desk.breaker.state.rejected == [False]
        assert desk.breaker.state.errors == []
        known = desk.state.load()
        assert (desk.intents, known.intents) == ({"BTC": intent}, {"BTC": intent})
        assert known.breaker.rejected == [False]
        assert await exits(desk) == [("sl", intent.size), ("tp", intent.size)]

    played(tmp_path, play)


def test_a_lost_answer_is_settled_by_asking_not_by_sending_again(tmp_path: Path) -> None:
    """An entry whose answer is lost has been executed: one action, one incident, one error for the
    breaker, and the execution is in the book."""

    async def play(world: World, desk: Desk, intent: Intent, answers: Asked) -> None:
        sent: list[int] = []

        async def lost(send: Send) -> tuple[int, bytes]:
            sent.append(1)
            await send()
            raise lost_answer("gone")

        answers["order"] = lost
        await Executor(desk).enter(intent)
        assert sent == [1]
        ((kind, detail),) = [each for each in told(desk) if each[0] != "executed by hand"]
        assert kind == "unknown outcome"
        assert detail.startswith("BTC entry: ")
        assert len(desk.breaker.state.errors) == 1
        assert desk.breaker.state.rejected == []
        assert (desk.intents, desk.book.epochs["BTC"].size) == ({}, intent.size)

    played(tmp_path, play)


def test_an_unknown_outcome_is_durable_before_it_is_settled(tmp_path: Path) -> None:
    """A bot that dies while it asks knows afterwards what it asked about, and that it failed."""

    async def play(world: World, desk: Desk, intent: Intent, answers: Asked) -> None:
        async def lost(_: Send) -> tuple[int, bytes]:
            raise lost_answer("gone")

        answers["order"], answers["orderStatus"] = lost, instead({}, 502)
        with pytest.raises(TransientError):
            await Executor(desk).enter(intent)
        known = desk.state.load()
        assert (known.intents, len(known.breaker.errors)) == ({"BTC": intent}, 1)

    played(tmp_path, play)


def test_what_never_arrived_is_asked_for_until_it_can_no_more(tmp_path: Path) -> None:
    """Every half second until three seconds after its expiry, which is ten after the decision; only
    then is it given up."""

    async def play(world: World, desk: Desk, intent: Intent, answers: Asked) -> None:
        asked = counted(answers, "orderStatus")

        async def never(_: Send) -> tuple[int, bytes]:
            raise lost_answer("gone")

        answers["order"] = never
        await Executor(desk).enter(intent)
        gaps = {round(later - first, 2) for first, later in pairwise(asked)}
        assert gaps == {0.55}  # half a second, and the answer's way
        # by the desk's clock: the last question but one was in time, the last one late
        start = desk.clock.now_ms() / 1000 - asyncio.get_running_loop().time()
        last_ms = [round((start + at) * 1000) for at in asked[-2:]]
        border = intent.expires_ms + 3_000
        assert last_ms[0] <= border < last_ms[1] + 50
        assert (desk.intents, desk.state.load().intents) == ({}, {})
        assert "BTC entry not taken: the order never reached the venue" in events(desk)
        assert kinds(desk) == ["unknown outcome"]

    played(tmp_path, play)


@pytest.mark.parametrize(
    ("text", "rejected", "errors"),
    [("Order has invalid price.", [True], 0), ("Trading is halted.", [], 1)],
)
def test_an_action_refused_as_a_whole_is_dropped(
    tmp_path: Path, text: str, rejected: list[bool], errors: int
) -> None:
    """A refusal is our fault and counts as one; a venue that is halted is an error instead."""

    async def play(world: World, desk: Desk, intent: Intent, answers: Asked) -> None:
        answers["order"] = refused(text)
        await Executor(desk).enter(intent)
        assert told(desk) == [("entry refused", f"BTC: {text}")]
        assert desk.breaker.state.rejected == rejected
        assert len(desk.breaker.state.errors) == errors
        assert (desk.intents, desk.state.load().intents) == ({}, {})
        assert f"BTC entry not taken: {text}" in events(desk)

    played(tmp_path, play)


def test_an_entry_refused_by_itself_is_dropped(tmp_path: Path) -> None:
    """The venue's words go into the incident and to the breaker."""
    text = "Insufficient margin to place order. asset=0"

    async def play(world: World, desk: Desk, intent: Intent, answers: Asked) -> None:
        answers["order"] = statuses(text, text, text)
        await Executor(desk).enter(intent)
        assert told(desk) == [("entry refused", f"BTC: {text}")]
        assert [(error.kind, error.row) for _, error in desk.ledger.errors()] == [
            ("RejectedError", 4)
        ]
        assert desk.breaker.state.rejected == [True]
        assert desk.intents == {}
        assert text in events(desk)

    played(tmp_path, play)


def test_an_unknown_refusal_is_one_too(tmp_path: Path) -> None:
    """Words that nobody recorded refuse the entry all the same."""

    async def play(world: World, desk: Desk, intent: Intent, answers: Asked) -> None:
        answers["order"] = statuses("The moon is full.", "So.", "So.")
        await Executor(desk).enter(intent)
        assert told(desk) == [("entry refused", "BTC: The moon is full.")]
        assert desk.breaker.state.rejected == [True]
        assert (desk.intents, "not taken: The moon is full." in events(desk)) == ({}, True)

    played(tmp_path, play)


def test_a_price_that_ran_away_is_nobodys_fault(tmp_path: Path) -> None:
    """An immediate-or-cancel order that finds nobody is dropped without incident or refusal."""

    async def play(world: World, desk: Desk, intent: Intent, _: Asked) -> None:
        low = desk.instruments["BTC"].round_price(intent.limit * Decimal("0.985"))
        await Executor(desk).enter(msgspec.structs.replace(intent, limit=low))
        assert (kinds(desk), desk.breaker.state.rejected, desk.intents) == ([], [], {})
        assert "could not immediately match" in events(desk)

    played(tmp_path, play)


def test_a_part_is_protected_before_anything_is_asked(tmp_path: Path) -> None:
    """What filled of an entry gets a stop and a target that follow the position, then the incident
    is told and the books are brought up to date."""

    async def play(world: World, desk: Desk, intent: Intent, answers: Asked) -> None:
        mid = (await desk.venue.mid_prices())["BTC"]
        limit = desk.instruments["BTC"].round_price(mid * Decimal("1.0002"))
        wanted = msgspec.structs.replace(intent, size=intent.size * 64, limit=limit)
        sent, asked = counted(answers, "order"), counted(answers, "orderStatus")
        await Executor(desk).enter(wanted)
        size = (await desk.venue.account()).positions["BTC"].size
        assert 0 < size < wanted.size
        assert (len(sent), answers.groupings) == (2, ["normalTpsl", "positionTpsl"])
        assert sent[1] < asked[0]
        ((kind, detail),) = told(desk)
        assert kind == "bracket incomplete"
        assert detail.startswith(f"BTC: filled {size} of {wanted.size}, exits ['")
        assert await exits(desk) == [("sl", size), ("tp", size)]
        assert (desk.intents, desk.book.epochs["BTC"].size) == ({}, size)
        assert desk.breaker.state.rejected == [False]

    played(tmp_path, play)


@pytest.mark.parametrize("lacking", [1, 2])
def test_a_bracket_without_one_exit_is_settled(tmp_path: Path, lacking: int) -> None:
    """Filled whole, but the venue says that it took no stop, or no target: told and looked at; what
    rests is enough, so nothing more is sent."""

    async def play(world: World, desk: Desk, intent: Intent, answers: Asked) -> None:
        sent: list[int] = []

        async def without(send: Send) -> tuple[int, bytes]:
            sent.append(1)
            status, body = await send()
            answer = msgspec.json.decode(body)
            answer["response"]["data"]["statuses"][lacking] = {"error": "Invalid TP/SL price."}
            return status, msgspec.json.encode(answer)

        answers["order"] = without
        await Executor(desk).enter(intent)
        assert (kinds(desk), sent) == (["bracket incomplete"], [1])
        assert "Invalid TP/SL price." in told(desk)[0][1]
        assert (desk.intents, desk.book.epochs["BTC"].size) == ({}, intent.size)

    played(tmp_path, play)


def test_a_bracket_that_died_is_placed_anew(tmp_path: Path) -> None:
    """Filled whole, and neither stop nor target rests: settling it protects the position."""

    async def play(world: World, desk: Desk, intent: Intent, answers: Asked) -> None:
        died: list[int] = []

        async def dies(send: Send) -> tuple[int, bytes]:
            status, body = await send()
            if not died:
                died.append(1)
                await cancel_all(world, "BTC")
                answer = msgspec.json.decode(body)
                answer["response"]["data"]["statuses"][1:] = [{"error": "Invalid TP/SL price."}] * 2
                body = msgspec.json.encode(answer)
            return status, body

        answers["order"] = dies
        await Executor(desk).enter(intent)
        assert answers.groupings == ["normalTpsl", "positionTpsl"]
        assert await exits(desk) == [("sl", intent.size), ("tp", intent.size)]
        assert kinds(desk) == ["bracket incomplete", "naked position"]

    played(tmp_path, play)


def test_settling_drops_what_the_venue_ended(tmp_path: Path) -> None:
    """The lost answer was that the entry found nobody: the venue's word for it is the reason."""

    async def play(world: World, desk: Desk, intent: Intent, answers: Asked) -> None:
        async def lost(send: Send) -> tuple[int, bytes]:
            await send()
            raise lost_answer("gone")

        answers["order"] = lost
        low = desk.instruments["BTC"].round_price(intent.limit * Decimal("0.985"))
        await Executor(desk).enter(msgspec.structs.replace(intent, limit=low))
        assert desk.intents == {}
        assert "BTC entry not taken: iocCancelRejected" in events(desk)

    played(tmp_path, play)


@pytest.mark.parametrize("status", ["filled", "open"])
def test_settling_keeps_what_may_still_fill(tmp_path: Path, status: str) -> None:
    """An entry that the venue calls filled or open is kept though no position shows yet."""

    async def play(world: World, desk: Desk, intent: Intent, answers: Asked) -> None:
        desk.begin(intent)
        order = {
            "coin": "BTC", "side": "B", "limitPx": "1", "sz": "0", "oid": 5, "timestamp": 1,
            "triggerCondition": "N/A", "isTrigger": False, "triggerPx": "0.0", "children": [],
            "isPositionTpsl": False, "reduceOnly": False, "orderType": "Limit", "origSz": "1",
            "tif": "Ioc", "cloid": intent.entry_cloid,
        }  # fmt: skip
        known = {"order": order, "status": status, "statusTimestamp": 1}
        answers["orderStatus"] = instead({"status": "order", "order": known})
        await Executor(desk).settle(intent)
        assert desk.intents == {"BTC": intent}

    played(tmp_path, play)


def test_one_intention_that_cannot_be_settled_does_not_keep_the_others(tmp_path: Path) -> None:
    """Every one is tried, and the failure is told at the end."""

    async def play(world: World, desk: Desk, intent: Intent, answers: Asked) -> None:
        second = msgspec.structs.replace(intent, coin="XYZ", entry_cloid="0x" + "7" * 32)
        asked = 0

        async def first_fails(send: Send) -> tuple[int, bytes]:
            nonlocal asked
            asked += 1
            return (502, b"<html>") if asked == 1 else await send()

        answers["orderStatus"] = first_fails
        desk.intents = {"BTC": intent, "XYZ": second}
        with pytest.raises(TransientError):
            await Executor(desk).settle_all()
        assert desk.intents == {"BTC": intent}
        await Executor(desk).settle_all()
        assert desk.intents == {}

    played(tmp_path, play)


# Protection


def order(**changed: object) -> OpenOrder:
    values = {
        "coin": "BTC", "side": Side.SELL, "size": Decimal(1), "limit_price": Decimal(90), "oid": 1,
        "cloid": None, "reduce_only": True, "trigger_price": Decimal(95), "kind": "sl",
        "placed_ms": 0,
    }  # fmt: skip
    return OpenOrder(**(values | changed))  # type: ignore[arg-type]


def position(size: int | str) -> Position:
    return Position("BTC", Decimal(size), Decimal(100), Decimal(0), 10, None, Decimal(100))


@pytest.mark.parametrize(
    "other",
    [{"coin": "ETH"}, {"side": Side.BUY}, {"reduce_only": False}, {"kind": "tp"}],
)
def test_only_a_reduce_only_stop_of_the_coin_and_side_covers(other: dict[str, object]) -> None:
    """Each of the four is needed."""
    long = position(1)
    assert covering(long, [order()]) == [order()]
    assert is_protected(long, [order()])
    assert covering(long, [order(**other)]) == []
    assert uncovered(long, [order(**other)]) == 1
    assert not is_protected(long, [order(**other)])


def test_what_stops_cover_adds_up() -> None:
    """A long is closed by sells and a short by buys; stops beyond the position leave nothing, and
    one that follows the position covers all of it."""
    half, short = order(size=Decimal("0.5")), position("-1.5")
    assert uncovered(position("1.5"), [half, half]) == Decimal("0.5")
    assert uncovered(position(1), [half, half, half]) == 0
    assert uncovered(short, [half, order(side=Side.BUY)]) == Decimal("0.5")
    assert is_protected(position("-0.5"), [order(side=Side.BUY)])
    assert uncovered(position(9), [order(whole_position=True)]) == 0
    target = order(kind="tp")
    assert covering(position(1), [half, target], "tp") == [target]
    assert uncovered(position(3), [half, target], "tp") == 2
    assert NAKED_BOUND_MS == 90_000


def test_a_rest_below_ten_dollars_is_made_the_whole() -> None:
    """The venue takes orders from 10 USDC on, counted at the worst price of the exit, 8 % beyond
    the stop; a stop for everything is exempt."""
    coin = Instrument("BTC", 0, 2, 50)
    assert stop_size(position(3), Decimal("0.1"), Decimal("108.7"), coin) == Decimal("0.1")
    assert stop_size(position(3), Decimal("0.1"), Decimal("108.6"), coin) == 3
    assert stop_size(position("-0.5"), Decimal("0.1"), Decimal("92.6"), coin) == Decimal("0.1")
    assert stop_size(position("-0.5"), Decimal("0.1"), Decimal("92.5"), coin) == Decimal("0.5")


def test_a_rest_just_above_ten_dollars_gets_its_stop(tmp_path: Path) -> None:
    """What is worth 10.06 USDC at the stop is less at the exit's limit, by which the venue counts:
    the stop covers everything then, instead of being refused and the position closed."""

    async def play(world: World, desk: Desk, intent: Intent, answers: Asked) -> None:
        await entered(desk, intent)
        await cancel_all(world, "BTC")
        instrument = desk.instruments["BTC"]
        rest = instrument.round_size(Decimal("10.4") / intent.stop)
        assert MIN_NOTIONAL <= rest * intent.stop <= MIN_NOTIONAL * Decimal("1.08")
        await rest_by_hand(world, "BTC", Side.SELL, intent.size - rest, "0.97", stop=True)
        await protect_position(desk, "BTC")
        assert kinds(desk) == ["naked position"]
        assert (await desk.venue.account()).positions["BTC"].size == intent.size
        assert ("sl", intent.size) in await exits(desk)

    played(tmp_path, play)


async def entered(desk: Desk, intent: Intent) -> None:
    """A position of ours with its bracket, and its execution in the book."""
    await Executor(desk).enter(intent)
    await desk.catch_up()


def test_a_naked_position_gets_stop_and_target_of_its_own(tmp_path: Path) -> None:
    """Both for all of it and following it, under new ids; it is an incident and one repair."""

    async def play(world: World, desk: Desk, intent: Intent, answers: Asked) -> None:
        await protect_position(desk, "BTC")  # there is nothing to protect
        await entered(desk, intent)
        sent = counted(answers, "order")
        await protect_position(desk, "BTC")  # it is protected
        assert (sent, kinds(desk)) == ([], [])
        await cancel_all(world, "BTC")
        await protect_position(desk, "BTC")
        size = intent.size
        assert told(desk) == [("naked position", f"BTC: {size} of {size} has no stop; placing it")]
        assert await exits(desk) == [("sl", size), ("tp", size)]
        assert answers.groupings[1:] == ["positionTpsl"]
        assert desk.book.epochs["BTC"].repairs == desk.state.load().epochs["BTC"].repairs == 1
        orders = await desk.venue.open_orders()
        assert {o.cloid for o in orders}.isdisjoint({intent.stop_cloid, intent.target_cloid})
        assert {o.cloid[-6:] for o in orders if o.cloid} == {"000001"}

    played(tmp_path, play)


def test_what_is_not_ours_is_told_and_left(tmp_path: Path) -> None:
    """A foreign position without a stop is an incident; one that is not to be touched is not even
    that. Neither gets an order."""

    async def play(world: World, desk: Desk, intent: Intent, answers: Asked) -> None:
        await trade_by_hand(world, "BTC", intent.size)
        sent = counted(answers, "order")
        desk.untouchable.add("BTC")
        await protect_position(desk, "BTC")
        assert kinds(desk) == []
        desk.untouchable.clear()
        await protect_position(desk, "BTC")
        assert told(desk) == [("naked foreign position", f"BTC {intent.size} has no stop")]
        assert sent == []

    played(tmp_path, play)


@pytest.mark.parametrize("told", [instead({"ETH": "1"}), instead("<html>", status=502)])
def test_protection_needs_no_price(tmp_path: Path, told: Answer) -> None:
    """Whether the venue tells no price of the coin or none at all, the stop rests again: the
    position itself says what it is worth."""

    async def play(world: World, desk: Desk, intent: Intent, answers: Asked) -> None:
        await entered(desk, intent)
        await cancel_all(world, "BTC")
        answers["allMids"] = told
        await protect_position(desk, "BTC")
        assert kinds(desk) == ["naked position"]
        assert await exits(desk) == [("sl", intent.size), ("tp", intent.size)]

    played(tmp_path, play)


def test_half_a_stop_is_completed(tmp_path: Path) -> None:
    """Where a stop covers a part, one for the rest is placed beside it, for itself, with a target
    for all that lacks one."""

    async def play(world: World, desk: Desk, intent: Intent, answers: Asked) -> None:
        await entered(desk, intent)
        await cancel_all(world, "BTC")
        half = desk.instruments["BTC"].round_size(intent.size / 2)
        await rest_by_hand(world, "BTC", Side.SELL, half, "0.97", stop=True)
        await protect_position(desk, "BTC")
        rest = intent.size - half
        assert answers.groupings[1:] == ["na"]
        assert await exits(desk) == [
            ("sl", half), ("sl", rest), ("tp", intent.size),
        ]  # fmt: skip
        assert (f"BTC: {rest} of {intent.size} has no stop; placing it") in told(desk)[0][1]

    played(tmp_path, play)


def test_a_target_below_ten_dollars_is_left_out(tmp_path: Path) -> None:
    """A rest that is too small gets a stop for all of the position, and no target for itself."""

    async def play(world: World, desk: Desk, intent: Intent, answers: Asked) -> None:
        await entered(desk, intent)
        await cancel_all(world, "BTC")
        least = desk.instruments["BTC"].lot
        most = intent.size - least
        await rest_by_hand(world, "BTC", Side.SELL, most, "0.97", stop=True)
        await rest_by_hand(world, "BTC", Side.SELL, most, "1.5")
        await protect_position(desk, "BTC")
        assert answers.groupings[1:] == ["positionTpsl"]
        stops = [each for each in await exits(desk) if each[0] == "sl"]
        assert stops == [("sl", most), ("sl", intent.size)]

    played(tmp_path, play)


@pytest.mark.parametrize(("lacking", "targets"), [("0.00009", []), ("0.00011", ["0.00011"])])
def test_the_least_target_is_worth_ten_dollars(
    tmp_path: Path, lacking: str, targets: list[str]
) -> None:
    """At 100,000 a rest of 0.00011 without its target gets one, 0.00009 is left without; the stop,
    which rests nowhere, is for all of it in either case."""

    async def play(world: World, desk: Desk, intent: Intent, answers: Asked) -> None:
        wanted = msgspec.structs.replace(intent, target=Decimal(100_000))
        await entered(desk, wanted)
        await cancel_all(world, "BTC")
        most = wanted.size - Decimal(lacking)
        legs = exit_orders(wanted, desk.instruments["BTC"], Decimal(0), most, attempt=9)
        await desk.venue.place(legs, bracket=False)
        await protect_position(desk, "BTC")
        placed = [*map(Decimal, targets)]
        assert answers.sizes[-1] == [wanted.size, *placed]
        rest = [("tp", size) for size in (*placed, most)]
        assert await exits(desk) == [("sl", wanted.size), *rest]
        assert kinds(desk) == ["naked position"]

    played(tmp_path, play)


def test_a_price_just_above_the_stop_is_not_beyond_it(tmp_path: Path) -> None:
    """Half a dollar above it the stop is placed, at it the position is closed."""

    async def play(world: World, desk: Desk, intent: Intent, answers: Asked) -> None:
        await entered(desk, intent)
        for above, incidents in (
            ("0.5", ["naked position"]),
            ("0", ["naked position", "flattened"]),
        ):
            await cancel_all(world, "BTC")
            answers["clearinghouseState"] = marked(intent.stop + Decimal(above))
            before = len(kinds(desk))
            await protect_position(desk, "BTC")
            assert kinds(desk)[before:] == incidents

    played(tmp_path, play)


def test_beyond_its_stop_a_position_is_closed(tmp_path: Path) -> None:
    """A stop would fire at once, so the position is sold at the market instead."""

    async def play(world: World, desk: Desk, intent: Intent, answers: Asked) -> None:
        mid = (await desk.venue.mid_prices())["BTC"]
        await entered(desk, intent)
        await cancel_all(world, "BTC")
        # The decision in the book is the same, its stop is where the price is now.
        stop = (await desk.venue.mid_prices())["BTC"]
        epoch = desk.book.epochs["BTC"]
        moved = msgspec.structs.replace(intent, stop=stop)
        desk.book.epochs["BTC"] = msgspec.structs.replace(epoch, intent=moved)
        await protect_position(desk, "BTC")
        assert (await desk.venue.account()).positions == {}
        assert kinds(desk) == ["naked position", "flattened"]
        assert told(desk)[1][1] == f"BTC {intent.size}: filled"
        assert mid > 0
        assert await exits(desk) == []

    played(tmp_path, play)


@pytest.mark.parametrize("whole", [True, False])
def test_a_stop_that_the_venue_refuses_ends_the_position(tmp_path: Path, whole: bool) -> None:
    """Refused as an order or with the whole action: the incident says so, and what cannot be
    protected is closed."""

    async def play(world: World, desk: Desk, intent: Intent, answers: Asked) -> None:
        await entered(desk, intent)
        await cancel_all(world, "BTC")
        sent = 0
        text = "Invalid TP/SL price."
        answer = refused(text) if whole else statuses(text, text)

        async def first_refused(send: Send) -> tuple[int, bytes]:
            nonlocal sent
            sent += 1
            return await (answer(send) if sent == 1 else send())

        answers["order"] = first_refused
        await protect_position(desk, "BTC")
        assert (await desk.venue.account()).positions == {}
        assert told(desk)[1] == ("stop refused", f"BTC: {text}")
        assert kinds(desk) == ["naked position", "stop refused", "flattened"]
        assert sent == 2
        assert [error.row for _, error in desk.ledger.errors()] == [8]

    played(tmp_path, play)


def test_a_flattening_that_is_refused_is_told(tmp_path: Path) -> None:
    """Neither stop nor close is taken: both are incidents, and the position is looked at again."""

    async def play(world: World, desk: Desk, intent: Intent, answers: Asked) -> None:
        await entered(desk, intent)
        await cancel_all(world, "BTC")
        answers["order"] = refused("Trading is not possible.")
        await protect_position(desk, "BTC")
        assert kinds(desk) == ["naked position", "stop refused", "flatten refused"]
        assert told(desk)[2][1] == "BTC: Trading is not possible."
        del answers["order"]
        await protect_position(desk, "BTC")
        assert [kind for kind, _ in await exits(desk)] == ["sl", "tp"]
        assert desk.book.epochs["BTC"].repairs == 2

    played(tmp_path, play)


def test_an_entry_not_yet_in_the_book_is_protected_too(tmp_path: Path) -> None:
    """The intention is all that is known of the position, and is enough for its first repair."""

    async def play(world: World, desk: Desk, intent: Intent, answers: Asked) -> None:
        await Executor(desk).enter(intent)
        await cancel_all(world, "BTC")
        await protect_position(desk, "BTC")
        orders = await desk.venue.open_orders()
        assert {o.cloid[-6:] for o in orders if o.cloid} == {"000001"}
        assert is_protected((await desk.venue.account()).positions["BTC"], orders)

    played(tmp_path, play)
