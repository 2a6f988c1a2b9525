"""The modelled market: bid and ask levels around the mid that replenish at every tick."""

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from fractaltrader.exchange.port import Side
from fractaltrader.market import Instrument

_MASK = (1 << 64) - 1


def _mixed(*parts: int) -> int:
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
    """

    spread_bps: Decimal = Decimal(1)
    step_bps: Decimal = Decimal(2)
    levels: int = 20
    top_notional: Decimal = Decimal(25_000)
    growth: Decimal = Decimal("0.5")

    def price(self, instrument: Instrument, mid: Decimal, side: Side, level: int) -> Decimal:
        """Price of modelled `level` (0 is the best) on `side`, a legal price."""
        tick = instrument.tick(mid)
        half = max(tick / 2, mid * self.spread_bps / 20_000)
        distance = half + level * max(tick, mid * self.step_bps / 10_000)
        if side is Side.BUY:
            return instrument.round_price(max(mid - distance, tick), ROUND_FLOOR)
        return instrument.round_price(mid + distance, ROUND_CEILING)

    def depth(
        self, instrument: Instrument, price: Decimal, side: Side, level: int, seed: tuple[int, ...]
    ) -> Decimal:
        """Size offered at `level` before anybody took of it; at least one lot."""
        draw = _mixed(*seed, int(side is Side.BUY), level) % 1_000
        notional = self.top_notional * (1 + self.growth * level) * (750 + draw // 2) / 1_000
        return max(instrument.round_size(notional / price), instrument.lot)
