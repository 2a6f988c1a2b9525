"""What a strategy and its signals promise to the rest of the system."""

from dataclasses import replace

import pytest

from fractaltrader.errors import UserError
from fractaltrader.strategies import STRATEGIES, Signal, load_strategy
from fractaltrader.strategies.signal import LazyFacts

SIGNAL = Signal(
    strategy="liquidity_sweep",
    coin="BTC",
    side=1,
    bar_time=0,
    entry=100.0,
    stop=98.0,
    target=106.0,
    confidence=60.0,
    factors=(("a", 40.0), ("b", 20.0)),
    facts=("swept", "reclaimed"),
    atr=1.0,
    atr_baseline=1.0,
)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"stop": 101.0}, "must lie between"),
        ({"target": 99.0}, "must lie between"),
        ({"stop": 100.0}, "must lie between"),
        ({"side": -1}, "must lie between"),
        ({"side": 0}, "must be 1 or -1"),
        ({"stop": float("nan")}, "finite"),
        ({"target": float("inf")}, "finite"),
        ({"atr": 0.0}, "above zero"),
        ({"confidence": 101.0}, "within 0"),
        ({"confidence": 50.0}, "not its factors' sum"),
    ],
)
def test_impossible_signals_cannot_be_made(change: dict[str, float], rule: str) -> None:
    """A stop or target on the wrong side, a NaN or a false sum is refused at creation."""
    assert SIGNAL.reward_risk == 3
    with pytest.raises(ValueError, match=rule):
        replace(SIGNAL, **change)


def test_facts_wait_for_a_reader() -> None:
    """They are put in words when they are read, and are then like any other facts."""
    spoken: list[float] = []

    def say(record: list[float]) -> tuple[str, ...]:
        spoken.extend(record)
        return ("swept", "reclaimed")

    signal = replace(SIGNAL, facts=LazyFacts(say, [7.0]))
    assert spoken == []
    assert signal.facts[-1] == "reclaimed"
    assert spoken == [7.0]
    assert (list(signal.facts), len(signal.facts)) == (["swept", "reclaimed"], 2)
    assert (signal, hash(signal), repr(signal)) == (SIGNAL, hash(SIGNAL), repr(SIGNAL))
    assert signal != replace(SIGNAL, facts=LazyFacts(lambda _: ("swept",), [7.0]))


def test_wrong_names_get_a_suggestion() -> None:
    """A misspelt strategy, parameter or value is one line that helps."""
    with pytest.raises(UserError, match="unknown name 'liquidity_swep'; did you mean 'liquidity_s"):
        load_strategy("liquidity_swep")
    with pytest.raises(UserError, match="unknown parameter 'min_rrr'; did you mean 'min_rr'"):
        load_strategy("liquidity_sweep", {"min_rrr": "2"})
    with pytest.raises(UserError, match="strategy liquidity_sweep: levels = 'pools': "):
        load_strategy("liquidity_sweep", {"levels": "pools"})


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_every_parameter_is_documented(name: str) -> None:
    """Each parameter of each strategy has a default within its bounds and a description."""
    model = STRATEGIES[name].parameters
    assert model.model_validate(model().model_dump()) == model()
    assert all(field.description for field in model.model_fields.values())
