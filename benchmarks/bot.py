"""The bot: from a closed bar to its signed order, memory over a month, and a cold start.

The goals are in docs/hardening.md.
"""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import monotonic, sleep

import msgspec

from benchmarks.bot_process import Entry, Trading
from benchmarks.timing import Row, readable
from fractaltrader.live.ledger import FILE_NAME as LEDGER

FRACTAL = [sys.executable, "-c", "from fractaltrader.cli.main import main; main()"]
MEMORY_FOLDER = Path("/dev/shm")  # files without a disk, where there is such a folder
ORDER_DAYS = 45
ORDER_SPEED = 3_600.0
REPLAYS = 3
MONTH_DAYS = 30
# Market seconds to a second of the bot's timers: 7,200 heartbeats and 240 reconciliations.
MONTH_SPEED = 180.0
WARM_UP_BARS = 5_000
STARTS = 3
START_SPEED = 9_000  # a bar of 15 minutes closes every 0.1 s
START_PATIENCE_SECONDS = 60.0
POLL_SECONDS = 0.01
STRATEGY = f'''
from fractaltrader.strategies import Proposal, UserStrategy

class Always(UserStrategy):
    """Detection as usual, and something to decide at every bar."""

    warmup_bars = {WARM_UP_BARS}

    def on_bar(self, bar, events):
        if not self.market.atr > 0:
            return None
        room = 2 * self.market.atr
        return Proposal(1, bar.close - room, bar.close + 2 * room, {{"always": 60}})
'''


def rows() -> list[Row]:
    """Everything about the bot."""
    return [*order_rows(), month_row(), start_row()]


def traded(
    coins: str, days: int, speed: float, strategy: str, folder: Path | None, replays: int = 0
) -> Trading:
    """What a bot in a process of its own measured; its files are in `folder`, or where
    temporary files usually are."""
    with TemporaryDirectory(prefix="fractal-bench-", dir=folder) as place:
        arguments = [place, coins, str(days), str(speed), strategy, str(replays)]
        command = [sys.executable, "-m", "benchmarks.bot_process", *arguments]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return msgspec.json.decode(done.stdout, type=Trading)


def order_rows() -> list[Row]:
    """Bar to order, with the files in memory and on the disk."""
    memory = MEMORY_FOLDER if MEMORY_FOLDER.is_dir() else None
    without = traded("BTC", ORDER_DAYS, ORDER_SPEED, "fvg_fill", memory, REPLAYS)
    synced = traded("BTC", ORDER_DAYS, ORDER_SPEED, "fvg_fill", None, REPLAYS)
    awakened = above_bare(synced.entries)
    return [
        Row(
            "closed bar to signed order", half(without.replayed), "order",
            f"{len(without.replayed)} orders, no disk; the account read 2 s before",
        ),
        Row(
            "the same, intent synced to the disk", half(synced.replayed), "order",
            f"{readable(above_bare(synced.replayed))} above a bare write and fsync",
        ),
        Row(
            "the same, awakened by the venue's process", half(without.entries), "order",
            f"synced {readable(half(synced.entries))}, {readable(awakened)} above a bare one",
        ),
        Row(
            "a bare write and fsync of the state's size",
            median(entry.bare_s for entry in synced.replayed), "write", "right after each",
        ),
    ]  # fmt: skip


def half(entries: list[Entry]) -> float:
    """Within how many seconds half of the orders leave."""
    return median(entry.wall_s for entry in entries)


def above_bare(entries: list[Entry]) -> float:
    """How many seconds half of the orders take at most beyond the disk's own time."""
    return max(median(entry.wall_s - entry.bare_s for entry in entries), 0.0)


def month_row() -> Row:
    """Memory and state file over a simulated month of three coins."""
    began = monotonic()
    month = traded("BTC,ETH,SOL", MONTH_DAYS, MONTH_SPEED, "liquidity_sweep", None)
    seconds = monotonic() - began
    resident = month.resident_mb
    return Row(
        "a month of the bot, three coins", seconds, "month",
        f"{resident[-1]:.1f} MB resident, {resident[-1] - resident[-22]:+.1f} MB in three weeks; "
        f"state file at most {month.largest_state:,} bytes",
    )  # fmt: skip


def start_row() -> Row:
    """`fractal run` against `fractal exchange`: from the command to the first decision."""
    with TemporaryDirectory(prefix="fractal-bench-") as place:
        folder = Path(place)
        (folder / "Always.py").write_text(STRATEGY)
        (folder / "config.toml").write_text(
            f'[trade]\nstrategy = "{folder / "Always.py"}"\ncoins = ["BTC"]\n'
        )
        market = ["--coins", "BTC", "--days", "120", "--history-bars", str(WARM_UP_BARS + 100)]
        market += ["--port", "0", "--speed", str(START_SPEED)]
        with running(["exchange", *market], folder, subprocess.PIPE) as exchange:
            assert exchange.stdout is not None
            line = exchange.stdout.readline().decode()
            url = line.partition("ready at ")[2].split()[0]
            starts = [started(folder, url, f"start{n}") for n in range(STARTS)]
    cpu = median(start.cpu_s for start in starts)
    return Row(
        "`fractal run` to the first decision", median(start.wall_s for start in starts), "start",
        f"CPU {readable(cpu)}; {WARM_UP_BARS:,} bars of warm-up; "
        f"{starts[-1].resident_mb:.1f} MB resident",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Start:
    """What a process had used when its first decision was in the ledger."""

    wall_s: float
    cpu_s: float
    resident_mb: float


def started(home: Path, url: str, name: str) -> Start:
    """Start a bot and wait for its first decision; RuntimeError when there is none."""
    began = monotonic()
    ledger = home / "runs" / name / LEDGER
    with running(["run", "--url", url, "--name", name], home) as bot:
        while not decisions(ledger):
            seconds = monotonic() - began
            if bot.poll() is not None or seconds > START_PATIENCE_SECONDS:
                raise RuntimeError(f"no decision within {seconds:.1f} s; exit code {bot.poll()}")
            sleep(POLL_SECONDS)
        seconds = monotonic() - began
        process = Path(f"/proc/{bot.pid}")
        # Fields 14 and 15, after a name that may hold spaces: ticks of CPU.
        ticks = (process / "stat").read_text().rpartition(")")[2].split()[11:13]
        kilobytes = (process / "status").read_text().partition("VmRSS:")[2].split()[0]
    cpu = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    return Start(seconds, cpu, int(kilobytes) / 1024)


@contextmanager
def running(
    arguments: list[str], home: Path, stdout: int = subprocess.DEVNULL
) -> Iterator["subprocess.Popen[bytes]"]:
    """A command of ours with files of its own, killed at the end."""
    environment = os.environ | {"FRACTAL_HOME": str(home), "PYTHONUNBUFFERED": "1"}
    environment.pop("FRACTAL_PRIVATE_KEY", None)
    process = subprocess.Popen(
        [*FRACTAL, *arguments], env=environment, stdout=stdout, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def decisions(ledger: Path) -> int:
    """How many decisions the ledger has; 0 while there is no such table."""
    if not ledger.exists():
        return 0
    try:
        with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as book:
            return int(book.execute("SELECT count(*) FROM decisions").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


if __name__ == "__main__":
    for row in rows():
        print(f"{row.name:45} {readable(row.seconds):>9} / {row.unit}  {row.note}")
