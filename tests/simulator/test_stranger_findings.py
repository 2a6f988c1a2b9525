"""What a hostile review of the exchange found, one test each."""

import asyncio
import base64
import json
import zlib
from decimal import Decimal
from typing import Any

import aiohttp
import numpy as np
import pytest
from exchange_world import Trader, limit, trigger
from money_world import HOUR_MS, Market, coin

from fractaltrader.market import Candles, Instrument, Timeframe
from fractaltrader.simulator.clearing import prices
from fractaltrader.simulator.clearing.conservation import books_balance
from fractaltrader.simulator.local_exchange import Listing, LocalExchange
from fractaltrader.simulator.protocol.gateway import answer
from fractaltrader.simulator.serving.server import Server
from fractaltrader.simulator.trading.market_model import MarketModel
from fractaltrader.simulator.virtual_time import SteppedClock

D = Decimal


def market_of(**options: Any) -> Market:
    """BTC (40x) at 100000 and ETH (25x) at 4000."""
    made = Market(coin("BTC", 5, 40), coin("ETH", 4, 25, 1), **options)
    made.price("BTC", "100000")
    made.price("ETH", "4000")
    return made


def leveraged(market: Market, name: str, usd: str, *, cross: bool = True) -> Trader:
    """A trader who may use 40x on BTC."""
    made = Trader(market.exchange, name, usd)
    action = {"type": "updateLeverage", "asset": 0, "isCross": cross, "leverage": 40}
    assert made.act(action)["status"] == "ok"
    return made


def account_value(trader: Trader) -> Decimal:
    return D(trader.ask("clearinghouseState")["marginSummary"]["accountValue"])


def open_kinds(trader: Trader) -> list[tuple[str, str]]:
    return [(one["orderType"], one["sz"]) for one in trader.ask("frontendOpenOrders")]


def test_a_reduce_only_maker_never_opens_within_one_sweep() -> None:
    """A taker who first meets a maker's plain order, which closes the maker's position, finds the
    maker's reduce-only order behind it gone."""
    market = market_of()
    alice, bob = (Trader(market.exchange, name, "1000000") for name in ("alice", "bob"))
    market.trade(alice, 0, "B", "1", "100000")
    alice.order(limit("A", "0.7", "100001", "Alo"))
    reduce = alice.order(limit("A", "1", "100002", "Alo", r=True))[0]["resting"]["oid"]
    bob.order(limit("B", "10", "100002"))
    assert alice.position() == 0
    assert alice.status(reduce) == "reduceOnlyCanceled"
    assert sum(D(fill["sz"]) for fill in alice.ask("userFills") if fill["oid"] == reduce) == D(
        "0.3"
    )


def test_an_execution_far_from_the_mark_is_liquidated_at_once() -> None:
    """Whoever buys far above the mark is below maintenance by that: no tick is needed to see it,
    and nothing is owed afterwards."""
    market = market_of(model=MarketModel(levels=0))
    alice, bob = leveraged(market, "alice", "1000"), Trader(market.exchange, "bob", "1000000")
    bob.order(limit("A", "0.3", "150000"))
    alice.order(limit("B", "0.3", "150000", "Ioc"))
    assert (alice.position(), account_value(alice)) == (0, 0)
    assert "liquidation" in alice.ask("userFills")[0]
    assert books_balance(market.core) == 0


@pytest.mark.parametrize("cross", [True, False])
def test_closing_at_a_loss_beyond_the_account_leaves_no_debt(cross: bool) -> None:
    """An exit into a thin book loses more than there is; the account ends at nothing."""
    market = market_of(model=MarketModel(levels=0))
    alice = leveraged(market, "alice", "200", cross=cross)
    market.trade(alice, 0, "B", "0.05", "100000")
    market.rich.order(limit("B", "0.05", "90000"))
    alice.order(limit("A", "0.05", "90000", "Ioc", r=True))
    assert (alice.position(), account_value(alice)) == (0, 0)
    assert books_balance(market.core) == 0


def test_a_stop_in_a_gap_leaves_no_debt() -> None:
    """A stop that a gap jumps over executes at the price beyond, where the account ends at
    nothing and not below."""
    market = market_of()
    alice = leveraged(market, "alice", "200")
    market.trade(alice, 0, "B", "0.05", "100000")
    alice.order(trigger("A", "0.05", "99000", "sl"))
    market.price("BTC", "90000")
    assert (alice.position(), account_value(alice)) == (0, 0)
    assert books_balance(market.core) == 0


