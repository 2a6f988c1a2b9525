"""Detection against the libraries people use: `pyvsmc` and `smartmoneyconcepts`.

Each peer runs its detectors of the concepts it shares with us (swings, structure, gaps and their
fill, order blocks and their mitigation, liquidity; for pyvsmc breakers and premium/discount too)
at our default width. We run the same concepts, every gap however thin as the peers do, through the
public `detect`: the frame of events is included in our time.
"""

import math
from collections.abc import Callable
from contextlib import redirect_stdout
from importlib import import_module
from importlib.metadata import version
from io import StringIO
from typing import Any

from benchmarks.timing import Row, seconds_each
from fractaltrader.market import Candles
from fractaltrader.smc import EngineParameters, detect

# smartmoneyconcepts is quadratic in the bars and pyvsmc nearly so: on a year they would take hours,
# so they run on what they are used on. A longer slice would only make them slower a bar.
QUADRATIC_BARS = 20_000
PYVSMC_BARS = 50_000
WIDTH = EngineParameters().right


# What neither peer has is off; what only one has stays on where it is compared.
SHARED = {
    "labels": False, "mss": False, "displacement": False, "fvg_min_atr": 0.0, "fvg_merge": False,
    "days": False, "weeks": False, "months": False,
}  # fmt: skip
SHARED_WITH_SMARTMONEYCONCEPTS = {
    **SHARED, "breakers": False, "fvg_inverse": False, "dealing_range": False
}  # fmt: skip


def rows(candles: Candles) -> list[Row]:
    """Ours and each peer on the same bars, taking turns in one run."""
    return [
        *_against("pyvsmc", _pyvsmc, SHARED, candles.slice(0, PYVSMC_BARS), ""),
        *_against(
            "smartmoneyconcepts", _smartmoneyconcepts, SHARED_WITH_SMARTMONEYCONCEPTS,
            candles.slice(0, QUADRATIC_BARS), "; few, because it is quadratic",
        ),
    ]  # fmt: skip


def _against(
    name: str,
    prepare: Callable[[Candles], Callable[[], object]],
    shared: dict[str, Any],
    candles: Candles,
    remark: str,
) -> list[Row]:
    try:
        peer = prepare(candles)
    except ImportError as missing:
        return [Row(f"shared concepts, {name}", math.nan, "bar", f"not measured: {missing}")]
    bars = len(candles)
    ours, theirs = seconds_each([lambda: detect(candles, **shared), peer], runs=3)
    note = f"{bars:,} bars{remark}"
    return [
        Row(f"concepts shared with {name}", ours / bars, "bar", note),
        Row(f"the same, {name} {version(name)}", theirs / bars, "bar",
            f"{theirs / ours:,.0f} x our time"),
    ]  # fmt: skip


def _pyvsmc(candles: Candles) -> Callable[[], object]:
    peer: Any = import_module("pyvsmc")
    open_, high, low, close = candles.open, candles.high, candles.low, candles.close

    def run() -> object:
        return (
            peer.detect_swings(high, low, WIDTH),
            peer.detect_structure(high, low, close, WIDTH),
            peer.detect_fvg(high, low, compute_mitigation=True, close=close),
            peer.detect_order_blocks(
                open_, high, low, close, window_size=WIDTH, compute_mitigation=True
            ),
            peer.detect_liquidity(high, low, close, window_size=WIDTH),
            peer.detect_zones(high, low, close, WIDTH),
        )

    return run


def _smartmoneyconcepts(candles: Candles) -> Callable[[], object]:
    with redirect_stdout(StringIO()):  # it thanks whoever imports it
        smc: Any = import_module("smartmoneyconcepts").smc
    pd: Any = import_module("pandas")
    names = ("open", "high", "low", "close", "volume")
    frame = pd.DataFrame({name: getattr(candles, name) for name in names})

    def run() -> object:
        swings = smc.swing_highs_lows(frame, WIDTH)
        return (
            smc.bos_choch(frame, swings),
            smc.fvg(frame),
            smc.ob(frame, swings),
            smc.liquidity(frame, swings),
        )

    return run


if __name__ == "__main__":
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from benchmarks import candles as candle_files
    from benchmarks.timing import readable
    from fractaltrader.data.candle_files import load_candles

    with TemporaryDirectory() as folder:
        recorded, _ = candle_files.year_of_minutes(Path(folder))
        for row in rows(load_candles(recorded)):
            print(f"{row.name:45} {readable(row.seconds):>9} / {row.unit}  {row.note}")
