"""`kill -9` of the real bot again and again, under load: `python kill_campaign.py [KILLS]`.

The bot trades on `fractal exchange` while another writer updates its state file a hundred times a
second. After every kill the state must be whole and hold every update that was acknowledged to its
writer; after every start every position must have its stop; at the end the audit must agree. Then
eight processes write one state file for a minute.
"""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from test_kill import BREAKER_OUT_OF_THE_WAY, FRACTAL, KEY, free_port, naked, running

from fractaltrader.errors import UserError
from fractaltrader.exchange.clock import SystemClock
from fractaltrader.exchange.hyperliquid.signing import Signer
from fractaltrader.live.state_manager import FILE_NAME, StateLockedError, StateManager
from fractaltrader.validation.hammer import hammer_state

KILLS = 200
WRITERS = 8
WRITING_SECONDS = 60.0
PAUSE_SECONDS = 0.01
LONGEST_LIFE_SECONDS = 2.0
SPEED = 20_000  # bars close every 45 ms of wall time


class Writer(threading.Thread):
    """Updates the bot's state all the time; each update must find the one before it."""

    def __init__(self, manager: StateManager) -> None:
        super().__init__(daemon=True)
        self.acknowledged = 0
        self.lost = 0
        self._manager = manager
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(PAUSE_SECONDS):
            try:
                with self._manager.update() as state:
                    found = state.control.last_number
                    state.control.last_number = self.acknowledged + 1
            except StateLockedError as error:
                print(error)
                continue
            self.lost += self.acknowledged - found
            self.acknowledged += 1

    def end(self) -> None:
        self._ended.set()
        self.join()


@dataclass
class Toll:
    """What the kills came to; everything but `kills` and `acknowledged` must be zero or empty."""

    kills: int = 0
    acknowledged: int = 0
    lost: int = 0
    corrupt: int = 0
    naked: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not (self.lost or self.corrupt or self.naked or self.differences)


def kill_often(folder: Path, kills: int, *, seed: int = 20261122) -> Toll:
    """Trade in `folder`, be killed so often at random moments, and be audited."""
    rng = random.Random(seed)
    toll = Toll()
    user, port = Signer(KEY).address, free_port()
    url = f"http://127.0.0.1:{port}"
    (folder / "config.toml").write_text(BREAKER_OUT_OF_THE_WAY)
    market = ["exchange", "--port", str(port), "--days", "700", "--seed", "4"]
    market += ["--state", str(folder / "exchange.state"), "--faucet", f"{user}=10000"]
    with running([*market, "--speed", str(SPEED)], folder) as exchange:
        exchange.until("ready at")
        with running(["run", "--url", url], folder) as bot:
            bot.until("started on")
        writer = Writer(StateManager(_run(folder), SystemClock()))
        writer.start()
        for _ in range(kills):
            with running(["run", "--url", url], folder) as bot:
                bot.until("started on")
                toll.naked += naked(url, user)
                time.sleep(rng.uniform(0.0, LONGEST_LIFE_SECONDS))
            toll.kills += 1
            _examine(folder, writer, toll)
            print(f"\r{toll.kills} of {kills} kills", end="", file=sys.stderr, flush=True)
        writer.end()
        toll.acknowledged = writer.acknowledged
        toll.lost += writer.lost
        assert exchange.end(signal.SIGTERM) == 0
    # The same exchange with its time almost standing still, so that nothing moves during the audit.
    with running([*market, "--speed", "0.001"], folder) as exchange:
        exchange.until("ready at")
        with running(["run", "--url", url], folder) as bot:
            bot.until("started on")
            assert bot.end(signal.SIGTERM) == 0
        toll.naked += naked(url, user)
        toll.differences = _audit(folder)
    return toll


def _run(folder: Path) -> Path:
    (state,) = (folder / "runs").glob(f"*/{FILE_NAME}")
    return state.parent


def _examine(folder: Path, writer: Writer, toll: Toll) -> None:
    """What lies on the disk now that the bot is dead."""
    acknowledged = writer.acknowledged
    manager = StateManager(_run(folder), SystemClock())
    try:
        held = manager.load().control.last_number
    except UserError as error:
        print(error)
        toll.corrupt += 1
        return
    if manager.recovery is not None:
        print(manager.recovery)
        toll.corrupt += 1
    if held < acknowledged:
        toll.lost += acknowledged - held


def _audit(folder: Path) -> list[str]:
    done = subprocess.run(
        [*FRACTAL, "audit"],
        env=os.environ | {"FRACTAL_HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return [*done.stdout.splitlines(), *done.stderr.splitlines()]
    return []


def main() -> int:
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else KILLS
    with TemporaryDirectory(prefix="fractal-kills-") as place:
        began = time.monotonic()
        toll = kill_often(Path(place), kills)
        print(f"{toll} in {time.monotonic() - began:.0f} s", flush=True)
    with TemporaryDirectory(prefix="fractal-hammer-") as place:
        report = hammer_state(Path(place), writers=WRITERS, seconds=WRITING_SECONDS)
        print(f"{WRITERS} writers for {WRITING_SECONDS:g} s: {report}")
    return int(not toll.clean or bool(report.lost or report.corrupt))


if __name__ == "__main__":
    sys.exit(main())