def test_funding_liquidates() -> None:
    """Payments that eat the margin end the position in the hour in which they do."""
    market = market_of()
    alice = leveraged(market, "alice", "2000")
    market.trade(alice, 0, "B", "0.5", "100000")
    prices.set_offsets(market.core, "BTC", oracle=D(-20_000))
    market.later(2 * HOUR_MS)
    assert alice.position() == D("0.5")
    market.later(HOUR_MS)
    assert (alice.position(), account_value(alice)) == (0, 0)
    assert books_balance(market.core) == 0


def test_triggers_follow_a_mark_that_drifts() -> None:
    """Users' quotes move the mark as time passes; a target it reaches fires without a tick of the
    feed, and the quote that moved it stays."""
    market = market_of()
    alice, bob = (Trader(market.exchange, name, "1000000") for name in ("alice", "bob"))
    market.trade(alice, 0, "B", "0.1", "100000")
    target = alice.order(trigger("A", "0.1", "100002", "tp"))[0]["resting"]["oid"]
    quote = bob.order(limit("B", "0.5", "100004", "Alo"))[0]["resting"]["oid"]
    for _ in range(20):
        market.later(10_000)
    assert alice.status(target) == "filled"
    assert bob.status(quote) == "open"


def test_a_refused_order_does_not_hide_a_live_one_of_its_cloid() -> None:
    """After a second order with the same cloid was refused the first can still be cancelled and
    modified by it."""
    market = market_of()
    alice, cloid = Trader(market.exchange, "alice"), "0x" + "1" * 32
    first = alice.order(limit("B", "0.01", "90000", c=cloid))[0]["resting"]["oid"]
    assert "error" in alice.order(limit("B", "0.01", "120000", "Alo", c=cloid))[0]
    action = {"type": "cancelByCloid", "cancels": [{"asset": 0, "cloid": cloid}]}
    assert alice.act(action)["response"]["data"]["statuses"] == ["success"]
    assert alice.status(first) == "canceled"


def test_a_newcomer_does_not_take_changes_from_earlier_listeners() -> None:
    """`fastAssetCtxs` tells changes only; what changed before a second socket subscribed still
    reaches the first."""

    def coins(frames: list[dict[str, Any]]) -> list[dict[str, Any]]:
        texts = (one["data"] for one in frames if one["channel"] == "fastAssetCtxs")
        return [json.loads(zlib.decompress(base64.b64decode(text), -15)) for text in texts]

    market, wanted = market_of(), {"type": "fastAssetCtxs"}
    first: list[dict[str, Any]] = []
    second: list[dict[str, Any]] = []
    market.exchange.subscribe(wanted, first.append)
    market.clock.set(market.clock.now_ms() + 500)
    market.price("BTC", "101000")
    market.exchange.subscribe(wanted, second.append)
    market.later(5_000)
    seen: dict[str, Any] = {}
    for change in coins(first):
        seen |= change
    assert seen == coins(second)[0]


def test_a_scheduled_cancel_ends_every_order_once() -> None:
    """A waiting bracket's children end as `scheduledCancel` themselves, and no order ends twice."""
    market = market_of()
    market.core.state.schedule_cancel_volume = D(0)
    alice = Trader(market.exchange, "alice", "100000")
    told: list[dict[str, Any]] = []
    market.exchange.subscribe({"type": "orderUpdates", "user": alice.address}, told.append)
    alice.order(
        limit("B", "0.1", "90000"),
        trigger("A", "0.1", "110000", "tp"),
        trigger("A", "0.1", "80000", "sl"),
        grouping="normalTpsl",
    )
    alice.act({"type": "scheduleCancel", "time": market.clock.now_ms() + 6_000})
    market.later(7_000)
    ends = [(row["order"]["oid"], row["status"]) for row in told[-1]["data"]]
    assert len({oid for oid, _ in ends}) == len(ends) == 3
    assert {status for _, status in ends} == {"scheduledCancel"}


def test_a_child_of_size_zero_closes_the_whole_position() -> None:
    """`s: "0"` of a bracket's stop means the whole position; it used to end as filled with
    nothing executed."""
    market = market_of()
    alice = Trader(market.exchange, "alice", "100000")
    entry, stop = limit("B", "0.1", "100100", "Ioc"), trigger("A", "0", "95000", "sl")
    alice.order(entry, stop, grouping="normalTpsl")
    market.exchange.move("BTC", D(94_000))
    assert alice.position() == 0


