"""Users' files: what they may hold, what is refused, and how clearly."""

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fractaltrader.cli.strategy import app
from fractaltrader.data.synthetic import generated_market
from fractaltrader.errors import UserError
from fractaltrader.market import Candles, Timeframe
from fractaltrader.smc import EngineParameters, SmcEngine
from fractaltrader.strategies import EventKind, load_strategy, plugins
from fractaltrader.strategies.base import Signal

M15 = Timeframe.parse("15m")

HEAD = """\
from fractaltrader.strategies import EventKind, Parameters, Proposal, UserStrategy
class Mine(UserStrategy):
    min_rr = 0.5
    def on_bar(self, bar, events):
        if self.market.bar_number != 150: return None
"""


@pytest.fixture(scope="module")
def candles() -> Candles:
    return generated_market(["BTC"], days=5, timeframe=M15, seed=2, start_ms=0)["BTC"]


@pytest.fixture
def mine(tmp_path: Path, candles: Candles):  # type: ignore[no-untyped-def]
    """Runs a class whose on_bar ends, at bar 150, with the lines given."""

    def run(body: str, head: str = HEAD) -> list[Signal]:
        file = tmp_path / "mine.py"
        file.write_text(head + body)
        session = load_strategy(str(file)).session("BTC")
        return [s for bar in candles.bars() if (s := session.on_bar(bar))]

    return run


LONG = "Proposal(1, bar.close * 0.99, bar.close * 1.02, {'a': 30, 'b': 25.5}, ['why'])"


def test_a_proposal_becomes_a_signal(mine, candles: Candles) -> None:  # type: ignore[no-untyped-def]
    """Entry is the close, confidence the sum of the factors, the reasons are kept."""
    (signal,) = mine(f"        return {LONG}\n")
    close = float(candles.close[150])
    assert (signal.strategy, signal.coin, signal.side) == ("Mine", "BTC", 1)
    assert (signal.entry, signal.stop, signal.target) == (close, close * 0.99, close * 1.02)
    assert (signal.confidence, signal.facts) == (55.5, ("why",))
    assert signal.bar_time == candles.open_time[150]
    ranges = candles.slice(0, 151)
    assert signal.atr_baseline == pytest.approx(_true_range(ranges)[-100:].mean())


def _true_range(candles: Candles):  # type: ignore[no-untyped-def]
    import numpy as np

    before = candles.close[:-1]
    return np.maximum(candles.high[1:], before) - np.minimum(candles.low[1:], before)


def test_poor_and_early_proposals_are_no_signals(mine) -> None:  # type: ignore[no-untyped-def]
    """Less than `min_rr`, or a bar before the usual range is known, gives nothing."""
    assert mine(f"        return {LONG}\n", HEAD.replace("0.5", "2")), "2 R pays 2 R"
    assert not mine(f"        return {LONG}\n", HEAD.replace("0.5", "2.01"))
    assert not mine(f"        return {LONG}\n", HEAD.replace("150", "98"))
    assert mine(f"        return {LONG}\n", HEAD.replace("150", "99"))


@pytest.mark.parametrize(
    ("returned", "rule"),
    [
        ("42", "line 4: returned int; return a Proposal or None"),
        ("Proposal(2, 1.0, 2.0, {'a': 1})", "side 2 must be 1 (long) or -1 (short)"),
        ("Proposal(1, bar.close * 1.01, bar.close * 1.02, {'a': 1})", "must lie between stop"),
        ("Proposal(-1, bar.close * 0.9, bar.close * 0.8, {'a': 1})", "must lie between stop"),
        ("Proposal(1, float('nan'), bar.close * 2, {'a': 1})", "stop nan must be a finite"),
        ("Proposal(1, bar.close / 2, None, {'a': 1})", "target None must be a finite"),
        ("Proposal(1, bar.close / 2, bar.close * 2, {})", "factors must be a dict"),
        ("Proposal(1, bar.close / 2, bar.close * 2, {'a': -1})", "factor 'a' is -1"),
        ("Proposal(1, bar.close / 2, bar.close * 2, {'a': 60, 'b': 41})", "sum to 101"),
        ("Proposal(1, bar.close / 2, bar.close * 2, {'a': 1}, 'why')", "list of sentences"),
        ("1 / 0", "line 6: ZeroDivisionError: division by zero (on_bar, BTC 1970-01-02 13:30:00Z)"),
        ("self.params.missing", "line 6: AttributeError"),
        ("[][0]", "line 6: IndexError: list index out of range"),
    ],
)
def test_wrong_returns_are_one_clear_line(mine, returned: str, rule: str) -> None:  # type: ignore[no-untyped-def]
    """Whatever on_bar does wrong ends as one line with file, line and rule."""
    with pytest.raises(UserError) as refused:
        mine(f"        return {returned}\n")
    said = str(refused.value)
    assert rule in said
    assert said.startswith("strategy ")
    assert "mine.py: line " in said
    assert "\n" not in said


