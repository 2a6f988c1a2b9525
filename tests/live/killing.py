"""Real bots killed with SIGKILL at random moments while `fractal exchange` goes on."""

import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from pathlib import Path
from shutil import rmtree

from fractaltrader.errors import UserError
from fractaltrader.exchange.clock import SystemClock
from fractaltrader.exchange.hyperliquid.signing import Signer
from fractaltrader.live.state_manager import FILE_NAME, StateLockedError, StateManager

KEY = "0x" + "22" * 32
FRACTAL = [sys.executable, "-c", "from fractaltrader.cli.main import main; main()"]
PATIENCE_SECONDS = 60
PAUSE_SECONDS = 0.01  # between two updates of the other writer
MOST_LINES = 7  # of output, before a kill
SPEED = "15000"  # a bar of 15 minutes takes 60 ms: a busy machine's bot still keeps up
# It enters every fourth bar and holds for a few, so that most kills strike within a trade.
STRATEGY = """
from fractaltrader.strategies import Proposal, UserStrategy

class Restless(UserStrategy):
    warmup_bars = 150

    def on_bar(self, bar, events):
        number = round(bar.open_time / 900_000)
        if number % 4 == 0:
            side = 1 if number % 8 else -1
            stop, target = bar.close * (1 - 0.004 * side), bar.close * (1 + 0.006 * side)
            return Proposal(side, stop, target, {"restless": 80}, ["the fourth bar"])
"""
# One entry in four meets a thin book and fills in part.
FAULTS = """
[[fault]]
kind = "thin_book"
depth = 0.05
every = "4h"
lasts = "1h"
"""
# The market is so much faster than the bot's clock that a block for hours would outlast it; and it
# is one day of that clock in which a strategy that loses must not lose half of everything.
CONFIG = """
[trade]
strategy = "{strategy}"

[risk]
base_risk = 0.004

[breaker]
max_drawdown = 0.9
max_daily_loss = 0.5
max_consecutive_losses = 50
max_trades_per_day = 1000
"""


