"""Hyperliquid behind the port: reads from /info, signed actions to /exchange."""

from collections.abc import AsyncIterator
from copy import copy
from decimal import Decimal
from functools import partial
from random import Random
from typing import Any, Self, TypeVar

import msgspec

from fractaltrader.exchange.budget_parameters import Priority
from fractaltrader.exchange.chronology import chronological
from fractaltrader.exchange.classify import classify_body, classify_refusal
from fractaltrader.exchange.errors import OrderGoneError
from fractaltrader.exchange.hyperliquid import translate, wire
from fractaltrader.exchange.hyperliquid.link import Link
from fractaltrader.exchange.hyperliquid.nonces import NonceAllocator
from fractaltrader.exchange.hyperliquid.orders import order_action, outcomes
from fractaltrader.exchange.hyperliquid.signing import Signer
from fractaltrader.exchange.hyperliquid.stream import Stream
from fractaltrader.exchange.hyperliquid.transfers import transfer
from fractaltrader.exchange.hyperliquid.wallet_actions import approve_agent
from fractaltrader.exchange.limiter import Limiter
from fractaltrader.exchange.port import (
    Account,
    ClockSkew,
    Fill,
    Funding,
    Leverage,
    OpenOrder,
    OrderOutcome,
    OrderRecord,
    OrderRequest,
    StreamEvent,
    Transfer,
)
from fractaltrader.exchange.transport import Transport
from fractaltrader.market import Bar, Clock, Instrument, Timeframe

T = TypeVar("T")
Quotes = list[tuple[Decimal, Decimal]]
E = TypeVar("E", wire.FundingEntry, wire.LedgerUpdate)

# The venue returns at most this many fills per request.
FILLS_PAGE = 2_000
LEDGER_PAGE = 500
LIMITS_EVERY_MS = 3_600_000
MIDS_REQUEST = {"type": "allMids"}


