"""Writes the two tables of docs/smc.md that compare the profiles: their clauses, their events.

Run from the repository: .venv/bin/python scripts/profile_tables.py CANDLES.parquet [--write]
It prints the tables for any candle file; --write puts them into docs/smc.md.
"""

import sys
from pathlib import Path

import numpy as np

from fractaltrader.data.candle_files import load_candles
from fractaltrader.errors import UserError
from fractaltrader.market import Candles
from fractaltrader.market.bars import utc
from fractaltrader.smc import (
    PROFILES,
    EngineParameters,
    EventKind,
    detect_events,
    engine_parameters,
)

PAGE = Path(__file__).resolve().parents[1] / "docs" / "smc.md"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _value(params: EngineParameters, name: str) -> str:
    value = getattr(params, name)
    if params.detector == "leg_flip" and name in ("left", "tie"):
        return "-"  # it looks only ahead
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def clause_table() -> str:
    """Every clause that some profile sets otherwise than the others, and what each sets."""
    sets = [engine_parameters(name) for name in PROFILES]
    rows = []
    for name in EngineParameters.model_fields:
        values = [_value(params, name) for params in sets]
        if len(set(values)) > 1:
            rows.append([f"`{name}`", *values])
    return _table(["clause", *PROFILES], rows)


def event_table(candles: Candles) -> str:
    """How many events of each kind every profile finds in `candles`; kinds that none finds are
    left out."""
    found = [detect_events(candles, engine_parameters(name)).kind for name in PROFILES]
    counts = np.array([np.bincount(kinds, minlength=len(EventKind) + 1) for kinds in found])
    rows = [
        [kind.name, *(f"{count:,}" for count in counts[:, kind])]
        for kind in EventKind
        if counts[:, kind].any()
    ]
    first, last = (utc(int(candles.open_time[bar]))[:10] for bar in (0, -1))
    said = f"What each says of the same {len(candles):,} {candles.timeframe} bars of {candles.coin}"
    return f"{said}, {first} to {last}:\n\n" + _table(["kind", *PROFILES], rows)


def tables(candles: Candles) -> dict[str, str]:
    """The text of every generated part of the page, by its name."""
    return {"clauses": clause_table(), "events": event_table(candles)}


def part(page: str, name: str) -> tuple[int, int]:
    """Where the generated part `name` of the page begins and ends."""
    begin, end = f"<!-- {name}: scripts/profile_tables.py -->\n", f"\n<!-- {name} end -->"
    return page.index(begin) + len(begin), page.index(end)


def main(arguments: list[str]) -> None:
    files = [argument for argument in arguments if argument != "--write"]
    if len(files) != 1:
        sys.exit(__doc__)
    try:
        found = tables(load_candles(Path(files[0])))
    except UserError as error:
        sys.exit(str(error))
    if "--write" not in arguments:
        print("\n\n".join(found.values()))
        return
    page = PAGE.read_text()
    for name, text in found.items():
        begin, end = part(page, name)
        page = page[:begin] + text + page[end:]
    PAGE.write_text(page)


if __name__ == "__main__":
    main(sys.argv[1:])
