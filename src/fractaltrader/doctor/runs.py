"""The runs of this folder: locks, heartbeats, states, positions that nobody watches."""

from pathlib import Path

from filelock import FileLock, Timeout

from fractaltrader.config import Config
from fractaltrader.doctor.finding import Finding, ok, problem, warning
from fractaltrader.errors import UserError
from fractaltrader.live.lock import GUARD_FILE_NAME, is_running
from fractaltrader.live.state import BotState
from fractaltrader.live.state_manager import FILE_NAME, StateManager
from fractaltrader.market import Clock

LOCK_PATIENCE_SECONDS = 1.0
# A heartbeat that far in the future was written by a clock that has been set back since.
FUTURE_MS = 10_000


def runs(home: Path, config: Config, clock: Clock) -> list[Finding]:
    """How every run of this folder is, as its own files tell."""
    folders = sorted(path.parent for path in (home / "runs").glob(f"*/{FILE_NAME}"))
    found = [finding for folder in folders for finding in _run(folder, config, clock)]
    return found or [ok("runs", "none yet")]


def _run(folder: Path, config: Config, clock: Clock) -> list[Finding]:
    check = f"run {folder.name}"
    try:
        state = StateManager(folder, clock).read()
    except UserError as error:
        return [problem(check, str(error), "the next `fractal run` uses the newest whole backup")]
    found = [_life(check, folder, state, config, clock.now_ms())]
    stuck = _stuck_lock(folder)
    if stuck is not None:
        remedy = f"look at it with `ps {stuck.removeprefix('process ')}`, and end it if it hangs"
        found.append(problem(check, f"{stuck} holds the state's lock without a pause", remedy))
    broken = len(list(folder.glob(f"{FILE_NAME}.broken-*")))
    if broken:
        remedy = "look for the disk's fault, then delete them"
        found.append(warning(check, f"{broken} damaged state files were set aside", remedy))
    return found


def _life(check: str, folder: Path, state: BotState, config: Config, now_ms: int) -> Finding:
    age_s = (now_ms - state.heartbeat_ms) / 1000
    positions = f"{len(state.epochs)} open positions"
    if is_running(folder):
        if age_s > config.guard.heartbeat_limit_s:
            return problem(
                check,
                f"process {state.pid} lives but its last heartbeat was {age_s:.0f} s ago",
                f"`fractal kill --name {folder.name}`, then start it again",
            )
        if age_s * 1000 < -FUTURE_MS:
            return warning(check, f"its heartbeat is {-age_s:.0f} s in the future", "set the clock")
        if config.venue.mainnet and not is_running(folder, GUARD_FILE_NAME):
            return warning(check, f"runs without a guard, {positions}", "start `fractal guard`")
        return ok(check, f"runs, process {state.pid}, heartbeat {age_s:.0f} s ago, {positions}")
    start = f"`fractal run --name {folder.name}` settles everything with the exchange"
    if state.epochs:
        how = "was stopped" if state.ended else "ended without being told to"
        return warning(check, f"{how} with {positions}, whose stops rest on the exchange", start)
    if not state.ended and state.heartbeat_ms:
        return warning(check, f"ended without being told to, {age_s:.0f} s ago", start)
    return ok(check, "not running, nothing open")


def _stuck_lock(folder: Path) -> str | None:
    """Who holds the lock of the state for longer than a write takes; None when nobody does."""
    path = folder / f"{FILE_NAME}.lock"
    if not path.exists():
        return None
    lock = FileLock(path, timeout=LOCK_PATIENCE_SECONDS)
    try:
        lock.acquire()
    except Timeout:
        return path.read_text(errors="replace").strip() or "a process"
    lock.release()
    return None
