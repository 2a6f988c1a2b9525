"""Candle files: every broken one is refused in one clear line, every real one loads."""

import io
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fractaltrader.data.candle_files import load_candles
from fractaltrader.errors import UserError

HEADER = "open_time,open,high,low,close,volume"
START = 1_741_946_400_000  # 2025-03-14 10:00 UTC
STEP = 300_000


def row(index: int, *, shift: int = 0, values: str = "10,12,9,11,5") -> str:
    """One CSV line, five minutes after the line before it."""
    return f"{START + index * STEP + shift},{values}"


def rows(*replaced: tuple[int, str]) -> str:
    """A good file of six lines with some replaced."""
    lines = [row(index) for index in range(6)]
    for index, line in replaced:
        lines[index] = line
    return "\n".join([HEADER, *lines]) + "\n"


def parquet(**columns: object) -> bytes:
    """A Parquet file of good columns with some replaced; None drops the column."""
    good: dict[str, object] = {"open_time": [START + index * STEP for index in range(6)]}
    for name, value in zip(HEADER.split(",")[1:], (10.0, 12.0, 9.0, 11.0, 5.0), strict=True):
        good[name] = [value] * 6
    kept = {name: values for name, values in (good | columns).items() if values is not None}
    buffer = io.BytesIO()
    pl.DataFrame(kept).write_parquet(buffer)
    return buffer.getvalue()


FLOATS = [10.0, 12.0, 9.0, 11.0, 5.0, 6.0]
BAD = {
    "empty": ("BTC.csv", "", ["empty"]),
    "only a header": ("BTC.csv", HEADER + "\n", ["no rows"]),
    "one row": ("BTC.csv", HEADER + "\n" + row(0), ["at least two candles"]),
    "misspelt column": (
        "BTC.csv",
        rows().replace("volume", "volum"),
        ["'volume' is missing", "did you mean 'volum'"],
    ),
    "no header": ("BTC.csv", row(0) + "\n" + row(1), ["'open_time' is missing"]),
    "text": (
        "BTC.csv",
        rows((2, row(2, values="10,12,9,abc,5"))),
        ["row 3 of 6", "close", "'abc'"],
    ),
    "nothing": ("BTC.csv", rows((2, row(2, values="10,12,9,,5"))), ["row 3 of 6", "close", "miss"]),
    "short row": ("BTC.csv", rows((4, row(4, values="10,12"))), ["row 5 of 6", "low is missing"]),
    "long row": ("BTC.csv", rows((4, row(4) + ",1,2")), ["cannot be read as csv"]),
    "NaN": (
        "BTC.csv",
        rows((3, row(3, values="10,12,9,NaN,5"))),
        ["row 4 of 6", "close", "finite"],
    ),
    "infinite": ("BTC.csv", rows((3, row(3, values="10,inf,9,11,5"))), ["row 4", "high", "finite"]),
    "zero price": ("BTC.csv", rows((3, row(3, values="10,12,0,11,5"))), ["row 4", "low", "above"]),
    "negative volume": ("BTC.csv", rows((3, row(3, values="10,12,9,11,-5"))), ["row 4", "volume"]),
    "duplicate": ("BTC.csv", rows((3, row(2))), ["row 4", "open_time", "duplicate"]),
    "unsorted": ("BTC.csv", rows((3, row(1))), ["row 4", "open_time", "not sorted"]),
    "newest first": (
        "BTC.csv",
        "\n".join([HEADER, *(row(index) for index in reversed(range(6)))]),
        ["row 2", "not sorted"],
    ),
    "off the grid": ("BTC.csv", rows((3, row(3, shift=60_000))), ["row 4", "not aligned to 5m"]),
    "high below low": (
        "BTC.csv",
        rows((1, row(1, values="10,8,9,11,5"))),
        ["row 2", "2025-03-14 10:05:00Z", "high = 8.0", "below the low"],
    ),
    "high below close": ("BTC.csv", rows((1, row(1, values="10,10.5,9,11,5"))), ["row 2", "high"]),
    "low above open": ("BTC.csv", rows((1, row(1, values="10,12,10.5,11,5"))), ["row 2", "low"]),
    "seconds": ("BTC.csv", rows().replace("00000,", "00,"), ["seconds", "epoch milliseconds"]),
    "microseconds": ("BTC.csv", rows().replace("00000,", "00000000,"), ["microseconds"]),
    "no such time": ("BTC.csv", rows((0, "-5,10,12,9,11,5")), ["row 1", "no time between"]),
    "dates": (
        "BTC.csv",
        rows((0, "2025-03-14,10,12,9,11,5")),
        ["row 1", "integer", "'2025-03-14'"],
    ),
    "not text": ("BTC.csv", b"\xff\xfe\x00\x01" * 40, ["'open_time' is missing"]),
    "unknown suffix": ("BTC.feather", "x", ["ends in .csv or .parquet, not '.feather'"]),
    "no coin in the name": ("my file.csv", rows(), ["begin with its coin", "'my'"]),
    "garbage as parquet": ("BTC.parquet", b"not a parquet file", ["cannot be read as parquet"]),
    "empty parquet": ("BTC.parquet", b"", ["BTC.parquet"]),
    "cut parquet": ("BTC.parquet", parquet()[:-40], ["cannot be read as parquet"]),
    "parquet without a column": ("BTC.parquet", parquet(low=None), ["'low' is missing"]),
    "parquet of float times": ("BTC.parquet", parquet(open_time=FLOATS), ["open_time", "Float64"]),
    "parquet of flags": ("BTC.parquet", parquet(close=[True] * 6), ["'close'", "Boolean"]),
    "parquet with a null": (
        "BTC.parquet",
        parquet(close=[11.0, 11.0, None, 11.0, 11.0, 11.0]),
        ["row 3 of 6", "close is missing"],
    ),
    "parquet of texts": ("BTC.parquet", parquet(close=["11"] * 5 + ["x"]), ["row 6 of 6", "'x'"]),
}


