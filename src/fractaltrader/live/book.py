"""Positions and trades as the fold of executions: the ledger replayed gives the same book."""

from dataclasses import dataclass
from decimal import Decimal

import msgspec

from fractaltrader.exchange.chronology import position_after
from fractaltrader.exchange.port import Fill, Side
from fractaltrader.live.intents import exit_cloids
from fractaltrader.live.state import Epoch, Intent
from fractaltrader.risk.sizing import next_streak


@dataclass(frozen=True, slots=True)
class Trade:
    """A position from flat to flat. USDC; `pnl` has fees deducted."""

    coin: str
    side: int
    size: Decimal
    entry_price: Decimal
    exit_price: Decimal
    opened_ms: int
    closed_ms: int
    pnl: Decimal
    fees: Decimal
    exit_reason: str


class Book:
    """Open epochs, closed trades and the streak, as far as the executions applied so far tell."""

    def __init__(self, intents: list[Intent]) -> None:
        self.epochs: dict[str, Epoch] = {}
        self.trades: list[Trade] = []
        self.streak = 0
        self._intents = {intent.entry_cloid: intent for intent in intents}
        self._open_fills: dict[str, list[Fill]] = {}

    @classmethod
    def folded(cls, intents: list[Intent], fills: list[Fill]) -> "Book":
        """The book that `fills`, oldest first, lead to."""
        book = cls(intents)
        for fill in fills:
            book.apply(fill)
        return book

    def expect(self, intent: Intent) -> None:
        """Know `intent`, so that the execution of its entry opens its epoch."""
        self._intents[intent.entry_cloid] = intent

    def apply(self, fill: Fill) -> Trade | None:
        """Account for one execution; the trade it completes, if it does.

        Executions must come oldest first. The position after a fill is the venue's own start
        position plus the fill, so applying never accumulates an error.
        """
        position = position_after(fill)
        fills = self._open_fills.setdefault(fill.coin, [])
        fills.append(fill)
        epoch = self.epochs.get(fill.coin)
        if epoch is None:
            epoch = Epoch(
                intent=self._intents.get(fill.cloid or ""),
                size=position,
                opened_ms=fill.time_ms,
            )
        epoch = msgspec.structs.replace(
            epoch, size=position, realized_pnl=epoch.realized_pnl + fill.closed_pnl - fill.fee
        )
        if position:
            self.epochs[fill.coin] = epoch
            return None
        self.epochs.pop(fill.coin, None)
        trade = _trade(epoch, self._open_fills.pop(fill.coin))
        self.trades.append(trade)
        self.streak = next_streak(self.streak, float(trade.pnl))
        return trade

    def repaired(self, coin: str) -> Epoch:
        """Count one more attempt to protect the position in `coin`."""
        epoch = self.epochs[coin]
        self.epochs[coin] = msgspec.structs.replace(epoch, repairs=epoch.repairs + 1)
        return self.epochs[coin]


def _trade(epoch: Epoch, fills: list[Fill]) -> Trade:
    entry_side = fills[0].side
    entries = [fill for fill in fills if fill.side is entry_side]
    exits = [fill for fill in fills if fill.side is not entry_side]
    return Trade(
        coin=fills[0].coin,
        side=1 if entry_side is Side.BUY else -1,
        size=sum((fill.size for fill in entries), Decimal(0)),
        entry_price=_average(entries),
        exit_price=_average(exits),
        opened_ms=epoch.opened_ms,
        closed_ms=fills[-1].time_ms,
        pnl=epoch.realized_pnl,
        fees=sum((fill.fee for fill in fills), Decimal(0)),
        exit_reason=_exit_reason(epoch, fills[-1]),
    )


def _average(fills: list[Fill]) -> Decimal:
    size = sum((fill.size for fill in fills), Decimal(0))
    notional = sum((fill.size * fill.price for fill in fills), Decimal(0))
    return notional / size if size else Decimal(0)


def _exit_reason(epoch: Epoch, last: Fill) -> str:
    if epoch.intent is None:
        return "foreign"
    for attempt in range(epoch.repairs + 1):
        stop, target = exit_cloids(epoch.intent, attempt)
        if last.cloid == stop:
            return "stop"
        if last.cloid == target:
            return "target"
    return "closed"
