"""Values that kernels are lent by an address; only the lab imports this module, for it needs numba.

What a kernel may ask of such a value is for its type to say (`fixed.py`, `in_place.py`).
"""

from typing import Any

import numba
from numba.extending import NativeValue, typeof_impl, unbox


class LentType(numba.types.Opaque):
    """The type of a lent value.

    Types of the same name are the same, also in machine code that is kept on the disk.
    """


class Lent:
    """A value to hand to a compiled kernel, of a type of its own."""

    def __init__(self, kind: LentType, address: int = 0) -> None:
        self.type = kind
        self.address = address


@typeof_impl.register(Lent)
def _type_of(value: Lent, _: object) -> LentType:
    return value.type


@unbox(LentType)
def _hand_over(_: object, value: Any, c: Any) -> Any:
    address = c.pyapi.object_getattr_string(value, "address")
    pointer = c.pyapi.long_as_voidptr(address)
    c.pyapi.decref(address)
    return NativeValue(pointer)
