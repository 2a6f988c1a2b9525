"""The contested clauses of detection: every choice the schools read differently, by name."""

from typing import Literal, NamedTuple, Self

from pydantic import Field, field_validator, model_validator

from fractaltrader.errors import UserError
from fractaltrader.market import Timeframe
from fractaltrader.parameters import Parameters
from fractaltrader.smc.sessions import Session, SessionTables, session_tables

FRACTAL, LEG_FLIP = range(2)
TOUCH, MIDPOINT, CLOSE_THROUGH = range(3)
ANY_TARGET, SWING_TARGET, CLUSTER_TARGET, PERIOD_TARGET = range(4)
MOST_TIMEFRAMES = 3

# What a clause that was switched on by hand needs to be on.
_NEEDS = {
    "mss": ("structure", "displacement"),
    "require_fvg": ("displacement", "fvg"),
    "breakers": ("order_blocks", "structure"),
    "fvg_merge": ("fvg",),
    "fvg_inverse": ("fvg",),
    "strength": ("structure",),
    "retracements": ("dealing_range",),
}


class EngineConfig(NamedTuple):
    """`EngineParameters` as the kernels read them."""

    holes_void: bool
    detector: int
    left: int
    right: int
    runs: int  # of how many lengths (1, 2, 4 … bars) runs are kept to look for swings
    left_run: int  # the place of the longest that fits into `left` bars
    right_run: int
    ties_count: bool
    labels: bool
    strength: bool
    candidates: bool
    atr_bars: int
    structure: bool
    wick_breaks: bool
    bos_origin: bool
    displacement_atr: float
    require_fvg: bool
    mss: bool
    fvg: bool
    gaps: bool
    fvg_min_atr: float
    fvg_min_bp: float
    fvg_same_colour: bool
    fvg_close_beyond: bool
    fvg_body_mult: float
    body_bars: int
    fvg_fill_close: bool
    fvg_inverse: bool
    fvg_merge: bool
    order_blocks: bool
    block_on_break: bool
    block_on_displacement: bool
    block_last_opposite: bool
    block_ties_last: bool
    block_body: bool
    block_volatile_atr: float
    mitigation: int
    block_wick_invalidates: bool
    breakers: bool
    liquidity: bool
    target: int
    equal_atr: float
    reclaim_bars: int
    max_levels: int
    max_zones: int
    expiry_bars: int
    days: bool
    weeks: bool
    months: bool
    min_coverage: float
    dealing_range: bool
    range_each_bar: bool  # whether every bar may say something, not only a close elsewhere
    trailing_range: bool
    retracements: bool
    session_count: int
    sessions: SessionTables
    htf_count: int
    htf_ms: tuple[int, int, int]


