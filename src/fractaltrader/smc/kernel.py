"""One source, two ways to run it: interpreted in the bot, compiled by numba in the lab.

A kernel is a plain function in the subset of Python that numba compiles: numbers, numpy arrays,
named tuples of them, and other kernels called by their global name.
"""

import hashlib
import shutil
from collections.abc import Callable
from dis import get_instructions
from functools import cache
from importlib import import_module
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, ParamSpec, TypeVar, cast

from fractaltrader.errors import UserError
from fractaltrader.home import fractal_home

P = ParamSpec("P")
R = TypeVar("R")

_MARK = "__fractal_kernel__"
_INLINED = "__fractal_inlined__"
_ROOMS_WITH_KERNELS = ("smc", "strategies", "risk", "backtest")
_KEPT_CACHES = 8


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Mark `function` as a kernel; it stays the plain function it is."""
    setattr(function, _MARK, True)
    return function


def inlined(function: Callable[P, R]) -> Callable[P, R]:
    """A kernel that machine code takes into its caller: for the hottest path, called once."""
    setattr(function, _INLINED, True)
    return kernel(function)


@inlined
def nth(place: int) -> int:
    """A place in an array, as the hottest kernels write it: machine code need not ask its sign.

    Otherwise it does so at every access, because negative places count from the end.
    """
    return place & 0x7FFFFFFF


@cache
def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """The machine-code version of a kernel and, through it, of every kernel it calls.

    Compilation is kept on disk under a key of our kernels' sources and those of the files the
    kernel needs besides: a change of ours starts afresh, a user's own file only his own kernels.
    Raises UserError when numba, the `lab` extra, is missing.
    """
    return cast(Callable[P, R], _compile(cast(FunctionType, function)))


def compiled_for(function: Callable[P, R], *like: object) -> Callable[P, R]:
    """The machine code of a kernel for arguments of the types of `like`, and for no others.

    numba's own look at the types of large records at every call takes longer than a bar's work.
    """
    dispatcher = cast(Any, compiled(function))
    types = tuple(_numba().typeof(value) for value in like)
    dispatcher.compile(types)
    return cast(Callable[P, R], dispatcher.get_overload(types))


def _numba() -> ModuleType:
    # By name, so that whoever imports the kernels (the bot) does not depend on numba.
    try:
        return import_module("numba")
    except ImportError as missing:
        raise UserError(
            "numba is not installed, and the lab (backtest, batch detection) compiles with it; "
            'run: pip install "fractaltrader[lab]"'
        ) from missing


def _is_kernel(value: object) -> bool:
    return isinstance(value, FunctionType) and hasattr(value, _MARK)


@cache
def _called_kernels(function: FunctionType) -> dict[str, FunctionType]:
    known = {name: function.__globals__.get(name) for name in function.__code__.co_names}
    if not any(map(_is_kernel, known.values())):
        return {}
    # Loaded by name: an attribute may share its name with a kernel.
    loaded = {i.argval for i in get_instructions(function.__code__) if i.opname == "LOAD_GLOBAL"}
    return {
        name: cast(FunctionType, value)
        for name, value in known.items()
        if name in loaded and _is_kernel(value)
    }


def _closure(function: FunctionType) -> list[FunctionType]:
    """`function` and every kernel reachable from it."""
    seen = [function]
    for known in seen:
        seen.extend(k for k in _called_kernels(known).values() if k not in seen)
    return seen


@cache
def _compile(function: FunctionType, inner: bool = False) -> Any:
    """`function` compiled by numba, calling the compiled versions of its kernels.

    An `inner` one is only called by compiled code; leaving out its Python entry saves seconds.
    """
    numba = _numba()
    folder = _cache_folder(numba, _closure(function))
    if folder is not None and inner:
        folder /= "inner"  # for want of a Python entry it must never be taken for the other kind
    rebuilt = FunctionType(
        function.__code__,
        dict(function.__globals__),
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    rebuilt.__qualname__ = function.__qualname__
    rebuilt.__module__ = function.__module__
    before = numba.config.CACHE_DIR
    # numba reads the folder while decorating and never again.
    numba.config.CACHE_DIR = str(folder or "")
    try:
        dispatcher = numba.njit(
            cache=folder is not None,
            no_cpython_wrapper=inner,
            no_cfunc_wrapper=True,
            error_model="numpy",  # no test for zero before every division
            forceinline=hasattr(function, _INLINED),
            # Reference counts of arrays, taken at every step, cost ten times the work itself. Only
            # the outermost kernel keeps them: it alone may allocate.
            _nrt=not inner,
        )(rebuilt)
    finally:
        numba.config.CACHE_DIR = before
    _treat_constants_as_numbers(numba, dispatcher)
    if folder is not None:
        _load_without_the_compiler(dispatcher)
    _link_before_compiling(dispatcher, rebuilt, _called_kernels(function))
    return dispatcher


def _link_before_compiling(
    dispatcher: Any, rebuilt: FunctionType, called: dict[str, FunctionType]
) -> None:
    """Have the compiled kernels take the place of the plain ones when numba comes to compile.

    Machine code from the disk has them inside: to set up each of them would take half a second.
    """
    compiler = dispatcher._compiler
    compile = compiler.compile

    def linked(args: tuple[Any, ...], return_type: Any) -> Any:
        rebuilt.__globals__.update({name: _compile(k, True) for name, k in called.items()})
        return compile(args, return_type)

    compiler.compile = linked


def _load_without_the_compiler(dispatcher: Any) -> None:
    """Machine code from the disk needs numba's runtime, but not its compiler.

    numba makes that ready first, which takes longer than all else; compiling does so by itself.
    """
    cache = dispatcher._cache

    def load(signature: Any, target: Any) -> Any:
        import_module("numba.core.runtime").rtsys.initialize(target)
        with cache._guard_against_spurious_io_errors():
            return cache._load_overload(signature, target)

    cache.load_overload = load


def _treat_constants_as_numbers(numba: ModuleType, dispatcher: Any) -> None:
    """Compile a kernel once for all constants it is called with, not once for each."""
    template = dispatcher.get_call_template

    def plain(args: tuple[Any, ...], kws: dict[str, Any]) -> Any:
        return template(
            tuple(numba.types.unliteral(arg) for arg in args),
            {name: numba.types.unliteral(arg) for name, arg in kws.items()},
        )

    dispatcher.get_call_template = plain


def source_key(files: list[Path], *versions: str) -> str:
    """A key that changes when the text of any of `files` or any of `versions` does."""
    digest = hashlib.sha256("\0".join(versions).encode())
    for path in sorted(set(files)):
        digest.update(f"\0{path.name}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@cache
def _own_key(package: Path, *versions: str) -> str:
    files = [path for room in _ROOMS_WITH_KERNELS for path in (package / room).rglob("*.py")]
    return source_key(files, *versions)


def _cache_folder(numba: ModuleType, kernels: list[FunctionType]) -> Path | None:
    """Where this state of the sources keeps its machine code; None where nothing can be written.

    numba itself only notices a change of the file a function lives in; a helper's file or a
    constant imported from elsewhere would go unnoticed. Hence the key over all of them.
    """
    package = Path(__file__).resolve().parents[1]
    key = _own_key(package, numba.__version__, import_module("numpy").__version__)
    files = {Path(k.__code__.co_filename) for k in kernels}
    others = [path for path in files if path.is_file() and package not in path.resolve().parents]
    if others:
        key = source_key(others, key)
    root = fractal_home() / "cache" / "kernels"
    folder = root / key
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.touch()  # in use: others are cleared away before it
        _prune(root, keep=folder)
    except OSError:
        return None
    return folder


def _prune(root: Path, keep: Path) -> None:
    """Bound the cache: the newest few states of the sources stay."""
    others = sorted(
        (path for path in root.iterdir() if path.is_dir() and path != keep),
        key=lambda path: path.stat().st_mtime,
    )
    for old in others[: max(0, len(others) - (_KEPT_CACHES - 1))]:
        shutil.rmtree(old, ignore_errors=True)