def test_a_partial_target_of_the_position_leaves_its_stop() -> None:
    """Orders of a position stand for what is left of it: after a target of half of it the stop
    still does, and ends when the position does."""
    market = market_of()
    alice = Trader(market.exchange, "alice", "100000")
    market.trade(alice, 0, "B", "0.1", "100000")
    targets = [trigger("A", "0.05", price, "tp") for price in ("105000", "110000")]
    alice.order(*targets, trigger("A", "0", "90000", "sl"), grouping="positionTpsl")
    market.exchange.move("BTC", D(106_000))
    assert alice.position() == D("0.05")
    assert sorted(kind for kind, _ in open_kinds(alice)) == ["Stop Market", "Take Profit Market"]
    market.exchange.move("BTC", D(111_000))
    assert (alice.position(), open_kinds(alice)) == (0, [])


@pytest.mark.parametrize("fields", [{"nSigFigs": 2.0}, {"nSigFigs": 5, "mantissa": 2.0}])
def test_a_book_of_float_figures_is_no_crash(fields: dict[str, float]) -> None:
    """2.0 equals 2 in Python and is no integer to the venue: 422."""
    body = {"type": "l2Book", "coin": "BTC"} | fields
    assert answer(market_of().exchange, "/info", json.dumps(body).encode()).status == 422


@pytest.mark.parametrize("topic", ["userFundings", "userNonFundingLedgerUpdates"])
def test_a_snapshot_reaches_to_the_newest_entry(topic: str) -> None:
    """With more than a page of history the snapshot of a stream still ends with the newest, so
    that a client who follows it misses nothing."""
    market = market_of()
    alice = Trader(market.exchange, "alice", "100000000")
    market.trade(alice, 0, "B", "1", "100000")
    market.later(510 * HOUR_MS)
    for _ in range(510):
        market.exchange.faucet(alice.address, D(1))
    told: list[dict[str, Any]] = []
    market.exchange.subscribe({"type": topic, "user": alice.address}, told.append)
    key = "fundings" if topic == "userFundings" else "nonFundingLedgerUpdates"
    assert len(told[1]["data"][key]) > 500
    assert told[1]["data"][key][-1]["time"] > market.clock.now_ms() - HOUR_MS


def test_a_delisted_coin_keeps_its_place_and_takes_no_orders(clock: Any) -> None:
    """`isDelisted` stands in meta only where it is true, indices do not shift, the context has no
    book, and orders are refused."""
    old, new = Instrument("MATIC", 0, 1, 20, delisted=True), Instrument("BTC", 1, 5, 40)
    exchange = LocalExchange([Listing(old), Listing(new)], clock=clock)
    for name, price in (("MATIC", "0.5"), ("BTC", "100000")):
        exchange.move(name, D(price))
    meta, contexts = exchange.info({"type": "metaAndAssetCtxs"})
    assert [one.get("isDelisted") for one in meta["universe"]] == [True, None]
    assert [one["midPx"] is None for one in contexts] == [True, False]
    alice = Trader(exchange, "alice")
    assert "error" in alice.order(limit("B", "100", "0.5"))[0]
    assert "resting" in alice.order(limit("B", "0.1", "90000", a=1))[0]
    again = LocalExchange.restored(exchange.snapshot(), clock=clock)
    assert again.info({"type": "meta"}) == meta


def test_only_the_newest_5000_candles_of_an_interval_exist(clock: Any) -> None:
    """Of 6,000 one-minute bars and the one that forms 5,000 are served, of a longer interval all
    that they make (hyperliquid.md 7.9)."""
    minute = Timeframe.parse("1m")
    start = minute.floor(clock.now_ms()) - 6_000 * minute.ms
    times = start + np.arange(6_000, dtype=np.int64) * minute.ms
    flat = np.full(6_000, 100.0)
    history = Candles("BTC", minute, times, flat, flat, flat, flat, flat)
    exchange = LocalExchange([Listing(Instrument("BTC", 0, 5, 40), history)], clock=clock)
    exchange.move("BTC", D(101))

    def opens(interval: str) -> list[int]:
        asked = {"coin": "BTC", "interval": interval, "startTime": 0}
        return [row["t"] for row in exchange.info({"type": "candleSnapshot", "req": asked})]

    newest = minute.floor(clock.now_ms())
    assert opens("1m") == list(range(newest - 4_999 * minute.ms, newest + 1, minute.ms))
    assert len(opens("3m")) == 2_001


