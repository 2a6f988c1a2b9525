"""How the bot treats what it did not do itself, and how old its facts may be."""

from typing import Literal

from pydantic import Field

from fractaltrader.parameters import Parameters

OrphanPolicy = Literal["stop", "adopt", "ignore-and-never-touch"]


class ReconcileParameters(Parameters):
    """Positions on the account that the bot did not open."""

    orphan_positions: OrphanPolicy = Field(
        default="stop",
        description="stop: the bot ends, after its own positions are protected; adopt: it gives "
        "the position a stop and accounts for it; ignore-and-never-touch: it leaves the position "
        "alone and does not trade that coin",
    )
    adopt_stop_atr: float = Field(
        default=3.0,
        gt=0,
        le=20,
        description="an adopted position's stop lies so many average true ranges of 14 bars from "
        "the mark",
    )
    adopt_stop_percent: float = Field(
        default=5.0,
        gt=0,
        le=50,
        description="the same in per cent of the mark, where candles cannot be read",
    )


class DataParameters(Parameters):
    """How old the facts may be that an entry is decided on."""

    max_bar_age_s: float = Field(
        default=900.0,
        gt=0,
        le=86_400,
        description="from the close of the newest bar to the decision, at most one bar whatever "
        "is set here: the market has moved on",
    )
    max_account_age_s: float = Field(
        default=5.0,
        gt=0,
        le=300,
        description="age of equity and positions, which are read 2 s before a bar closes and asked "
        "for again where that is too old: a venue that lags this much is not well",
    )
    max_clock_skew_ms: int = Field(
        default=1_500,
        ge=10,
        le=2_500,
        description="how far our clock may be from the venue's; entries expire by ours after 10 s "
        "with 3 s of margin. Not looked at in mode sim, whose market has a time of its own",
    )
    max_skew_age_s: float = Field(
        default=300.0,
        gt=0,
        le=3_600,
        description="how long ago the clocks were compared, which every reconciliation does",
    )
    watchdog_bars: float = Field(
        default=2.0,
        ge=1,
        le=100,
        description="a coin without a candle for so many bars is asked for by REST; one bar may "
        "pass without a trade",
    )
    quiet_close_s: float = Field(
        default=30.0,
        gt=0,
        le=3_600,
        description="a bar whose last frame came so long before the next bar's first is read "
        "again by REST: frames may have been lost",
    )


class GuardParameters(Parameters):
    """The second process that watches over a dead bot's positions."""

    heartbeat_limit_s: float = Field(
        default=30.0,
        ge=5,
        le=3_600,
        description="the bot is taken for dead after so long without a heartbeat; it beats every "
        "2 s, but may wait 15 s for an answer",
    )
    poll_s: float = Field(default=5.0, ge=1, le=60, description="how often the guard looks")
    policy: Literal["protect", "flatten"] = Field(
        default="protect",
        description="protect: every position keeps or gets a stop; flatten: positions of a dead "
        "bot are closed too",
    )
    flatten_after_s: float = Field(
        default=600.0,
        ge=30,
        le=86_400,
        description="how long the bot must be dead before its positions are closed: a restart is "
        "usually quicker",
    )
    stop_percent: float = Field(
        default=5.0,
        gt=0,
        le=50,
        description="a new stop's distance from the mark in per cent, where no file tells the "
        "intended one",
    )
    cancel_orders: Literal["all", "ours"] = Field(
        default="all",
        description="which orders that add risk are cancelled: what fills while nobody watches "
        "has no stop",
    )
