"""Named sets of clauses: the schools of Smart Money Concepts as parameters."""

from collections.abc import Mapping

from fractaltrader.errors import UserError, did_you_mean
from fractaltrader.smc.clauses import EngineParameters

PROFILES: Mapping[str, Mapping[str, object]] = {
    # The defaults: plain definitions, every one knowable `right` bars after its extreme.
    "fractal": {},
    # What the widely used chart indicator computes, without what it repaints: see docs/smc.md.
    "luxalgo-like": {
        "detector": "leg_flip",
        "right": 50,
        "atr_bars": 200,
        "candle_select": "extreme_in_leg",
        "block_tie": "first",
        "block_volatile_atr": 2.0,
        "block_end": "wick",
        "breakers": False,
        "mss": False,
        "fvg_min_atr": 0.0,
        "fvg_close_beyond": True,
        "fvg_body_mult": 2.0,
        "fvg_inverse": False,
        "fvg_merge": False,
        "range_anchor": "trailing_extremes",
    },
    # The inner-circle school taken at its word: three-bar swings, reversals only with displacement
    # that leaves a gap, blocks by colour and body, a sweep only when the same bar reclaims.
    "ict-strict": {
        "left": 1,
        "right": 1,
        "tie": "strict",
        "holes": "void",
        "which_pivot": "bos_origin",
        "require_fvg": True,
        "fvg_min_atr": 0.0,
        "fvg_same_colour": True,
        "confirm": "either",
        "candle_select": "last_opposite",
        "zone": "body",
        "mitigation": "touch",
        "target": "any",
        "reclaim_bars": 1,
        "sessions": ("london_kill_zone", "new_york_kill_zone"),
    },
}


def engine_parameters(profile: str = "fractal", **clauses: object) -> EngineParameters:
    """The clauses of `profile` with `clauses` over them.

    Raises UserError for an unknown profile or clause, a value out of bounds, and clauses that
    contradict each other.
    """
    if not isinstance(profile, str) or profile not in PROFILES:
        hint = did_you_mean(str(profile), list(PROFILES)) or f"; known are {', '.join(PROFILES)}"
        raise UserError(f"profile: unknown name {profile!r}{hint}")
    return EngineParameters.parse({**PROFILES[profile], **clauses}, f"profile {profile}")