class EngineParameters(Parameters):
    """The contested clauses of detection; lengths are in bars, distances in ATR."""

    # Swings
    detector: Literal["fractal", "leg_flip"] = Field(
        default="fractal",
        description="fractal: beyond `left` bars before and `right` after; leg_flip: beyond the "
        "`right` bars after, and only where the leg changes direction",
    )
    left: int = Field(default=5, ge=1, le=50, description="bars a swing must exceed before it")
    right: int = Field(
        default=5, ge=1, le=50, description="bars a swing must exceed after it: its delay"
    )
    tie: Literal["first", "strict"] = Field(
        default="first",
        description="the first bar of a plateau is a swing, or no bar is; plateaus are common "
        "where ticks are coarse, and their level is real",
    )
    holes: Literal["delay", "void"] = Field(
        default="delay",
        description="missing bars inside a swing's window or a gap's three bars delay the fact "
        "(bars are counted as they come) or void it (windows start afresh)",
    )
    labels: bool = Field(
        default=True, description="HH, LH, HL, LL and SUPERSEDED beside every swing"
    )
    strength: bool = Field(default=False, description="STRONG and WEAK swings at breaks")
    candidates: bool = Field(
        default=False, description="tentative swings, for charts only: they are never a signal"
    )
    atr_bars: int = Field(default=14, ge=2, le=200, description="simple mean of the true range")
    # Structure
    structure: bool = Field(default=True, description="BOS and CHoCH")
    trigger: Literal["close", "wick"] = Field(
        default="close", description="what must lie beyond the swing to break it"
    )
    which_pivot: Literal["last_swing", "bos_origin"] = Field(
        default="last_swing",
        description="the swing a reversal must break: the last one, or the one that the last "
        "break of structure started from",
    )
    # Displacement
    displacement: bool = Field(default=True, description="DISPLACEMENT events")
    displacement_atr: float = Field(
        default=1.5, gt=0, le=20, description="least body, in ATR at the bar before"
    )
    require_fvg: bool = Field(
        default=False, description="a displacement counts only with a gap around it, a bar later"
    )
    mss: bool = Field(default=True, description="MSS: a CHoCH whose leg holds a displacement")
    # Fair value gaps
    fvg: bool = Field(default=True, description="fair value gaps")
    fvg_min_atr: float = Field(
        default=0.25,
        ge=0,
        le=20,
        description="least height in ATR at the bar before: a thinner one is a tick's accident",
    )
    fvg_min_bp: float = Field(default=0.0, ge=0, le=1000, description="least height, basis points")
    fvg_same_colour: bool = Field(
        default=False, description="the middle candle must close in the gap's direction"
    )
    fvg_close_beyond: bool = Field(
        default=False, description="the middle candle must close beyond the first one's extreme"
    )
    fvg_body_mult: float = Field(
        default=0.0,
        ge=0,
        le=20,
        description="least body of the middle candle in per cent of its open, as a multiple of the "
        "mean over `body_bars`; 0 is off",
    )
    body_bars: int = Field(default=200, ge=2, le=200, description="window of that mean")
    fvg_fill: Literal["wick", "close"] = Field(
        default="wick", description="whether a wick or only a close touches and fills a gap"
    )
    fvg_inverse: bool = Field(default=True, description="FVG_INVERSE after a close beyond the gap")
    fvg_merge: bool = Field(default=True, description="FVG_MERGED for gaps that join")
    # Order blocks
    order_blocks: bool = Field(default=True, description="order blocks")
    confirm: Literal["structure_break", "displacement", "either"] = Field(
        default="structure_break", description="what makes an order block"
    )
    candle_select: Literal["extreme_in_leg", "last_opposite"] = Field(
        default="extreme_in_leg",
        description="which candle of the leg it is: the outermost, or the last of the other colour",
    )
    block_tie: Literal["first", "last"] = Field(
        default="last", description="which of equally extreme candles it is"
    )
    zone: Literal["full_range", "body"] = Field(
        default="full_range", description="the block is the candle's range or its body"
    )
    block_volatile_atr: float = Field(
        default=0.0,
        ge=0,
        le=50,
        description="candles whose range is this many ATR or more are passed over; 0 is off",
    )
    mitigation: Literal["touch", "midpoint", "close_through"] = Field(
        default="midpoint", description="how far price must come back to mitigate a block"
    )
    block_end: Literal["close", "wick"] = Field(
        default="close", description="what must lie beyond the far edge to invalidate a block"
    )
    breakers: bool = Field(default=True, description="breaker and mitigation blocks")
    # Liquidity
    liquidity: bool = Field(default=True, description="levels, pools, sweeps and takes")
    target: Literal["any", "swing", "equal_cluster", "period_extreme"] = Field(
        default="swing",
        description="the levels whose sweep is an event: swings and their pools, pools only, "
        "extremes of previous periods only, or all",
    )
    equal_atr: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="two swings this near, in ATR, are one pool (equal highs)",
    )
    reclaim_bars: int = Field(
        default=3, ge=1, le=20, description="bars to close back inside, penetration bar included"
    )
    max_levels: int = Field(
        default=32,
        ge=2,
        le=64,
        description="untouched levels remembered a side; the oldest expires",
    )
    max_zones: int = Field(
        default=64, ge=2, le=64, description="live zones remembered a side; the oldest expires"
    )
    expiry_bars: int = Field(
        default=0, ge=0, le=1_000_000, description="age at which a zone expires; 0 is never"
    )
    # Calendar
    days: bool = Field(default=True, description="PREV_DAY: UTC days, as the venue has them")
    weeks: bool = Field(default=True, description="PREV_WEEK: from Monday 00:00 UTC")
    months: bool = Field(default=True, description="PREV_MONTH: calendar months, UTC")
    min_coverage: float = Field(
        default=0.95,
        gt=0,
        le=1,
        description="share of a period's bars that must be there, or its extremes are NaN",
    )
    sessions: tuple[str, ...] = Field(
        default=(),
        description="sessions by name (docs/smc.md lists them) or as name=HH:MM-HH:MM@Area/City",
    )
    opening_range_minutes: int = Field(
        default=0, ge=0, le=1440, description="the first minutes of every session; 0 is off"
    )
    # Dealing range
    dealing_range: bool = Field(default=True, description="RANGE, PREMIUM, DISCOUNT and OTE")
    retracements: bool = Field(
        default=False, description="RETRACED at every mark; the readings are there without it"
    )
    range_anchor: Literal["swing_pair", "trailing_extremes"] = Field(
        default="swing_pair",
        description="the range stays between the last confirmed swings, or widens with price",
    )
    htf: tuple[str, ...] = Field(
        default=(),
        max_length=MOST_TIMEFRAMES,
        description="higher timeframes built from the same bars, such as 1h and 4h",
    )

    @field_validator("htf", "sessions", mode="before")
    @classmethod
    def _text_is_a_list(cls, names: object) -> object:
        """Names may be given as one text with commas, as on the command line."""
        return tuple(filter(None, names.split(","))) if isinstance(names, str) else names

    @field_validator("htf", mode="after")
    @classmethod
    def _known_timeframes(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        try:
            lengths = [Timeframe.parse(name).ms for name in names]
        except UserError as error:
            raise ValueError(str(error)) from None
        if lengths != sorted(set(lengths)):
            raise ValueError("give each higher timeframe once, shortest first")
        return names

    @field_validator("sessions", mode="after")
    @classmethod
    def _known_sessions(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        try:
            found = [Session.parse(name).name for name in names]
        except UserError as error:
            raise ValueError(str(error)) from None
        if len(found) != len(set(found)):
            raise ValueError("give each session once")
        return names

    @model_validator(mode="after")
    def _no_contradiction(self) -> Self:
        for problem in self._contradictions():
            raise ValueError(problem)
        return self

    def _contradictions(self) -> list[str]:
        """Clauses set by hand that other clauses make void; defaults give way without a word."""
        chosen = self.model_fields_set
        found = [
            f"{name} needs {need}=True; set it, or leave {name} out"
            for name, needs in _NEEDS.items()
            if name in chosen and getattr(self, name)
            for need in needs
            if not getattr(self, need)
        ]
        if self.detector == "leg_flip":
            found += [
                f"{name} has no meaning with detector='leg_flip', which looks only at the `right` "
                f"bars after; leave {name} out"
                for name in ("left", "tie")
                if name in chosen
            ]
        if self.which_pivot == "bos_origin" and not self.structure:
            found.append("which_pivot='bos_origin' needs structure=True")
        if self.target == "period_extreme" and not (self.days or self.weeks or self.months):
            found.append("target='period_extreme' needs days, weeks or months")
        if "target" in chosen and not self.liquidity:
            found.append("target needs liquidity=True; set it, or leave target out")
        if self.opening_range_minutes and not self.sessions:
            found.append("opening_range_minutes needs sessions; name at least one")
        if self.order_blocks and {"order_blocks", "confirm"} & chosen:
            if self.confirm == "structure_break" and not self.structure:
                found.append("confirm='structure_break' needs structure=True")
            if self.confirm == "displacement" and not self.displacement:
                found.append("confirm='displacement' needs displacement=True")
        return found

    def engine_config(self, bar_ms: int = 0) -> EngineConfig:
        """The same in the kernels' types; raises UserError for higher timeframes that cannot be
        built from bars of `bar_ms`, where that is known."""
        lengths = [Timeframe.parse(name).ms for name in self.htf]
        if bar_ms:
            for name, length in zip(self.htf, lengths, strict=True):
                if length <= bar_ms or length % bar_ms:
                    base = Timeframe.of_length(bar_ms)
                    raise UserError(
                        f"htf: {name} cannot be built from {base} bars; choose a multiple of {base}"
                    )
        blocks = self.order_blocks
        left = self.left if self.detector == "fractal" else self.right
        first, second, third = (*lengths, 0, 0, 0)[:3]
        return EngineConfig(
            holes_void=self.holes == "void",
            detector=("fractal", "leg_flip").index(self.detector),
            left=left,
            right=self.right,
            runs=max(left, self.right).bit_length(),
            left_run=left.bit_length() - 1,
            right_run=self.right.bit_length() - 1,
            ties_count=self.tie == "first",
            labels=self.labels,
            strength=self.strength and self.structure,
            candidates=self.candidates,
            atr_bars=self.atr_bars,
            structure=self.structure,
            wick_breaks=self.trigger == "wick",
            bos_origin=self.which_pivot == "bos_origin",
            displacement_atr=self.displacement_atr if self.displacement else float("inf"),
            require_fvg=self.require_fvg,
            mss=self.mss and self.structure and self.displacement,
            fvg=self.fvg,
            gaps=self.fvg or self.require_fvg,
            fvg_min_atr=self.fvg_min_atr,
            fvg_min_bp=self.fvg_min_bp,
            fvg_same_colour=self.fvg_same_colour,
            fvg_close_beyond=self.fvg_close_beyond,
            fvg_body_mult=self.fvg_body_mult,
            body_bars=self.body_bars,
            fvg_fill_close=self.fvg_fill == "close",
            fvg_inverse=self.fvg_inverse,
            fvg_merge=self.fvg_merge,
            order_blocks=blocks,
            block_on_break=blocks and self.confirm != "displacement",
            block_on_displacement=blocks and self.confirm != "structure_break",
            block_last_opposite=self.candle_select == "last_opposite",
            block_ties_last=self.block_tie == "last",
            block_body=self.zone == "body",
            block_volatile_atr=self.block_volatile_atr,
            mitigation=("touch", "midpoint", "close_through").index(self.mitigation),
            block_wick_invalidates=self.block_end == "wick",
            breakers=self.breakers and blocks and self.structure,
            liquidity=self.liquidity,
            target=("any", "swing", "equal_cluster", "period_extreme").index(self.target),
            equal_atr=self.equal_atr,
            reclaim_bars=self.reclaim_bars,
            max_levels=self.max_levels,
            max_zones=self.max_zones,
            expiry_bars=self.expiry_bars,
            days=self.days,
            weeks=self.weeks,
            months=self.months,
            min_coverage=self.min_coverage,
            dealing_range=self.dealing_range,
            range_each_bar=self.retracements or self.range_anchor == "trailing_extremes",
            retracements=self.retracements and self.dealing_range,
            trailing_range=self.range_anchor == "trailing_extremes",
            session_count=len(self.sessions),
            sessions=session_tables(self.sessions, self.opening_range_minutes),
            htf_count=len(lengths),
            htf_ms=(first, second, third),
        )
