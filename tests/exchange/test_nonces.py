"""Nonces never repeat: not in one millisecond, across processes, restarts or a clock set back."""

import asyncio
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fractaltrader.exchange.hyperliquid.nonces import (
    FARTHEST_AHEAD_MS,
    HOUR_MS,
    NonceAllocator,
    nonce_path,
)
from fractaltrader.simulator.virtual_time import run_virtual

NOW_MS = 1_739_471_623_231


class JumpingClock:
    def __init__(self, now_ms: int = NOW_MS) -> None:
        self.ms = now_ms

    def now_ms(self) -> int:
        return self.ms


def take(allocator: NonceAllocator, count: int = 1) -> list[int]:
    async def taken() -> list[int]:
        return [await allocator.next() for _ in range(count)]

    return run_virtual(taken())


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(-3 * HOUR_MS, 3 * HOUR_MS)), max_size=40))
def test_rising_whatever_the_clock_does(steps: list[tuple[int, int]]) -> None:
    """Three processes in any order, the clock jumping by hours: every nonce is above all before,
    and within the half day that the venue surely takes."""
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        clock = JumpingClock()
        path = Path(folder) / "signer.nonce"
        processes = [NonceAllocator(clock, path) for _ in range(3)]
        issued: list[int] = []
        for who, jump in steps:
            clock.ms = min(max(clock.ms + jump, NOW_MS - 4 * HOUR_MS), NOW_MS + 4 * HOUR_MS)
            issued += take(processes[who])
            assert abs(issued[-1] - clock.ms) <= FARTHEST_AHEAD_MS
        assert all(later > first for first, later in pairwise(issued))
        for process in processes:
            process.close()


def test_a_mark_of_a_wrong_clock_is_not_followed(tmp_path: Path) -> None:
    """After a clock that was two days ahead has been corrected, nonces are of now: the venue would
    refuse those of the mark."""
    clock = JumpingClock(NOW_MS + 48 * HOUR_MS)
    path = tmp_path / "signer.nonce"
    take(NonceAllocator(clock, path))
    clock.ms = NOW_MS
    assert take(NonceAllocator(clock, path), 2) == [NOW_MS, NOW_MS + 1]


def test_the_venue_moves_it_forward(tmp_path: Path) -> None:
    """After 'nonce too low N < M' the next nonce is above M, in the other process too."""
    clock = JumpingClock()
    first, second = (NonceAllocator(clock, tmp_path / "signer.nonce") for _ in range(2))
    first.at_least(NOW_MS + 5_000)
    assert take(first) == [NOW_MS + 5_001]
    assert take(second) == [NOW_MS + 5_002]


@pytest.mark.parametrize("content", [b"", b"garbage", b"00000000ffffffff\n12"])
def test_a_damaged_mark_is_replaced(tmp_path: Path, content: bytes) -> None:
    """A file that cannot be read costs nothing: time itself has moved on."""
    path = tmp_path / "signer.nonce"
    path.write_bytes(content)
    allocator = NonceAllocator(JumpingClock(), path)
    assert take(allocator, 2) == [NOW_MS, NOW_MS + 1]
    assert take(NonceAllocator(JumpingClock(), path)) == [NOW_MS + 2]


def test_a_lock_held_for_good_does_not_stop_a_signer(tmp_path: Path) -> None:
    """While a stopped process holds the lock, and where no file can be made, nonces still come."""
    holder = NonceAllocator(JumpingClock(), tmp_path / "signer.nonce")
    take(holder)
    assert holder._file is not None
    with holder._file.locked():
        waiting = NonceAllocator(JumpingClock(NOW_MS + 7), tmp_path / "signer.nonce")
        assert take(waiting, 2) == [NOW_MS + 7, NOW_MS + 8]
    (tmp_path / "file").write_text("")
    assert take(NonceAllocator(JumpingClock(), tmp_path / "file" / "x")) == [NOW_MS]


def test_one_file_a_signer(tmp_path: Path) -> None:
    """An address has one file however it is written."""
    assert nonce_path(tmp_path, "0xAB") == nonce_path(tmp_path, "0xab")


WORKER = """
import asyncio, sys
from pathlib import Path
from fractaltrader.exchange.clock import SystemClock
from fractaltrader.exchange.hyperliquid.nonces import NonceAllocator

async def main():
    allocator = NonceAllocator(SystemClock(), Path(sys.argv[1]))
    print(*[await allocator.next() for _ in range(500)])

asyncio.run(main())
"""


@pytest.mark.integration
def test_four_processes_never_collide(tmp_path: Path) -> None:
    """Four real processes that sign as fast as they can get 2,000 different nonces."""
    path = tmp_path / "signer.nonce"
    workers = [
        subprocess.Popen([sys.executable, "-c", WORKER, str(path)], stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    lists = [[int(n) for n in worker.communicate()[0].split()] for worker in workers]
    assert all(worker.returncode == 0 for worker in workers)
    everything = [nonce for one in lists for nonce in one]
    assert len(everything) == 2_000
    assert len(set(everything)) == 2_000
    assert all(one == sorted(one) for one in lists)


def test_tasks_of_one_process_never_collide() -> None:
    """Tasks that sign in the same millisecond get nonces in a row."""

    async def world() -> list[int]:
        allocator = NonceAllocator(JumpingClock())
        return await asyncio.gather(*(allocator.next() for _ in range(50)))

    assert run_virtual(world()) == list(range(NOW_MS, NOW_MS + 50))
