"""Strategies from outside: a Python file, or a package's entry point `fractaltrader.strategies`.

Either holds a subclass of UserStrategy, or a StrategyKind whose kernels run compiled in the lab.
"""

import re
import sys
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from fractaltrader.errors import UserError, did_you_mean
from fractaltrader.strategies.base import Strategy
from fractaltrader.strategies.kernel_strategy import StrategyKind
from fractaltrader.strategies.user import UserStrategy
from fractaltrader.strategies.user_session import ScriptStrategy, told

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "fractaltrader.strategies"
_FILE = re.compile(r"(?P<file>.+\.py)(?::(?P<name>\w+))?")

Found = type[UserStrategy] | StrategyKind


def file_and_name(target: str) -> tuple[Path, str | None] | None:
    """The parts of "path/to/file.py" or "path/to/file.py:Name"; None for anything else."""
    match = _FILE.fullmatch(target)
    return (Path(match["file"]), match["name"]) if match else None


def installed() -> Mapping[str, "EntryPoint"]:
    """Entry points of installed packages by name."""
    from importlib.metadata import entry_points

    return {point.name: point for point in entry_points(group=GROUP)}


def from_file(file: Path, name: str | None, params: Mapping[str, object]) -> Strategy:
    """The strategy in `file`; UserError names the file, the line and the rule that is broken."""
    if not file.is_file():
        raise UserError(f"strategy {file}: there is no such file; give the path of a .py file")
    module = _executed(file)
    found = _strategies_in(module, file)
    if name is None and len(found) == 1:
        (name,) = found
    if name is None:
        what = f"defines {', '.join(found)}" if found else "defines no subclass of UserStrategy"
        remedy = f"; choose one: {file}:{next(iter(found))}" if found else ""
        raise UserError(f"strategy {file}: {what}{remedy}")
    if name not in found:
        hint = did_you_mean(name, list(found)) or f"; it defines {', '.join(found) or 'none'}"
        raise UserError(f"strategy {file}: no strategy {name!r}{hint}")
    return _made(found[name], file, params)


def from_entry_point(point: "EntryPoint", params: Mapping[str, object]) -> Strategy:
    """The strategy an installed package offers."""
    found = told(Path(point.value), "entry point", point.load)
    if isinstance(found, type) and issubclass(found, UserStrategy):
        file = getattr(sys.modules[found.__module__], "__file__", None)
        return _made(found, Path(file or point.value), params)
    if isinstance(found, StrategyKind):
        return _made(found, Path(point.value), params)
    raise UserError(
        f"strategy {point.name}: the entry point {point.value} is no subclass of UserStrategy and "
        "no StrategyKind"
    )


def _executed(file: Path) -> ModuleType:
    """The file as a module, fresh from its source: no stale byte code."""
    module = ModuleType(f"fractal_strategy_{sha256(str(file.resolve()).encode()).hexdigest()[:12]}")
    module.__file__ = str(file)
    # Data classes and models look their module up.
    sys.modules[module.__name__] = module
    code = told(file, "reading", lambda: compile(file.read_bytes(), str(file), "exec"))
    # A strategy file is the user's own code, run at their word.
    told(file, "importing", lambda: exec(code, module.__dict__))  # nosec B102
    return module


def _strategies_in(module: ModuleType, file: Path) -> dict[str, Found]:
    """What the file itself defines, not what it imports."""
    found: dict[str, Found] = {}
    for name, value in vars(module).items():
        if isinstance(value, type):
            if issubclass(value, UserStrategy) and value.__module__ == module.__name__:
                found[name] = value
        elif isinstance(value, StrategyKind) and value.step.__code__.co_filename == str(file):
            found[name] = value
    return found


def _made(found: Found, file: Path, params: Mapping[str, object]) -> Strategy:
    if isinstance(found, StrategyKind):
        return found.strategy(found.parameters.parse(params, f"strategy {found.name}"))
    if found.on_bar is UserStrategy.on_bar:
        raise UserError(
            f"strategy {file}: {found.__name__} has no on_bar; define on_bar(bar, events)"
        )
    name = found.name or found.__name__
    values = found.Parameters.parse(params, f"strategy {name}")
    told(file, "clauses", lambda: found.engine_parameters(values))
    return ScriptStrategy(name, values, found, file)
