"""The ledger and the state held against the exchange's own account."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from fractaltrader.exchange.port import Account, Fill, Funding, OrderRecord, Side, Transfer, Venue
from fractaltrader.live.ledger import Ledger
from fractaltrader.live.protection import is_protected
from fractaltrader.live.state import BotState, Intent

CashFlow = Funding | Transfer
CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Line:
    """One comparison."""

    what: str
    ours: str
    venue: str
    agrees: bool


async def audit(venue: Venue, ledger: Ledger, state: BotState) -> list[Line]:
    """Every comparison, agreeing or not."""
    ours = ledger.fills()
    theirs = await venue.fills(state.ledger_since_ms)
    account, mids = await venue.account_and_prices()
    orders = await venue.open_orders()
    entered = _entered(ledger.intents(), ours)
    return [
        *_fills(ours, theirs),
        _positions(state, account),
        _sums("funding", paid := ledger.funding(), await venue.funding(state.ledger_since_ms)),
        _sums(
            "transfers", moved := ledger.transfers(), await venue.transfers(state.ledger_since_ms)
        ),
        _equity(state, ours, [*paid, *moved], account, mids),
        _line(
            "open positions with a resting stop",
            sum(epoch.intent is not None for epoch in state.epochs.values()),
            sum(
                is_protected(position, orders)
                for coin, position in account.positions.items()
                if coin in state.epochs and state.epochs[coin].intent is not None
            ),
        ),
        await _same_action(venue, entered),
        await _doubled(venue, ledger.intents()),
        _line("intentions not settled", 0, len(state.intents)),
    ]


def _line(what: str, ours: object, venue: object) -> Line:
    return Line(what, str(ours), str(venue), ours == venue)


def _fills(ours: list[Fill], theirs: list[Fill]) -> list[Line]:
    mine = {(fill.tid, fill.oid): fill for fill in ours}
    venue = {(fill.tid, fill.oid): fill for fill in theirs}
    lines = [
        _line("fills", len(mine), len(venue)),
        _line("fees, USDC", *(sum((f.fee for f in side), Decimal(0)) for side in (ours, theirs))),
        _line(
            "realized PnL before fees, USDC",
            *(sum((f.closed_pnl for f in side), Decimal(0)) for side in (ours, theirs)),
        ),
    ]
    for key in sorted(mine.keys() | venue.keys()):
        if mine.get(key) != venue.get(key):
            lines.append(Line(f"fill {key[0]}", str(mine.get(key)), str(venue.get(key)), False))
    return lines


def _positions(state: BotState, account: Account) -> Line:
    ours = {coin: epoch.size for coin, epoch in sorted(state.epochs.items())}
    # What was there before the accounting began and never moved since has no epoch.
    theirs = {
        coin: position.size
        for coin, position in sorted(account.positions.items())
        if coin in ours or position.size != state.opening_positions.get(coin)
    }
    return Line("positions", _sizes(ours), _sizes(theirs), ours == theirs)


def _sizes(sizes: dict[str, Decimal]) -> str:
    return ", ".join(f"{coin} {size}" for coin, size in sizes.items()) or "none"


def _sums(what: str, ours: Sequence[CashFlow], theirs: Sequence[CashFlow]) -> Line:
    total = [sum((flow.usdc for flow in flows), Decimal(0)) for flows in (ours, theirs)]
    return _line(f"{what}, USDC", *total)


def _equity(
    state: BotState,
    fills: list[Fill],
    flows: Sequence[CashFlow],
    account: Account,
    mids: dict[str, Decimal],
) -> Line:
    """Opening equity plus every cash flow plus what is held at the mark, from our books alone."""
    cash = (state.opening_equity or Decimal(0)) - state.opening_value
    cash += sum((flow.usdc for flow in flows), Decimal(0))
    held = dict(state.opening_positions)
    for fill in fills:
        signed = fill.size if fill.side is Side.BUY else -fill.size
        cash -= signed * fill.price + fill.fee
        held[fill.coin] = held.get(fill.coin, Decimal(0)) + signed
    ours = cash + sum((size * mids[coin] for coin, size in held.items() if size), Decimal(0))
    return Line(
        "equity, USDC",
        f"{ours:.2f}",
        f"{account.equity:.2f}",
        abs(ours - account.equity) < CENT,
    )


def _entered(intents: list[Intent], fills: list[Fill]) -> list[Intent]:
    cloids = {fill.cloid for fill in fills}
    return [intent for intent in intents if intent.entry_cloid in cloids]


async def _same_action(venue: Venue, entered: list[Intent]) -> Line:
    """Entries whose stop the venue accepted in the same block, from the same signed action."""
    together = 0
    for intent in entered:
        entry, stop = await venue.order(intent.entry_cloid), await venue.order(intent.stop_cloid)
        together += _accepted_together(entry, stop)
    return _line("entries whose stop came with them", len(entered), together)


def _accepted_together(entry: OrderRecord | None, stop: OrderRecord | None) -> bool:
    if entry is None or stop is None or stop.status.endswith("Rejected"):
        return False
    return entry.placed_ms == stop.placed_ms


async def _doubled(venue: Venue, intents: list[Intent]) -> Line:
    """Orders that the venue holds more than once under one client order id."""
    ours = {c for i in intents for c in (i.entry_cloid, i.stop_cloid, i.target_cloid)}
    oids = {(record.cloid, record.oid) for record in await venue.order_history()}
    counts = Counter(cloid for cloid, _ in oids if cloid in ours)
    return _line("doubled orders", 0, sum(count - 1 for count in counts.values()))
