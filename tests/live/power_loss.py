"""Run under `power.c`: what a power loss leaves of the bot's files. Prints one JSON line."""

import json
import os
import shutil
import sys
from decimal import Decimal
from pathlib import Path

from by_hand_world import intent_for, open_books
from virtual_world import Killed, World

from fractaltrader.live.executor import Executor
from fractaltrader.live.ledger import Ledger
from fractaltrader.live.reconcile import reconcile
from fractaltrader.live.state import Intent
from fractaltrader.simulator.virtual_time import run_virtual
from fractaltrader.validation.world import Fault

FOLDER, IMAGE = Path(os.environ["POWER_FOLDER"]), Path(os.environ["POWER_IMAGE"])


def restored(folder: Path) -> Path:
    """`folder` with what the disk holds: names as of the last sync of the folder, contents as of
    the last sync of each file."""
    folder.mkdir()
    for line in (IMAGE / "names").read_text().splitlines():
        inode, name = line.split(" ", 1)
        content = IMAGE / inode
        (folder / name).write_bytes(content.read_bytes() if content.exists() else b"")
    return folder


def intent(number: int) -> Intent:
    price, cloid = Decimal(100), f"0x{number:032x}"
    return Intent(
        coin="BTC", strategy="s", bar_time=number, side=1, size=price, limit=price, stop=price,
        target=price, entry_cloid=cloid, stop_cloid=cloid, target_cloid=cloid,
        created_ms=number, expires_ms=number,
    )  # fmt: skip


def rows() -> dict[str, list[int]]:
    """How many intentions and equity rows a power loss leaves, after each intention and after an
    equity row that nothing follows."""
    ledger = Ledger(FOLDER)
    left: dict[str, list[int]] = {"intentions": [], "equity": []}
    for number in range(1, 5):
        ledger.add_equity(number, Decimal(number))
        ledger.add_intent(intent(number))
        if number == 4:
            ledger.add_equity(9, Decimal(9))
        after = Ledger(restored(FOLDER.parent / f"after{number}"))
        left["intentions"].append(len(after.intents()))
        left["equity"].append(len(after.equity()))
        after.close()
    ledger.close()
    return left


def entry() -> dict[str, object]:
    """The power fails as an order has left; the next life starts from what the disk holds."""
    world = World(FOLDER)
    found: dict[str, object] = {}

    async def fails() -> None:
        world.open()

        def fault() -> Fault:
            async def after_it(path: str, send):  # type: ignore[no-untyped-def]
                answer = await send()
                if path == "/exchange":
                    raise Killed
                return answer

            return after_it

        desk = world.desk(fault())
        intended = await intent_for(world, desk, 2_000)
        try:
            await Executor(desk).enter(intended)
        except Killed:
            world.folder = restored(FOLDER.parent / "after")
        again = world.desk()
        found["in the state"] = bool(again.state.read().intents)
        await open_books(world, again)
        found["under way"] = again.intents.get("BTC") == intended
        await reconcile(again, Executor(again))
        found["its position"] = again.book.epochs["BTC"].intent == intended
        found["not acted on twice"] = again.decided["BTC"] == intended.bar_time
        found["naked"] = world.naked_positions()
        found["verdicts"] = again.ledger.verdicts()
        again.ledger.close()
        world.replay.cancel()

    run_virtual(fails())
    return found


if __name__ == "__main__":
    shutil.rmtree(IMAGE, ignore_errors=True)
    IMAGE.mkdir()
    FOLDER.mkdir(exist_ok=True)
    print(json.dumps({"rows": rows, "entry": entry}[sys.argv[1]]()))
