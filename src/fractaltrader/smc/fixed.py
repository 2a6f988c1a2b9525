"""Parameters as constants of machine code; only the lab imports this module, for it needs numba.

A kernel that gets a `Fixed` is compiled for the values in it: the clauses are not tested any more,
and what they switch off is not there. Its source reads them like any other parameters.
"""

import hashlib
from typing import Any

import numba
from numba.core.typing.templates import AttributeTemplate
from numba.extending import infer_getattr, lower_getattr_generic, models, register_model

from fractaltrader.smc.lent import Lent, LentType


class FixedType(LentType):
    """The type of one set of parameters. The type tells all of it, its only value nothing."""

    def __init__(self, name: str, values: tuple[Any, ...]) -> None:
        super().__init__(name)
        self.values = values


class Fixed(Lent):
    """A named tuple of numbers, arrays and tuples of them, to hand to a compiled kernel.

    `described` has to tell it from every other one.
    """

    def __init__(self, described: str, values: tuple[Any, ...]) -> None:
        digest = hashlib.sha256(described.encode()).hexdigest()[:16]
        super().__init__(FixedType(f"Fixed_{digest}", values))


register_model(FixedType)(models.OpaqueModel)


@infer_getattr
class _Parameters(AttributeTemplate):
    key = FixedType

    def generic_resolve(self, fixed: FixedType, name: str) -> Any:  # type: ignore[override]
        return numba.typeof(getattr(fixed.values, name))


@lower_getattr_generic(FixedType)
def _constant(context: Any, builder: Any, fixed: FixedType, _: object, name: str) -> Any:
    value = getattr(fixed.values, name)
    return context.get_constant_generic(builder, numba.typeof(value), value)
