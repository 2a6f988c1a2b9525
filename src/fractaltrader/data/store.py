"""The candle store: one Parquet file a coin and timeframe, which only ever grows."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from fractaltrader.data.candle_files import load_candles, require_polars
from fractaltrader.durable import replace_file
from fractaltrader.errors import UserError
from fractaltrader.market import Candles, Timeframe
from fractaltrader.market.bars import COLUMNS, utc

LOCK_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Added:
    """What one import did to one file of the store."""

    coin: str
    timeframe: Timeframe
    new_bars: int
    total_bars: int
    path: Path


class CandleStore:
    """Candles kept under one folder, `FRACTAL_HOME/data` for a user's own.

    Safe for several processes: a file lock (10 s) spans read, merge and write, and a file is
    replaced whole or not at all.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, coin: str, timeframe: Timeframe) -> Path:
        """Where the candles of `coin` at `timeframe` are; raises UserError for an unfit name."""
        if not re.fullmatch(r"[A-Za-z0-9]+", coin):
            raise UserError(f"coin: {coin!r} must be letters and digits only; give a name like BTC")
        return self.folder / f"{coin}-{timeframe}.parquet"

    def load(self, coin: str, timeframe: Timeframe) -> Candles:
        """All candles of `coin` at `timeframe`; raises UserError when there are none."""
        path = self.path(coin, timeframe)
        if not path.exists():
            raise UserError(
                f"candle store: no {timeframe} candles of {coin} in {self.folder}; "
                "run: fractal data import FILE"
            )
        return load_candles(path, coin, timeframe)

    def add(self, imports: Sequence[Candles]) -> list[Added]:
        """Merge `imports` into the store: either every one of them, or none.

        Bars the store has already are fine when identical. Raises UserError at the first that
        differs, and when the folder cannot be written or another process holds it.
        """
        require_polars()
        with self._locked():
            merged: dict[Path, Candles] = {}
            before: dict[Path, int] = {}
            for candles in imports:
                path = self.path(candles.coin, candles.timeframe)
                if path not in merged and path.exists():
                    merged[path] = self.load(candles.coin, candles.timeframe)
                before.setdefault(path, len(merged[path]) if path in merged else 0)
                merged[path] = merge(merged[path], candles) if path in merged else candles
            # Nothing is written until every merge has gone through.
            for path, candles in merged.items():
                if len(candles) > before[path]:
                    _write(path, candles)
        return [
            Added(candles.coin, candles.timeframe, len(candles) - before[path], len(candles), path)
            for path, candles in merged.items()
        ]

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.folder / ".store.lock", timeout=LOCK_TIMEOUT_S)
            lock.acquire()
        except Timeout:
            raise UserError(
                f"candle store: another process has held {self.folder} for {LOCK_TIMEOUT_S:.0f} s; "
                "try again when it has finished"
            ) from None
        except OSError as error:
            raise UserError(
                f"candle store: cannot write to {self.folder} ({error.strerror}); "
                "set FRACTAL_HOME to a folder you may write to"
            ) from None
        try:
            yield
        finally:
            lock.release()


def merge(kept: Candles, given: Candles) -> Candles:
    """Both sets of bars in order of time; raises UserError naming the first bar they disagree on.

    Coin and timeframe must be the same.
    """
    _, in_kept, in_given = np.intersect1d(
        kept.open_time, given.open_time, assume_unique=True, return_indices=True
    )
    differs = np.array(
        [getattr(kept, name)[in_kept] != getattr(given, name)[in_given] for name in COLUMNS[1:]]
    )
    if differs.any():
        first = int(np.argmax(differs.any(axis=0)))
        name = COLUMNS[1 + int(np.argmax(differs[:, first]))]
        old, new = getattr(kept, name)[in_kept[first]], getattr(given, name)[in_given[first]]
        raise UserError(
            f"candle store: {kept.coin} {kept.timeframe} bar of "
            f"{utc(int(kept.open_time[in_kept[first]]))}: {name} is {old} in the store but {new} "
            f"in the import ({int(differs.any(axis=0).sum())} bars differ); "
            "import one source only, or remove the stored file first"
        )
    fresh = np.setdiff1d(np.arange(len(given)), in_given, assume_unique=True)
    columns = {
        name: np.concatenate([getattr(kept, name), getattr(given, name)[fresh]]) for name in COLUMNS
    }
    order = np.argsort(columns["open_time"], kind="stable")
    return Candles(
        kept.coin, kept.timeframe, *(columns[name][order] for name in COLUMNS)
    ).validated()


def _write(path: Path, candles: Candles) -> None:
    """Replace `path` in one step: a crash leaves the old file or the new one, never a part."""
    import polars as pl

    frame = pl.DataFrame({name: getattr(candles, name) for name in COLUMNS})
    try:
        replace_file(path, lambda file: frame.write_parquet(file, compression="zstd"))
    except (OSError, pl.exceptions.PolarsError) as error:  # polars wraps a full disk in its own
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"candle store: cannot write {path} ({reason}); free the disk or move FRACTAL_HOME"
        ) from None
