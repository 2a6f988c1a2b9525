"""Money: exact cases from recordings, and conservation over everything users do."""

from decimal import Decimal

import pytest
from exchange_world import LISTINGS, ORIGIN_MS, Trader, limit, trigger
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fractaltrader.errors import UserError
from fractaltrader.exchange.port import Side
from fractaltrader.market import Instrument
from fractaltrader.market.instrument import to_wire
from fractaltrader.simulator.clearing import accounts, fees, margin
from fractaltrader.simulator.local_exchange import Listing, LocalExchange
from fractaltrader.simulator.state import Account, Position
from fractaltrader.simulator.virtual_time import SteppedClock

D = Decimal


@pytest.mark.parametrize(
    ("price", "size", "rate", "fee"),
    [
        ("4307.4", "0.0025", fees.TIERS[0].taker, "0.004845"),
        ("4303.7", "0.0025", fees.TIERS[0].taker, "0.004841"),
        ("66653", "0.001", fees.TIERS[0].maker, "0.009997"),
    ],
)
def test_fees_are_floored_like_recorded_ones(price, size, rate, fee):
    """Three fees recorded from the venue come out to the last digit."""
    assert accounts.fee_of(D(price) * D(size), rate) == D(fee)


def test_a_recorded_round_trip_books_the_recorded_profit():
    """Buying 0.0025 ETH at 4307.4 and selling at 4303.7 realises -0.00925 and pays both fees."""
    account = Account("0x", cash=D(100))
    opened = accounts.execute(account, "ETH", Side.BUY, D("4307.4"), D("0.0025"), D("0.004845"))
    closed = accounts.execute(account, "ETH", Side.SELL, D("4303.7"), D("0.0025"), D("0.004841"))
    assert (opened.direction, opened.closed_pnl) == ("Open Long", 0)
    assert (closed.direction, closed.closed_pnl) == ("Close Long", D("-0.00925"))
    assert account.cash == D(100) - D("0.00925") - D("0.009686")
    assert account.positions == {}


def test_a_reversal_realises_the_old_side_and_opens_the_new():
    """Selling 3 against a long of 2 closes 2 at a profit and leaves a short of 1 at the price."""
    account = Account("0x")
    accounts.execute(account, "ETH", Side.BUY, D(100), D(2), D(0))
    flip = accounts.execute(account, "ETH", Side.SELL, D(110), D(3), D(0))
    assert (flip.direction, flip.closed_pnl, flip.start_position) == ("Long > Short", D(20), D(2))
    assert account.positions["ETH"] == Position(D(-1), D(110))


def test_the_account_view_obeys_the_venues_identities(exchange, trader):
    """accountValue, raw USD, margin used, ROE and entry price agree with each other (7.10)."""
    alice = trader()
    exchange.move("ETH", D("3000"))
    alice.order(limit("A", "0.5", "2900", "Ioc", a=1))
    exchange.move("ETH", D("3010.5"))
    state = alice.ask("clearinghouseState")
    held = state["assetPositions"][0]["position"]
    summary = {key: D(value) for key, value in state["marginSummary"].items()}
    size, mark = D(held["szi"]), D("3010.5")
    assert size == D("-0.5")
    assert summary["accountValue"] == summary["totalRawUsd"] + size * mark
    assert summary["totalNtlPos"] == D(held["positionValue"]) == abs(size) * mark
    assert summary["totalMarginUsed"] == D(held["marginUsed"]) == D("75.2625")
    entry = D(alice.ask("userFills")[0]["px"])
    assert D(held["entryPx"]) == entry
    assert D(held["unrealizedPnl"]) == (mark - entry) * size
    roe = (mark - entry) * size / (entry * D("0.5") / 20)
    assert abs(D(held["returnOnEquity"]) - roe) < D("1e-9")
    assert D(state["withdrawable"]) == summary["accountValue"] - abs(size) * mark / 10
    paid = D(alice.ask("userFills")[0]["fee"])
    assert summary["accountValue"] == 10_000 - paid + (mark - entry) * size


PRICES = {0: D(100_000), 1: D(4_000)}
STEP = {0: D(50), 1: D(5)}

orders = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["limit", "limit", "bracket", "trigger", "cancel"]),
        "who": st.integers(0, 2),
        "asset": st.integers(0, 1),
        "side": st.sampled_from("BA"),
        "lots": st.integers(1, 400),
        "offset": st.integers(-6, 6),
        "tif": st.sampled_from(["Gtc", "Ioc", "Alo"]),
        "reduce": st.booleans(),
    }
)
moves = st.fixed_dictionaries(
    {
        "kind": st.just("move"),
        "asset": st.integers(0, 1),
        "offset": st.integers(-10, 10),
        "jump": st.booleans(),
    }
)


