"""Draws docs/demo.svg for the README: the demo's screen at a moment with open positions.

Run from the repository: .venv/bin/python scripts/readme_picture.py
"""

import re
import tempfile
from pathlib import Path

from rich.console import Console

from fractaltrader.cli.demo_run import Plan, play
from fractaltrader.cli.live_table import live_table
from fractaltrader.config import Config
from fractaltrader.data.synthetic import generated_market
from fractaltrader.live.desk import Desk
from fractaltrader.market import Timeframe
from fractaltrader.simulator.virtual_time import run_virtual

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "demo.svg"
START_MS = 1_735_689_600_000
HISTORY_BARS = 576


def main() -> None:
    markets = generated_market(
        ["BTC", "ETH", "SOL"],
        days=16,
        timeframe=Timeframe.parse("15m"),
        seed=7,
        start_ms=START_MS,
    )
    plan = Plan(markets, HISTORY_BARS, Config(), seed=7)
    pictures: list[Console] = []

    def watch(desk: Desk, progress: float) -> None:
        account = desk.view.account
        if progress > 0.4 and not pictures and account and len(account.positions) >= 2:
            with open("/dev/null", "w") as nowhere:
                console = Console(record=True, width=112, file=nowhere)
                console.print(live_table(desk, plan.title))
            pictures.append(console)

    with tempfile.TemporaryDirectory() as folder:
        run_virtual(play(Path(folder), plan, plan.feed(), watch))
    svg = pictures[0].export_svg(title="fractal demo")
    # The picture must not fetch fonts from anywhere.
    svg = re.sub(r"@font-face\s*{[^}]*}|<!--.*?-->", "", svg)
    PICTURE.write_text(svg)


if __name__ == "__main__":
    main()
