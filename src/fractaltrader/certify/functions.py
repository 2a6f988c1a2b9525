"""Third-party targets: `module:function` or `path/to/file.py:function`, called with a frame."""

import importlib
import importlib.util
import sys
import warnings
from ast import literal_eval
from collections.abc import Callable, Iterable, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any

from fractaltrader.certify.readings import Readings, as_readings
from fractaltrader.errors import UserError, did_you_mean
from fractaltrader.market import Candles

FRAME_COLUMNS = ("open", "high", "low", "close", "volume")


def function_readings(
    target: str, arguments: Mapping[str, object]
) -> Callable[[Candles], Readings]:
    """What the function named by `target` says of candles: `function(frame, **arguments)`.

    The frame is a fresh pandas one each time: open, high, low, close, volume, indexed by the bars'
    open times in UTC. Whatever the function prints goes to standard error. Raises UserError when
    there is no such function, when pandas is missing, and for whatever the function raises.
    """
    function = load_function(target)
    _require_pandas()

    def readings(candles: Candles) -> Readings:
        with redirect_stdout(sys.stderr), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                result = function(ohlcv_frame(candles), **arguments)
            # Someone else's code may raise anything; the user needs its words, not our traceback.
            except Exception as error:
                raise UserError(
                    f"{target}: raised {type(error).__name__} over {len(candles)} bars: {error}"
                ) from error
        return as_readings(result, len(candles), target)

    return readings


def load_function(target: str) -> Callable[..., object]:
    """The callable behind `module:name`, `module:name.name` or `file.py:name`; else UserError."""
    where, colon, name = target.rpartition(":")
    if not (colon and where and name):
        raise UserError(f"target: {target!r} must be module:function or path/to/file.py:function")
    with redirect_stdout(sys.stderr):
        found: Any = _file(Path(where)) if where.endswith(".py") else _module(where)
    for part in name.split("."):
        if not hasattr(found, part):
            public = [known for known in dir(found) if not known.startswith("_")]
            hint = did_you_mean(part, public) or f"; it has {', '.join(public[:12])}"
            raise UserError(f"target: {where} has no {part!r}{hint}")
        found = getattr(found, part)
    if not callable(found):
        raise UserError(f"target: {target} is a {type(found).__name__}, not a function")
    function: Callable[..., object] = found
    return function


def parse_arguments(pairs: Iterable[str], option: str = "--arg") -> dict[str, object]:
    """`key=value` pairs; values are Python literals where they can be, else text."""
    parsed: dict[str, object] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        key, text = key.strip(), text.strip()
        if not (equals and key.isidentifier()):
            raise UserError(f"{option}: {pair!r} must be KEY=VALUE, like swing_length=5")
        if key in parsed:
            raise UserError(f"{option}: {key} is given twice; give it once")
        try:
            parsed[key] = literal_eval(text)
        except (ValueError, SyntaxError):
            parsed[key] = text
    return parsed


def ohlcv_frame(candles: Candles) -> Any:
    """A pandas frame of copies of the columns, indexed by open time (UTC)."""
    pd: Any = importlib.import_module("pandas")
    index = pd.to_datetime(candles.open_time, unit="ms", utc=True)
    return pd.DataFrame({name: getattr(candles, name).copy() for name in FRAME_COLUMNS}, index)


def _require_pandas() -> None:
    if importlib.util.find_spec("pandas") is None:
        raise UserError(
            "third-party targets are given a pandas frame, and pandas is not installed; "
            "run: pip install pandas"
        )


def _module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as missing:
        raise UserError(
            f"target: cannot import {name!r} ({missing}); install its package, or give the path "
            "of a file that ends in .py"
        ) from missing


def _file(path: Path) -> ModuleType:
    if not path.is_file():
        raise UserError(f"target: there is no file {path}; check the path")
    spec = importlib.util.spec_from_file_location(f"fractal_target_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UserError(f"target: {path} cannot be loaded as Python")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    # The file is the user's: whatever it raises, they need its words.
    except Exception as error:
        raise UserError(f"target: {path} raised {type(error).__name__}: {error}") from error
    return module
