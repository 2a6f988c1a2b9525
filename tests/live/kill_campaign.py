"""`kill -9` of the real bot again and again, under load: `python kill_campaign.py [KILLS]`.

Then eight processes write one state file for a minute.
"""

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from killing import kill_often

from fractaltrader.validation.hammer import hammer_state

KILLS = 200
WRITERS = 8
WRITING_SECONDS = 60.0


def main() -> int:
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else KILLS

    def show(done: int) -> None:
        print(f"\r{done} of {kills} kills", end="", file=sys.stderr, flush=True)

    with TemporaryDirectory(prefix="fractal-kills-") as place:
        began = time.monotonic()
        toll = kill_often(Path(place), kills, on_kill=show)
        print(f"{toll} in {time.monotonic() - began:.0f} s", flush=True)
    with TemporaryDirectory(prefix="fractal-hammer-") as place:
        report = hammer_state(Path(place), writers=WRITERS, seconds=WRITING_SECONDS)
        print(f"{WRITERS} writers for {WRITING_SECONDS:g} s: {report}")
    return int(not toll.clean or bool(report.lost or report.corrupt))


if __name__ == "__main__":
    sys.exit(main())
