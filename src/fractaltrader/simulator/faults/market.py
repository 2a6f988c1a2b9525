"""Faults of the venue itself: its prices, its book, its candles, its clock, its mood."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from fractaltrader.market import Clock, Timeframe
from fractaltrader.simulator.core import Core
from fractaltrader.simulator.faults.injector import Injector
from fractaltrader.simulator.faults.plan import (
    CandleGap,
    ClockSkew,
    ForcedLiquidation,
    Halt,
    LateCandle,
    PostOnly,
    PriceJump,
    RejectedOrder,
    SparseMetadata,
    ThinBook,
    UnknownOrder,
)
from fractaltrader.simulator.protocol.info.fields import FAR_FUTURE_MS
from fractaltrader.simulator.state import Order

# Refusals that depend on the moment, not on the order (hyperliquid.md section 10).
REJECTIONS = (
    "Insufficient margin to place order. asset={asset}",
    "Order could not immediately match against any resting orders. asset={asset}",
    "No liquidity available for market order.",
    "Price too far from oracle asset={asset}",
    "Order would increase open interest too quickly",
)
_SPARSE_KEYS = ("collateralToken", "marginTables")
_NULL_KEYS = ("premium", "midPx", "impactPxs")


class SkewedClock:
    """A clock that is ahead of `inner` by the open clock skews."""

    def __init__(self, inner: Clock, injector: Injector) -> None:
        self._inner = inner
        self._injector = injector

    def now_ms(self) -> int:
        """UTC epoch milliseconds."""
        return self._inner.now_ms() + skew_ms(self._injector)


def skew_ms(injector: Injector) -> int:
    """How far the venue's clock is ahead, milliseconds."""
    return sum(fault.ms for _, fault, _ in injector.open(ClockSkew))


def is_withheld(injector: Injector, coin: str, open_ms: int, now_ms: int | None = None) -> bool:
    """Whether the bar of `coin` that opened at `open_ms` is missing, or not known yet."""
    for entry, gap, _ in injector.open(CandleGap, open_ms):
        of_coin = gap.coin in (None, coin)
        if of_coin and injector.draw(entry, coin, open_ms) < gap.probability:
            entry.struck += 1
            return True
    now = injector.now_ms() if now_ms is None else now_ms
    late = (fault for _, fault, _ in injector.open(LateCandle) if fault.coin in (None, coin))
    return any(now < open_ms + fault.ms for fault in late)


class Disturbance:
    """Applies the market's faults to one exchange."""

    def __init__(self, core: Core, injector: Injector) -> None:
        self._core = core
        self._injector = injector
        self._factors = dict.fromkeys(core.books, Decimal(1))
        self._depths: dict[str, Decimal] = {}
        mids = {coin: market.mid for coin, market in core.state.markets.items()}
        self._undisturbed = {coin: mid for coin, mid in mids.items() if mid is not None}
        self._liquidated: dict[int, int] = {}
        core.order_veto = self.veto

    def price(self, coin: str, price: Decimal) -> Decimal:
        """The price that the feed's becomes."""
        self._undisturbed[coin] = price
        factor = self._factors[coin] = self._factor(coin)
        return price if factor == 1 else self._core.instruments[coin].round_price(price * factor)

    def _factor(self, coin: str) -> Decimal:
        factor = Decimal(1)
        for _, fault, _ in self._injector.open(PriceJump):
            if fault.coin in (None, coin):
                factor *= 1 + Decimal(repr(fault.percent)) / 100
        return factor

    def jumps(self) -> list[tuple[str, Decimal]]:
        """Coins whose price jumps now, without a tick of the feed, and where the feed's stands."""
        if not self._injector.has(PriceJump) and all(one == 1 for one in self._factors.values()):
            return []
        return [
            (coin, price)
            for coin, price in self._undisturbed.items()
            if self._factor(coin) != self._factors[coin]
        ]

    def thin_out(self) -> None:
        """Make every book as deep as it should be now."""
        if not self._injector.has(ThinBook) and not self._depths:
            return
        for coin, book in self._core.books.items():
            depth = Decimal(1)
            for _, fault, _ in self._injector.open(ThinBook):
                if fault.coin in (None, coin):
                    depth *= Decimal(repr(fault.depth))
            if depth != self._depths.get(coin, 1):
                book.thin_to(depth)
            self._depths[coin] = depth

    def liquidations(self) -> Iterator[tuple[str, str | None]]:
        """Users to be liquidated now, each window once, and the coin (None for all)."""
        for entry, fault, occurrence in self._injector.open(ForcedLiquidation):
            if self._liquidated.get(entry.number) == occurrence:
                continue
            self._liquidated[entry.number] = occurrence
            users = list(self._core.state.accounts) if fault.user is None else [fault.user.lower()]
            for user in users:
                if user in self._core.state.accounts:
                    yield user, fault.coin

    def veto(self, order: Order) -> tuple[str, str] | None:
        """Status and text with which `order` is refused; None when it is not."""
        injector = self._injector
        if injector.strikes(Halt) is not None:
            return "rejected", "Trading is halted."
        if order.tif != "Alo" and injector.strikes(PostOnly) is not None:
            return (
                "rejected",
                "Only post-only orders allowed immediately after a network upgrade",
            )
        rejected = injector.strikes(RejectedOrder)
        if rejected is None:
            return None
        text = injector.pick(RejectedOrder, rejected.texts or REJECTIONS)
        return "rejected", text.replace("{asset}", str(self._core.instruments[order.coin].asset))

    def answer(self, request: Any, result: Any) -> Any:
        """What the answer to an `/info` request becomes."""
        injector = self._injector
        match request["type"]:
            case "candleSnapshot" if injector.has(CandleGap, LateCandle):
                return self._candles(request["req"], result)
            case "exchangeStatus":
                return result | {"time": result["time"] + skew_ms(injector)}
            case "orderStatus" if injector.strikes(UnknownOrder) is not None:
                return {"status": "unknownOid"}
            case "meta" if any(injector.open(SparseMetadata)):
                return _without(result, _SPARSE_KEYS)
            case "metaAndAssetCtxs" if any(injector.open(SparseMetadata)):
                meta, contexts = result
                return [_without(meta, _SPARSE_KEYS), [self._sparse(item) for item in contexts]]
        return result

    def _sparse(self, context: dict[str, Any]) -> dict[str, Any]:
        if self._injector.strikes(SparseMetadata) is None:
            return context
        return context | dict.fromkeys(_NULL_KEYS & context.keys())

    def _candles(self, request: dict[str, Any], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        now = self._core.now_ms()
        length = Timeframe.parse(request["interval"]).ms
        injector, coin = self._injector, request["coin"]
        kept = []
        for row in rows:
            # A closed bar that is late; the one that forms is there all the same.
            seen_ms = now - length if row["t"] + length <= now else FAR_FUTURE_MS
            if not is_withheld(injector, coin, row["t"], seen_ms):
                kept.append(row)
        return kept


def _without(table: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key not in keys}
