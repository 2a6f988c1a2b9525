"""TWAP orders and the scheduled cancel: what the clock alone executes."""

from decimal import Decimal

import pytest
from exchange_world import limit, trigger

from fractaltrader.simulator.virtual_time import SteppedClock

MINUTE = 60_000
ZERO_HASH = "0x" + "0" * 64


def twap(trader, size="1", minutes=5, side="B", **more):
    """Status of a twapOrder for BTC."""
    wire = {"a": 0, "b": side == "B", "s": size, "r": more.get("r", False), "m": minutes}
    action = {"type": "twapOrder", "twap": wire | {"t": more.get("randomize", False)}}
    if "details" in more:
        action["details"] = more["details"]
    return trader.act(action)["response"]["data"]["status"]


def pass_time(exchange, clock, duration_ms, price=100_000, step_ms=10_000):
    """Move the clock on, a tick every `step_ms`."""
    for _ in range(duration_ms // step_ms):
        clock.set(clock.now_ms() + step_ms)
        exchange.move("BTC", Decimal(price))


def history(trader):
    """Statuses newest first."""
    return [entry["status"]["status"] for entry in trader.ask("twapHistory")]


@pytest.mark.parametrize("randomize", [False, True])
def test_a_twap_buys_evenly_until_it_is_done(exchange, clock, trader, randomize):
    """Ten slices in five minutes, each within 3 % and at least 30 s after the last, add up to the
    size; they are told apart from ordinary fills."""
    alice = trader(usd="1000000")
    start = clock.now_ms()
    twap_id = twap(alice, randomize=randomize)["running"]["twapId"]
    pass_time(exchange, clock, 6 * MINUTE)
    assert history(alice) == ["finished", "activated"]
    done = alice.ask("twapHistory")[0]
    assert done["twapId"] == twap_id
    assert done["state"]["executedSz"] == done["state"]["sz"] == "1.0"
    fills = [entry["fill"] for entry in alice.ask("userTwapSliceFills")]
    assert alice.ask("userFills") == []
    assert {(fill["hash"], fill["twapId"]) for fill in fills} == {(ZERO_HASH, twap_id)}
    assert sum(Decimal(fill["sz"]) for fill in fills) == alice.position() == 1
    value = sum(Decimal(fill["sz"]) * Decimal(fill["px"]) for fill in fills)
    assert Decimal(done["state"]["executedNtl"]) == value
    times = sorted({fill["time"] for fill in fills})
    assert [time - start for time in times] == [30_000 * n for n in range(10)]
    sizes = {sum(Decimal(f["sz"]) for f in fills if f["time"] == time) for time in times}
    assert (len(sizes) > 1) is randomize
    assert max(sizes) <= Decimal("0.3")
    by_time = alice.ask("userTwapSliceFillsByTime", startTime=times[1], endTime=times[1])
    assert {entry["fill"]["time"] for entry in by_time} == {times[1]}
    kinds = {r["order"]["orderType"] for r in alice.ask("historicalOrders")}
    assert kinds == {"Twap Slice"}


def test_a_twap_that_fell_behind_catches_up_threefold(exchange, clock, trader):
    """While the book is empty nothing executes; later slices are larger, at most three times."""
    alice, whale = trader(usd="1000000"), trader("whale", "10000000000")
    while "filled" in whale.order(limit("B", "250", "119000", "Ioc"))[0]:
        pass
    twap(alice)
    for _ in range(4):
        clock.set(clock.now_ms() + 30_000)
        exchange.advance()
    assert alice.position() == 0
    pass_time(exchange, clock, 4 * MINUTE)
    sizes = {}
    for entry in alice.ask("userTwapSliceFills"):
        fill = entry["fill"]
        sizes[fill["time"]] = sizes.get(fill["time"], 0) + Decimal(fill["sz"])
    assert max(sizes.values()) == Decimal("0.3")
    assert history(alice)[0] == "finished"
    assert alice.position() == 1


@pytest.mark.parametrize(
    ("order", "text"),
    [
        ({"size": "0.0005"}, "TWAP order value too small. Min is $100."),
        ({"size": "3100"}, "TWAP order value too large. Max is $300000000."),
        ({"r": True}, "Reduce-only TWAP order would increase position."),
        ({"size": "0"}, "Order has zero size."),
        ({"size": "0.000001"}, "Order has invalid size."),
    ],
)
def test_refused_twaps_have_one_status(exchange, trader, order, text):
    """A TWAP that may not start answers with one error and leaves no trace."""
    alice = trader(usd="1000000")
    assert twap(alice, **order) == {"error": text}
    assert alice.ask("twapHistory") == []


def test_a_twap_can_be_cancelled_once_by_its_owner(exchange, clock, trader):
    """twapCancel ends it with what it has bought; a second one, or a stranger's, finds nothing."""
    alice, bob = trader("alice", "1000000"), trader("bob")
    number = twap(alice)["running"]["twapId"]
    cancel = {"type": "twapCancel", "a": 0, "t": number}
    gone = {"error": "TWAP was never placed, already canceled, or filled."}
    assert bob.act(cancel)["response"]["data"]["status"] == gone
    pass_time(exchange, clock, MINUTE)
    answer = alice.act(cancel)
    assert answer["response"] == {"type": "twapCancel", "data": {"status": "success"}}
    assert alice.act(cancel)["response"]["data"]["status"] == gone
    pass_time(exchange, clock, MINUTE)
    assert alice.position() == Decimal("0.3")
    assert history(alice) == ["terminated", "activated"]


def test_only_so_many_twaps_run_at_once(exchange, trader):
    """The 51st is refused."""
    alice = trader(usd="10000000")
    for _ in range(50):
        assert "running" in twap(alice, size="0.01")
    assert twap(alice) == {"error": "Exceeded max number of active TWAP orders."}


def test_a_twap_waits_for_its_trigger_and_ends_at_its_stop(exchange, clock, trader):
    """It starts when the mark has reached the trigger and stops when it has gone against it."""
    alice = trader(usd="1000000")
    twap(alice, details={"t": {"p": "101000", "a": True}, "s": "99000"})
    pass_time(exchange, clock, MINUTE)
    assert (history(alice), alice.position()) == (["waitingForTrigger"], 0)
    pass_time(exchange, clock, MINUTE, price=101_500)
    assert history(alice)[0] == "activated"
    assert alice.position() > 0
    pass_time(exchange, clock, MINUTE, price=98_900)
    held = alice.position()
    pass_time(exchange, clock, MINUTE, price=101_500)
    assert history(alice)[0] == "stopped"
    assert alice.position() == held < 1
    assert alice.ask("twapHistory")[0]["state"]["trigger"] == {"px": "101000.0", "above": True}


def test_a_reduce_only_twap_ends_with_the_position(exchange, clock, trader):
    """It never sells more than is held and is terminated once nothing is."""
    alice = trader(usd="1000000")
    alice.order(limit("B", "0.1", "101000", "Ioc"))
    twap(alice, side="A", size="0.5", r=True)
    pass_time(exchange, clock, 6 * MINUTE)
    assert alice.position() == 0
    assert history(alice)[0] == "terminated"


def test_a_twap_without_margin_ends_in_error(exchange, clock, trader):
    """A slice the account cannot carry ends the TWAP and says why."""
    alice = trader(usd="1000")
    twap(alice, size="1")
    pass_time(exchange, clock, 3 * MINUTE)
    assert alice.ask("twapHistory")[0]["status"] == {
        "status": "error",
        "description": "Insufficient margin to place order.",
    }


def scheduled(trader, time_ms=None):
    """Answer to a scheduleCancel."""
    action = {"type": "scheduleCancel"} | ({} if time_ms is None else {"time": time_ms})
    return trader.act(action)["response"]


def test_a_scheduled_cancel_needs_volume_and_notice(exchange, clock, trader):
    """Below the volume it is refused, even to unset; too early a time is refused too."""
    alice = trader()
    soon = clock.now_ms() + 60_000
    exchange.state.accounts[alice.address].volume = Decimal("12066.757")
    gate = (
        "Cannot set scheduled cancel time until enough volume traded. "
        "Required: $1000000. Traded: $12066.75."
    )
    assert scheduled(alice, soon) == scheduled(alice) == gate
    exchange.state.schedule_cancel_volume = Decimal(0)
    early = "Scheduled cancel time too early, must be at least 5 seconds from now."
    assert scheduled(alice, clock.now_ms() + 4_999) == early
    assert scheduled(alice, clock.now_ms() + 5_000) == {"type": "default"}


def test_a_scheduled_cancel_ends_every_order_at_its_time(exchange, clock, trader):
    """Resting orders, stops and waiting children all end as scheduledCancel, at the time set last;
    other users' orders stay, and unsetting prevents it."""
    alice, bob = trader("alice"), trader("bob")
    exchange.state.schedule_cancel_volume = Decimal(0)
    kept = bob.order(limit("B", "0.01", "90000"))[0]["resting"]["oid"]
    alice.order(limit("B", "0.01", "101000", "Ioc"))
    alice.order(trigger("A", "0.01", "95000", "sl"))
    alice.order(
        limit("B", "0.01", "91000"), trigger("A", "0.01", "90000", "sl"), grouping="normalTpsl"
    )
    due = clock.now_ms() + 20_000
    scheduled(alice, clock.now_ms() + 10_000)
    scheduled(alice, due)
    clock.set(due - 1)
    assert len(alice.ask("openOrders")) == 3
    clock.set(due + 5_000)
    assert alice.ask("openOrders") == []
    ended = [r for r in alice.ask("historicalOrders") if r["status"] == "scheduledCancel"]
    assert [r["statusTimestamp"] for r in ended] == [due] * 3
    assert bob.status(kept) == "open"
    bob_due = clock.now_ms() + 10_000
    scheduled(bob, bob_due)
    scheduled(bob)
    clock.set(bob_due + 1)
    assert bob.status(kept) == "open"


def test_ten_scheduled_cancels_a_day(exchange, clock, trader):
    """After ten triggers no further one can be set before midnight UTC."""
    alice = trader()
    exchange.state.schedule_cancel_volume = Decimal(0)
    clock.set((clock.now_ms() // 86_400_000 + 1) * 86_400_000)
    for _ in range(10):
        assert scheduled(alice, clock.now_ms() + 5_000) == {"type": "default"}
        clock.set(clock.now_ms() + 6_000)
    text = "Too many scheduled cancels triggered for the day. Limit is 10"
    assert scheduled(alice, clock.now_ms() + 5_000) == text
    clock.set(clock.now_ms() + 86_400_000)
    assert scheduled(alice, clock.now_ms() + 5_000) == {"type": "default"}


def test_timed_orders_survive_a_restart(exchange, clock, trader):
    """A snapshot carries TWAPs and scheduled cancels: the restored exchange goes on alike."""
    alice = trader(usd="1000000")
    exchange.state.schedule_cancel_volume = Decimal(0)
    alice.order(limit("B", "0.01", "90000"))
    twap(alice, randomize=True)
    scheduled(alice, clock.now_ms() + 90_000)
    pass_time(exchange, clock, MINUTE)
    other_clock = SteppedClock(clock.now_ms())
    twin = type(exchange).restored(exchange.snapshot(), clock=other_clock)
    for world, time in ((exchange, clock), (twin, other_clock)):
        pass_time(world, time, 5 * MINUTE, price=100_100)
    assert exchange.snapshot() == twin.snapshot()
    assert exchange.state.twaps == {}
    assert not twin.state.accounts[alice.address].live
