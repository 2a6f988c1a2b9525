"""Events as a chart tells them: every fact with a name and a reason in words."""

from collections.abc import Mapping
from typing import NamedTuple


class Fact(NamedTuple):
    """One event of the engine (docs/smc.md has the vocabulary); `kind` in lower case."""

    kind: str
    side: int
    at: int
    known: int
    level: float
    low: float
    high: float
    ref: int
    id: int
    origin: int
    members: int
    timeframe: str


class Line(NamedTuple):
    """One line of the list beside the chart."""

    known: int
    side: int
    name: str
    reason: str


NAMES = {
    "bos": "BOS",
    "choch": "CHoCH",
    "mss": "MSS",
    "hh": "Higher high",
    "lh": "Lower high",
    "hl": "Higher low",
    "ll": "Lower low",
    "fvg": "Fair value gap",
    "fvg_touched": "Gap touched",
    "fvg_half": "Gap half filled",
    "fvg_filled": "Gap filled",
    "fvg_inverse": "Gap inverted",
    "fvg_merged": "Gaps merged",
    "ob": "Order block",
    "ob_touched": "Order block touched",
    "ob_mitigated": "Order block mitigated",
    "ob_invalidated": "Order block failed",
    "breaker": "Breaker block",
    "mitigation": "Mitigation block",
    "block_touched": "Block touched",
    "block_invalidated": "Block failed",
    "pool": "Liquidity pool",
    "taken": "Liquidity taken",
    "sweep": "Liquidity sweep",
    "ote": "Optimal trade entry",
    "prev_day": "Previous day",
    "prev_week": "Previous week",
    "prev_month": "Previous month",
    "range": "Dealing range",
    "hole": "Missing bars",
}
SHORT = {"prev_day": "PD", "prev_week": "PW", "prev_month": "PM"}
LABELS = ("hh", "lh", "hl", "ll")
_PERIODS = {"prev_day": "day", "prev_week": "week", "prev_month": "month"}


def price(value: float) -> str:
    """A price as read by people."""
    return f"{value:.8g}"


def name_of(fact: Fact) -> str:
    """The kind in the field's own words, with its direction and any higher timeframe."""
    name = NAMES.get(fact.kind, fact.kind.replace("_", " ").capitalize())
    if fact.kind in ("swing", "candidate", "prev_day", "prev_week", "prev_month", "session"):
        name += {1: " high", -1: " low"}.get(fact.side, "")
    elif fact.kind not in LABELS:
        name += {1: " ▲", -1: " ▼"}.get(fact.side, "")
    return f"{name} {fact.timeframe}".rstrip()


def reason_of(fact: Fact, by_id: Mapping[int, Fact]) -> str:
    """Why the fact holds: its prices, and the earlier fact it rests on."""
    cause = by_id.get(fact.ref)
    words = _own_words(fact)
    if cause is not None and fact.kind not in ("bos", "choch", "sweep", "taken"):
        words += f"; rests on {name_of(cause)} of bar {cause.at}"
    return words


def _own_words(fact: Fact) -> str:
    end = "high" if fact.side > 0 else "low"
    level, zone = price(fact.level), f"{price(fact.low)} to {price(fact.high)}"
    bias = "with" if fact.kind == "bos" else "against"
    extreme = price(fact.high if fact.side > 0 else fact.low)
    texts = {
        "swing": f"{level} at bar {fact.at}, confirmed {fact.known - fact.at} bars later",
        "bos": f"beyond the swing {end} {level} of bar {fact.origin}, {bias} the bias",
        "choch": f"beyond the swing {end} {level} of bar {fact.origin}, {bias} the bias",
        "fvg": f"{zone}, around bar {fact.at}",
        "ob": f"{zone}, candle of bar {fact.at}",
        "pool": f"{fact.members} equal {end}s at {level}",
        "sweep": f"{level} of bar {fact.origin} passed at bar {fact.at}, as far as {extreme}, "
        f"and reclaimed",
        "taken": f"{level} of bar {fact.origin} passed at bar {fact.at} and not reclaimed",
        "premium": f"the close moved into the upper half of {zone}",
        "discount": f"the close moved into the lower half of {zone}",
        "ote": f"the close entered {zone}, 0.618 to 0.79 back",
        "retraced": f"the deepest retracement of {zone} reached {level}",
        "displacement": f"body {zone}, large against the ATR before",
        "strong": f"the leg from {level} broke structure",
        "weak": f"{level} was broken before its own leg broke structure",
        "hole": f"{fact.members} bars are missing before bar {fact.at}",
    }
    if fact.kind in _PERIODS:
        return f"{end} of the {_PERIODS[fact.kind]} that ended: {level}, {fact.members} bars"
    text = texts.get(fact.kind)
    if text is not None:
        return text
    if fact.kind.partition("_")[0] in ("fvg", "ob", "block"):
        return f"{level} of {zone}"
    return level if fact.low == fact.high == fact.level else f"{level} in {zone}"


def lines_of(facts: list[Fact]) -> list[Line]:
    """Every fact in words, in the order it became known."""
    by_id = {fact.id: fact for fact in facts}
    return [Line(f.known, f.side, name_of(f), reason_of(f, by_id)) for f in facts]