class HyperliquidVenue:
    """A `Venue` that speaks Hyperliquid's wire protocol over a Transport.

    `account` is the master address whose orders and positions are meant; `signer` may be an agent
    of it, or None for a venue that is only read. `mainnet` chooses the signature's source letter;
    every other endpoint counts as testnet. Every request passes `limiter`; None only where the
    venue is in our own process and has no limits. `rng` spreads reconnects.

    Reads have the priority of this view of the venue (`with_priority`). Actions have their own:
    cancels and orders that only reduce protect, all others enter.
    """

    def __init__(
        self,
        transport: Transport,
        signer: Signer | None,
        *,
        account: str,
        clock: Clock,
        mainnet: bool,
        limiter: Limiter | None = None,
        nonces: NonceAllocator | None = None,
        priority: Priority = Priority.RECONCILE,
        rng: Random | None = None,
    ) -> None:
        self._account = account.lower()
        self._account_request = {"type": "clearinghouseState", "user": self._account}
        self._clock = clock
        self._link = Link(
            transport,
            signer,
            nonces or NonceAllocator(clock),
            limiter,
            clock,
            account=self._account,
            mainnet=mainnet,
        )
        self._priority = priority
        self._views: dict[Priority, Self] = {}
        self._rng = rng or Random(0)  # nosec B311
        self._instruments: dict[str, Instrument] = {}

    def with_priority(self, priority: Priority) -> Self:
        """The same connection, its reads charged at `priority`."""
        view = self._views.get(priority)
        if view is None:
            view = self._views[priority] = copy(self)
            view._priority = priority
        return view

    @property
    def skew(self) -> ClockSkew | None:
        """What `time_ms` last measured; None before."""
        return self._link.skew

    async def instruments(self) -> dict[str, Instrument]:
        listed = translate.instruments(await self._info({"type": "meta"}, wire.Meta))
        self._instruments.clear()
        self._instruments.update(listed)
        return listed

    async def time_ms(self) -> int:
        return await self._link.venue_time(self._priority)

    async def learn_limits(self) -> None:
        """Ask how many actions the address has left and tell the shared budget; at most hourly."""
        now = self._clock.now_ms()
        if self._link.limits_known_ms and abs(now - self._link.limits_known_ms) < LIMITS_EVERY_MS:
            return
        request = {"type": "userRateLimit", "user": self._account}
        known = await self._info(request, wire.UserRateLimit)
        if self._link.limiter is not None:
            used, cap = known.n_requests_used, known.n_requests_cap
            self._link.limiter.learn_address(self._account, used, cap)
        self._link.limits_known_ms = now

    async def role(self, address: str | None = None) -> dict[str, Any]:
        """What `address`, else the signer's, is to the venue: user, agent of somebody, missing."""
        signer = self._link.signer
        address = address or (self._account if signer is None else signer.address)
        return await self._info({"type": "userRole", "user": address}, dict[str, Any])

    async def agents(self, account: str) -> list[wire.ExtraAgent]:
        """The named agent wallets of `account`; the unnamed one is not told."""
        request = {"type": "extraAgents", "user": account}
        return await self._info(request, list[wire.ExtraAgent])

    async def approve_agent(self, address: str, name: str) -> None:
        """Let `address` sign for the signer's account (hyperliquid.md 4.3).

        The signer must be the account's own key. `name` may end in ` valid_until <ms>`; an agent
        of the same name is deregistered. `wallet_actions.NOBODY` for the address only removes it.
        """
        await self._link.act_as_wallet(
            "approveAgent", partial(approve_agent, address.lower(), name), Priority.ENTER
        )

    async def noop(self) -> None:
        """An action that does nothing: the venue executes it only for a key that may trade."""
        await self._link.act({"type": "noop"}, Priority.INFORM)

    async def account(self) -> Account:
        return translate.account(await self._info(self._account_request, wire.ClearinghouseState))

    async def mid_prices(self) -> dict[str, Decimal]:
        return await self._info(MIDS_REQUEST, dict[str, Decimal])

    async def account_and_prices(self) -> tuple[Account, dict[str, Decimal]]:
        state, mids = await self._link.both(
            (self._account_request, wire.ClearinghouseState),
            (MIDS_REQUEST, dict[str, Decimal]),
            self._priority,
        )
        return translate.account(state), mids

    async def book(self, coin: str) -> tuple[Quotes, Quotes]:
        """Bids and asks as (price, size), best first."""
        bids, asks = (await self._info({"type": "l2Book", "coin": coin}, wire.BookData)).levels
        return [(bid.px, bid.sz) for bid in bids], [(ask.px, ask.sz) for ask in asks]

    async def open_orders(self) -> list[OpenOrder]:
        request = {"type": "frontendOpenOrders", "user": self._account}
        orders = await self._info(request, list[wire.FrontendOrder])
        # A waiting bracket lists its children twice: nested in the parent and at top level.
        return [translate.open_order(order) for order in {o.oid: o for o in orders}.values()]

    async def order(self, reference: str | int) -> OrderRecord | None:
        request = {"type": "orderStatus", "user": self._account, "oid": reference}
        answer = await self._info(request, wire.OrderStatusAnswer)
        if answer.order is None:
            return None
        entry = answer.order
        return translate.order_record(entry.order, entry.status, entry.status_timestamp)

    async def order_history(self) -> list[OrderRecord]:
        request = {"type": "historicalOrders", "user": self._account}
        entries = await self._info(request, list[wire.OrderEntry])
        return [translate.order_record(e.order, e.status, e.status_timestamp) for e in entries]

    async def fills(self, since_ms: int) -> list[Fill]:
        found: dict[tuple[int, int], Fill] = {}
        start = since_ms
        while True:
            request = {
                "type": "userFillsByTime",
                "user": self._account,
                "startTime": start,
                "aggregateByTime": False,
            }
            page = await self._info(request, list[wire.FillData])
            fresh = {(f.tid, f.oid): f for f in map(translate.fill, page)}
            unseen = fresh.keys() - found.keys()
            found |= fresh
            # The boundary element repeats, so a page without anything new is the last one.
            if len(page) < FILLS_PAGE or not unseen:
                return chronological(found.values())
            start = page[-1].time

    async def candles(self, coin: str, timeframe: Timeframe, start: int, end: int) -> list[Bar]:
        request = {
            "type": "candleSnapshot",
            "req": {
                "coin": coin,
                "interval": timeframe.name,
                "startTime": start,
                "endTime": end,
            },
        }
        return [translate.bar(c) for c in await self._info(request, list[wire.CandleData])]

    async def place(
        self, orders: list[OrderRequest], *, bracket: bool, expires_ms: int | None = None
    ) -> list[OrderOutcome]:
        return await self._order(orders, "normalTpsl" if bracket else "na", expires_ms)

    async def protect(
        self, orders: list[OrderRequest], *, expires_ms: int | None = None
    ) -> list[OrderOutcome]:
        """Attach stop and target to the open position (`positionTpsl`)."""
        return await self._order(orders, "positionTpsl", expires_ms)

    async def _order(
        self, orders: list[OrderRequest], grouping: str, expires_ms: int | None
    ) -> list[OrderOutcome]:
        action = order_action(orders, grouping)
        reducing = all(order.reduce_only for order in orders)
        statuses = await self._link.act(
            action,
            Priority.PROTECT if reducing else Priority.ENTER,
            expires_ms=expires_ms,
            coin=orders[0].instrument.coin if orders else None,
        )
        try:
            return outcomes(statuses, len(orders))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise classify_body(b"").error(f"order: {error}", request=action) from error

    async def cancel(self, coin: str, reference: str | int) -> bool:
        asset = self._instruments[coin].asset
        action: dict[str, Any]
        if isinstance(reference, str):
            cancels = [{"asset": asset, "cloid": reference}]
            action = {"type": "cancelByCloid", "cancels": cancels}
        else:
            action = {"type": "cancel", "cancels": [{"a": asset, "o": reference}]}
        statuses = await self._link.act(action, Priority.PROTECT, coin=coin)
        status = statuses[0] if len(statuses) == 1 else None
        if status == "success":
            return True
        text = status.error if isinstance(status, wire.OrderStatusItem) else None
        if text is None:
            raise classify_body(b"").error(f"cancel: no known answer: {statuses}", request=action)
        known = classify_refusal(text)
        if known.kind is OrderGoneError:
            return False
        raise known.error(text, request=action)

    async def set_leverage(self, coin: str, leverage: int) -> None:
        asset = self._instruments[coin].asset
        await self._link.act(
            {"type": "updateLeverage", "asset": asset, "isCross": True, "leverage": leverage},
            Priority.ENTER,
        )

    async def leverage(self, coin: str) -> Leverage:
        request = {"type": "activeAssetData", "user": self._account, "coin": coin}
        setting = (await self._info(request, wire.ActiveAssetData)).leverage
        return Leverage(setting.value, setting.type == "cross")

    async def funding(self, since_ms: int) -> list[Funding]:
        entries = await self._ledger_pages("userFunding", since_ms, wire.FundingEntry)
        found = {(entry.time, entry.delta.coin): translate.funding(entry) for entry in entries}
        return sorted(found.values(), key=lambda paid: (paid.time_ms, paid.coin))

    async def transfers(self, since_ms: int) -> list[Transfer]:
        kind = "userNonFundingLedgerUpdates"
        entries = await self._ledger_pages(kind, since_ms, wire.LedgerUpdate)
        return [transfer(entry, self._account) for entry in entries]

    async def _ledger_pages(self, kind: str, since_ms: int, shape: type[E]) -> list[E]:
        """Every entry at or after `since_ms`, once, oldest first."""
        found: list[E] = []
        start = since_ms
        while True:
            request = {"type": kind, "user": self._account, "startTime": start}
            page: list[E] = await self._info(request, list[shape])  # type: ignore[valid-type]
            fresh = [entry for entry in page if entry not in found]
            found += fresh
            # The boundary element repeats, so a page without anything new is the last one.
            if len(page) < LEDGER_PAGE or not fresh:
                return sorted(found, key=lambda entry: entry.time)
            start = max(entry.time for entry in page)

    def stream(self, coins: list[str], timeframe: Timeframe) -> AsyncIterator[StreamEvent]:
        link = self._link
        return Stream(
            link.transport, self._account, coins, timeframe, limiter=link.limiter, rng=self._rng
        ).events()

    async def _info(self, request: dict[str, Any], shape: type[T]) -> T:
        return await self._link.info(request, shape, self._priority)
