"""Arrays that machine code works on where they lie; only the lab imports this module, for it needs
numba.

A kernel that gets an `InPlace` reads and writes the arrays of a named tuple by their names, as in
Python. They may be of any length, where those of a record are of the lengths in its type, and to
call another kernel costs one pointer, where a named tuple would hand over every part of each.
"""

from functools import cache
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core.typing.templates import AttributeTemplate
from numba.extending import infer_getattr, lower_getattr_generic, models, register_model
from numba.np.arrayobj import make_array, populate_array

from fractaltrader.smc.lent import Lent, LentType

_ENDLESS = 1 << 60  # rows; numba asks only to count places from the end


class InPlaceType(LentType):
    """The type of the arrays of a named tuple, one-dimensional and contiguous."""

    def __init__(self, arrays: dict[str, Any]) -> None:
        members = ", ".join(f"{name} {array.dtype}" for name, array in arrays.items())
        super().__init__(f"InPlace({members})")
        self.arrays = arrays


class InPlace(Lent):
    """A named tuple of arrays, to hand to a compiled kernel."""

    def __init__(self, arrays: Any) -> None:
        self._arrays = arrays  # they live as long as their addresses are known
        self._addresses = np.array([array.ctypes.data for array in arrays], np.uintp)
        kind = _type_like(arrays._fields, tuple(array.dtype for array in arrays))
        super().__init__(kind, self._addresses.ctypes.data)


@cache  # because numba takes longer over a type than machine code over a thousand bars
def _type_like(names: tuple[str, ...], items: tuple[Any, ...]) -> InPlaceType:
    kinds = (numba.types.Array(numba.from_dtype(item), 1, "C") for item in items)
    return InPlaceType(dict(zip(names, kinds, strict=True)))


register_model(InPlaceType)(models.OpaqueModel)


@infer_getattr
class _Arrays(AttributeTemplate):
    key = InPlaceType

    def generic_resolve(self, in_place: InPlaceType, name: str) -> Any:  # type: ignore[override]
        return in_place.arrays[name]


@lower_getattr_generic(InPlaceType)
def _array(context: Any, builder: Any, in_place: InPlaceType, value: Any, name: str) -> Any:
    """The array at the address that stands at the place of its name."""
    kind = in_place.arrays[name]
    item = context.get_data_type(kind.dtype)
    addresses = builder.bitcast(value, ir.PointerType(ir.PointerType(item)))
    place = context.get_constant(numba.types.intp, list(in_place.arrays).index(name))
    array = make_array(kind)(context, builder)
    rows = context.get_constant(numba.types.intp, _ENDLESS)
    size = context.get_constant(numba.types.intp, context.get_abi_sizeof(item))
    data = builder.load(builder.gep(addresses, [place]))
    populate_array(array, data, shape=[rows], strides=[size], itemsize=size, meminfo=None)
    return array._getvalue()
