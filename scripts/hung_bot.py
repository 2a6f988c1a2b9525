"""Run inside the image: a bot trades on the local exchange, is stopped dead, and its health check
must turn from green to red."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

HEALTH = ["fractal", "status", "--health", "--name", "bot"]
LIMIT_S = 240
PORT = "18765"
URL = f"http://127.0.0.1:{PORT}"
KEY = "0x" + "22" * 32  # of no account but the local exchange's


def health() -> tuple[int, str]:
    """Exit code and words of the health check."""
    done = subprocess.run(HEALTH, capture_output=True, text=True, check=False)
    return done.returncode, (done.stdout + done.stderr).strip()


def wait_for(code: int) -> str:
    """The words of the first check that ends with `code`; gives up after LIMIT_S."""
    give_up = time.monotonic() + LIMIT_S
    while (found := health())[0] != code:
        if time.monotonic() > give_up:
            sys.exit(f"FAILED: wanted exit code {code}, the check says {found}")
        time.sleep(2)
    return found[1]


def main() -> None:
    """Start both, freeze the bot, and watch the check."""
    from fractaltrader.exchange.hyperliquid.signing import Signer

    home = Path(os.environ["FRACTAL_HOME"])
    (home / "config.toml").write_text("[guard]\nheartbeat_limit_s = 10\n")
    os.environ["FRACTAL_PRIVATE_KEY"] = KEY
    fund = f"{Signer(KEY).address}=10000"
    exchange = subprocess.Popen(
        ["fractal", "exchange", "--port", PORT, "--coins", "BTC", "--now", "--faucet", fund],
        stdout=subprocess.DEVNULL,
    )
    bot = subprocess.Popen(["fractal", "run", "--url", URL, "--coins", "BTC", "--name", "bot"])
    try:
        print(f"green: {wait_for(0)}", flush=True)
        bot.send_signal(signal.SIGSTOP)
        print(f"red: {wait_for(1)}", flush=True)
    finally:
        bot.kill()
        exchange.kill()


if __name__ == "__main__":
    main()
