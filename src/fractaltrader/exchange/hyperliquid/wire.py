"""The venue's answers as it sends them: decimal strings, optional keys, open-ended words.

Unknown keys are ignored and unknown coins dropped by the callers, so that sparse or newer metadata
cannot stop a bot. Shapes: the venue's /info and /ws documentation and recorded responses.
"""

from decimal import Decimal
from typing import Any, Literal

import msgspec


class UniverseEntry(msgspec.Struct, rename="camel"):
    """One perpetual of `meta`; its position in the list is its asset id."""

    name: str
    sz_decimals: int
    max_leverage: int = 1
    is_delisted: bool = False


class Meta(msgspec.Struct):
    universe: list[UniverseEntry]


class ExchangeStatus(msgspec.Struct):
    time: int


class UserRateLimit(msgspec.Struct, rename="camel"):
    """Actions an address has sent in its life, and may send."""

    n_requests_used: int
    n_requests_cap: int


class ExtraAgent(msgspec.Struct, rename="camel"):
    """A named agent wallet of `extraAgents`; `valid_until` is epoch ms, None without an end."""

    name: str
    address: str
    valid_until: int | None = None


class LedgerUpdate(msgspec.Struct):
    """An entry of `userNonFundingLedgerUpdates`; the keys of `delta` depend on its type."""

    time: int
    hash: str
    delta: dict[str, Any]


class MarginSummary(msgspec.Struct, rename="camel"):
    account_value: Decimal
    total_margin_used: Decimal


class Leverage(msgspec.Struct):
    value: int
    type: str = "cross"


class ActiveAssetData(msgspec.Struct):
    leverage: Leverage


class FundingDelta(msgspec.Struct, rename="camel"):
    coin: str
    usdc: Decimal
    szi: Decimal
    funding_rate: Decimal


class FundingEntry(msgspec.Struct):
    """An entry of `userFunding`."""

    time: int
    delta: FundingDelta


class PositionData(msgspec.Struct, rename="camel"):
    coin: str
    szi: Decimal
    leverage: Leverage
    position_value: Decimal
    unrealized_pnl: Decimal
    entry_px: Decimal | None = None
    liquidation_px: Decimal | None = None


class AssetPosition(msgspec.Struct):
    position: PositionData


class ClearinghouseState(msgspec.Struct, rename="camel"):
    margin_summary: MarginSummary
    withdrawable: Decimal
    asset_positions: list[AssetPosition]
    time: int = 0


class FrontendOrder(msgspec.Struct, rename="camel"):
    """An order of `frontendOpenOrders`, `orderStatus` and `historicalOrders`."""

    coin: str
    side: Literal["B", "A"]
    limit_px: Decimal
    sz: Decimal
    oid: int
    timestamp: int
    orig_sz: Decimal | None = None
    cloid: str | None = None
    reduce_only: bool = False
    is_position_tpsl: bool = False
    is_trigger: bool = False
    trigger_px: Decimal = Decimal(0)
    order_type: str = "Limit"


class OrderEntry(msgspec.Struct, rename="camel"):
    """An order with its last status."""

    order: FrontendOrder
    status: str
    status_timestamp: int


class OrderStatusAnswer(msgspec.Struct):
    status: str
    order: OrderEntry | None = None


class FillData(msgspec.Struct, rename="camel"):
    coin: str
    px: Decimal
    sz: Decimal
    side: Literal["B", "A"]
    time: int
    start_position: Decimal
    dir: str
    closed_pnl: Decimal
    oid: int
    crossed: bool
    fee: Decimal = Decimal(0)
    tid: int = 0
    cloid: str | None = None
    liquidation: dict[str, Any] | None = None


class LevelData(msgspec.Struct):
    px: Decimal
    sz: Decimal


class BookData(msgspec.Struct):
    """`l2Book`: bids and asks, best first."""

    levels: tuple[list[LevelData], list[LevelData]]


class CandleData(msgspec.Struct):
    """A candle of `candleSnapshot` or of the `candle` channel; `t` is its open, `s` its coin."""

    t: int
    s: str
    i: str
    o: Decimal
    h: Decimal
    l: Decimal  # noqa: E741 - the venue's own key
    c: Decimal
    v: Decimal


class Resting(msgspec.Struct):
    oid: int


class Filled(msgspec.Struct, rename="camel"):
    oid: int
    total_sz: Decimal
    avg_px: Decimal


class OrderStatusItem(msgspec.Struct):
    """One entry of `statuses`, when it is an object rather than a word."""

    resting: Resting | None = None
    filled: Filled | None = None
    error: str | None = None


class ActionData(msgspec.Struct):
    statuses: list[OrderStatusItem | str] = []


class ActionResponse(msgspec.Struct):
    data: ActionData = msgspec.field(default_factory=ActionData)


class ActionAnswer(msgspec.Struct):
    """The body of every `/exchange` answer; `response` is a text when status is 'err'."""

    status: str
    response: msgspec.Raw


class Frame(msgspec.Struct):
    """Any WebSocket frame."""

    channel: str
    data: msgspec.Raw = msgspec.Raw(b"null")


class UserFills(msgspec.Struct, rename="camel"):
    fills: list[FillData]
    is_snapshot: bool = False


class OrderUpdateItem(msgspec.Struct, rename="camel"):
    order: FrontendOrder
    status: str
    status_timestamp: int


def encode(request: Any) -> bytes:
    """A request body."""
    return msgspec.json.encode(request)
