"""The real bot in a process of its own, in virtual time, with a stopwatch on its messages.

`python -m benchmarks.bot_process FOLDER COINS DAYS SPEED STRATEGY REPLAYS` trades the market of
`venue_process` with the files in FOLDER and prints a `Trading` as JSON. The bot's parts are those
of `fractal run`; only the network is replaced, by pipes, whose time is the venue's. Then the same
days are traded REPLAYS times with the venue's answers from memory: no other process wakes this one,
and takes its place in the processor's caches, while the stopwatch runs.
"""

import asyncio
import math
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random
from time import perf_counter

import msgspec

# What `fractal run` imports, so that this process is as large as that one.
import fractaltrader.cli.main
import fractaltrader.cli.run
import fractaltrader.exchange.http  # noqa: F401
from benchmarks.signing import KEY
from benchmarks.venue_process import Answer, Question, receive, send
from fractaltrader.config import Config, TradeConfig
from fractaltrader.exchange.hyperliquid.client import HyperliquidVenue
from fractaltrader.exchange.hyperliquid.nonces import NonceAllocator
from fractaltrader.exchange.hyperliquid.signing import Signer
from fractaltrader.exchange.limiter import Limiter
from fractaltrader.live.assembly import build_bot, build_desk
from fractaltrader.live.logs import configure_logs
from fractaltrader.live.state_manager import FILE_NAME
from fractaltrader.risk.breaker_parameters import BreakerParameters
from fractaltrader.simulator.virtual_time import LoopClock, run_virtual

DAY_MS = 86_400_000
SETTLE_SECONDS = 1.0
CANDLE = '{"channel":"candle"'
Told = list[tuple[str, Answer]]  # questions and what was answered
BRACKET = b'"normalTpsl"'
# Nothing is to end the trading before the market does.
BREAKER = BreakerParameters(
    max_drawdown=0.9, max_daily_loss=0.5, max_consecutive_losses=50, max_trades_per_day=1000
)


class Entry(msgspec.Struct):
    """From the candle's text frame to the signed order's bytes, without the venue's time."""

    wall_s: float
    bare_s: float  # a bare write and fsync of as many bytes as the state has, right afterwards


class Trading(msgspec.Struct):
    """What was measured."""

    entries: list[Entry]
    replayed: list[Entry]  # the same entries, with the venue's answers from memory
    resident_mb: list[float]  # of this process, after every market day
    largest_state: int  # bytes


class Stopwatch:
    """Runs from a candle's arrival, pauses while the venue is asked, stops at a signed entry."""

    def __init__(self, folder: Path) -> None:
        self.entries: list[Entry] = []
        self.largest_state = 0
        self._folder = folder
        self._begun = 0.0

    def start(self) -> None:
        """A candle has arrived."""
        self._begun = perf_counter()

    def paused(self, ask: Callable[[], Answer]) -> Answer:
        """The venue's answer, whose time does not count."""
        asked = perf_counter()
        answer = ask()
        self._begun += perf_counter() - asked
        return answer

    def stop(self) -> None:
        """A signed entry leaves."""
        wall = perf_counter() - self._begun
        size = (self._folder / FILE_NAME).stat().st_size
        self.largest_state = max(self.largest_state, size)
        self.entries.append(Entry(wall, self._bare(size)))

    def _bare(self, size: int) -> float:
        content = b"x" * size
        began = perf_counter()
        with (self._folder / "bare").open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        return perf_counter() - began


class Venue:
    """A transport to a venue that is `ask`ed; one socket at a time. Needs a running loop."""

    def __init__(self, watch: Stopwatch) -> None:
        self._watch = watch
        self._frames: asyncio.Queue[str] = asyncio.Queue()
        self.now_ms: Callable[[], int] = lambda: 0
        self.next_ms: int | None = 0

    def answer(self, what: str, body: bytes) -> Answer:
        """What the venue says."""
        raise NotImplementedError

    def ask(self, what: str, body: bytes = b"") -> Answer:
        """What the venue answers now; the frames it sends wait to be received."""
        answer = self.answer(what, body)
        for frame in answer.frames:
            self._frames.put_nowait(frame)
        self.next_ms = answer.next_ms
        return answer

    async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        if path == "/exchange" and BRACKET in body:
            self._watch.stop()
        answer = self._watch.paused(lambda: self.ask(path, body))
        await asyncio.sleep(0)  # as any network would, let others have their turn
        return answer.status, answer.body

    async def connect(self) -> "Venue":
        self.ask("connect")
        return self

    async def send(self, text: str) -> None:
        self.ask("frame", text.encode())

    async def receive(self) -> str:
        text = await self._frames.get()
        if text.startswith(CANDLE):
            self._watch.start()
        return text

    async def close(self) -> None:
        """As a socket; the venue goes on until `end`."""

    def end(self) -> None:
        """Nothing is asked any more."""