def apply(exchange: LocalExchange, traders: list[Trader], step: dict) -> None:
    """Do one random thing; whatever the venue answers is fine."""
    asset = step["asset"]
    price = PRICES[asset] + step["offset"] * STEP[asset]
    if step["kind"] == "move":
        exchange.move(("BTC", "ETH")[asset], price, jump=step["jump"], volume=D(1))
        return
    who, side = traders[step["who"]], step["side"]
    size = to_wire(step["lots"] * (D("0.001") if asset == 0 else D("0.01")))
    entry = limit(side, size, str(price), step["tif"], a=asset, r=step["reduce"])
    back = "A" if side == "B" else "B"
    far = 3 * STEP[asset] * (1 if side == "B" else -1)
    stop = trigger(back, size, str(price - far), "sl", a=asset)
    if step["kind"] == "limit":
        who.order(entry)
    elif step["kind"] == "trigger":
        who.order(stop)
    elif step["kind"] == "bracket":
        target = trigger(back, size, str(price + far), "tp", a=asset)
        who.order(entry | {"r": False}, stop, target, grouping="normalTpsl")
    else:
        for order in who.ask("openOrders")[:1]:
            who.cancel(order["oid"], asset=0 if order["coin"] == "BTC" else 1)


def check_invariants(exchange: LocalExchange, traders: list[Trader]) -> None:
    """Nothing is created or lost, no order is stranded and no user's book is crossed."""
    state = exchange.state
    users = list(state.accounts.values())
    everyone = [*users, state.house]
    deposits = sum(u.deposited for u in users)
    marks = {coin: market.mid for coin, market in state.markets.items()}
    worth = sum(margin.account_value(a, marks.__getitem__) for a in everyone)
    assert worth + sum(u.fees for u in users) == deposits
    for coin in marks:
        assert sum(accounts.position_size(a, coin) for a in everyone) == 0
    for user in traders:
        fills = user.ask("userFills")
        account = state.accounts[user.address]
        realised = sum(D(f["closedPnl"]) - D(f["fee"]) for f in fills)
        assert account.cash == account.deposited + realised
        for order in map(state.orders.__getitem__, account.live):
            assert order.size > 0 or order.follows_position
            if order.reduce_only and order.phase != "waiting":
                assert accounts.reducible(account, order.coin, order.side) > 0
            if order.parent is not None and order.phase == "waiting":
                assert state.orders[order.parent].is_live


QUERIES = (
    "clearinghouseState",
    "openOrders",
    "frontendOpenOrders",
    "historicalOrders",
    "userFills",
    "userRateLimit",
    "userRole",
    "userFees",
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.one_of(orders, moves), min_size=1, max_size=40))
def test_money_is_conserved_and_a_restart_changes_nothing(steps):
    """Over random orders of three users: users, modelled market and fees together hold exactly
    the deposits, no order is stranded, and the restored exchange answers every query the same and
    goes on the same."""
    clock = SteppedClock(ORIGIN_MS)
    exchange = LocalExchange(LISTINGS, clock=clock, seed=3)
    exchange.move("BTC", PRICES[0])
    exchange.move("ETH", PRICES[1])
    traders = [Trader(exchange, name, "5000") for name in ("a", "b", "c")]
    for step in steps:
        clock.set(clock.now_ms() + 1_000)
        apply(exchange, traders, step)
        check_invariants(exchange, traders)
    twin = LocalExchange.restored(exchange.snapshot(), clock=clock)
    _assert_same(exchange, twin, traders)
    for world in (exchange, twin):
        world.move("BTC", PRICES[0] + 777)
        world.move("ETH", PRICES[1] - 77)
    _assert_same(exchange, twin, traders)


def _assert_same(exchange: LocalExchange, twin: LocalExchange, traders: list[Trader]) -> None:
    for user in (trader.address for trader in traders):
        for query in QUERIES:
            request = {"type": query, "user": user}
            assert twin.info(request) == exchange.info(request), query
    for request in (
        {"type": "metaAndAssetCtxs"},
        {"type": "l2Book", "coin": "BTC"},
        {"type": "recentTrades", "coin": "ETH"},
        {"type": "candleSnapshot", "req": {"coin": "BTC", "interval": "5m", "startTime": 0}},
    ):
        assert twin.info(request) == exchange.info(request)
    assert twin.state.nonces == exchange.state.nonces


def test_an_instrument_listed_out_of_order_is_refused():
    """Clients take the place in `meta` for the asset id, so listings count from 0."""
    odd = [Listing(Instrument("BTC", 3, 5, 40))]
    with pytest.raises(UserError, match="number the listings from 0"):
        LocalExchange(odd, clock=SteppedClock(0))
    twice = [Listing(Instrument("BTC", asset, 5, 40)) for asset in range(2)]
    with pytest.raises(UserError, match="BTC: the coin is listed twice"):
        LocalExchange(twice, clock=SteppedClock(0))


def test_a_snapshot_that_cannot_be_read_is_refused(exchange):
    """Cut, empty or of something else: one line that says what to do; nothing is half restored."""
    whole = exchange.snapshot()
    for damaged in (whole[: len(whole) // 2], b"", b"\x81\xa1a\x01"):
        for read in (
            lambda snapshot: LocalExchange.restored(snapshot, clock=SteppedClock(0)),
            LocalExchange.time_of,
        ):
            with pytest.raises(UserError, match=r"cannot be read .*; delete it to start afresh"):
                read(damaged)
    assert LocalExchange.time_of(whole) == exchange.now_ms()