BASE = "from fractaltrader.strategies import Parameters, UserStrategy\n"
ON_BAR = "    def on_bar(self, bar, events): return None\n"


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("class A(:\n", "line 1: SyntaxError: invalid syntax (reading)"),
        ("\nimport no_such_module\n", "line 2: ModuleNotFoundError: No module named 'no_such"),
        ("x = 1\n", "defines no subclass of UserStrategy"),
        (BASE + "class A(UserStrategy): pass\n", "A has no on_bar; define on_bar(bar, events)"),
        (f"{BASE}class A(UserStrategy):\n{ON_BAR}class B(A): pass\n", "defines A, B; choose one"),
        (f"{BASE}class A(UserStrategy):\n    clauses = {{'lfet': 3}}\n{ON_BAR}", "'left'"),
        (f"{BASE}class A(UserStrategy):\n    profile = 'luxalgo'\n{ON_BAR}", "'luxalgo-like'"),
    ],
)
def test_files_that_do_not_hold_are_refused(tmp_path: Path, text: str, rule: str) -> None:
    """A file that cannot be a strategy says why when it is loaded, not when it trades."""
    file = tmp_path / "mine.py"
    file.write_text(text)
    with pytest.raises(UserError) as refused:
        load_strategy(str(file))
    assert str(refused.value).startswith(f"strategy {file}: ")
    assert rule in str(refused.value)


def test_names_and_parameters_are_checked(tmp_path: Path) -> None:
    """Classes by name, clauses as parameters, suggestions for what is misspelt."""
    file = tmp_path / "two.py"
    file.write_text(
        "from fractaltrader.smc import EngineParameters\n"
        f"{BASE}class First(UserStrategy):\n{ON_BAR}"
        "class Second(UserStrategy):\n    name = 'second'\n    Parameters = EngineParameters\n"
        f"{ON_BAR}"
    )
    second = load_strategy(f"{file}:Second", {"left": "2"})
    assert (second.name, second.params.model_dump()["left"]) == ("second", 2)
    with pytest.raises(UserError, match="no strategy 'Secnd'; did you mean 'Second'"):
        load_strategy(f"{file}:Secnd")
    with pytest.raises(UserError, match="second: unknown parameter 'lfet'; did you mean 'left'"):
        load_strategy(f"{file}:Second", {"lfet": 2})
    with pytest.raises(UserError, match=r"nowhere\.py: there is no such file"):
        load_strategy(str(tmp_path / "nowhere.py"))


def test_an_edited_file_is_read_anew(tmp_path: Path) -> None:
    """Loading twice within a second sees the second text: no stale byte code."""
    file = tmp_path / "mine.py"
    for warmup in (111, 222):
        file.write_text(f"{BASE}class A(UserStrategy):\n    warmup_bars = {warmup}\n{ON_BAR}")
        assert load_strategy(str(file)).warmup_bars(M15) == warmup


def test_installed_strategies_are_found_by_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A package's entry point is a strategy like our own; one that is none is refused."""
    (tmp_path / "offered_strategy.py").write_text(f"{BASE}class A(UserStrategy):\n{ON_BAR}")
    monkeypatch.syspath_prepend(str(tmp_path))
    points = {
        name: EntryPoint(name, value, plugins.GROUP)
        for name, value in (("good", "offered_strategy:A"), ("bad", "json:dumps"))
    }
    monkeypatch.setattr("fractaltrader.strategies.registry.installed", lambda: points)
    assert load_strategy("good").session("BTC").last_bar_time is None
    with pytest.raises(UserError, match="bad: the entry point json:dumps is no subclass"):
        load_strategy("bad")


def test_events_and_readings_agree_with_detection(tmp_path: Path, candles: Candles) -> None:
    """A class sees exactly the events of SmcEngine; its bias is that of the last break, and its
    place in the range is measured in the last range that was told."""
    file = tmp_path / "seer.py"
    file.write_text(
        f"{BASE}class Seer(UserStrategy):\n    seen = []\n    clauses = {{'htf': ('1h',)}}\n"
        "    def on_bar(self, bar, events):\n"
        "        market = self.market\n"
        "        biases = [market.bias, market.higher_bias()]\n"
        "        self.seen.append((events, biases, market.range_position, market.levels(1)))\n"
    )
    strategy = load_strategy(str(file))
    assert len(strategy.scan(candles)) == 0
    engine, bias = SmcEngine(EngineParameters(htf=("1h",))), [0, 0]
    seen = strategy.script.seen  # type: ignore[attr-defined]
    low = high = float("nan")
    for bar, (events, biases, place, levels) in zip(candles.bars(), seen, strict=True):
        assert repr(events) == repr(engine.on_bar(bar))  # a NaN is not equal to itself
        for event in events:
            if event.kind in (EventKind.BOS, EventKind.CHOCH):
                bias[event.timeframe] = event.side
            if event.kind is EventKind.RANGE and event.timeframe == 0:
                low, high = event.low, event.high
        assert biases == bias
        assert place == pytest.approx((bar.close - low) / (high - low), nan_ok=True)
        assert levels == sorted(levels)
        assert all(level >= bar.high for level in levels)
    assert high > low


def test_new_writes_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`strategy new` writes a file that loads, never over another one; `list` names ours."""
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()
    assert runner.invoke(app, ["new", "Swept"]).exit_code == 0
    assert load_strategy("Swept.py").name == "Swept"
    for name, rule in (("Swept", "exists already"), ("no-name", "cannot name a class")):
        refused = runner.invoke(app, ["new", name]).exception
        assert isinstance(refused, UserError)
        assert rule in str(refused)
    listed = runner.invoke(app, ["list"]).output
    assert all(name in listed for name in ("liquidity_sweep", "fvg_fill", "bos_orderblock"))
