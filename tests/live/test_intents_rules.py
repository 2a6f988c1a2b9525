"""From a decision to its orders, by hand: ids, prices, lifetimes and what is refused."""

from decimal import Decimal

import msgspec
import pytest

from fractaltrader.exchange.port import ClockSkew, OrderRequest, Side, Trigger
from fractaltrader.live.intents import (
    AFTER_PART,
    ATTEMPTS,
    GUARD_ATTEMPTS,
    OrderIdentity,
    Role,
    client_order_id,
    closing_order,
    decision_id,
    decision_of,
    entry_orders,
    entry_side,
    exit_expiry,
    exit_orders,
    flatten_order,
    identity_of,
    illegal,
    make_intent,
    unlearned,
)
from fractaltrader.live.state import Intent
from fractaltrader.market import Instrument
from fractaltrader.strategies import Signal

COIN = Instrument("X", 0, 2, 20)  # lots of 0.01; at 100 a tick of 0.01, below 100 of 0.001
NOW = 1_735_689_600_000
DECISION = decision_id("0xabc", "X", "s", NOW)


def signal(side: int, stop: float, target: float) -> Signal:
    return Signal(
        strategy="s", coin="X", side=side, bar_time=NOW, entry=100.0, stop=stop, target=target,
        confidence=50.0, factors=(("hand", 50.0),), facts=("by hand",), atr=1.0, atr_baseline=1.0,
    )  # fmt: skip


def intent(side: int = 1, **changed: object) -> Intent:
    """An entry at 100 with its stop 5 and its target 10 away."""
    made = make_intent(
        signal(side, 100.0 - 5 * side, 100.0 + 10 * side),
        Decimal("2.00"),
        100.0,
        instrument=COIN,
        account="0xabc",
        slippage=0.002,
        now_ms=NOW + 1_000,
    )
    return msgspec.structs.replace(made, **changed)


def test_ids_are_spelled_for_good() -> None:
    """Older orders rest under these: a prefix, the decision, two digits of role, six of attempt."""
    decision = "0123456789abcdef"
    assert client_order_id(decision, Role.ENTRY) == f"0x66726163{decision}00000000"
    assert client_order_id(decision, Role.TARGET, 5) == f"0x66726163{decision}02000005"
    assert client_order_id(decision, Role.RESCUE, 255) == f"0x66726163{decision}040000ff"
    assert client_order_id(decision, Role.STOP, 2**24 - 1)[-6:] == "ffffff"
    assert client_order_id(decision, Role.STOP, 2**24) == client_order_id(decision, Role.STOP)
    assert [role.value for role in Role] == [0, 1, 2, 3, 4]
    assert (ATTEMPTS, GUARD_ATTEMPTS, AFTER_PART) == (2**24, 2**23, 2**23 - 1)
    assert DECISION == decision_id("0xabc", "X", "s", NOW) == "f83f561360113828"


def test_every_part_of_a_decision_makes_another_id() -> None:
    """Account, coin, strategy and bar: each alone tells two decisions apart."""
    others = {
        decision_id("0xabd", "X", "s", NOW), decision_id("0xabc", "Y", "s", NOW),
        decision_id("0xabc", "X", "t", NOW), decision_id("0xabc", "X", "s", NOW + 1), DECISION,
    }  # fmt: skip
    assert len(others) == 5
    assert {len(each) for each in others} == {16}


def test_an_id_is_read_back_or_not_ours() -> None:
    """Decision, role and attempt; no id, another's and an unknown role are nobody's of ours."""
    assert identity_of(client_order_id(DECISION, Role.FLATTEN, 77)) == OrderIdentity(
        DECISION, Role.FLATTEN, 77
    )
    assert identity_of(None) is None
    assert identity_of("0x" + "0" * 32) is None
    assert identity_of(f"0x66726163{DECISION}09000000") is None
    assert decision_of(intent()) == DECISION


