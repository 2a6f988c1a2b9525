"""Named parameters with bounds, and the error a user sees when one is wrong."""

from collections.abc import Mapping
from typing import Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fractaltrader.errors import UserError, did_you_mean


class Parameters(BaseModel):
    """A frozen set of named parameters; unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def parse(cls, values: Mapping[str, object], owner: str) -> Self:
        """Parameters from `values`; UserError names `owner`, the parameter and its rule."""
        known = list(cls.model_fields)
        for name in values:
            if name not in known:
                hint = did_you_mean(name, known) or f"; known are {', '.join(known)}"
                raise UserError(f"{owner}: unknown parameter {name!r}{hint}")
        try:
            return cls.model_validate(dict(values))
        except ValidationError as invalid:
            first = invalid.errors(include_url=False)[0]
            name = ".".join(str(part) for part in first["loc"])
            prefix = f"{name} = {first['input']!r}: " if name else ""
            raise UserError(f"{owner}: {prefix}{first['msg']}") from None


class EngineConfig(NamedTuple):
    """`EngineParameters` as the kernels read them."""

    left: int
    right: int
    ties_count: bool
    atr_bars: int
    equal_atr: float
    reclaim_bars: int
    max_levels: int


class EngineParameters(Parameters):
    """The contested clauses of detection; lengths are in bars, distances in ATR."""

    left: int = Field(default=5, ge=1, le=50, description="bars a swing must exceed before it")
    right: int = Field(
        default=5, ge=1, le=50, description="bars a swing must exceed after it: its delay"
    )
    tie: Literal["first", "strict"] = Field(
        default="first",
        description="the first bar of a plateau is a swing, or no bar is; plateaus are common "
        "where ticks are coarse, and their level is real",
    )
    atr_bars: int = Field(default=14, ge=2, le=200, description="simple mean of the true range")
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

    def engine_config(self) -> EngineConfig:
        """The same in the kernels' types."""
        return EngineConfig(
            self.left,
            self.right,
            self.tie == "first",
            self.atr_bars,
            self.equal_atr,
            self.reclaim_bars,
            self.max_levels,
        )
