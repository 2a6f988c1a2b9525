"""Breaks the rules of the modules that guard money, one at a time, and counts the breaks that the
fast tests notice. `scripts/mutation.toml` names modules, tests and accepted survivors.

Usage: .venv/bin/python scripts/mutation.py [--workers N] [--sample N] [MODULE...]; ends with 1
where a module's score is below the floor, or an accepted survivor is none any more.

Ours, because neither tool fits: mutmut leaves every decorated function alone, which here are the
sizing kernels, the properties and the locks; cosmic-ray edits the file that others work on and
starts a process for every mutant, which takes seconds. Here pytest collects once, and each mutant
is a fork of it whose functions get their changed code; only what changes a module's or a class's
own level is imported anew.
"""

import argparse
import ast
import contextlib
import copy
import gc
import importlib
import multiprocessing
import os
import signal
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, FunctionType

import pytest
from hypothesis import HealthCheck, Phase, settings

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "fractaltrader"
TABLE = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())
OPTIONS = ["-x", "-p", "no:randomly", "-p", "no:xdist", "-m", "not integration"]
OPTIONS += [
    "--tb=no",
    "-W",
    "ignore::pytest.PytestAssertRewriteWarning",
    "--hypothesis-profile=mutation",
]

# What each comparison becomes: its border moved, then its opposite.
COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt), ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,), ast.In: (ast.NotIn,), ast.NotIn: (ast.In,),  # codespell:ignore
}  # fmt: skip
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr,
}  # fmt: skip
CALLS = {"min": "max", "max": "min", "all": "any", "any": "all"}
# Types, declarations and formats: to break them breaks no rule, or the type checker says so.
LEFT_ALONE = {"annotation", "returns", "decorator_list", "ClassDef.keywords", "format_spec"}


@dataclass
class Mutant:
    """One change of one node of a module's tree."""

    holder: ast.AST | list[ast.AST]
    place: str | int
    old: ast.AST
    new: ast.AST
    level: str  # "body" of a function, or the module's or a class's own
    number: int  # of the line
    key: str  # names it in the list of accepted survivors, wherever its line moves to

    def put(self, node: ast.AST) -> None:
        """Have `node`, the old or the new one, in its place."""
        if isinstance(self.holder, list):
            self.holder[int(self.place)] = node
        else:
            setattr(self.holder, str(self.place), node)


def variants(node: ast.AST, level: str) -> Iterator[ast.AST]:
    """What `node` could wrongly be."""
    match node:
        case ast.Compare():
            for index, operator in enumerate(node.ops):
                for other in COMPARISONS[type(operator)]:
                    yield _with(node, ops=[*node.ops[:index], other(), *node.ops[index + 1 :]])
        case ast.BoolOp():
            yield _with(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            yield node.operand
        case ast.BinOp(op=ast.BitOr()) if level != "body":
            pass  # of types
        case ast.BinOp() | ast.AugAssign() if type(node.op) in OPERATORS:
            yield _with(node, op=OPERATORS[type(node.op)]())
        case ast.Constant(value=bool()):
            yield _with(node, value=not node.value)
        case ast.Constant(value=int() | float()):
            yield from (_with(node, value=node.value + step) for step in (1, -1))
        case ast.Call(func=ast.Name(id=name)) if name in CALLS:
            yield _with(node, func=ast.Name(CALLS[name], ast.Load()))
        case ast.If() | ast.While() | ast.IfExp():
            test = node.test
            simple = isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)
            if not simple and not isinstance(test, ast.Compare):  # these are negated by themselves
                yield _with(node, test=ast.UnaryOp(ast.Not(), test))
        case ast.Return(value=value) if value and not isinstance(value, ast.Constant):
            yield _with(node, value=ast.Constant(None))
    match node:  # statements whose loss Python itself would not notice
        case ast.Raise() | ast.AugAssign() | ast.Continue() | ast.Break():
            yield ast.Pass()
        case ast.Expr(value=value) if not isinstance(value, ast.Constant | ast.Yield):
            yield ast.Pass()
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield ast.Pass()


def _with(node: ast.AST, **changed: object) -> ast.AST:
    new = copy.copy(node)
    for name, value in changed.items():
        setattr(new, name, value)
    return new


