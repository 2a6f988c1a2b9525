"""The tables of docs/smc.md that compare the profiles are what the code says."""

from pathlib import Path
from types import ModuleType

import pytest

from fractaltrader.data.candle_files import load_candles
from fractaltrader.smc import PROFILES, EngineParameters, engine_parameters

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(REPOSITORY / "scripts"))
    import profile_tables

    return profile_tables


def documented(script: ModuleType, name: str) -> str:
    page = script.PAGE.read_text()
    begin, end = script.part(page, name)
    return page[begin:end]


def test_the_table_of_clauses_is_that_of_the_profiles(script: ModuleType) -> None:
    """Each clause that sets profiles apart has its row, and those in common have none."""
    table = documented(script, "clauses")
    assert table == script.clause_table()
    rows = {row.split("`")[1] for row in table.splitlines()[2:]}
    default = EngineParameters()
    changed = {
        name
        for profile in PROFILES
        for name in EngineParameters.model_fields
        if getattr(engine_parameters(profile), name) != getattr(default, name)
    }
    assert changed <= rows <= changed | {"left", "tie"}


def test_the_table_of_events_is_that_of_the_recorded_market(
    script: ModuleType, shared_folder: Path
) -> None:
    """Counted anew on the recorded bars, every profile finds what the page says of it."""
    candles = load_candles(shared_folder / "data/ohlcv/BTC-5m-hyperliquid.parquet")
    assert documented(script, "events") == script.event_table(
        candles
    ), "run scripts/profile_tables.py on this file with --write"


def test_the_script_says_what_it_needs(script: ModuleType, tmp_path: Path) -> None:
    """Without a file it prints its usage, with a missing one a line that names it."""
    with pytest.raises(SystemExit, match=r"profile_tables\.py CANDLES"):
        script.main([])
    with pytest.raises(SystemExit, match=r"none\.parquet"):
        script.main([str(tmp_path / "none.parquet")])
