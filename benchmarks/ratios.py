"""`python -m benchmarks.ratios`: fails where a speed fell behind its limit in ratios.toml.

A speed is told as a ratio to a yardstick that does work of the same kind on the same machine in
turn with it, so that neither the machine nor its load decides.
"""

import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from time import process_time

import numpy as np

from benchmarks.signing import KEY, NONCE, order_action
from fractaltrader.backtest import run_backtest
from fractaltrader.data.synthetic import generated_market
from fractaltrader.exchange.hyperliquid.signing import Signer
from fractaltrader.market import Timeframe
from fractaltrader.smc import SmcEngine, detect_events
from fractaltrader.strategies import load_strategy

LIMITS = Path(__file__).with_name("ratios.toml")
ROUNDS = 15
START_MS = 1_640_995_200_000  # 2022-01-01
LIVE_BARS = 250


def measured() -> dict[str, float]:
    """Each ratio by its name in ratios.toml; greater is slower."""
    minutes = Timeframe.parse("1m")
    candles = generated_market(["BTC"], days=60, timeframe=minutes, seed=1, start_ms=START_MS)[
        "BTC"
    ]
    bars = list(candles.slice(0, LIVE_BARS).bars())
    signer, action, strategy = Signer(KEY), order_action(), load_strategy("liquidity_sweep")
    noise = np.random.default_rng(1).random(400_000)

    def live() -> None:
        engine = SmcEngine(timeframe=candles.timeframe, compile=False)
        for bar in bars:
            engine.on_bar(bar)

    def sign() -> None:
        for _ in range(200):
            signer.sign_action(action, NONCE, mainnet=True)

    return {
        "detection_to_summing": ratio(
            lambda: detect_events(candles), lambda: [noise.cumsum() for _ in range(20)]
        ),
        "backtest_to_detection": ratio(
            lambda: run_backtest(candles, strategy), lambda: detect_events(candles)
        ),
        "live_bar_to_python": ratio(live, python_yardstick),
        "signing_to_hashing": ratio(sign, hashing_yardstick),
    }


def ratio(work: Callable[[], object], yardstick: Callable[[], object]) -> float:
    """Shortest processor time of `work` by that of `yardstick`; they take turns."""
    shortest = [float("inf"), float("inf")]
    for _ in range(ROUNDS + 1):  # the first round compiles and warms up
        for at, call in enumerate((work, yardstick)):
            start = process_time()
            call()
            shortest[at] = min(shortest[at], process_time() - start)
    return shortest[0] / shortest[1]


def python_yardstick() -> float:
    """What the interpreter does all day: calls, attributes, floats, a list and a dictionary."""
    seen: dict[int, float] = {}
    last = [0.0] * 8
    for step in range(60_000):
        value = last[step & 7] * 0.5 + step
        last[step & 7] = max(value, seen.get(step & 63, 0.0))
        seen[step & 63] = value
    return sum(last)


def hashing_yardstick() -> bytes:
    """Hashing and copying of small messages by C code, one call at a time."""
    from hashlib import sha256

    digest = bytes(32)
    for _ in range(20_000):
        digest = sha256(digest).digest()
    return digest


def main() -> None:
    """Print the ratios and end with 1 where one is above its limit."""
    limits = tomllib.loads(LIMITS.read_text())["limits"]
    ratios = measured()
    if ratios.keys() != limits.keys():
        sys.exit(f"ratios.toml: limits of {sorted(limits)} for ratios {sorted(ratios)}")
    behind = [name for name, value in ratios.items() if value > limits[name]]
    for name, value in ratios.items():
        verdict = "TOO SLOW" if name in behind else "ok"
        print(f"{name:24} {value:8.3f}  limit {limits[name]:8.3f}  {verdict}")
    sys.exit(1 if behind else 0)


if __name__ == "__main__":
    main()