def mutants(path: Path) -> tuple[ast.Module, list[Mutant]]:
    """The tree of a module and every change to make in it, one at a time."""
    tree, lines = ast.parse(path.read_text()), path.read_text().splitlines()
    found: list[Mutant] = []

    def visit(node: ast.AST, level: str, line: int) -> None:
        for field, value in ast.iter_fields(node):
            if {field, f"{type(node).__name__}.{field}"} & LEFT_ALONE:
                continue
            function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            within = "body" if function and field == "body" else level
            for index, child in enumerate(value if isinstance(value, list) else [value]):
                if not isinstance(child, ast.AST):
                    continue
                at = getattr(child, "lineno", line)
                where = (value, index) if isinstance(value, list) else (node, field)
                for new in variants(child, within):
                    key = f"{lines[at - 1].strip()} | {_told(child)} -> {_told(new)}"
                    found.append(Mutant(*where, child, new, within, at, key))
                visit(child, within, at)

    visit(tree, "own", 1)
    return tree, found


def _told(node: ast.AST) -> str:
    return ast.unparse(ast.fix_missing_locations(node)).splitlines()[0]


def functions_in(code: CodeType) -> dict[tuple[str, int], CodeType]:
    """Every function's code within a module's, by name and first line."""
    found = {}
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            found |= {(inner.co_qualname, inner.co_firstlineno): inner} | functions_in(inner)
    return found


class Substitute(SourceFileLoader):
    """Loads one module from other code than its file's, or refuses to while there is none."""

    code: CodeType | None = None

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        """As a finder: of the module of this name only."""
        return spec_from_file_location(name, self.path, loader=self) if name == self.name else None

    def get_code(self, fullname: str) -> CodeType:
        """As its loader."""
        if self.code is None:
            raise ImportError(f"{fullname} is not to be loaded yet")
        return self.code


class Forks:
    """As a plugin of pytest: a fork of its session for every mutant. `killed` says whether a test
    of it failed."""

    def __init__(
        self, substitute: Substitute, own: list[CodeType], swapped: list[CodeType]
    ) -> None:
        self.substitute = substitute
        self.own = own
        self.swapped = swapped
        self.killed: list[bool] = []
        self.parent = os.getpid()
        self.timeout = 120.0
        self.before = set(sys.modules)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        """Forks that import the module from its changed code, before any test is imported."""
        for code in self.own:
            if self._forked():
                self.substitute.code = code
                self._forget_imports()  # a conftest has some already
                break
        sys.meta_path.insert(0, self.substitute)  # pytest has put its own importer there
        importlib.import_module(self.substitute.name)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Forks whose functions take their changed code; this process runs no test."""
        if os.getpid() != self.parent or session.testsfailed:
            return None
        for code in self.swapped:
            if self._forked():
                self._swap(functions_in(code))
                return None
        return True

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """A fork ends before it takes away what the next one needs."""
        if os.getpid() != self.parent:
            os._exit(exitstatus)

    def _forked(self) -> bool:
        """True in the fork, which the caller lets go on; False when it has ended."""
        started = time.monotonic()
        gc.freeze()  # else every fork copies what it only looks through
        if (child := os.fork()) == 0:
            signal.setitimer(signal.ITIMER_REAL, self.timeout)
            return True
        self.killed.append(os.waitpid(child, 0)[1] != 0)
        if len(self.killed) == 1:
            self.timeout = 10 + 10 * (time.monotonic() - started)
        return False

    def _forget_imports(self) -> None:
        for name in set(sys.modules) - self.before:
            file = getattr(sys.modules[name], "__file__", None) or ""
            if file.startswith((f"{ROOT}/src", f"{ROOT}/tests")):
                del sys.modules[name]

    def _swap(self, codes: dict[tuple[str, int], CodeType]) -> None:
        gc.unfreeze()  # what is frozen is not among the objects
        for each in gc.get_objects():
            if isinstance(each, FunctionType) and each.__code__.co_filename == self.substitute.path:
                code = each.__code__
                each.__code__ = codes.get((code.co_qualname, code.co_firstlineno), code)


@dataclass
class Score:
    """What became of a module's mutants."""

    module: str
    count: int
    survivors: list[tuple[int, str]]  # line number and key
    seconds: float

    def told(self, reasons: dict[str, str], *, whole: bool) -> bool:
        """Print it; whether it fails. Survivors whose reason says that they are equivalent do not
        count, as nothing could notice them; others that are accepted do."""
        killed = self.count - len(self.survivors)
        same = [key for _, key in self.survivors if reasons.get(key, "").startswith("equivalent")]
        count = self.count - len(same)
        percent = 100 * killed / count if count else 100.0
        print(f"{percent:5.1f} % {killed:4} of {count:3} {self.seconds:5.0f} s  {self.module}")
        for number, key in self.survivors:
            print(f"    line {number}: {key}\n        {reasons.get(key, 'NO REASON GIVEN')}")
        gone = sorted(reasons.keys() - {key for _, key in self.survivors}) if whole else []
        for key in gone:
            print(f"    accepted, but no survivor any more: {key}")
        sys.stdout.flush()
        return bool(gone) or percent < TABLE["floor"]


