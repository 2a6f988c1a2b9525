"""TWAPs as the wire shows them (hyperliquid.md 2.2 and 5.2)."""

from typing import Any

from fractaltrader.simulator.core import Core
from fractaltrader.simulator.numbers import venue_number
from fractaltrader.simulator.protocol.views.orders import fill_view
from fractaltrader.simulator.state import Fill, Twap


def twap_state(twap: Twap) -> dict[str, Any]:
    """What the TWAP is to do and has done."""
    terms = twap.terms
    trigger = None
    if terms.trigger_price is not None:
        trigger = {"px": venue_number(terms.trigger_price), "above": terms.above}
    return {
        "coin": terms.coin,
        "user": twap.user,
        "side": terms.side.value,
        "sz": venue_number(terms.size),
        "executedSz": venue_number(twap.executed),
        "executedNtl": venue_number(twap.executed_notional),
        "minutes": terms.minutes,
        "reduceOnly": terms.reduce_only,
        "randomize": terms.randomize,
        "timestamp": twap.placed_ms,
        "trigger": trigger,
        "stopPx": None if terms.stop_price is None else venue_number(terms.stop_price),
    }


def twap_change(twap: Twap) -> dict[str, Any]:
    """One entry of `twapHistory` and `userTwapHistory`; `time` is in seconds."""
    status = {"status": twap.status}
    if twap.description is not None:
        status["description"] = twap.description
    return {
        "time": twap.status_ms // 1_000,
        "state": twap_state(twap),
        "status": status,
        "twapId": twap.twap_id,
    }


def twap_states(core: Core, user: str) -> list[list[Any]]:
    """Active TWAPs of `user` as [id, state], oldest first."""
    mine = [twap for twap in core.state.twaps.values() if twap.user == user]
    return [[twap.twap_id, twap_state(twap)] for twap in mine]


def slice_fill(fill: Fill) -> dict[str, Any]:
    """A fill of a slice with its TWAP's id beside it."""
    return {"fill": fill_view(fill), "twapId": fill.twap}
