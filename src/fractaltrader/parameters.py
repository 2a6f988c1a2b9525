"""Named parameters with bounds, and the error a user sees when one is wrong."""

from collections.abc import Mapping
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

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
            rule = first["msg"].removeprefix("Value error, ")
            raise UserError(f"{owner}: {prefix}{rule}") from None
