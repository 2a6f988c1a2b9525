"""Everything the local exchange remembers, as plain records that msgspec can write and read."""

from decimal import Decimal
from typing import Literal

import msgspec

from fractaltrader.exchange.port import Side
from fractaltrader.simulator.numbers import ZERO

Phase = Literal["resting", "armed", "waiting", "done"]


class TriggerTerms(msgspec.Struct, frozen=True):
    """When and how a trigger order fires; `above` tells from which side the mark must come."""

    price: Decimal
    kind: Literal["tp", "sl"]
    is_market: bool
    above: bool


class Order(msgspec.Struct, kw_only=True):
    """An order from its placement on; `size` is what is left of `original_size`.

    `phase`: resting in the book, armed (a live trigger), waiting (for its parent), or done.
    """

    oid: int
    user: str
    coin: str
    side: Side
    price: Decimal
    size: Decimal
    original_size: Decimal
    tif: str | None
    reduce_only: bool
    trigger: TriggerTerms | None
    cloid: str | None
    placed_ms: int
    status: str
    status_ms: int
    phase: Phase = "done"
    rank: int = 0
    follows_position: bool = False
    is_position_tpsl: bool = False
    parent: int | None = None
    children: list[int] = msgspec.field(default_factory=list)
    siblings: list[int] = msgspec.field(default_factory=list)
    filled: Decimal = ZERO
    filled_notional: Decimal = ZERO

    @property
    def is_live(self) -> bool:
        return self.phase != "done"

    @property
    def terms(self) -> TriggerTerms:
        """The trigger of a trigger order; TypeError for any other."""
        if self.trigger is None:
            raise TypeError(f"order {self.oid} is no trigger order")
        return self.trigger


class Fill(msgspec.Struct, kw_only=True):
    """One side of an execution, as its owner sees it; USDC, `closed_pnl` without the fee."""

    coin: str
    price: Decimal
    size: Decimal
    side: Side
    time_ms: int
    start_position: Decimal
    direction: str
    closed_pnl: Decimal
    hash: str
    oid: int
    crossed: bool
    fee: Decimal
    tid: int
    cloid: str | None


class Trade(msgspec.Struct):
    """A public print; `side` is the aggressor's, `users` are buyer and seller."""

    coin: str
    side: Side
    price: Decimal
    size: Decimal
    time_ms: int
    hash: str
    tid: int
    users: tuple[str, str]


class Position(msgspec.Struct):
    """Signed size in base units and the exact USDC notional it was entered for (never signed)."""

    size: Decimal = ZERO
    entry_notional: Decimal = ZERO


class Account(msgspec.Struct):
    """A user's account: `cash` is deposits + realised profit - fees, USDC."""

    address: str
    cash: Decimal = ZERO
    deposited: Decimal = ZERO
    fees: Decimal = ZERO
    volume: Decimal = ZERO
    positions: dict[str, Position] = msgspec.field(default_factory=dict)
    leverage: dict[str, int] = msgspec.field(default_factory=dict)
    fills: list[Fill] = msgspec.field(default_factory=list)
    live: list[int] = msgspec.field(default_factory=list)
    done: list[int] = msgspec.field(default_factory=list)
    cloids: dict[str, int] = msgspec.field(default_factory=dict)
    requests: int = 0


class CandleColumns(msgspec.Struct):
    """Closed base bars as raw little-endian columns, and the bar that forms."""

    timeframe: str
    rows: dict[str, bytes]
    forming: tuple[int, Decimal, Decimal, Decimal, Decimal, Decimal, int] | None


class Market(msgspec.Struct):
    """One coin: `mid` is price, mark and oracle; `taken` is modelled depth used since the tick."""

    coin: str
    asset: int
    sz_decimals: int
    max_leverage: int
    mid: Decimal | None = None
    tick: int = 0
    taken_bids: dict[int, Decimal] = msgspec.field(default_factory=dict)
    taken_asks: dict[int, Decimal] = msgspec.field(default_factory=dict)
    trades: list[Trade] = msgspec.field(default_factory=list)
    candles: CandleColumns | None = None


class ExchangeState(msgspec.Struct):
    """The whole exchange."""

    seed: int
    mainnet: bool
    now_ms: int
    markets: dict[str, Market]
    last_move_ms: int = 0
    next_oid: int = 10_000_000_000
    next_rank: int = 0
    next_trade: int = 0
    accounts: dict[str, Account] = msgspec.field(default_factory=dict)
    orders: dict[int, Order] = msgspec.field(default_factory=dict)
    nonces: dict[str, list[int]] = msgspec.field(default_factory=dict)
    house: Account = msgspec.field(default_factory=lambda: Account("0x" + "0" * 40))
