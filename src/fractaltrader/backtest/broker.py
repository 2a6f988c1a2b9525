"""The broker: signals in, fills out, bar by bar and pessimistic. Kernels only.

Entry at the open after the signal's bar. When one bar reaches both stop and target the stop fills
first; a bar that opens beyond the stop fills at its open; a target never fills better than its
price. Every fill pays slippage and the taker fee. A signal whose stop or target the open has
already passed is void. Funding and liquidation are not modelled.
"""

from typing import NamedTuple

import numpy as np

from fractaltrader.backtest.parameters import Costs
from fractaltrader.risk.sizing import ACCEPTED, RiskConfig, Venue, next_streak, size_lots
from fractaltrader.smc.events import FloatArray, IntArray
from fractaltrader.smc.kernel import kernel
from fractaltrader.strategies import base as record_fields

R_SIDE, R_ENTRY, R_STOP = record_fields.SIDE, record_fields.ENTRY, record_fields.STOP
R_TARGET, R_CONFIDENCE = record_fields.TARGET, record_fields.CONFIDENCE
R_ATR, R_BASELINE = record_fields.ATR, record_fields.BASELINE

SIGNAL, SIGNAL_BAR, ENTRY_BAR, EXIT_BAR, SIDE, CAP, REASON = range(7)
SIZE, ENTRY, EXIT, STOP, TARGET, FEES, PNL, RISK = range(8)

REASONS = ("open", "stop", "target", "end")
OPEN, BY_STOP, BY_TARGET, BY_END = range(4)

FATES = ("traded", "in position", "refused", "void", "no bar left")
TRADED, IN_POSITION, REFUSED, VOID, NO_BAR_LEFT = range(5)

COUNT, IS_OPEN, STREAK = range(3)


class Book(NamedTuple):
    """Trades in columns; the newest row is the position while `state[IS_OPEN]` is 1."""

    whole: IntArray  # [capacity, 7]: SIGNAL … REASON
    price: FloatArray  # [capacity, 8]: SIZE … RISK
    state: IntArray  # [3]: COUNT of rows, IS_OPEN, STREAK
    cash: FloatArray  # [1]


def new_book(capacity: int, equity: float) -> Book:
    """A flat book with `equity` in cash."""
    return Book(
        np.zeros((capacity, 7), np.int64),
        np.zeros((capacity, 8)),
        np.zeros(3, np.int64),
        np.full(1, equity),
    )


@kernel
def enter(
    book: Book, costs: Costs, signal: int, bar: int, record: FloatArray, size: float, cap: int,
    open_: float,
) -> bool:  # fmt: skip
    """Open the position at `open_`; False when that price is past the signal's stop or target."""
    side = int(record[R_SIDE])
    fill = open_ * (1.0 + side * costs.slippage)
    if side * open_ <= side * record[R_STOP] or side * fill >= side * record[R_TARGET]:
        return False
    row = book.state[COUNT]
    book.whole[row, SIGNAL] = signal
    book.whole[row, SIGNAL_BAR] = bar - 1
    book.whole[row, ENTRY_BAR] = bar
    book.whole[row, SIDE] = side
    book.whole[row, CAP] = cap
    book.whole[row, REASON] = OPEN
    book.price[row, SIZE] = size
    book.price[row, ENTRY] = fill
    book.price[row, STOP] = record[R_STOP]
    book.price[row, TARGET] = record[R_TARGET]
    book.price[row, RISK] = size * abs(record[R_ENTRY] - record[R_STOP])
    fee = size * fill * costs.taker_fee
    book.price[row, FEES] = fee
    book.cash[0] -= fee
    book.state[COUNT] = row + 1
    book.state[IS_OPEN] = 1
    return True


@kernel
def leave(book: Book, costs: Costs, bar: int, price: float, reason: int) -> None:
    """Close the position at `price`, worsened by slippage."""
    row = book.state[COUNT] - 1
    side = book.whole[row, SIDE]
    size = book.price[row, SIZE]
    fill = price * (1.0 - side * costs.slippage)
    fee = size * fill * costs.taker_fee
    gross = side * size * (fill - book.price[row, ENTRY])
    book.cash[0] += gross - fee
    book.price[row, EXIT] = fill
    book.price[row, FEES] += fee
    book.price[row, PNL] = gross - book.price[row, FEES]
    book.whole[row, EXIT_BAR] = bar
    book.whole[row, REASON] = reason
    book.state[IS_OPEN] = 0
    book.state[STREAK] = next_streak(book.state[STREAK], book.price[row, PNL])


@kernel
def check_exit(book: Book, costs: Costs, bar: int, open_: float, high: float, low: float) -> None:
    """Let bar `bar` reach the position's stop, or else its target."""
    row = book.state[COUNT] - 1
    side = book.whole[row, SIDE]
    stop = book.price[row, STOP]
    target = book.price[row, TARGET]
    worst = low if side > 0 else high
    best = high if side > 0 else low
    if side * worst <= side * stop:
        gapped = side * open_ <= side * stop
        leave(book, costs, bar, open_ if gapped else stop, BY_STOP)
    elif side * best >= side * target:
        leave(book, costs, bar, target, BY_TARGET)


@kernel
def marked(book: Book, close: float) -> float:
    """Equity with the position valued at `close`."""
    value: float = book.cash[0]
    if book.state[IS_OPEN] == 1:
        row = book.state[COUNT] - 1
        side = book.whole[row, SIDE]
        value += side * book.price[row, SIZE] * (close - book.price[row, ENTRY])
    return value


@kernel
def trade(
    costs: Costs,
    risk: RiskConfig,
    venue: Venue,
    book: Book,
    open_: FloatArray,
    high: FloatArray,
    low: FloatArray,
    close: FloatArray,
    signal_bars: IntArray,
    records: FloatArray,
    fates: IntArray,
    equity: FloatArray,
) -> None:
    """Trade every signal over every bar; fills `book`, the fate of each signal and the equity.

    `fates` [signals, 2] holds the fate and, when refused, the reason of the sizing kernel.
    """
    last = len(close) - 1
    following = 0  # the next signal not yet known
    waiting = -1  # the signal that enters at the next open
    size = 0.0
    cap = 0
    for t in range(last + 1):
        if waiting >= 0:
            if not enter(book, costs, waiting, t, records[waiting], size, cap, open_[t]):
                fates[waiting, 0] = VOID
            waiting = -1
        if book.state[IS_OPEN] == 1:
            check_exit(book, costs, t, open_[t], high[t], low[t])
        if following < len(signal_bars) and signal_bars[following] == t:
            record = records[following]
            if book.state[IS_OPEN] == 1:
                fates[following, 0] = IN_POSITION
            elif t == last:
                fates[following, 0] = NO_BAR_LEFT
            else:
                cash = book.cash[0]
                sizing = size_lots(
                    risk, venue, cash, cash, book.state[STREAK],
                    record[R_ENTRY], record[R_STOP], record[R_CONFIDENCE],
                    record[R_ATR], record[R_BASELINE],
                )  # fmt: skip
                if sizing.refusal == ACCEPTED:
                    fates[following, 0] = TRADED
                    waiting = following
                    size = sizing.lots / venue.lots_per_unit
                    cap = sizing.cap
                else:
                    fates[following, 0] = REFUSED
                    fates[following, 1] = sizing.refusal
            following += 1
        if t == last and book.state[IS_OPEN] == 1:
            leave(book, costs, t, close[t], BY_END)
        equity[t] = marked(book, close[t])
