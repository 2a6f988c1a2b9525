"""Snapshots: the named tuples of arrays that kernels work on, as bytes and back."""

from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from fractaltrader.errors import UserError

State = TypeVar("State", bound=tuple[Any, ...])


def _arrays(state: tuple[Any, ...], path: str = "") -> Iterator[tuple[str, NDArray[Any]]]:
    for name, value in zip(state._fields, state, strict=True):  # type: ignore[attr-defined]
        if isinstance(value, np.ndarray):
            yield path + name, value
        else:
            yield from _arrays(value, f"{path}{name}.")


def pack(state: tuple[Any, ...], owner: str) -> bytes:
    """Every array of `state` with its name; `owner` says whose state it is (parameters too)."""
    columns = {name: array.tobytes() for name, array in _arrays(state)}
    return msgspec.msgpack.encode({"owner": owner, "arrays": columns})


def unpack_into(state: tuple[Any, ...], owner: str, snapshot: bytes) -> None:
    """Fill `state` in place; UserError, and no change, when the snapshot is not `owner`'s."""
    try:
        found = msgspec.msgpack.decode(snapshot, type=dict[str, Any])
    except msgspec.DecodeError as broken:
        raise UserError(f"snapshot of {owner}: not readable ({broken}); start afresh") from None
    if found.get("owner") != owner:
        raise UserError(f"snapshot of {found.get('owner')}: made by another than {owner}")
    columns = found.get("arrays", {})
    for name, array in _arrays(state):
        if len(columns.get(name, b"")) != array.nbytes:
            raise UserError(f"snapshot of {owner}: {name} has the wrong length; start afresh")
    for name, array in _arrays(state):
        array[...] = np.frombuffer(columns[name], array.dtype).reshape(array.shape)
