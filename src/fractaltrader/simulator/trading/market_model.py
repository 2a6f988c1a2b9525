"""The modelled market: bid and ask levels around the mid that replenish at every tick."""

from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from fractaltrader.exchange.port import BUY, Side
from fractaltrader.market import Instrument

_MASK = (1 << 64) - 1


def mixed(*parts: int) -> int:
    """A well-mixed 64-bit number from `parts` (the splitmix64 finaliser, chained)."""
    state = 0
    for part in parts:
        state = (state + part + 0x9E3779B97F4A7C15) & _MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
        state ^= state >> 31
    return state


@dataclass(frozen=True, slots=True)
class MarketModel:
    """How deep and how tight the modelled market is.

    The spread is at least `spread_bps` of the mid and never crosses it; level k lies k steps
    outward and offers `top_notional * (1 + growth * k)` USDC, give or take a quarter by seed.
    `flow` is how many trades it makes between two ticks that bring volume.
    """

    spread_bps: Decimal = Decimal(1)
    step_bps: Decimal = Decimal(2)
    levels: int = 20
    top_notional: Decimal = Decimal(25_000)
    growth: Decimal = Decimal("0.5")
    flow: int = 1

    def price(self, instrument: Instrument, mid: Decimal, side: Side, level: int) -> Decimal:
        """Price of modelled `level` (0 is the best) on `side`, a legal price."""
        tick = instrument.tick(mid)
        half = max(tick / 2, mid * self.spread_bps / 20_000)
        distance = half + level * max(tick, mid * self.step_bps / 10_000)
        if side is BUY:
            return instrument.round_price(max(mid - distance, tick), ROUND_FLOOR)
        return instrument.round_price(mid + distance, ROUND_CEILING)

    def depth(
        self, instrument: Instrument, price: Decimal, side: Side, level: int, seed: tuple[int, ...]
    ) -> Decimal:
        """Size offered at `level` before anybody took of it; at least one lot."""
        draw = mixed(*seed, int(side is BUY), level) % 1_000
        notional = self.top_notional * (1 + self.growth * level) * (750 + draw // 2) / 1_000
        return max(instrument.round_size(notional / price), instrument.lot)

    def resembling(
        self, bids: list[tuple[Decimal, Decimal]], asks: list[tuple[Decimal, Decimal]]
    ) -> "MarketModel":
        """This model with spread, step and depth of a book of (price, size), best first.

        Depth is shared out over the levels as the model does, so that the sums agree.
        """
        mid = (bids[0][0] + asks[0][0]) / 2
        count = min(self.levels, len(bids), len(asks))
        offered = sum((price * size for price, size in (*bids[:count], *asks[:count])), Decimal(0))
        shares = count + self.growth * count * (count - 1) / 2
        step = self.step_bps
        if count > 1:
            width = bids[0][0] - bids[count - 1][0] + asks[count - 1][0] - asks[0][0]
            step = width / 2 / (count - 1) / mid * 10_000
        return replace(
            self,
            spread_bps=(asks[0][0] - bids[0][0]) / mid * 10_000,
            step_bps=step,
            top_notional=offered / 2 / shares,
        )
