"""Puts a bot together from its configuration."""

from collections.abc import Callable
from pathlib import Path

from fractaltrader.config import Config
from fractaltrader.exchange.clock import PacedClock
from fractaltrader.exchange.port import Venue
from fractaltrader.live.bot import Bot, BotSettings
from fractaltrader.live.decide import Decider
from fractaltrader.live.desk import Desk
from fractaltrader.live.freshness import Freshness
from fractaltrader.live.ledger import Ledger
from fractaltrader.live.parameters import ReconcileParameters
from fractaltrader.live.state_manager import StateManager
from fractaltrader.market import Timeframe
from fractaltrader.risk.breaker_parameters import BreakerParameters
from fractaltrader.strategies import load_strategy


def build_desk(
    folder: Path,
    venue: Venue,
    account: str,
    clock: PacedClock,
    breaker: BreakerParameters | None = None,
    reconcile: ReconcileParameters | None = None,
) -> Desk:
    """State and ledger of the run in `folder`, for `account` on `venue`."""
    return Desk(
        venue=venue,
        account=account,
        state=StateManager(folder, clock),
        ledger=Ledger(folder),
        clock=clock,
        breaker=breaker,
        reconcile=reconcile,
    )


def check_config(config: Config) -> None:
    """Raise UserError for an unknown strategy, strategy parameter or timeframe."""
    load_strategy(config.trade.strategy, config.strategy)
    Timeframe.parse(config.trade.timeframe)


def build_bot(
    config: Config,
    desk: Desk,
    *,
    on_event: Callable[[], None] = lambda: None,
    notify: Callable[[str], None] = lambda _: None,
) -> Bot:
    """A bot as configured; raises as `check_config` does. `notify` is told its life as systemd
    wants it."""
    timeframe = Timeframe.parse(config.trade.timeframe)
    desk.timeframe = timeframe
    decider = Decider(
        desk,
        load_strategy(config.trade.strategy, config.strategy),
        timeframe,
        risk=config.risk,
        limits=config.limits,
        slippage=config.trade.slippage,
        freshness=Freshness(config.data, timeframe, venue_time=config.venue.mode != "sim"),
    )
    settings = BotSettings(config.trade.coins, timeframe, config.risk, config.data)
    return Bot(desk, decider, settings, on_event=on_event, notify=notify)