def test_what_the_state_has_not_learned() -> None:
    """Of each coin the newest entry whose bar is later than the newest one acted on, were it the
    first bar of all; never an adopted position's."""
    old, new = intent(bar_time=NOW), intent(bar_time=NOW + 1)
    other = intent(coin="Y", bar_time=0)
    assert unlearned([old, new, other], {}) == {"X": new, "Y": other}
    assert unlearned([old, new], {"X": NOW}) == {"X": new}
    assert unlearned([old, new], {"X": NOW + 1}) == {}
    assert unlearned([other], {"X": NOW + 1, "Y": 0}) == {}
    assert unlearned([old, intent(bar_time=NOW + 1, target=None)], {"X": NOW}) == {}


@pytest.mark.parametrize(
    ("side", "limit", "stop", "target"), [(1, "100.2", "95", "110"), (-1, "99.8", "105", "90")]
)
def test_an_intention_in_full(side: int, limit: str, stop: str, target: str) -> None:
    """The limit is the price and the slippage that is paid at most, on the side's own way; it lives
    for ten seconds."""
    assert intent(side) == Intent(
        coin="X", strategy="s", bar_time=NOW, side=side, size=Decimal("2.00"),
        limit=Decimal(limit), stop=Decimal(stop), target=Decimal(target),
        entry_cloid=client_order_id(DECISION, Role.ENTRY),
        stop_cloid=client_order_id(DECISION, Role.STOP),
        target_cloid=client_order_id(DECISION, Role.TARGET),
        created_ms=NOW + 1_000, expires_ms=NOW + 11_000,
    )  # fmt: skip
    assert entry_side(intent(side)) is (Side.BUY if side > 0 else Side.SELL)


@pytest.mark.parametrize(("side", "stop"), [(1, "95.123"), (-1, "104.57")])
def test_a_stop_is_rounded_away_from_the_entry(side: int, stop: str) -> None:
    """However near the next tick inwards is."""
    made = make_intent(
        signal(side, {1: 95.1239, -1: 104.5612}[side], 100.0 + side * 10),
        Decimal(1),
        100.0,
        instrument=COIN,
        account="0xabc",
        slippage=0.0,
        now_ms=NOW,
    )
    assert made.stop == Decimal(stop)


@pytest.mark.parametrize(
    ("side", "changed", "said"),
    [
        (1, {}, None),
        (-1, {}, None),
        (1, {"target": None}, None),
        (-1, {"target": None}, None),
        (1, {"size": Decimal("0.005")}, "size 0.005 is not a whole number of lots of 0.01"),
        (1, {"limit": Decimal(0)}, "one is no price"),
        (1, {"stop": Decimal(0)}, "one is no price"),
        (-1, {"target": Decimal(0)}, "one is no price"),
        (-1, {"target": Decimal("-0.5")}, "one is no price"),
        (1, {"limit": Decimal("100.123")}, "price 100.123 is not on a tick"),
        (1, {"stop": Decimal("95.1234")}, "price 95.1234 is not on a tick"),
        (1, {"target": Decimal("110.123")}, "price 110.123 is not on a tick"),
        (1, {"size": Decimal("0.10"), "limit": Decimal(100)}, None),
        (
            1,
            {"size": Decimal("0.10"), "limit": Decimal("99.9")},
            "9.99 USDC is below the least of 10",
        ),
        (1, {"stop": Decimal("100.2")}, "and entry limit"),
        (1, {"stop": Decimal("100.19")}, None),
        (-1, {"stop": Decimal("99.8")}, "and entry limit"),
        (-1, {"stop": Decimal("99.801")}, None),
        (1, {"target": Decimal(95)}, "and target"),
        (1, {"target": Decimal("95.001")}, None),
        (-1, {"target": Decimal(105)}, "and target"),
        (-1, {"target": Decimal("104.99")}, None),
    ],
)
def test_what_the_venue_would_refuse_is_not_sent(
    side: int, changed: dict[str, object], said: str | None
) -> None:
    """Each rule at its border, and the words that name it."""
    told = illegal(intent(side, **changed), COIN)
    assert (told is None) == (said is None)
    assert (said or "None") in str(told)


