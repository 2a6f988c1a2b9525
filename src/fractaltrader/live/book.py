"""Positions and trades as the fold of executions: the ledger replayed gives the same book."""

from dataclasses import dataclass, replace
from decimal import Decimal

import msgspec

from fractaltrader.exchange.chronology import position_after
from fractaltrader.exchange.port import Fill, Side
from fractaltrader.live.intents import Role, identity_of
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
    entry_cloid: str | None = None  # None: opened by somebody else


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

    def adopt(self, intent: Intent, size: Decimal) -> None:
        """Take a position of `size`, signed, that somebody else opened for our own `intent`'s."""
        epoch = self.epochs.get(intent.coin) or Epoch(
            intent=intent, size=size, opened_ms=intent.created_ms
        )
        self.epochs[intent.coin] = msgspec.structs.replace(epoch, intent=intent)

    def apply(self, fill: Fill) -> Trade | None:
        """Account for one execution; the trade it completes, if it does.

        Executions must come oldest first. The position after a fill is the venue's own start
        position plus the fill, so applying never accumulates an error.
        """
        if fill.start_position * position_after(fill) < 0:
            # Through flat to the other side: the end of one position and the begin of another.
            closing, opening = _at_flat(fill)
            trade = self.apply(closing)
            self.apply(opening)
            return trade
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


def _at_flat(fill: Fill) -> tuple[Fill, Fill]:
    """`fill` in two: up to flat, with all of its profit, and from flat on."""
    first = abs(fill.start_position)
    share = first / fill.size
    closing = replace(fill, size=first, fee=fill.fee * share)
    opening = replace(
        fill,
        size=fill.size - first,
        fee=fill.fee - closing.fee,
        closed_pnl=Decimal(0),
        start_position=Decimal(0),
    )
    return closing, opening


def _trade(epoch: Epoch, fills: list[Fill]) -> Trade:
    # The first fill known may already close: a position that was there before we were.
    held = fills[0].start_position or position_after(fills[0])
    entry_side = Side.BUY if held > 0 else Side.SELL
    entries = [fill for fill in fills if fill.side is entry_side]
    exits = [fill for fill in fills if fill.side is not entry_side]
    adopted_at = epoch.intent.limit if epoch.intent is not None else Decimal(0)
    return Trade(
        coin=fills[0].coin,
        side=1 if entry_side is Side.BUY else -1,
        size=sum((fill.size for fill in exits), Decimal(0)),
        entry_price=_average(entries) or adopted_at,
        exit_price=_average(exits),
        opened_ms=epoch.opened_ms,
        closed_ms=fills[-1].time_ms,
        pnl=epoch.realized_pnl,
        fees=sum((fill.fee for fill in fills), Decimal(0)),
        exit_reason=_exit_reason(epoch, fills[-1]),
        entry_cloid=epoch.intent.entry_cloid if epoch.intent is not None else None,
    )


def _average(fills: list[Fill]) -> Decimal:
    size = sum((fill.size for fill in fills), Decimal(0))
    notional = sum((fill.size * fill.price for fill in fills), Decimal(0))
    return notional / size if size else Decimal(0)


_REASONS = {Role.STOP: "stop", Role.TARGET: "target"}


def _exit_reason(epoch: Epoch, last: Fill) -> str:
    if epoch.intent is None:
        return "foreign"
    if last.liquidated:
        return "liquidation"
    known = identity_of(last.cloid)
    return "hand" if known is None else _REASONS.get(known.role, "closed")
