"""The candle store: it grows, never contradicts itself, and is whole after a crash."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import given, settings
from hypothesis import strategies as st

from fractaltrader.data.store import CandleStore, merge
from fractaltrader.data.synthetic import generated_market
from fractaltrader.errors import UserError
from fractaltrader.market import Candles, Timeframe
from fractaltrader.market.bars import COLUMNS

TIMEFRAME = Timeframe.parse("15m")
START = 1_741_910_400_000  # 2025-03-14 00:00 UTC


def market(coin: str = "BTC", days: int = 4) -> Candles:
    """Generated candles of one coin."""
    return generated_market([coin], days=days, timeframe=TIMEFRAME, seed=3, start_ms=START)[coin]


WHOLE = market()


def changed(candles: Candles, row: int, column: str, value: float) -> Candles:
    """`candles` with one value replaced."""
    columns = {name: getattr(candles, name).copy() for name in COLUMNS}
    columns[column][row] = value
    return Candles(candles.coin, candles.timeframe, *columns.values()).validated()


def same(one: Candles, other: Candles) -> bool:
    """Whether both hold the same bars."""
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in COLUMNS)


@given(
    st.lists(
        st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(1, len(WHOLE))),
        min_size=1,
        max_size=6,
    )
)
def test_merging_parts_in_any_order_is_the_union(parts: list[tuple[int, int]]) -> None:
    """Overlapping parts of one market merge, in any order, to exactly the bars they cover."""
    covered = np.zeros(len(WHOLE), dtype=bool)
    merged = None
    for start, length in parts:
        part = WHOLE.slice(start, min(start + length, len(WHOLE)))
        covered[start : start + length] = True
        merged = part if merged is None else merge(merged, part)
    assert merged is not None
    for name in COLUMNS:
        assert np.array_equal(getattr(merged, name), getattr(WHOLE, name)[covered])


@settings(max_examples=30)
@given(
    st.integers(10, 29),
    st.sampled_from(["high", "volume"]),
    st.lists(st.integers(30, 59), max_size=3),
)
def test_conflict_names_the_first_bar_that_differs(row: int, column: str, later: list[int]) -> None:
    """However many bars disagree, the error names the first, its column and both values."""
    stored = WHOLE.slice(10, 80)
    given = changed(WHOLE, row, column, 987_654.0)
    for other in later:
        given = changed(given, other, "volume", 1.5)
    with pytest.raises(UserError) as caught:
        merge(stored, given)
    message = str(caught.value)
    old = getattr(WHOLE, column)[row]
    assert f"{column} is {old} in the store but 987654.0 in the import" in message
    assert f"({1 + len(set(later))} bars differ)" in message
    time_of_row = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(WHOLE.open_time[row] / 1000))
    assert time_of_row in message


def test_store_round_trip_append_and_reimport(tmp_path: Path) -> None:
    """What goes in comes out bit for bit; appending adds only new bars, importing again none."""
    store = CandleStore(tmp_path / "data")
    assert [added.new_bars for added in store.add([WHOLE.slice(0, 100), market("ETH")])] == [
        100,
        len(market("ETH")),
    ]
    (added,) = store.add([WHOLE.slice(50, 200), WHOLE.slice(190, len(WHOLE))])
    assert (added.new_bars, added.total_bars) == (len(WHOLE) - 100, len(WHOLE))
    stamp = added.path.stat().st_mtime_ns
    (again,) = store.add([WHOLE])
    assert again.new_bars == 0
    assert again.path.stat().st_mtime_ns == stamp, "an import of nothing new rewrote the file"
    assert same(store.load("BTC", TIMEFRAME), WHOLE)
    assert same(store.load("ETH", TIMEFRAME), market("ETH"))


def test_a_conflict_stores_nothing_of_the_whole_import(tmp_path: Path) -> None:
    """One conflicting file stops the import before any file of it, good ones too, is written."""
    store = CandleStore(tmp_path)
    store.add([WHOLE.slice(0, 50)])
    with pytest.raises(UserError, match="bars differ"):
        store.add([market("ETH"), changed(WHOLE, 20, "volume", 1.0)])
    with pytest.raises(UserError, match=r"no 15m candles of ETH.*fractal data import"):
        store.load("ETH", TIMEFRAME)
    assert same(store.load("BTC", TIMEFRAME), WHOLE.slice(0, 50))


def test_unfit_names_and_folders_are_user_errors(tmp_path: Path) -> None:
    """A coin that would leave the folder, and a folder that is a file, are refused in one line."""
    with pytest.raises(UserError, match="letters and digits"):
        CandleStore(tmp_path).path("../BTC", TIMEFRAME)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        CandleStore(tmp_path / "file").add([WHOLE])


def test_a_store_that_is_held_or_in_the_way_is_a_user_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process that keeps the lock, and a folder where the new file is to be made, are told
    in one line; what was stored stays."""
    store = CandleStore(tmp_path)
    store.add([WHOLE.slice(0, 50)])
    monkeypatch.setattr("fractaltrader.data.store.LOCK_TIMEOUT_S", 0.0)
    with (
        FileLock(tmp_path / ".store.lock"),
        pytest.raises(UserError, match=r"another process has held .*; try again"),
    ):
        store.add([WHOLE])
    (tmp_path / ".BTC-15m.parquet.tmp").mkdir()
    with pytest.raises(UserError, match=r"cannot write .*; free the disk"):
        store.add([WHOLE])
    assert same(store.load("BTC", TIMEFRAME), WHOLE.slice(0, 50))