def test_cheap_coins_have_prices_too() -> None:
    """Half a dollar is a price; an exit may be below 10 USDC, an entry may not."""
    cheap = intent(
        size=Decimal(20), limit=Decimal("0.5"), stop=Decimal("0.4"), target=Decimal("0.6")
    )
    assert illegal(cheap, COIN) is None


@pytest.mark.parametrize(
    ("skew", "expiry"),
    [
        (None, 60_000),
        (ClockSkew(0, 0, 0), 60_000),
        (ClockSkew(5_000, 100, 0), 65_000),
        (ClockSkew(1, 0, 0), 60_001),
        (ClockSkew(-5_000, 100, 0), 60_000),
    ],
)
def test_an_exit_lives_a_minute_by_the_slower_clock(skew: ClockSkew | None, expiry: int) -> None:
    """A clock of ours that is behind does not shorten it, one ahead does not lengthen it."""
    assert exit_expiry(NOW, skew) == NOW + expiry


@pytest.mark.parametrize(
    ("side", "opening", "closing", "worst"),
    [(1, Side.BUY, Side.SELL, ("87.4", "101.2")), (-1, Side.SELL, Side.BUY, ("113.4", "97.2"))],
)
def test_the_three_orders_of_an_entry(
    side: int, opening: Side, closing: Side, worst: tuple[str, str]
) -> None:
    """The entry takes at once or not at all; its exits reduce only and may fill 8 % beyond their
    triggers."""
    made = intent(side)
    entry, stop, target = entry_orders(made, COIN)
    size = Decimal("2.00")
    assert entry == OrderRequest(COIN, opening, size, made.limit, made.entry_cloid, "Ioc")
    assert stop == OrderRequest(
        COIN, closing, size, Decimal(worst[0]), made.stop_cloid, "Gtc", True,
        Trigger(made.stop, "sl"),
    )  # fmt: skip
    assert made.target is not None
    assert target == OrderRequest(
        COIN, closing, size, Decimal(worst[1]), made.target_cloid, "Gtc", True,
        Trigger(made.target, "tp"),
    )  # fmt: skip


def test_exits_of_other_sizes() -> None:
    """Each leg has its own size, none for none; a repair has ids of its own, an adopted position no
    target."""
    stop, target = exit_orders(intent(), COIN, Decimal("0.5"), Decimal("0.7"), attempt=3)
    assert (stop.size, stop.cloid) == (Decimal("0.5"), client_order_id(DECISION, Role.STOP, 3))
    assert target.size == Decimal("0.7")
    assert target.cloid == client_order_id(DECISION, Role.TARGET, 3)
    assert exit_orders(intent(), COIN, Decimal(0), Decimal("0.7"), attempt=3) == [target]
    assert exit_orders(intent(), COIN, Decimal("0.5"), Decimal(0), attempt=3) == [stop]
    adopted = intent(target=None)
    assert exit_orders(adopted, COIN, Decimal("0.5"), Decimal("0.7"), attempt=3) == [stop]


@pytest.mark.parametrize(
    ("position", "side", "price"), [("0.5", Side.SELL, "92"), ("-0.5", Side.BUY, "108")]
)
def test_a_position_is_closed_at_the_market(position: str, side: Side, price: str) -> None:
    """All of it, reduce-only, at up to 8 % from the mid."""
    closed = closing_order(COIN, Decimal(position), Decimal(100), "0x1")
    assert closed == OrderRequest(
        COIN, side, Decimal("0.5"), Decimal(price), "0x1", "Ioc", reduce_only=True
    )
    cloid = client_order_id(DECISION, Role.FLATTEN, 4)
    flat = flatten_order(intent(), COIN, Decimal(position), Decimal(100), 4)
    assert flat == closed._replace(cloid=cloid)