def test_pages_of_other_sites_cannot_use_the_faucet() -> None:
    """A browser sends the Origin of the page that asks: /admin turns others than our own away, and
    names pointed at this machine as well; a client without one may ask."""
    market = market_of()
    body = json.dumps({"user": "0x" + "12" * 20, "usd": "5"})
    headers = [
        {"Origin": "https://evil.example", "Content-Type": "text/plain"},
        {"Origin": "null"},
        {"Host": "evil.example"},
        {"Origin": "http://localhost:5173"},
        {},
    ]

    async def ask() -> list[int]:
        server = Server(market.exchange, None, 1.0)
        url = await server.start(0)
        try:
            async with aiohttp.ClientSession() as client:
                statuses = []
                for one in headers:
                    async with client.post(f"{url}/admin/faucet", data=body, headers=one) as got:
                        statuses.append(got.status)
                return statuses
        finally:
            await server.stop()

    assert asyncio.run(ask()) == [403, 403, 403, 200, 200]


def test_months_are_calendar_months() -> None:
    """`1M` candles open on the first and end with the month whatever its length, agree with the
    days they are made of, and come over the socket as well."""
    day = Timeframe.parse("1d")
    start, count = 1_735_689_600_000, 90  # 2025-01-01
    times = start + np.arange(count, dtype=np.int64) * day.ms
    rising = np.arange(100.0, 100.0 + count)
    history = Candles("BTC", day, times, rising, rising + 1, rising - 1, rising, rising)
    clock = SteppedClock(int(times[-1]) + day.ms)
    exchange = LocalExchange([Listing(Instrument("BTC", 0, 5, 40), history)], clock=clock)
    exchange.move("BTC", D(500))
    asked = {"coin": "BTC", "interval": "1M", "startTime": start + 40 * day.ms}
    asked["endTime"] = start + 70 * day.ms
    february, march = exchange.info({"type": "candleSnapshot", "req": asked})
    assert (february["t"], february["T"]) == (start + 31 * day.ms, start + 59 * day.ms - 1)
    shown = [february[key] for key in "ochlvin"]
    assert shown == ["131.0", "158.0", "159.0", "130.0", "4046.0", "1M", 28 * 4]
    assert (march["T"], march["c"], march["h"]) == (start + 90 * day.ms - 1, "189.0", "190.0")
    told: list[dict[str, Any]] = []
    wanted = {"type": "candle", "coin": "BTC", "interval": "1M"}
    exchange.subscribe(wanted, told.append)
    assert (told[1]["data"]["t"], told[1]["data"]["o"]) == (start + 90 * day.ms, "500.0")


@pytest.mark.parametrize("cross", [True, False])
@pytest.mark.parametrize("side", ["B", "A"])
def test_what_active_asset_data_promises_can_be_traded(cross: bool, side: str) -> None:
    """The largest sizes, a reversal of the position among them, are accepted and little more is
    not; an isolated position's margin serves its reversal."""
    for wanted in ("B", "A"):
        for share, fits in (("0.99", True), ("1.02", False)):
            market = market_of(model=MarketModel(top_notional=D(10_000_000)))
            alice = Trader(market.exchange, "alice", "10000")
            action = {"type": "updateLeverage", "asset": 0, "isCross": cross, "leverage": 10}
            assert alice.act(action)["status"] == "ok"
            prices_of = {"B": "100200", "A": "99800"}
            alice.order(limit(side, "0.5", prices_of[side], "Ioc"))
            most = alice.ask("activeAssetData", coin="BTC")["maxTradeSzs"]["BA".index(wanted)]
            size = (D(most) * D(share)).quantize(D("0.0001"))
            status = alice.order(limit(wanted, f"{size.normalize():f}", prices_of[wanted], "Ioc"))
            assert ("filled" in status[0]) is fits, (wanted, share, status)
            assert account_value(alice) > 0


def test_an_empty_book_is_not_a_liquidation_a_second() -> None:
    """While nobody takes the position nothing is entered, however often it is tried; when somebody
    does there is one entry."""
    market = market_of(model=MarketModel(levels=0))
    alice = leveraged(market, "alice", "1000")
    market.trade(alice, 0, "B", "0.3", "100000")
    market.price("BTC", "97800")
    market.later(60_000)

    def entries() -> list[str]:
        rows = alice.ask("userNonFundingLedgerUpdates", startTime=0)
        return [row["delta"]["type"] for row in rows]

    assert (alice.position(), entries()) == (D("0.3"), ["deposit"])
    assert len(alice.ask("historicalOrders")) == 1
    market.rich.order(limit("B", "1", "97700"))
    market.later(1_000)
    assert (alice.position(), entries()) == (0, ["deposit", "liquidation"])
