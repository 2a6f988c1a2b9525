"""From wire records to the port's words."""

from typing import Literal

from fractaltrader.exchange.hyperliquid.wire import (
    CandleData,
    ClearinghouseState,
    FillData,
    FrontendOrder,
    FundingEntry,
    Meta,
)
from fractaltrader.exchange.port import (
    Account,
    Fill,
    Funding,
    OpenOrder,
    OrderRecord,
    Position,
    Side,
)
from fractaltrader.market import Bar, Instrument


def instruments(meta: Meta) -> dict[str, Instrument]:
    """Perpetuals by coin; the place in the universe is the asset id."""
    return {
        entry.name: Instrument(
            entry.name, asset, entry.sz_decimals, entry.max_leverage, entry.is_delisted
        )
        for asset, entry in enumerate(meta.universe)
    }


def bar(candle: CandleData) -> Bar:
    """A candle as the engine computes with it."""
    return Bar(
        candle.t,
        float(candle.o),
        float(candle.h),
        float(candle.l),
        float(candle.c),
        float(candle.v),
    )


def account(state: ClearinghouseState) -> Account:
    """Account and positions; a coin that is flat is absent."""
    positions = {}
    for item in state.asset_positions:
        data = item.position
        if data.szi:
            positions[data.coin] = Position(
                data.coin,
                data.szi,
                data.entry_px if data.entry_px is not None else data.szi * 0,
                data.unrealized_pnl,
                data.leverage.value,
                data.liquidation_px,
                data.position_value,
            )
    summary = state.margin_summary
    return Account(
        summary.account_value,
        state.withdrawable,
        summary.total_margin_used,
        positions,
        state.time,
    )


def _kind(order: FrontendOrder) -> Literal["limit", "tp", "sl"]:
    if not order.is_trigger:
        return "limit"
    return "tp" if order.order_type.startswith("Take Profit") else "sl"


def open_order(order: FrontendOrder) -> OpenOrder:
    """A resting order."""
    return OpenOrder(
        order.coin,
        Side(order.side),
        order.sz,
        order.limit_px,
        order.oid,
        order.cloid,
        order.reduce_only,
        order.trigger_px if order.is_trigger else None,
        _kind(order),
        order.timestamp,
        order.is_position_tpsl and not order.sz,
    )


def order_record(order: FrontendOrder, status: str, status_ms: int) -> OrderRecord:
    """An order with its last status."""
    return OrderRecord(
        order.coin,
        order.oid,
        order.cloid,
        status,
        order.sz,
        order.orig_sz if order.orig_sz is not None else order.sz,
        order.timestamp,
        status_ms,
    )


def fill(data: FillData) -> Fill:
    """An execution."""
    return Fill(
        data.coin,
        Side(data.side),
        data.px,
        data.sz,
        data.time,
        data.oid,
        data.tid,
        data.cloid,
        data.fee,
        data.closed_pnl,
        data.start_position,
        data.dir,
        data.crossed,
        data.liquidation is not None,
    )


def funding(entry: FundingEntry) -> Funding:
    """A funding payment."""
    delta = entry.delta
    return Funding(delta.coin, entry.time, delta.usdc, delta.szi, delta.funding_rate)
