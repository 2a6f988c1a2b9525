"""The bridge from kernels to machine code."""

import subprocess
import sys
from pathlib import Path

import pytest

from fractaltrader.errors import UserError
from fractaltrader.smc.kernel import compiled, kernel, source_key

HELPER = "from fractaltrader.smc.kernel import kernel\n@kernel\ndef helper(x):\n    return x + {}\n"
CALLER = """
from helper import helper
from fractaltrader.smc.kernel import compiled, kernel
@kernel
def caller(x):
    return helper(x) * 10
print(compiled(caller)(1))
"""


OWN = """
from fractaltrader.smc.kernel import _compile, compiled, kernel
from fractaltrader.smc.periods import month_of
@kernel
def own(time):
    return month_of(time) - {}
print(compiled(own)(0), _compile.cache_info().currsize)
"""


def run(folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "caller.py"], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_changed_helper_is_never_served_from_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A changed helper in another file compiles anew, and old caches are cleared away."""
    monkeypatch.setenv("FRACTAL_HOME", str(tmp_path / "home"))
    caches = tmp_path / "home" / "cache" / "kernels"
    for i in range(12):
        (caches / f"old{i}").mkdir(parents=True)
    (tmp_path / "caller.py").write_text(CALLER)
    (tmp_path / "helper.py").write_text(HELPER.format(1))
    assert run(tmp_path) == "20"
    cached = set((tmp_path / "home").rglob("*.nbc"))
    assert cached
    (tmp_path / "helper.py").write_text(HELPER.format(2))
    assert run(tmp_path) == "30"
    assert set((tmp_path / "home").rglob("*.nbc")) > cached
    assert len(list(caches.iterdir())) == 8


def test_own_kernels_compile_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's changed kernel does not compile ours again; unchanged, nothing is even set up."""
    home = tmp_path / "home"
    monkeypatch.setenv("FRACTAL_HOME", str(home))
    caller = tmp_path / "caller.py"
    caller.write_text(OWN.format(0))
    months = 1970 * 12 - 2  # months since March of year 0
    assert run(tmp_path) == f"{months} 2"
    (ours,) = home.rglob("*month_of*.nbc")
    written = ours.stat().st_mtime_ns
    assert run(tmp_path) == f"{months} 1"
    caller.write_text(OWN.format(100))
    assert run(tmp_path) == f"{months - 100} 2"
    assert list(home.rglob("*month_of*.nbc")) == [ours]
    assert ours.stat().st_mtime_ns == written


def test_key_covers_text_and_versions(tmp_path: Path) -> None:
    """The key of the cache changes with any file's text and with any version."""
    a, b = tmp_path / "a.py", tmp_path / "b.py"
    a.write_text("1")
    b.write_text("2")
    key = source_key([a, b], "0.61")
    assert key == source_key([b, a, a], "0.61")
    assert key != source_key([a, b], "0.62")
    b.write_text("3")
    assert key != source_key([a, b], "0.61")


def test_missing_numba_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without numba the user is told which extra to install."""

    @kernel
    def fresh(x: float) -> float:
        return x

    monkeypatch.setitem(sys.modules, "numba", None)
    with pytest.raises(UserError, match=r'pip install "fractaltrader\[lab\]"'):
        compiled(fresh)


def test_the_bot_side_imports_neither_numba_nor_polars() -> None:
    """Importing and stepping a strategy interpreted loads no part of the lab."""
    code = (
        "import sys\n"
        "from fractaltrader.market import Bar\n"
        "import fractaltrader.risk\n"
        "from fractaltrader.strategies import load_strategy\n"
        "load_strategy('liquidity_sweep').session('BTC').on_bar(Bar(0, 1.0, 2.0, 1.0, 2.0, 1.0))\n"
        "assert not {'numba', 'polars', 'asyncio'} & set(sys.modules), sorted(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
