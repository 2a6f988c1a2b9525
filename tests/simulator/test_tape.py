"""Recorded trades and books, replayed."""

from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fractaltrader.errors import UserError
from fractaltrader.simulator.feeds.tape import Recording, Tape, load_recording
from fractaltrader.simulator.local_exchange import LocalExchange
from fractaltrader.simulator.virtual_time import LoopClock, run_virtual


def _played(tape: Tape) -> LocalExchange:
    async def play() -> LocalExchange:
        clock = LoopClock(tape.start_ms, 600.0)
        exchange = LocalExchange(tape.listings(tape.instruments()), clock=clock, seed=1)
        await tape.run(exchange, clock)
        return exchange

    return run_virtual(play())


def test_real_trades_and_books_are_replayed(shared_folder: Path) -> None:
    """Five minutes of BTC as recorded: our minute candles have the recorded trades' extremes,
    closes and volumes, and the spread at the end is near the recorded one."""
    folder = shared_folder / "data" / "hl_l2"
    trades = folder / "BTC-trades-hyperliquid-20250904.parquet"
    books = folder / "BTC-l2top20-hyperliquid-20250904.parquet"
    whole = load_recording("BTC", trades, books)
    begun = whole.trade_ms[-1] - 300_000
    late, seen = whole.trade_ms >= begun, whole.book_ms >= begun
    recording = Recording(
        "BTC",
        whole.trade_ms[late],
        whole.price[late],
        whole.size[late],
        whole.book_ms[seen],
        whole.book[seen],
    )
    exchange = _played(Tape([recording]))
    minute = recording.trade_ms[-1] // 60_000 * 60_000 - 60_000
    inside = (recording.trade_ms >= minute) & (recording.trade_ms < minute + 60_000)
    request = {"coin": "BTC", "interval": "1m", "startTime": int(minute), "endTime": int(minute)}
    [row] = exchange.info({"type": "candleSnapshot", "req": request})
    assert float(row["v"]) == pytest.approx(recording.size[inside].sum())
    # Quotes may lead the trades by a tick or two.
    assert float(row["h"]) == pytest.approx(recording.price[inside].max(), rel=1e-4)
    assert float(row["l"]) == pytest.approx(recording.price[inside].min(), rel=1e-4)
    bids, asks = exchange.info({"type": "l2Book", "coin": "BTC"})["levels"]
    assert len(bids) == len(asks) == 20
    recorded = recording.book[-1].reshape(-1, 4)
    spread = Decimal(asks[0]["px"]) - Decimal(bids[0]["px"])
    assert float(spread) <= recorded[0][2] - recorded[0][0] + 2
    depth = sum(float(level["px"]) * float(level["sz"]) for level in bids + asks)
    wanted = (recorded[:, 0] * recorded[:, 1] + recorded[:, 2] * recorded[:, 3]).sum()
    assert depth == pytest.approx(wanted, rel=0.3)


def test_two_coins_interleave_and_mistakes_are_named(tmp_path: Path) -> None:
    """CSV files of two coins are merged by time; a missing column and a doubled coin are told."""
    for name, first in (("BTC", 100.0), ("ETH", 10.0)):
        times = 1_750_000_000_000 + np.arange(5) * 1_000
        columns = {"exch_ms": times, "price": first + np.arange(5), "size": np.full(5, 2.0)}
        pl.DataFrame(columns).write_csv(tmp_path / f"{name}.csv")
    one, two = (load_recording(coin, tmp_path / f"{coin}.csv") for coin in ("BTC", "ETH"))
    exchange = _played(Tape([one, two]))
    assert exchange.info({"type": "allMids"}) == {"BTC": "104.0", "ETH": "14.0"}
    assert exchange.now_ms() == 1_750_000_004_000
    with pytest.raises(UserError, match="one file a coin"):
        Tape([one, one])
    with pytest.raises(UserError, match="column 'bid_price_0' is missing"):
        load_recording("BTC", tmp_path / "BTC.csv", tmp_path / "BTC.csv")
    (tmp_path / "SOL.csv").write_text("exch_ms,price,size\n,1,1\n")
    with pytest.raises(UserError, match=r"SOL\.csv: the file has no rows"):
        load_recording("SOL", tmp_path / "SOL.csv")
    with pytest.raises(UserError, match="trades: none; give one file a coin"):
        Tape([])
    with pytest.raises(UserError, match="cannot be read"):
        load_recording("BTC", tmp_path / "none.parquet")
