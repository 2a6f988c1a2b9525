"""The commands of the operator against a real bot process and a real exchange process."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from killing import FRACTAL, KEY, free_port, running

from fractaltrader.exchange.clock import SystemClock
from fractaltrader.exchange.hyperliquid.signing import Signer
from fractaltrader.live.lock import FILE_NAME, is_running
from fractaltrader.live.state_manager import StateManager
from fractaltrader.risk.breaker import Breaker
from fractaltrader.risk.breaker_parameters import BreakerParameters


@pytest.mark.integration
@pytest.mark.slow
def test_commands_to_a_real_bot(tmp_path: Path) -> None:
    """A real process pauses, resumes, flattens and resets at the word of others, is killed, started
    again, killed while it is deaf, and ends at Ctrl-C; with a tripped breaker it ends with code 3.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = os.environ | {"FRACTAL_HOME": str(tmp_path), "FRACTAL_PRIVATE_KEY": KEY}
    folder = tmp_path / "runs" / "bot"

    def fractal(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*FRACTAL, *arguments], env=environment, capture_output=True, text=True, check=False
        )

    market = ["exchange", "--port", str(port), "--days", "60", "--speed", "600"]
    market += ["--faucet", f"{Signer(KEY).address}=10000"]
    with running(market, tmp_path) as exchange:
        exchange.until("ready at")
        with running(["run", "--url", url], tmp_path) as bot:
            bot.until("started on")
            for command, said in (
                (["pause"], "paused; `fractal resume` ends it (command 1, acknowledged at"),
                (["resume"], "resumed (command 2"),
                (["flatten", "--coin", "BTC"], "flat: BTC; open positions:"),
                (["flatten"], "flat: all coins; paused"),
                (["reset-breaker"], "breaker reset (command 5"),
            ):
                done = fractal(*command)
                assert said in done.stdout, done.stdout + done.stderr
            assert "paused by the operator" in fractal("status").stdout
            done = fractal("kill")
            assert done.stdout.startswith("killed bot"), done.stdout + done.stderr
            assert not is_running(folder)
        assert StateManager(folder, SystemClock()).read().paused
        with running(["run", "--url", url], tmp_path) as bot:
            bot.until("started on")
            process = int((folder / FILE_NAME).read_text().split()[1])
            os.kill(process, signal.SIGSTOP)  # deaf to everything but SIGKILL
            done = fractal("kill")
            assert f"SIGKILL to process {process}" in done.stdout, done.stdout + done.stderr
        with running(["run", "--url", url], tmp_path) as bot:
            bot.until("started on")
            os.kill(int((folder / FILE_NAME).read_text().split()[1]), signal.SIGINT)
            deadline = time.monotonic() + 30
            while is_running(folder):
                assert time.monotonic() < deadline
                time.sleep(0.05)
        with StateManager(folder, SystemClock()).update() as state:
            Breaker(BreakerParameters(), state.breaker).critical(SystemClock().now_ms(), "revoked")
        for _ in range(2):
            done = fractal("run", "--url", url)
            assert done.returncode == 3, done.stdout + done.stderr
            assert "error: breaker: critical: revoked; until it is reset" in done.stderr
        assert "reset: critical" in fractal("reset-breaker").stdout
        with running(["run", "--url", url], tmp_path) as bot:
            bot.until("started on")
