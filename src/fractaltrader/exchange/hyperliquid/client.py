"""Hyperliquid behind the port: reads from /info, signed actions to /exchange."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from fractaltrader.exchange.chronology import chronological
from fractaltrader.exchange.classify import raise_for_refusal, raise_for_status
from fractaltrader.exchange.errors import (
    CriticalError,
    TransientError,
    TransportError,
    UnknownOutcomeError,
)
from fractaltrader.exchange.hyperliquid import translate, wire
from fractaltrader.exchange.hyperliquid.nonces import NonceAllocator
from fractaltrader.exchange.hyperliquid.orders import order_action, outcomes
from fractaltrader.exchange.hyperliquid.signing import Signer
from fractaltrader.exchange.hyperliquid.stream import stream
from fractaltrader.exchange.port import (
    Account,
    Fill,
    OpenOrder,
    OrderOutcome,
    OrderRecord,
    OrderRequest,
    StreamEvent,
)
from fractaltrader.exchange.transport import Transport
from fractaltrader.market import Bar, Clock, Instrument, Timeframe

T = TypeVar("T")

# The venue returns at most this many fills per request.
FILLS_PAGE = 2_000


class HyperliquidVenue:
    """A `Venue` that speaks Hyperliquid's wire protocol over a Transport.

    `account` is the master address whose orders and positions are meant; `signer` may be an agent
    of it, or None for a venue that is only read. `mainnet` chooses the signature's source letter;
    every other endpoint counts as testnet.
    """

    def __init__(
        self,
        transport: Transport,
        signer: Signer | None,
        *,
        account: str,
        clock: Clock,
        mainnet: bool,
    ) -> None:
        self._transport = transport
        self._signer = signer
        self._account = account.lower()
        self._mainnet = mainnet
        self._nonces = NonceAllocator(clock)
        self._instruments: dict[str, Instrument] = {}

    async def instruments(self) -> dict[str, Instrument]:
        self._instruments = translate.instruments(await self._info({"type": "meta"}, wire.Meta))
        return self._instruments

    async def time_ms(self) -> int:
        return (await self._info({"type": "exchangeStatus"}, wire.ExchangeStatus)).time

    async def role(self) -> dict[str, Any]:
        """What the signer's address is to the venue: user, agent of somebody, missing."""
        address = self._account if self._signer is None else self._signer.address
        return await self._info({"type": "userRole", "user": address}, dict[str, Any])

    async def account(self) -> Account:
        request = {"type": "clearinghouseState", "user": self._account}
        return translate.account(await self._info(request, wire.ClearinghouseState))

    async def mid_prices(self) -> dict[str, Decimal]:
        return await self._info({"type": "allMids"}, dict[str, Decimal])

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

    async def funding(self, since_ms: int) -> Decimal:
        paid: dict[tuple[int, str], Decimal] = {}
        start = since_ms
        while True:
            request = {"type": "userFunding", "user": self._account, "startTime": start}
            page = await self._info(request, list[wire.FundingEntry])
            fresh = {(entry.time, entry.delta.coin): entry.delta.usdc for entry in page}
            unseen = fresh.keys() - paid.keys()
            paid |= fresh
            if not unseen:
                return sum(paid.values(), Decimal(0))
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

    async def protect(self, orders: list[OrderRequest]) -> list[OrderOutcome]:
        """Attach stop and target to the open position (`positionTpsl`)."""
        return await self._order(orders, "positionTpsl", None)

    async def _order(
        self, orders: list[OrderRequest], grouping: str, expires_ms: int | None
    ) -> list[OrderOutcome]:
        statuses = await self._act(order_action(orders, grouping), expires_ms)
        try:
            return outcomes(statuses, len(orders))
        except msgspec.DecodeError as error:
            raise UnknownOutcomeError(f"order: {error}") from error

    async def cancel(self, coin: str, cloid: str) -> bool:
        cancels = [{"asset": self._instruments[coin].asset, "cloid": cloid}]
        statuses = await self._act({"type": "cancelByCloid", "cancels": cancels})
        return statuses == ["success"]

    async def set_leverage(self, coin: str, leverage: int) -> None:
        asset = self._instruments[coin].asset
        await self._act(
            {"type": "updateLeverage", "asset": asset, "isCross": True, "leverage": leverage}
        )

    def stream(self, coins: list[str], timeframe: Timeframe) -> AsyncIterator[StreamEvent]:
        return stream(self._transport, self._account, coins, timeframe)

    async def _info(self, request: dict[str, Any], shape: type[T]) -> T:
        try:
            status, body = await self._transport.post("/info", wire.encode(request))
        except TransportError as error:
            raise TransientError(f"info {request['type']}: {error}") from error
        raise_for_status(status, body, action=False)
        try:
            return msgspec.json.decode(body, type=shape)
        except msgspec.DecodeError as error:
            raise TransientError(f"info {request['type']}: {error}") from error

    async def _act(
        self, action: dict[str, Any], expires_ms: int | None = None
    ) -> list[wire.OrderStatusItem | str]:
        """Sign and send one action; the statuses of its answer, empty where it has none."""
        if self._signer is None:
            raise CriticalError(f"{action['type']}: this connection can only read")
        nonce = self._nonces.next()
        signature = self._signer.sign_action(
            action, nonce, mainnet=self._mainnet, expires_after=expires_ms
        )
        envelope = {
            "action": action,
            "nonce": nonce,
            "signature": signature,
            "vaultAddress": None,
            "expiresAfter": expires_ms,
        }
        try:
            status, body = await self._transport.post("/exchange", wire.encode(envelope))
        except TransportError as error:
            kind = UnknownOutcomeError if error.sent else TransientError
            raise kind(f"{action['type']}: {error}") from error
        raise_for_status(status, body, action=True)
        try:
            answer = msgspec.json.decode(body, type=wire.ActionAnswer)
            if answer.status == "err":
                raise_for_refusal(msgspec.json.decode(answer.response, type=str))
            return msgspec.json.decode(answer.response, type=wire.ActionResponse).data.statuses
        except msgspec.DecodeError as error:
            raise UnknownOutcomeError(f"{action['type']}: {error}") from error