WRITER = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_candle_store import CandleStore, WHOLE
from fractaltrader.errors import UserError
store, start, stop, step, limit = CandleStore(Path(sys.argv[2])), *map(int, sys.argv[3:])
print("ready", flush=True)
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
for row in range(start, stop, step):
    try:
        store.add([WHOLE.slice(row, min(row + step, stop))])
    except UserError as error:
        print(error)
        break
"""


def writer(folder: Path, start: int, stop: int, step: int, limit: int = 0) -> subprocess.Popen[str]:
    """A process that adds rows start…stop-1 of WHOLE, `step` at a time."""
    arguments = [Path(__file__).parent, folder, start, stop, step, limit]
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, *map(str, arguments)], stdout=subprocess.PIPE, text=True
    )


@pytest.mark.integration
@pytest.mark.slow
def test_a_killed_import_leaves_a_whole_store(tmp_path: Path) -> None:
    """Wherever SIGKILL falls among the writes, the store loads, whole, and goes on growing."""
    store = CandleStore(tmp_path)
    store.add([WHOLE.slice(0, 1)])
    killed = 0
    for attempt in range(6):
        rows = len(store.load("BTC", TIMEFRAME))
        with writer(tmp_path, rows, len(WHOLE), 1) as process:
            assert process.stdout is not None
            process.stdout.readline()
            # Let it write a few bars, a different number each time, and strike at once.
            deadline = time.monotonic() + 20
            try:
                while len(store.load("BTC", TIMEFRAME)) < min(rows + 3 + attempt, len(WHOLE)):
                    assert time.monotonic() < deadline, "the writer wrote nothing"
            finally:
                process.kill()
        killed += process.returncode == -signal.SIGKILL
        kept = store.load("BTC", TIMEFRAME)
        assert len(kept) > rows
        assert same(kept, WHOLE.slice(0, len(kept)))
    assert killed == 6
    store.add([WHOLE])
    assert same(store.load("BTC", TIMEFRAME), WHOLE)
    assert sorted(os.listdir(tmp_path)) == [".store.lock", "BTC-15m.parquet"]


@pytest.mark.integration
@pytest.mark.slow
def test_imports_of_several_processes_lose_nothing(tmp_path: Path) -> None:
    """Three processes that grow the same file at once end with every bar of each."""
    third = len(WHOLE) // 3
    processes = [
        writer(tmp_path, start, stop, 12)
        for start, stop in ((0, third), (third, 2 * third), (2 * third, len(WHOLE)))
    ]
    for process in processes:
        output, _ = process.communicate(timeout=40)
        assert (process.returncode, output) == (0, "ready\n")
    assert same(CandleStore(tmp_path).load("BTC", TIMEFRAME), WHOLE)


@pytest.mark.integration
def test_a_full_disk_is_a_user_error_and_keeps_the_old_file(tmp_path: Path) -> None:
    """When the new file cannot be written whole, the old one stays and no leftover remains."""
    store = CandleStore(tmp_path)
    store.add([WHOLE.slice(0, 50)])
    process = writer(tmp_path, 50, len(WHOLE), len(WHOLE), limit=6_000)
    output, _ = process.communicate(timeout=40)
    assert process.returncode == 0
    assert "cannot write" in output
    assert "free the disk" in output
    assert same(store.load("BTC", TIMEFRAME), WHOLE.slice(0, 50))
    assert sorted(os.listdir(tmp_path)) == [".store.lock", "BTC-15m.parquet"]