class Process:
    """A command whose output lines can be waited for."""

    def __init__(self, arguments: list[str], home: Path, *, measured: bool = True) -> None:
        environment = os.environ | {
            "FRACTAL_HOME": str(home),
            "FRACTAL_PRIVATE_KEY": KEY,
            "PYTHONUNBUFFERED": "1",
        }
        if not measured:
            environment["COVERAGE_PROCESS_CONFIG"] = ""
        self._process = subprocess.Popen(
            [*FRACTAL, *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert self._process.stdout is not None
        self._pipe = self._process.stdout
        self.seen: list[str] = []

    def line(self) -> str:
        """The next line of output; fails when the process ends or stays silent."""
        ready, _, _ = select.select([self._pipe], [], [], PATIENCE_SECONDS)
        line = self._pipe.readline().decode() if ready else ""
        self.seen.append(line)
        assert line, "no more output:\n" + "".join(self.seen[-20:])
        return line

    def until(self, text: str) -> str:
        """The next line that contains `text`."""
        while text not in (line := self.line()):
            pass
        return line

    def end(self, number: signal.Signals) -> int:
        """Send a signal, drain the output, return the exit code."""
        self._process.send_signal(number)
        self._process.communicate(timeout=PATIENCE_SECONDS)
        return self._process.returncode


@contextmanager
def running(arguments: list[str], home: Path, *, measured: bool = True) -> Iterator[Process]:
    process = Process(arguments, home, measured=measured)
    try:
        yield process
    finally:
        process.end(signal.SIGKILL)


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def post(url: str, request: dict[str, object]) -> object:
    body = json.dumps(request).encode()
    headers = {"Content-Type": "application/json"}
    with urllib.request.urlopen(
        urllib.request.Request(url, data=body, headers=headers), timeout=PATIENCE_SECONDS
    ) as response:
        return json.load(response)


def naked(url: str, user: str) -> list[str]:
    """Coins whose position, at one moment of the exchange, has no resting stop."""
    before = post(f"{url}/info", {"type": "clearinghouseState", "user": user})
    orders = post(f"{url}/info", {"type": "frontendOpenOrders", "user": user})
    after = post(f"{url}/info", {"type": "clearinghouseState", "user": user})
    stopped = {order["coin"] for order in orders if order["orderType"].startswith("Stop")}
    positions = [
        {p["position"]["coin"]: Decimal(p["position"]["szi"]) for p in state["assetPositions"]}
        for state in (before, after)
    ]
    # Only a position that was there before and after the question can be called naked.
    return [
        coin
        for coin, size in positions[0].items()
        if positions[1].get(coin) == size and coin not in stopped
    ]


def entered_in_part(url: str, user: str) -> set[str]:
    """Coins whose newest entry filled only in part: its bracket died, the bot sends a new one."""
    fills = post(f"{url}/info", {"type": "userFills", "user": user})
    filled: dict[int, Decimal] = {}
    for fill in fills:
        filled[fill["oid"]] = filled.get(fill["oid"], Decimal(0)) + Decimal(fill["sz"])
    newest = {}
    for record in post(f"{url}/info", {"type": "historicalOrders", "user": user}):
        if not record["order"]["reduceOnly"]:
            newest.setdefault(record["order"]["coin"], record["order"])
    return {
        coin
        for coin, order in newest.items()
        if 0 < filled.get(order["oid"], Decimal(0)) < Decimal(order["origSz"])
    }


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


def kill_often(
    folder: Path,
    kills: int,
    *,
    seed: int = 20261122,
    on_kill: Callable[[int], None] = lambda _: None,
) -> Toll:
    """Trade in `folder`, be killed so often at random moments, and be audited.

    The bot trades while another writer updates its state file a hundred times a second. After every
    kill the state must be whole and hold every update that was acknowledged to its writer, and each
    position must have its stop, but for what an entry filled in part just before; a restart
    protects that too. At the end the audit must agree.
    """
    # Measuring coverage slows a bot so much that it falls behind this market for good.
    started = partial(running, measured=False)
    rng = random.Random(seed)
    toll = Toll()
    user, port = Signer(KEY).address, free_port()
    url = f"http://127.0.0.1:{port}"
    (folder / "config.toml").write_text(CONFIG.format(strategy=folder / "Restless.py"))
    (folder / "Restless.py").write_text(STRATEGY)
    (folder / "faults.toml").write_text(FAULTS)
    market = ["exchange", "--port", str(port), "--days", "700", "--seed", "4"]
    market += ["--state", str(folder / "exchange.state"), "--faucet", f"{user}=10000"]
    market += ["--faults", str(folder / "faults.toml")]
    with started([*market, "--speed", SPEED], folder) as exchange:
        exchange.until("ready at")
        with started(["run", "--url", url], folder) as bot:
            bot.until("started on")
        writer = Writer(StateManager(_run(folder), SystemClock()))
        writer.start()
        for _ in range(kills):
            with started(["run", "--url", url], folder) as bot:
                bot.until("started on")
                for _ in range(rng.randint(0, MOST_LINES)):
                    bot.line()
            toll.kills += 1
            toll.naked += sorted(set(naked(url, user)) - entered_in_part(url, user))
            _examine(folder, writer, toll)
            on_kill(toll.kills)
        writer.end()
        toll.acknowledged = writer.acknowledged
        toll.lost += writer.lost
        assert exchange.end(signal.SIGTERM) == 0
    # The same exchange with its time almost standing still, so that nothing moves during the audit.
    with started([*market, "--speed", "0.001"], folder) as exchange:
        exchange.until("ready at")
        with started(["run", "--url", url], folder) as bot:
            bot.until("started on")
            assert bot.end(signal.SIGTERM) == 0
        toll.naked += naked(url, user)
        rmtree(folder / "budget")  # its minute is over before the next command, as it were
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
