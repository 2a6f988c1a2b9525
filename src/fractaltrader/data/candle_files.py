"""Candle files: CSV and Parquet with open_time, open, high, low, close, volume; more is ignored."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fractaltrader.errors import UserError, did_you_mean
from fractaltrader.market import Candles, Timeframe
from fractaltrader.market.bars import COLUMNS, TimeColumn, infer_timeframe

if TYPE_CHECKING:
    import polars as pl

SUFFIXES = (".csv", ".parquet")
QUOTES = ("USDT", "USDC", "USD")

# A real open time in any of these units falls in exactly one range (years 1990 to 2100).
_UNITS = (("seconds", 1e-3), ("microseconds", 1e3), ("nanoseconds", 1e6))
_FIRST_MS = 631_152_000_000
_LAST_MS = 4_102_444_800_000


def load_candles(
    path: Path, coin: str | None = None, timeframe: Timeframe | None = None
) -> Candles:
    """The candles of one CSV or Parquet file, checked row by row.

    `coin` overrides the one the file's name begins with, `timeframe` the one its times show. Absent
    rows (gaps) are legal. Raises UserError, one line with the file's name, for a file that cannot
    be read or breaks a rule.
    """
    path = Path(path)
    coin = coin or coin_of(path)
    frame = _typed(path, _read(path))
    # Copies: numba compiles anew for the read-only views polars hands out.
    times = np.array(frame["open_time"], dtype=np.int64)
    _refuse_other_units(path, times)
    values = (np.array(frame[name], dtype=np.float64) for name in COLUMNS[1:])
    try:
        timeframe = timeframe or infer_timeframe(times)
        return Candles(coin, timeframe, times, *values).validated()
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def coin_of(path: Path) -> str:
    """The coin a file's name begins with: BTC-5m.csv, BTCUSDT-1m.csv and BTC_USDC-1h.csv are BTC.

    Raises UserError when the name begins with nothing that looks like a coin.
    """
    name = re.split(r"[-_. ]", path.name, maxsplit=1)[0]
    if not re.fullmatch(r"k?[A-Z0-9]{1,20}", name):
        raise UserError(
            f"{path}: the file name must begin with its coin, got {name!r}; "
            "rename it like BTC-5m.csv (or kPEPE-5m.csv)"
        )
    for quote in QUOTES:
        if name.endswith(quote) and name != quote:
            return name.removesuffix(quote)
    return name


def require_polars() -> None:
    """Raises UserError naming the extra to install when polars is missing."""
    try:
        import polars  # noqa: F401
    except ImportError:
        raise UserError(
            "candle files need polars, which is not installed; install the lab extra: "
            "pip install 'fractaltrader[lab]'"
        ) from None


def _read(path: Path) -> "pl.DataFrame":
    """The six columns as the file has them; a CSV's as text."""
    require_polars()
    import polars as pl

    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UserError(
            f"{path}: a candle file ends in {' or '.join(SUFFIXES)}, not {path.suffix!r}"
        )
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise UserError(f"{path}: the candle file {what}; check the path")
    try:
        with path.open("rb") as file:
            if suffix == ".csv":
                frame = pl.read_csv(file, infer_schema=False)
                _require_columns(path, frame.columns)
                return frame.select(COLUMNS)
            _require_columns(path, list(pl.read_parquet_schema(file)))
            file.seek(0)
            return pl.read_parquet(file, columns=list(COLUMNS))
    except pl.exceptions.NoDataError:
        raise UserError(f"{path}: the file is empty; give at least two candles") from None
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise UserError(
            f"{path}: cannot be read as {suffix[1:]} ({reason}); export the file again"
        ) from None


def _require_columns(path: Path, found: list[str]) -> None:
    missing = [name for name in COLUMNS if name not in found]
    if missing:
        hint = did_you_mean(missing[0], found) or "; rename or add it"
        raise UserError(
            f"{path}: column {missing[0]!r} is missing; a candle file has {', '.join(COLUMNS)}, "
            f"this one has {', '.join(map(repr, found[:12])) or 'none'}{hint}"
        )


def _typed(path: Path, frame: "pl.DataFrame") -> "pl.DataFrame":
    """The frame with integer times and float values and nothing missing; else UserError."""
    import polars as pl

    if frame.height == 0:
        raise UserError(f"{path}: the file has no rows; give at least two candles")
    columns = []
    for name in COLUMNS:
        given = frame[name]
        wanted, noun = (
            (pl.Int64, "an integer, UTC epoch milliseconds")
            if name == "open_time"
            else (pl.Float64, "a number")
        )
        castable = given.dtype == pl.String or (
            given.dtype.is_integer() if name == "open_time" else given.dtype.is_numeric()
        )
        if not castable:
            raise UserError(
                f"{path}: column {name!r} has type {given.dtype}; every value must be {noun}; "
                "convert the column"
            )
        typed = given.cast(wanted, strict=False)
        if typed.null_count():
            row = int(typed.is_null().arg_max() or 0)
            value = "missing" if given[row] in (None, "") else repr(given[row])
            raise UserError(
                f"{path}: row {row + 1} of {frame.height}: {name} is {value} but must be {noun}; "
                "repair or drop the row"
            )
        columns.append(typed)
    return pl.DataFrame(columns)


def _refuse_other_units(path: Path, times: TimeColumn) -> None:
    outside = (times < _FIRST_MS) | (times > _LAST_MS)
    if not outside.any():
        return
    row = int(np.argmax(outside))
    value = int(times[row])
    unit = next((unit for unit, per in _UNITS if _FIRST_MS <= value / per <= _LAST_MS), None)
    problem = f"looks like {unit}" if unit else "is no time between 1990 and 2100"
    raise UserError(
        f"{path}: row {row + 1} of {len(times)}: open_time = {value} {problem}; "
        "give UTC epoch milliseconds"
    )