def judge(module: str, sample: int) -> Score:
    """Break a module in all ways, or about `sample` of them. Runs in a process of its own."""
    started, path, files = time.monotonic(), PACKAGE / module, TABLE["tests"][module]
    os.chdir(ROOT)
    for standard in (0, 1, 2):
        os.dup2(os.open(os.devnull, os.O_RDWR), standard)
    settings.register_profile(
        "mutation",
        deadline=None,
        database=None,
        derandomize=True,
        max_examples=15,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    name = ".".join(("fractaltrader", *Path(module).with_suffix("").parts))
    substitute = Substitute(name, str(path))
    sys.meta_path.insert(0, substitute)
    rooms = [PACKAGE / room for room in ("market", "risk", "strategies", "exchange", "live")]
    for other in sorted(path for room in rooms for path in room.rglob("[!_]*.py")):
        parts = other.relative_to(PACKAGE.parent).with_suffix("").parts
        with contextlib.suppress(ImportError):  # what needs the module waits for it
            importlib.import_module(".".join(parts))
    tree, found = mutants(path)
    found = found[:: max(1, len(found) // sample) if sample else 1]
    original = compile(tree, str(path), "exec")
    own, swapped = [], []
    for mutant in found:
        mutant.put(mutant.new)
        code = compile(ast.fix_missing_locations(tree), str(path), "exec")
        mutant.put(mutant.old)
        (swapped if swappable(tree, original, mutant, code) else own).append((mutant, code))
    substitute.code = original
    # The first and the last break nothing: a test that failed there would prove nothing elsewhere.
    forks = Forks(
        substitute, [original, *(c for _, c in own)], [*(c for _, c in swapped), original]
    )
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        tempfile.tempdir = folder
        places = [f"--basetemp={folder}/t", "-o", f"cache_dir={folder}/c"]
        pytest.main([*OPTIONS, *places, *files], plugins=[forks])
    if forks.killed[0] or forks.killed[-1]:
        raise RuntimeError(f"{module}: its tests fail though nothing is broken")
    fates = zip([mutant for mutant, _ in own + swapped], forks.killed[1:-1], strict=True)
    survivors = sorted((mutant.number, mutant.key) for mutant, killed in fates if not killed)
    return Score(module, len(found), survivors, time.monotonic() - started)


def swappable(tree: ast.Module, original: CodeType, mutant: Mutant, code: CodeType) -> bool:
    """Whether functions that exist can take this code: it is theirs, they close over as much, and
    the module has not called one of them when it was imported."""
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assigned = [node for node in tree.body if isinstance(node, ast.Assign | ast.AnnAssign)]
    called = {n.id for node in assigned for n in ast.walk(node) if isinstance(n, ast.Name)}
    old, new = functions_in(original), functions_in(code)
    same = all(new.get(key, code).co_freevars == code.co_freevars for key, code in old.items())
    return mutant.level == "body" and not names & called and same


def main() -> None:
    """Judge the modules asked for, print scores and survivors, end with 1 below the floor."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes at a time")
    parser.add_argument("--sample", type=int, default=0, help="about so many mutants a module")
    parser.add_argument("modules", nargs="*", help="as in the table; all without any")
    asked = parser.parse_args()
    if unknown := sorted(set(asked.modules) - set(TABLE["tests"])):
        parser.error(f"not in {Path(__file__).stem}.toml: {', '.join(unknown)}")
    reasons: dict[str, dict[str, str]] = {module: {} for module in TABLE["tests"]}
    for entry in TABLE["accepted"]:
        reasons[entry["module"]] |= dict.fromkeys(entry["survivors"], entry["reason"])
    failed = False
    context = multiprocessing.get_context("spawn")
    # A process judges one module only: it cannot load another version of what it has imported.
    with ProcessPoolExecutor(asked.workers, mp_context=context, max_tasks_per_child=1) as pool:
        modules = asked.modules or list(TABLE["tests"])
        for score in pool.map(judge, modules, [asked.sample] * len(modules)):
            failed |= score.told(reasons[score.module], whole=not asked.sample)
    sys.exit(failed)


if __name__ == "__main__":
    main()
