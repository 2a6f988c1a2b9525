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
        elif _many(value):
            for place, part in enumerate(value):
                yield from _arrays(part, f"{path}{name}.{place}.")
        else:
            yield from _arrays(value, f"{path}{name}.")


def as_record(state: tuple[Any, ...]) -> np.void:
    """A copy of named tuples of arrays and numbers in one piece of memory, with the same names.

    Machine code takes it as a single address, where a tuple would be hundreds of arguments; the
    shapes belong to its type, so kernels are compiled once only if they are always the same.
    """
    record: np.void = as_records(state)[0]
    return record


def as_records(state: tuple[Any, ...]) -> NDArray[np.void]:
    """The record of `as_record` as an array of one, which is cheaper to hand to machine code."""
    memory = np.zeros(1, _record_type(state))
    _fill(memory[0], state)
    return memory


def views_of(memory: Any, state: State) -> State:
    """Named tuples like `state` whose arrays are those of the record `memory`, not copies."""
    parts: list[Any] = []
    for name, value in zip(state._fields, state, strict=True):  # type: ignore[attr-defined]
        if hasattr(value, "_fields"):
            parts.append(views_of(memory[name], value))
        elif _many(value):
            parts.append(tuple(map(views_of, memory[name], value)))
        else:
            parts.append(memory[name])
    return type(state)(*parts)


def scalar_views(state: State) -> State:
    """Named tuples like `state` over the same memory, to be read and written number by number.

    Interpreted kernels do that twice as fast as on arrays: what they read is a plain number.
    """
    parts: list[Any] = []
    for value in state:
        if isinstance(value, np.ndarray):
            parts.append(value.data)
        elif _many(value):
            parts.append(tuple(map(scalar_views, value)))
        else:
            parts.append(scalar_views(value) if hasattr(value, "_fields") else value)
    return type(state)(*parts)


def _record_type(state: tuple[Any, ...]) -> np.dtype[np.void]:
    fields: list[Any] = []
    for name, value in zip(state._fields, state, strict=True):  # type: ignore[attr-defined]
        if hasattr(value, "_fields"):
            fields.append((name, _record_type(value)))
        elif _many(value):
            fields.append((name, _record_type(value[0]), (len(value),)))
        else:
            array = np.asarray(value)
            fields.append((name, array.dtype, array.shape) if array.ndim else (name, array.dtype))
    return np.dtype(fields, align=True)


def _many(value: object) -> bool:
    """Whether it is a plain tuple of named tuples of the same shape."""
    if not isinstance(value, tuple) or hasattr(value, "_fields"):
        return False
    return bool(value) and hasattr(value[0], "_fields")


def _fill(memory: Any, state: tuple[Any, ...]) -> None:
    for name, value in zip(state._fields, state, strict=True):  # type: ignore[attr-defined]
        if hasattr(value, "_fields"):
            _fill(memory[name], value)
        elif _many(value):
            for place, part in enumerate(value):
                _fill(memory[name][place], part)
        else:
            memory[name] = value


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
