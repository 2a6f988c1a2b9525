"""Detection with every default detector: in batch, and bar by bar as the bot and the lab run it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from statistics import median
from time import perf_counter

import numpy as np

from benchmarks.timing import Row, readable, seconds_each
from fractaltrader.market import Bar, Candles
from fractaltrader.smc import SmcEngine, detect, detect_events

LIVE_BARS = 5_000
LENGTHS = (10_000, 100_000, 1_000_000, 10_000_000)
RUNS = 7
STREAMED = 5_000_000
STARTS = 3

# What a new process waits for: numba's import, and the first detection beyond the second.
START = """
from time import perf_counter
begin = perf_counter()
import numba
imported = perf_counter()
import numpy as np
from fractaltrader.market import Candles, Timeframe
from fractaltrader.smc import detect_events
ones = np.ones(1000)
candles = Candles("BTC", Timeframe.parse("1m"), np.arange(1000) * 60_000, *5 * (ones,))
times = [perf_counter()]
for _ in range(2):
    detect_events(candles)
    times.append(perf_counter())
print(imported - begin, 2 * times[1] - times[0] - times[2])
"""


def years_of(candles: Candles, count: int) -> Candles:
    """The candles `count` times over, one after the other without a hole."""
    length = len(candles)
    times = candles.open_time[0] + np.arange(count * length) * candles.timeframe.ms
    columns = (
        np.tile(column, count)
        for column in (candles.open, candles.high, candles.low, candles.close, candles.volume)
    )
    return Candles(candles.coin, candles.timeframe, times, *columns)


def pieces(candles: Candles, length: int) -> list[Candles]:
    """The candles cut into pieces of `length` bars; repeated first where they are too few."""
    whole = candles if length <= len(candles) else years_of(candles, -(-length // len(candles)))
    return [whole.slice(at, at + length) for at in range(0, len(whole) - length + 1, length)]


def batch_rows(candles: Candles) -> list[Row]:
    """Batch detection of a year, as events and as a frame, and of the same year in short and long
    histories."""
    system = dict.fromkeys(LENGTHS, 0.0)

    def whole_year(length: int, parts: list[Candles]) -> None:
        began = os.times().system
        for part in parts:
            detect_events(part)
        system[length] += os.times().system - began

    years = {length: pieces(candles, length) for length in LENGTHS}
    batch, frame, *each = seconds_each(
        [
            lambda: detect_events(candles),
            lambda: detect(candles),
            *(partial(whole_year, length, parts) for length, parts in years.items()),
        ],
        runs=RUNS,
    )
    events = len(detect_events(candles).kind)
    rows = [
        Row(
            "detect events in batch", batch / len(candles), "bar",
            f"{events / len(candles):.2f} events a bar",
        ),
        Row("the same as a polars frame", frame / len(candles), "bar", f"{events:,} rows"),
    ]  # fmt: skip
    shortest = each[0] / LENGTHS[0] / len(years[LENGTHS[0]])
    for (length, parts), seconds in zip(years.items(), each, strict=True):
        bars = len(parts) * length
        # What the system takes is for fresh memory: results of a million bars are not kept.
        note = f"{len(parts)} pieces, " if len(parts) > 1 else ""
        note += f"{seconds / bars / shortest:.2f} x the shortest; "
        note += f"the system's part {readable(system[length] / (RUNS + 1) / bars)}"
        rows.append(Row(f"the same over {length:,} bars", seconds / bars, "bar", note))
    return rows


def stream_seconds(candles: Candles, compile: bool) -> float:
    """Median seconds of a pass over the last bars, one at a time."""
    recent = list(candles.slice(len(candles) - LIVE_BARS, len(candles)).bars())

    def live() -> None:
        engine = SmcEngine(timeframe=candles.timeframe, compile=compile)
        for bar in recent:
            engine.on_bar(bar)

    (seconds,) = seconds_each([live], runs=5)
    return seconds


def resident_bytes() -> int:
    """Memory of this process; 0 where the system does not say."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096
    except OSError:
        return 0


def endless(candles: Candles, count: int) -> Iterator[Bar]:
    """`count` bars: the candles over and over, without a hole."""
    bars = list(candles.slice(0, min(len(candles), 50_000)).bars())
    for i in range(count):
        time = bars[0].open_time + i * candles.timeframe.ms
        yield bars[i % len(bars)]._replace(open_time=time)


def endurance_row(candles: Candles) -> Row:
    """Millions of bars through one engine: what they leave behind in memory."""
    engine = SmcEngine(timeframe=candles.timeframe, compile=True)
    early = 0
    start = perf_counter()
    for i, bar in enumerate(endless(candles, STREAMED)):
        engine.on_bar(bar)
        if i == STREAMED // 50:
            early = resident_bytes()
    seconds = perf_counter() - start
    grown = (resident_bytes() - early) / 2**20
    return Row(
        "a long stream, compiled", seconds / STREAMED, "bar",
        f"{STREAMED:,} bars; memory {grown:+.1f} MiB since 2 %",
    )  # fmt: skip


def start_rows() -> list[Row]:
    """Cold start of a new process that finds its machine code on the disk."""
    runs = [
        subprocess.run([sys.executable, "-c", START], capture_output=True, text=True, check=True)
        for _ in range(STARTS)
    ]
    imports, firsts = zip(*(map(float, run.stdout.split()) for run in runs), strict=True)
    return [
        Row("start of a process: import numba", median(imports), "process", ""),
        Row(
            "start of a process: first detection", median(firsts), "process",
            "more than the second, warm cache",
        ),
    ]  # fmt: skip


def rows(candles: Candles) -> list[Row]:
    """The first call loads or builds the machine code; the others are the speed."""
    start = perf_counter()
    detect_events(candles)
    first = perf_counter() - start
    return [
        *batch_rows(candles),
        Row("bar by bar, compiled", stream_seconds(candles, True) / LIVE_BARS, "bar", ""),
        Row(
            "bar by bar, as the bot runs it", stream_seconds(candles, False) / LIVE_BARS, "bar", ""
        ),
        endurance_row(candles),
        Row("first detection of this process", first, "call", "compilation, or its cache"),
        *start_rows(),
    ]
