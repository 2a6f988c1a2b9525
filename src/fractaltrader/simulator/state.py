"""Everything the local exchange remembers, as plain records that msgspec can write and read."""

from decimal import Decimal
from typing import Any, Literal

import msgspec

from fractaltrader.exchange.port import Side
from fractaltrader.simulator.numbers import ZERO

MarginMode = Literal["strictIsolated", "noCross"]
Phase = Literal["resting", "armed", "waiting", "done"]


class TriggerTerms(msgspec.Struct, frozen=True, gc=False):
    """When and how a trigger order fires; `above` tells from which side the mark must come."""

    price: Decimal
    kind: Literal["tp", "sl"]
    is_market: bool
    above: bool


class Order(msgspec.Struct, gc=False):
    """An order from its placement on; `size` is what is left of `original_size`.

    `phase`: resting in the book, armed (a live trigger), waiting (for its parent), or done.
    `twap` is the TWAP that it is a slice of; `builder_fee` is in tenths of a basis point.
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
    twap: int | None = None
    builder: str | None = None
    builder_fee: int = 0
    children: tuple[int, ...] = ()
    siblings: tuple[int, ...] = ()
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


class Liquidation(msgspec.Struct, frozen=True):
    """Marks a fill that closes a position by force; `mark` is the price that triggered it."""

    user: str
    mark: Decimal
    method: Literal["market", "backstop"]


class Fill(msgspec.Struct, gc=False):
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
    twap: int | None = None
    builder_fee: Decimal = ZERO
    liquidation: Liquidation | None = None


class Trade(msgspec.Struct, gc=False):
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
    """Signed size in base units and the exact USDC notional it was entered for (never signed).

    `isolated` is the part of the account's cash that an isolated position holds as its own margin,
    None for a cross position. The funding sums are USDC paid (below zero: received) since the
    position was opened and since its size last changed.
    """

    size: Decimal = ZERO
    entry_notional: Decimal = ZERO
    isolated: Decimal | None = None
    funding_since_open: Decimal = ZERO
    funding_since_change: Decimal = ZERO


class FundingPayment(msgspec.Struct, frozen=True):
    """One hourly payment; `usdc` is what the account received (below zero: paid)."""

    time_ms: int
    coin: str
    usdc: Decimal
    size: Decimal
    rate: Decimal


class LedgerEntry(msgspec.Struct, frozen=True):
    """A change of the account that is neither fill nor funding; `delta` is as the wire shows it."""

    time_ms: int
    hash: str
    delta: dict[str, Any]


class DayVolume(msgspec.Struct):
    """USDC traded on one UTC day: as taker and as maker."""

    taker: Decimal = ZERO
    maker: Decimal = ZERO


class Sample(msgspec.Struct, frozen=True):
    """What an account was worth at a time, USDC; `pnl` and `volume` count from its beginning."""

    time_ms: int
    perp_value: Decimal
    spot_value: Decimal
    pnl: Decimal
    volume: Decimal


class TwapTerms(msgspec.Struct, frozen=True):
    """What a TWAP was asked to do: `size` within `minutes`; `above` belongs to `trigger_price`."""

    coin: str
    side: Side
    size: Decimal
    minutes: int
    reduce_only: bool
    randomize: bool
    trigger_price: Decimal | None = None
    above: bool = False
    stop_price: Decimal | None = None


class Twap(msgspec.Struct, kw_only=True):
    """A TWAP; `started_ms` is None while it waits for its trigger, `next_ms` is the next slice."""

    twap_id: int
    user: str
    terms: TwapTerms
    placed_ms: int
    status: str
    status_ms: int
    description: str | None = None
    started_ms: int | None = None
    next_ms: int | None = None
    slices: int = 0
    sliced: int = 0
    executed: Decimal = ZERO
    executed_notional: Decimal = ZERO


class Account(msgspec.Struct):
    """A user's account, amounts in USDC.

    `cash` is all perp money including what isolated positions hold: transfers in (`deposited`, net)
    + realised profit - `fees` + funding. `isolated` holds the margin mode of coins whose mode was
    set, `funding_paid` the sums by coin, `days` volumes by day since 1970, `samples` hourly and
    `daily_samples` daily values. `day` is the UTC day for which the fee rates were assessed.
    """

    address: str
    cash: Decimal = ZERO
    deposited: Decimal = ZERO
    fees: Decimal = ZERO
    volume: Decimal = ZERO
    positions: dict[str, Position] = msgspec.field(default_factory=dict)
    leverage: dict[str, int] = msgspec.field(default_factory=dict)
    fills: list[Fill] = msgspec.field(default_factory=list)
    # Ordered sets of oids.
    live: dict[int, None] = msgspec.field(default_factory=dict)
    done: dict[int, None] = msgspec.field(default_factory=dict)
    slice_fills: list[Fill] = msgspec.field(default_factory=list)
    twaps: list[Twap] = msgspec.field(default_factory=list)
    cloids: dict[str, int] = msgspec.field(default_factory=dict)
    requests: int = 0
    requests_bought: int = 0
    isolated: dict[str, bool] = msgspec.field(default_factory=dict)
    spot_usdc: Decimal = ZERO
    fundings: list[FundingPayment] = msgspec.field(default_factory=list)
    funding_paid: dict[str, Decimal] = msgspec.field(default_factory=dict)
    ledger: list[LedgerEntry] = msgspec.field(default_factory=list)
    days: dict[int, DayVolume] = msgspec.field(default_factory=dict)
    day: int = -1
    taker_rate: Decimal = ZERO
    maker_rate: Decimal = ZERO
    staking_discount: Decimal = ZERO
    referral_discount: Decimal = ZERO
    samples: list[Sample] = msgspec.field(default_factory=list)
    daily_samples: list[Sample] = msgspec.field(default_factory=list)
    # Until then a forced close takes whole positions (UTC epoch ms).
    cooldown_ms: int = 0
    slow_lane_ms: int = 0


class CandleColumns(msgspec.Struct):
    """Closed base bars as raw little-endian columns, and the bar that forms."""

    timeframe: str
    rows: dict[str, bytes]
    forming: tuple[int, Decimal, Decimal, Decimal, Decimal, Decimal, int] | None


class MarginTable(msgspec.Struct, frozen=True):
    """Leverage tiers: from each lower bound of notional (USDC) on, the highest leverage."""

    description: str
    tiers: list[tuple[Decimal, int]]


class FundingRate(msgspec.Struct, frozen=True):
    """The hourly rate charged at `time_ms` and the hour's average premium."""

    time_ms: int
    rate: Decimal
    premium: Decimal