@pytest.mark.parametrize(("name", "content", "parts"), BAD.values(), ids=BAD)
def test_bad_file_is_refused_in_one_clear_line(
    tmp_path: Path, name: str, content: str | bytes, parts: list[str]
) -> None:
    """A broken file is a UserError of one line that names the file, the place and the rule."""
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError) as caught:
        load_candles(path)
    message = str(caught.value)
    assert "\n" not in message
    for part in [name, *parts]:
        assert part in message


def test_missing_file_folder_and_any_cut_are_user_errors(tmp_path: Path) -> None:
    """A missing path, a folder and a Parquet file cut at any byte are all a one-line UserError."""
    with pytest.raises(UserError, match="does not exist"):
        load_candles(tmp_path / "BTC.csv")
    (tmp_path / "BTC.parquet").mkdir()
    with pytest.raises(UserError, match="is a folder"):
        load_candles(tmp_path / "BTC.parquet")
    whole = parquet()
    path = tmp_path / "ETH.parquet"
    for length in range(0, len(whole), 13):
        path.write_bytes(whole[:length])
        with pytest.raises(UserError) as caught:
            load_candles(path)
        assert "\n" not in str(caught.value)


def test_missing_polars_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the lab extra the error says which one to install."""
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(UserError, match=r"fractaltrader\[lab\]"):
        load_candles(tmp_path / "BTC.csv")


@pytest.mark.parametrize(
    ("name", "coin"),
    [
        ("BTC-5m-hyperliquid", "BTC"),
        ("BTCUSDT-1m-binance_spot-2022", "BTC"),
        ("ETH_USDC_USDC-1h-futures", "ETH"),
        ("kPEPE-5m", "kPEPE"),
        ("USDT-1m", "USDT"),
        ("SOL", "SOL"),
    ],
)
def test_coin_comes_from_the_file_name(tmp_path: Path, name: str, coin: str) -> None:
    """The first word of the name without its quote currency is the coin unless one is given."""
    path = tmp_path / f"{name}.parquet"
    path.write_bytes(parquet(extra=[1] * 6))
    assert load_candles(path).coin == coin
    assert load_candles(path, coin="HYPE").coin == "HYPE"


def test_csv_and_parquet_load_alike_and_gaps_are_legal(tmp_path: Path) -> None:
    """A file with absent rows loads with its own rows, timeframe and values, from either format."""
    csv = tmp_path / "BTC.csv"
    kept = [0, 1, 2, 40, 41, 42, 43]
    csv.write_text("\n".join([HEADER, *(row(index) for index in kept)]))
    candles = load_candles(csv)
    assert str(candles.timeframe) == "5m"
    assert candles.open_time.tolist() == [START + index * STEP for index in kept]
    assert candles.bar(3) == (START + 40 * STEP, 10.0, 12.0, 9.0, 11.0, 5.0)
    pl.read_csv(csv).write_parquet(tmp_path / "BTC.parquet")
    again = load_candles(tmp_path / "BTC.parquet")
    assert list(again.bars()) == list(candles.bars())
    assert again.close.dtype == np.float64
    assert again.close.flags.writeable


def test_real_files_load_whole(shared_folder: Path) -> None:
    """Every recorded candle file loads with all its rows, gaps and its own timeframe."""
    files = sorted((shared_folder / "data" / "ohlcv").glob("*.parquet"))
    assert len(files) > 20
    for path in files:
        candles = load_candles(path)
        assert str(candles.timeframe) == path.name.split("-")[1]
        assert len(candles) == pl.scan_parquet(path).select(pl.len()).collect().item()
