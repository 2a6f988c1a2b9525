"""Independent runs in several processes, their results in the order they were asked for."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

A = TypeVar("A")
R = TypeVar("R")


def usable_cpus() -> int:
    """How many processors this process may run on."""
    return len(os.sched_getaffinity(0))


def in_order(function: Callable[[A], R], arguments: Sequence[A], jobs: int) -> Iterator[R]:
    """`function` of each of `arguments`, by at most `jobs` processes; here when it is one.

    `function` must be importable and everything picklable. What it raises is raised here.
    """
    jobs = min(jobs, len(arguments))
    if jobs <= 1:
        yield from map(function, arguments)
        return
    # Spawned, not forked: nothing that this process has changed reaches a run.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        yield from pool.map(function, arguments)