class Prices(msgspec.Struct):
    """What mark and funding need beyond the feed's price, whose distances are in USDC.

    `oracle_offset` and `perp_offset` put the oracle and the other venues' perp price that far from
    the feed's price; None for the latter: there is none. `basis_ema` is the 150 s average of mid -
    oracle, `book_ema` the 30 s average of median(bid, ask, last) - the feed's price; `premium_ms`
    is premium times milliseconds since the hour began, over `sampled_ms`. `mark_shift` is mark -
    the feed's price.
    """

    oracle_offset: Decimal = ZERO
    perp_offset: Decimal | None = ZERO
    observed_ms: int = 0
    basis_ema: float = 0.0
    book_ema: float = 0.0
    premium_ms: float = 0.0
    sampled_ms: int = 0
    mark_shift: Decimal = ZERO


class Market(msgspec.Struct):
    """One coin: `mid` is the feed's price; `taken` is modelled depth used since the tick."""

    coin: str
    asset: int
    sz_decimals: int
    max_leverage: int
    mid: Decimal | None = None
    tick: int = 0
    taken_bids: dict[int, Decimal] = msgspec.field(default_factory=dict)
    taken_asks: dict[int, Decimal] = msgspec.field(default_factory=dict)
    trades: list[Trade] = msgspec.field(default_factory=list)
    # Open-interest limits, USDC: the cap, and how much may be added within a block's window.
    interest_cap: Decimal | None = None
    interest_growth: Decimal | None = None
    interest_window: tuple[int, Decimal] = (0, ZERO)
    # Id of the margin table; None stands for the coin's own highest leverage as a single tier.
    margin_table: int | None = None
    margin_mode: MarginMode | None = None
    is_delisted: bool = False
    prices: Prices = msgspec.field(default_factory=Prices)
    funding: list[FundingRate] = msgspec.field(default_factory=list)
    moved_ms: int = 0
    candles: CandleColumns | None = None


