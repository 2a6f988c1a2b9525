"""Replays recorded trades, and recorded order books where there are any."""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fractaltrader.data.candle_files import require_polars
from fractaltrader.errors import UserError
from fractaltrader.market import Instrument
from fractaltrader.market.instrument import to_decimal
from fractaltrader.market.universe import instrument_for
from fractaltrader.simulator.feeds.replay import Replay
from fractaltrader.simulator.local_exchange import Listing, LocalExchange

TRADE_COLUMNS = ("exch_ms", "price", "size")
BOOK_LEVELS = 20

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Recording:
    """Trades of one coin, and its book: times are UTC epoch ms and sorted.

    `book` has a row a snapshot: bid price, bid size, ask price, ask size, level by level.
    """

    coin: str
    trade_ms: NDArray[np.int64]
    price: Floats
    size: Floats
    book_ms: NDArray[np.int64]
    book: Floats

    @property
    def times(self) -> NDArray[np.int64]:
        return np.concatenate([self.trade_ms, self.book_ms])


def load_recording(coin: str, trades: Path, books: Path | None = None) -> Recording:
    """A recording from Parquet or CSV files.

    Trades have exch_ms, price and size; books exch_ms and bid_price_0, bid_size_0, ask_price_0,
    ask_size_0 up to at most level 19. Raises UserError naming file and column.
    """
    table = _read(trades, TRADE_COLUMNS)
    levels = np.empty((0, 0))
    book_ms = np.empty(0, dtype=np.int64)
    if books is not None:
        first = ("exch_ms", "bid_price_0", "bid_size_0", "ask_price_0", "ask_size_0")
        shots = _read(books, first)
        names = [
            f"{side}_{what}_{level}"
            for level in range(BOOK_LEVELS)
            for side in ("bid", "ask")
            for what in ("price", "size")
            if f"{side}_{what}_{level}" in shots.columns
        ]
        levels = np.array(shots.select(names), dtype=np.float64)
        book_ms = np.array(shots["exch_ms"], dtype=np.int64)
    return Recording(
        coin,
        np.array(table["exch_ms"], dtype=np.int64),
        np.array(table["price"], dtype=np.float64),
        np.array(table["size"], dtype=np.float64),
        book_ms,
        levels,
    )


def _read(path: Path, needed: tuple[str, ...]) -> Any:
    require_polars()
    import polars as pl

    try:
        frame = pl.read_csv(path) if path.suffix.lower() == ".csv" else pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise UserError(f"{path}: cannot be read ({reason}); give a Parquet or CSV file") from None
    for name in needed:
        if name not in frame.columns:
            found = ", ".join(frame.columns[:12])
            raise UserError(f"{path}: column {name!r} is missing; it has {found}; rename or add it")
    frame = frame.drop_nulls(list(needed)).sort("exch_ms")
    if frame.height == 0:
        raise UserError(f"{path}: the file has no rows; give at least one")
    return frame


class Tape(Replay):
    """Replays recordings side by side: each trade prints at its price and moves the market there,
    each book gives the modelled market its spread and depth."""

    def __init__(self, recordings: list[Recording]) -> None:
        """Raises UserError for no recordings or two of one coin."""
        super().__init__()
        coins = [one.coin for one in recordings]
        if not coins or len(set(coins)) != len(coins):
            raise UserError(f"trades: {', '.join(coins) or 'none'}; give one file a coin")
        self._recordings = recordings
        times = np.concatenate([one.times for one in recordings])
        coin_of = np.repeat(np.arange(len(recordings)), [len(one.times) for one in recordings])
        row_of = np.concatenate([np.arange(len(one.times)) for one in recordings])
        order = np.argsort(times, kind="stable")
        self._times, self._coin_of, self._row_of = times[order], coin_of[order], row_of[order]
        self._place = 0
        self.start_ms = int(self._times[0])
        self.end_ms = int(self._times[-1]) + 1

    @property
    def coins(self) -> list[str]:
        """In the order of their asset ids."""
        return [one.coin for one in self._recordings]

    def instruments(self) -> list[Instrument]:
        """Instruments sized by the first price, asset ids in order."""
        return [
            instrument_for(one.coin, asset, float(one.price[0]))
            for asset, one in enumerate(self._recordings)
        ]

    def listings(self, instruments: list[Instrument]) -> list[Listing]:
        """What to list on the exchange."""
        return [Listing(item) for item in instruments]

    @property
    def next_ms(self) -> int | None:
        """Time of the next trade or book; None at the end."""
        return int(self._times[self._place]) if self._place < len(self._times) else None

    def skip_until(self, time_ms: int) -> None:
        """Drop what is at or before `time_ms`: it was replayed before a restart."""
        self._place = max(self._place, int(np.searchsorted(self._times, time_ms, side="right")))
        self._note_end()

    def step(self, exchange: LocalExchange) -> bool:
        """Replay one trade or book; the clock must show `next_ms`. False at the end."""
        if self.next_ms is None:
            return False
        recording = self._recordings[self._coin_of[self._place]]
        row = int(self._row_of[self._place])
        trades = len(recording.trade_ms)
        if row < trades:
            price, size = to_decimal(recording.price[row]), to_decimal(recording.size[row])
            exchange.move(recording.coin, price, volume=size)
        else:
            self._show_book(exchange, recording.coin, recording.book[row - trades])
        self._place += 1
        self._hold(exchange)
        return True

    def _show_book(self, exchange: LocalExchange, coin: str, row: Floats) -> None:
        levels = [level for level in row.reshape(-1, 4) if np.isfinite(level).all()]
        if not levels:
            return
        bids, asks = (
            [(to_decimal(level[at]), to_decimal(level[at + 1])) for level in levels]
            for at in (0, 2)
        )
        exchange.resemble(coin, bids, asks)
        mid = exchange.mid(coin)
        # The quotes may leave the last trade behind.
        if mid is None or not bids[0][0] <= mid <= asks[0][0]:
            near = asks[0][0] if mid is not None and mid > asks[0][0] else bids[0][0]
            exchange.move(coin, near, volume=Decimal(0))
