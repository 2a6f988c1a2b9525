"""`python -m benchmarks`: medians on this machine, one table."""

import os
import platform
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks import backtest, bot, detection, exchange, limits, peers, signing
from benchmarks import candles as candle_files
from benchmarks.timing import Row, readable
from fractaltrader.data.candle_files import load_candles

TURNS = 2_000_000


def machine() -> str:
    """Processor, cores, load and versions: what the figures depend on."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return (
        f"{model}, {os.cpu_count()} cores{load}; Python {platform.python_version()}, "
        f"numpy {np.__version__}"
    )


def pace() -> float:
    """Seconds for one turn of a loop: when it changes, it is the machine that does."""
    start = perf_counter()
    total = 0
    for i in range(TURNS):
        total += i * i
    return (perf_counter() - start) / TURNS


def main() -> None:
    """Run everything and print it."""
    console = Console()
    console.print(machine(), highlight=False)
    with TemporaryDirectory() as folder:
        path, source = candle_files.year_of_minutes(Path(folder))
        console.print(f"candles: {source}", highlight=False)
        candles = load_candles(path)
        parts = (
            signing.rows,
            limits.rows,
            bot.rows,
            exchange.rows,
            lambda: candle_files.rows(path, candles),
            lambda: detection.rows(candles),
            lambda: backtest.rows(candles),
            lambda: peers.rows(candles),
        )
        rows, paces = [], [pace()]
        for part in parts:
            rows += part()
            paces.append(pace())
    low, high = readable(min(paces)), readable(max(paces))
    rows.append(
        Row("a turn of a loop in Python", median(paces), "turn", f"{low} to {high} meanwhile")
    )
    table = Table("benchmark")
    table.add_column("median", justify="right")
    table.add_column("note")
    for row in rows:
        table.add_row(row.name, f"{readable(row.seconds)} / {row.unit}", row.note)
    console.print(table)


if __name__ == "__main__":
    main()
