"""A market before its first price: it is listed, everything is answered, and nothing trades."""

from decimal import Decimal
from typing import Any

import pytest
from exchange_world import LISTINGS, ORIGIN_MS, Trader, limit, trigger

from fractaltrader.simulator.local_exchange import LocalExchange
from fractaltrader.simulator.protocol.info.answers import HANDLERS
from fractaltrader.simulator.virtual_time import SteppedClock

HOUR_MS = 3_600_000
HALTED = {"error": "Trading is halted."}


@pytest.fixture
def silent(clock: SteppedClock) -> LocalExchange:
    """BTC and ETH without a price."""
    return LocalExchange(LISTINGS, clock=clock, seed=7)


def question(kind: str, user: str, coin: str) -> dict[str, Any]:
    """A request with every field that any kind wants."""
    candles = {"coin": coin, "interval": "1M", "startTime": 0}
    fields = {"user": user, "coin": coin, "req": candles, "startTime": 0, "oid": 1, "id": 51}
    others = dict.fromkeys(("builder", "source", "vaultAddress"), user)
    return {"type": kind, "tokenId": "0x" + "0" * 32} | fields | others


@pytest.mark.parametrize("coin", ["BTC", "NOPE"])
def test_every_question_is_answered(silent: LocalExchange, coin: str) -> None:
    """No kind of `/info` fails for want of a price or for a coin that nobody lists; what belongs
    to the coin is empty or null."""
    alice = Trader(silent, "alice")
    told = {kind: silent.info(question(kind, alice.address, coin)) for kind in HANDLERS}
    assert {k: told[k] for k in ("allMids", "recentTrades", "candleSnapshot", "userFunding")} == {
        "allMids": {},
        "recentTrades": [],
        "candleSnapshot": [],
        "userFunding": [],
    }
    assert told["activeAssetData"] is None
    empty = {"coin": "BTC", "time": ORIGIN_MS, "levels": [[], []]}
    assert told["l2Book"] == (empty if coin == "BTC" else None)
    assert {context["midPx"] for context in told["metaAndAssetCtxs"][1]} == {None}
    assert told["clearinghouseState"]["withdrawable"] == "10000.0"


def test_nothing_trades_and_nobody_pays(silent: LocalExchange, clock: SteppedClock) -> None:
    """Orders are told that trading is halted; hours of funding charge nothing."""
    alice = Trader(silent, "alice")
    assert alice.order(limit("B", "0.01", "90000"), trigger("A", "0.01", "9", "sl")) == [HALTED] * 2
    twap = {"a": 0, "b": True, "s": "1", "r": False, "m": 5, "t": False}
    answer = alice.act({"type": "twapOrder", "twap": twap})
    assert answer["response"]["data"]["status"] == HALTED
    clock.set(ORIGIN_MS + 3 * HOUR_MS)
    silent.advance()
    assert alice.ask("clearinghouseState")["marginSummary"]["accountValue"] == "10000.0"
    assert alice.ask("userFunding", startTime=0) == []
    for price in (silent._core.mark, silent._core.oracle):
        with pytest.raises(LookupError, match="BTC has no price yet"):
            price("BTC")


def test_streams_begin_with_the_first_price(silent: LocalExchange, clock: SteppedClock) -> None:
    """Subscriptions are taken at once and speak when there is something to say; then the coin
    trades as any other, while its neighbour still waits."""
    alice = Trader(silent, "alice")
    heard: dict[str, list[Any]] = {}
    for kind in ("candle", "trades", "bbo", "activeAssetData"):
        wanted = {"type": kind, "coin": "BTC", "interval": "1M", "user": alice.address}
        silent.subscribe(wanted, heard.setdefault(kind, []).append)
    assert [len(frames) for frames in heard.values()] == [1, 1, 2, 1]
    assert heard["bbo"][1]["data"]["bbo"] == [None, None]
    clock.set(ORIGIN_MS + 60_000)
    silent.move("BTC", Decimal(100_000), volume=Decimal(1))
    assert all(len(frames) > 1 for frames in heard.values())
    month = heard["candle"][-1]["data"]
    assert (month["i"], month["o"], month["c"]) == ("1M", "100000.0", "100000.0")
    (filled,) = alice.order(limit("B", "0.01", "101000", "Ioc"))
    assert filled["filled"]["totalSz"] == "0.01"
    assert alice.order(limit("B", "0.01", "4000", a=1)) == [HALTED]
    twin = LocalExchange.restored(silent.snapshot(), clock=clock)
    assert (twin.mid("BTC"), twin.mid("ETH")) == (Decimal(100_000), None)
