"""Several processes hammer one state file: nothing may be corrupt, nothing acknowledged lost."""

import multiprocessing
import time
from dataclasses import dataclass
from multiprocessing.queues import Queue
from pathlib import Path

from fractaltrader.exchange.clock import SystemClock
from fractaltrader.live.state_manager import StateCorruptError, StateLockedError, StateManager

_SPAWN = multiprocessing.get_context("spawn")
START_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class HammerReport:
    """What came of it; `lost` and `corrupt` must be zero."""

    acknowledged: int  # updates that returned to their writer
    lost: int  # of these, how many the file does not hold
    reads: int
    corrupt: int  # reads, by writers or the reader, that found a damaged file
    gave_up: int  # updates refused because the lock could not be had in time


@dataclass(frozen=True, slots=True)
class _Tally:
    name: str
    updates: int = 0
    reads: int = 0
    corrupt: int = 0
    gave_up: int = 0


def hammer_state(folder: Path, *, writers: int, seconds: float) -> HammerReport:
    """Let `writers` processes count in one state file for `seconds` of wall time, while one more
    reads it without the lock. Raises RuntimeError when a process dies."""
    StateManager(folder, SystemClock()).load()
    with StateManager(folder, SystemClock()).update():
        pass
    results: Queue[_Tally] = _SPAWN.Queue()
    barrier = _SPAWN.Barrier(writers + 1)
    jobs = [
        _SPAWN.Process(target=_write, args=(folder, f"W{n}", seconds, barrier, results))
        for n in range(writers)
    ]
    jobs.append(_SPAWN.Process(target=_read, args=(folder, seconds, barrier, results)))
    for job in jobs:
        job.start()
    tallies = [results.get(timeout=seconds + 2 * START_PATIENCE_SECONDS) for _ in jobs]
    for job in jobs:
        job.join()
    if any(job.exitcode for job in jobs):
        raise RuntimeError(f"exit codes {[job.exitcode for job in jobs]}")
    return _report(StateManager(folder, SystemClock()), tallies)


def _report(manager: StateManager, tallies: list[_Tally]) -> HammerReport:
    held = manager.load().decided
    recovered = manager.recovery is not None
    return HammerReport(
        acknowledged=sum(tally.updates for tally in tallies),
        lost=sum(max(tally.updates - held.get(tally.name, 0), 0) for tally in tallies),
        reads=sum(tally.reads for tally in tallies),
        corrupt=sum(tally.corrupt for tally in tallies) + recovered,
        gave_up=sum(tally.gave_up for tally in tallies),
    )


def _write(
    folder: Path,
    name: str,
    seconds: float,
    barrier: "multiprocessing.synchronize.Barrier",
    results: "Queue[_Tally]",
) -> None:
    manager = StateManager(folder, SystemClock())
    updates = gave_up = 0
    barrier.wait(START_PATIENCE_SECONDS)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with manager.update() as state:
                state.decided[name] = state.decided.get(name, 0) + 1
        except StateLockedError:
            gave_up += 1
        else:
            updates += 1
    results.put(_Tally(name, updates, corrupt=int(manager.recovery is not None), gave_up=gave_up))


def _read(
    folder: Path,
    seconds: float,
    barrier: "multiprocessing.synchronize.Barrier",
    results: "Queue[_Tally]",
) -> None:
    manager = StateManager(folder, SystemClock())
    reads = corrupt = 0
    barrier.wait(START_PATIENCE_SECONDS)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        reads += 1
        try:
            manager.read()
        except StateCorruptError:
            corrupt += 1
    results.put(_Tally("reader", reads=reads, corrupt=corrupt))
