"""What the bot must still know after a crash: one small document.

Decimal amounts are exact strings in the file. History does not live here but in the ledger, so
the document stays small however long the bot runs.
"""

from decimal import Decimal

import msgspec

from fractaltrader.risk.breaker_state import BreakerState

SCHEMA_VERSION = 2
ALL_COINS = "*"


class Intent(msgspec.Struct, kw_only=True, frozen=True):
    """An entry we decided on, durable before its order leaves.

    Client order ids are derived from the decision, so a restart asks the venue for the same ids.
    """

    coin: str
    strategy: str
    bar_time: int
    side: int  # +1 long, -1 short
    size: Decimal
    limit: Decimal
    stop: Decimal
    target: Decimal | None  # None: an adopted position has only a stop
    entry_cloid: str
    stop_cloid: str
    target_cloid: str
    created_ms: int
    expires_ms: int  # our clock; from then on the venue refuses the action


class Epoch(msgspec.Struct, kw_only=True, frozen=True):
    """One position from flat to flat; its stop and target belong to it and die with it."""

    intent: Intent | None  # None: opened by somebody else on this account
    size: Decimal  # signed, as the last fill left it
    opened_ms: int
    realized_pnl: Decimal = Decimal(0)  # USDC, fees deducted
    repairs: int = 0  # how often protection had to be placed anew


class Command(msgspec.Struct, kw_only=True, frozen=True):
    """Something the command line asks of the running bot; `live.control` knows the verbs."""

    number: int
    verb: str
    argument: str = ""
    requested_ms: int


class Acknowledgement(msgspec.Struct, kw_only=True, frozen=True):
    """What became of a command, and when."""

    number: int
    verb: str
    result: str
    time_ms: int


class Control(msgspec.Struct, kw_only=True):
    """Commands from the command line to the bot. A command leaves `pending` in the same durable
    write that brings its effect and its acknowledgement, so it acts exactly once."""

    last_number: int = 0
    pending: list[Command] = []
    acknowledged: list[Acknowledgement] = []  # the newest ones


class BotState(msgspec.Struct, kw_only=True):
    """The whole document."""

    account: str = ""
    venue: str = ""
    intents: dict[str, Intent] = {}  # by coin: sent or about to be, outcome not yet settled
    epochs: dict[str, Epoch] = {}  # by coin: open positions
    adopted: dict[str, Intent] = {}  # by coin: somebody else's position that we protect
    decided: dict[str, int] = {}  # by coin: open time of the newest bar that was acted on
    streak: int = 0  # consecutive wins above zero, losses below
    opening_equity: Decimal | None = None
    opening_positions: dict[str, Decimal] = {}  # by coin, signed: there when accounting began
    opening_value: Decimal = Decimal(0)  # of those positions at the mark then, USDC
    ledger_since_ms: int = 0  # fills at or after this time are ours to account for
    fills_complete_ms: int = 0  # every execution up to this venue time is in the ledger
    transferred: Decimal = Decimal(0)  # net deposits since the accounting began, USDC
    breaker: BreakerState = msgspec.field(default_factory=BreakerState)
    paused: bool = False  # by the operator: no entries
    flattening: list[str] = []  # coins to close; ALL_COINS for every position
    control: Control = msgspec.field(default_factory=Control)
    heartbeat_ms: int = 0
    ended: bool = False  # the process ended as it was told to; its heartbeat is not missed
    pid: int = 0