class PipedVenue(Venue):
    """The venue is another process; its answers are kept in `told` where there is such a list."""

    def __init__(self, watch: Stopwatch, coins: str, days: int, told: Told | None) -> None:
        super().__init__(watch)
        self._told = told
        arguments = [coins, str(days), Signer(KEY).address]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.venue_process", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def answer(self, what: str, body: bytes) -> Answer:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        send(self._process.stdin, Question(what, self.now_ms(), body))
        answer = receive(self._process.stdout, Answer)
        if self._told is not None:
            self._told.append((what, answer))
        return answer

    def end(self) -> None:
        """Let the venue's process end."""
        self._process.communicate()


class ReplayedVenue(Venue):
    """Answers the same questions as another venue did before."""

    def __init__(self, watch: Stopwatch, told: Told) -> None:
        super().__init__(watch)
        self._told = iter(told)

    def answer(self, what: str, body: bytes) -> Answer:
        asked, answer = next(self._told)
        if asked != what:
            raise RuntimeError(f"the replay asks {what}, where {asked} was asked before")
        return answer


def resident_mb() -> float:
    """Memory of this process, MB of 2**20 bytes; NaN where there is no /proc."""
    try:
        status = Path("/proc/self/status").read_text()
    except FileNotFoundError:
        return math.nan
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


async def trade(
    folder: Path, coins: str, speed: float, strategy: str, venue_of: Callable[[Stopwatch], Venue]
) -> Trading:
    """Trade to the market's end."""
    watch = Stopwatch(folder)
    venue = venue_of(watch)
    start_ms = venue.ask("connect").next_ms or 0
    clock = LoopClock(start_ms, speed)
    venue.now_ms = clock.now_ms
    signer = Signer(KEY)
    configure_logs(folder, terminal=False)
    client = HyperliquidVenue(
        venue,
        signer,
        account=signer.address,
        clock=clock,
        mainnet=False,
        limiter=Limiter(folder / "budget.json", clock, spender="bench", rng=Random(1)),
        nonces=NonceAllocator(clock, folder / "nonce"),
    )
    desk = build_desk(folder, client, signer.address, clock, BREAKER)
    config = Config(trade=TradeConfig(coins=tuple(coins.split(",")), strategy=strategy))
    bot = build_bot(config, desk)
    trading = asyncio.create_task(bot.run(venue_name="benchmark"))
    resident: list[float] = []
    while (tick_ms := venue.next_ms) is not None and not trading.done():
        await clock.sleep_until(tick_ms)
        venue.ask("tick")
        if tick_ms >= start_ms + (len(resident) + 1) * DAY_MS:
            resident.append(resident_mb())
            watch.largest_state = max(watch.largest_state, (folder / FILE_NAME).stat().st_size)
    await asyncio.sleep(SETTLE_SECONDS)
    bot.stop()
    await trading
    desk.ledger.close()
    venue.end()
    return Trading(watch.entries, [], resident, watch.largest_state)


def main() -> None:
    """Trade as the arguments say and print what was measured."""
    folder, coins, days, speed, strategy, replays = sys.argv[1:]
    told: Told = []
    piped = partial(PipedVenue, coins=coins, days=int(days), told=told if int(replays) else None)

    def traded(name: str, venue_of: Callable[[Stopwatch], Venue]) -> Trading:
        place = Path(folder) / name
        place.mkdir()
        return run_virtual(trade(place, coins, float(speed), strategy, venue_of))

    result = traded("first", piped)
    for number in range(int(replays)):
        result.replayed += traded(f"again{number}", partial(ReplayedVenue, told=told)).entries
    sys.stdout.buffer.write(msgspec.json.encode(result))


if __name__ == "__main__":
    with suppress(BrokenPipeError):
        main()
