"""The three kinds of target, each with the replay that suits it."""

from collections.abc import Mapping

from fractaltrader.certify.certificate import Certificate
from fractaltrader.certify.engine import engine_target
from fractaltrader.certify.events import certify_events
from fractaltrader.certify.functions import function_readings
from fractaltrader.certify.replay import Plan, Tell, certify_readings, silent
from fractaltrader.certify.strategies import live_readings, strategy_readings
from fractaltrader.market import Candles
from fractaltrader.strategies import Strategy

DEFAULT_PLAN = Plan()


def certify_engine(
    candles: Candles,
    plan: Plan = DEFAULT_PLAN,
    *,
    profile: str = "fractal",
    clauses: Mapping[str, object] | None = None,
    tell: Tell = silent,
) -> Certificate:
    """The certificate of our engine under `profile` with `clauses` over it (the `lab` extra).

    Batch runs are held against one another, and the bar-by-bar engine against the full run. Raises
    UserError for an unknown profile or clause and for a plan the candles do not hold.
    """
    detect, stream = engine_target(profile, clauses or {})
    return certify_events(f"engine, profile {profile}", detect, stream, candles, plan, tell=tell)


def certify_strategy(
    strategy: Strategy,
    candles: Candles,
    plan: Plan = DEFAULT_PLAN,
    *,
    tell: Tell = silent,
) -> Certificate:
    """The certificate of a strategy's signals; a session's must equal the batch run's.

    Raises UserError for a plan the candles do not hold.
    """
    return certify_readings(
        f"strategy {strategy.name}",
        strategy_readings(strategy),
        candles,
        plan,
        live=lambda seen: live_readings(strategy, seen),
        tell=tell,
    )


def certify_function(
    target: str,
    candles: Candles,
    plan: Plan = DEFAULT_PLAN,
    *,
    arguments: Mapping[str, object] | None = None,
    tell: Tell = silent,
) -> Certificate:
    """The certificate of a third-party `module:function` or `path/to/file.py:function`.

    It is called as function(frame, **arguments) with a pandas frame of open, high, low, close and
    volume indexed by UTC open time, and answers with one reading a bar in a frame, a series or a
    dict of arrays. Raises UserError when it cannot be found, fails, or answers otherwise.
    """
    return certify_readings(
        target,
        function_readings(target, arguments or {}),
        candles,
        plan,
        tell=tell,
    )