class Agent(msgspec.Struct):
    """An API wallet that signs for `master`; the unnamed one has no `name`."""

    master: str
    name: str | None
    valid_until_ms: int


class SubAccount(msgspec.Struct):
    """An account of its own that `master` and its agents act for."""

    master: str
    name: str


class Profile(msgspec.Struct):
    """What a user chose about the account itself; `abstraction` is the account mode."""

    abstraction: str = "default"
    dex_abstraction: bool | None = None
    display_name: str | None = None
    referral_code: str | None = None
    referred_by: str | None = None


class ExchangeState(msgspec.Struct):
    """The whole exchange.

    `agents` and `sub_accounts` go by their own address; `used_agents` says when each agent address
    was first approved and `agents_removed` when a master last removed one (UTC epoch ms).
    `builder_fees` holds the approved maximum by user and builder, in tenths of a basis point.
    `twaps` are the active ones; `scheduled_cancels` holds the time by user and
    `cancels_triggered` the day (days since 1970) and how often it happened on it.
    """

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
    # Takes over what the book cannot liquidate in time (hyperliquid.md 7.6).
    backstop: Account = msgspec.field(default_factory=lambda: Account("0x" + "f" * 40))
    # Where money goes that leaves accounts: fees, roundings of funding; and what came from outside.
    fees_collected: Decimal = ZERO
    funding_pool: Decimal = ZERO
    external: Decimal = ZERO
    margin_tables: dict[int, MarginTable] = msgspec.field(default_factory=dict)
    days: dict[int, DayVolume] = msgspec.field(default_factory=dict)
    # Volume a UTC day of the venue's other users, against which maker shares are measured, USDC.
    rest_of_venue_volume: Decimal = Decimal(5_000_000_000)
    # When the next hourly funding is due; 0 until a price is known.
    funding_due_ms: int = 0
    liquidations: int = 0
    # When to look again at accounts that a partial liquidation did not save (UTC epoch ms).
    rechecks: dict[str, int] = msgspec.field(default_factory=dict)
    agents: dict[str, Agent] = msgspec.field(default_factory=dict)
    used_agents: dict[str, int] = msgspec.field(default_factory=dict)
    agents_removed: dict[str, int] = msgspec.field(default_factory=dict)
    sub_accounts: dict[str, SubAccount] = msgspec.field(default_factory=dict)
    sub_account_volume: Decimal = Decimal(100_000)
    referral_volume: Decimal = Decimal(10_000)
    builder_fees: dict[str, dict[str, int]] = msgspec.field(default_factory=dict)
    profiles: dict[str, Profile] = msgspec.field(default_factory=dict)
    twaps: dict[int, Twap] = msgspec.field(default_factory=dict)
    next_twap: int = 1_000_000
    scheduled_cancels: dict[str, int] = msgspec.field(default_factory=dict)
    cancels_triggered: dict[str, tuple[int, int]] = msgspec.field(default_factory=dict)
    schedule_cancel_volume: Decimal = Decimal(1_000_000)
    # Trades of the modelled market still to come, a heap: time (UTC epoch ms), coin, base units.
    flow: list[tuple[int, str, Decimal]] = msgspec.field(default_factory=list)
