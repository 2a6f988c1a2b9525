"""What a target says about each bar, in columns that can be compared reading by reading."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fractaltrader.errors import UserError

Column = NDArray[Any]
Readings = dict[str, Column]

NOTHING = ""  # an empty reading of a column of text


def as_readings(result: object, bars: int, target: str) -> Readings:
    """Columns of `result`: a frame, a series, an array, or a mapping or record of arrays.

    Rows are taken by position; members of a record that are not arrays (a window size) are left
    out. Raises UserError for a column that does not have one reading a bar.
    """
    columns = {name: _column(values) for name, values in _named(result)}
    if not columns:
        raise UserError(
            f"{target}: returned {type(result).__name__}, which has no columns; return a frame, "
            "a series, an array or a dict of arrays with one reading a bar"
        )
    for name, column in columns.items():
        if column.shape != (bars,):
            raise UserError(
                f"{target}: column {name!r} has shape {column.shape} for {bars} bars; "
                "return one reading a bar"
            )
    return columns


def same(first: Column, second: Column) -> NDArray[np.bool_]:
    """Where two columns read the same; nothing equals nothing."""
    equal: NDArray[np.bool_] = np.asarray(first == second, dtype=np.bool_)
    if first.dtype == np.float64 and second.dtype == np.float64:
        equal |= np.isnan(first) & np.isnan(second)
    return equal


def given(column: Column) -> NDArray[np.bool_]:
    """Where a column says something."""
    if column.dtype == np.float64:
        return ~np.isnan(column)
    return np.asarray(column != NOTHING, dtype=np.bool_)


def shown(value: object) -> str:
    """A reading for people; a dash for none."""
    if isinstance(value, float):
        return "-" if np.isnan(value) else f"{value:.10g}"
    return str(value) or "-"


def _named(result: object) -> Iterator[tuple[str, object]]:
    if isinstance(result, Mapping):
        yield from ((str(name), values) for name, values in result.items())
    elif hasattr(result, "columns"):
        table: Any = result
        yield from ((str(name), table[name]) for name in table.columns)
    elif is_dataclass(result) and not isinstance(result, type):
        members = ((field.name, getattr(result, field.name)) for field in fields(result))
        yield from ((name, values) for name, values in members if np.ndim(values) == 1)
    elif isinstance(result, tuple) and hasattr(result, "_fields"):
        yield from zip(result._fields, result, strict=True)
    elif np.ndim(result) == 1:  # type: ignore[arg-type]
        yield str(getattr(result, "name", None) or "value"), result


def _column(values: object) -> Column:
    """Numbers as float64 with NaN for nothing, the rest as text; a False says nothing."""
    array = np.asarray(values)
    kind = array.dtype.kind
    if kind == "b":
        return np.where(array, 1.0, np.nan)
    if kind in "iuf":
        return array.astype(np.float64)
    if kind in "mM":
        return np.where(np.isnat(array), np.nan, array.astype(np.int64).astype(np.float64))
    return np.array([_text(value) for value in array.tolist()], dtype=object)


def _text(value: object) -> str:
    if value is None or value is False or value != value:
        return NOTHING
    return str(value)
