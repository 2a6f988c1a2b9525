"""Fault scenarios: what goes wrong in a validated week, when and how often. Times are the market's.

Faults of the network and the venue are the local exchange's own (docs/exchange.md); crashes, disk
faults and clock jumps happen to the bot's process.
"""

from dataclasses import dataclass, replace

from fractaltrader.errors import UserError, did_you_mean
from fractaltrader.simulator.faults.plan import Fault, parse_plan

Table = dict[str, object]

FLAKY: tuple[Table, ...] = (
    {"kind": "latency", "ms": 300, "distribution": "lognormal", "paths": ["info", "exchange"]},
    {"kind": "lost_request", "probability": 0.01},
    {"kind": "timeout", "probability": 0.002, "executed": True},
    {"kind": "server_error", "probability": 0.01, "executed": True},
    {"kind": "garbled_answer", "probability": 0.005},
    {"kind": "duplicate_message", "probability": 0.02},
    {"kind": "reorder_message", "probability": 0.02},
    {"kind": "dropped_socket", "probability": 0.002},
    {"kind": "half_open", "every": "12h", "lasts": "40m", "begins": "2h"},
)
LOST_ANSWERS: tuple[Table, ...] = (
    {"kind": "lost_answer", "probability": 0.3, "paths": ["exchange"]},
    {"kind": "lost_answer", "probability": 0.05, "paths": ["info"]},
)
STORM_429: tuple[Table, ...] = (
    {"kind": "rate_limit", "probability": 0.9, "every": "8h", "lasts": "1h", "begins": "3h"},
)
OUTAGE: tuple[Table, ...] = (
    {"kind": "unreachable", "every": "12h", "lasts": "2h", "begins": "4h"},
    {"kind": "half_open", "every": "12h", "lasts": "2h", "begins": "4h"},  # streams fall silent
    {"kind": "halt", "every": "12h", "lasts": "1h", "begins": "9h"},
)
FLASH_CRASH: tuple[Table, ...] = (
    {"kind": "price_jump", "percent": -12, "every": "12h", "lasts": "30m", "begins": "5h"},
    {"kind": "price_jump", "percent": 9, "every": "12h", "lasts": "15m", "begins": "11h"},
    {"kind": "thin_book", "depth": 0.01, "every": "6h", "lasts": "1h", "begins": "3h"},
)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of bad week. Windows are (begins, lasts, every), the market's time."""

    name: str
    about: str
    tables: tuple[Table, ...] = ()
    crashes_a_day: float = 0.0
    disk_full: tuple[str, str, str] | None = None
    torn_writes: bool = False  # crashes tear the file being written, or damage it afterwards
    clock_jumps: tuple[tuple[tuple[str, str, str], int], ...] = ()  # ms our clock is wrong by
    risk: float | None = None  # fraction of equity risked a trade, when not the default

    @property
    def plan(self) -> list[Fault]:
        """The faults for the exchange's injector."""
        return parse_plan({"fault": list(self.tables)})


CALM = Scenario("calm", "nothing goes wrong")
# Forty seconds into a bar, between two frames of the stream.
CLOCK = (
    (("10840s", "1h", "1d"), 40_000),
    (("21640s", "1h", "1d"), -40_000),
    (("43240s", "1h", "1d"), 7_200_000),
    (("64840s", "1h", "1d"), -7_200_000),
)
SCENARIOS: tuple[Scenario, ...] = (
    CALM,
    Scenario("flaky", "latency, lost and late requests, errors, broken streams", FLAKY),
    Scenario("storm-429", "the venue answers nine of ten requests with 429 for hours", STORM_429),
    Scenario("lost-answers", "orders are executed and their answers lost", LOST_ANSWERS),
    Scenario("outage", "the venue is unreachable and silent for hours, or halts trading", OUTAGE),
    Scenario("crash", "the process dies at random awaits and writes", crashes_a_day=12.0),
    Scenario(
        "disk",
        "torn writes, damaged files and a full disk",
        crashes_a_day=6.0,
        torn_writes=True,
        disk_full=("4h", "1h", "12h"),
    ),
    Scenario("clock", "our clock jumps ahead and back", clock_jumps=CLOCK),
    Scenario("flash-crash", "prices jump and return, books are thin", FLASH_CRASH),
    Scenario(
        "liquidation",
        "large positions, jumps towards the liquidation price, forced liquidations",
        (
            {"kind": "price_jump", "percent": -25, "every": "1d", "lasts": "10m", "begins": "6h"},
            {"kind": "forced_liquidation", "every": "1d", "lasts": "15m", "begins": "10h"},
        ),
        risk=0.03,
    ),
)
# With more of them a bot among all these faults hardly trades, and proves little.
SOME_LOST_ANSWERS: tuple[Table, ...] = (
    {"kind": "lost_answer", "probability": 0.1, "paths": ["exchange"]},
    {"kind": "lost_answer", "probability": 0.01, "paths": ["info"]},
)
ALL_TOGETHER = replace(
    CALM,
    name="together",
    about="all of it at once",
    tables=(*FLAKY, *SOME_LOST_ANSWERS, *STORM_429, *OUTAGE, *FLASH_CRASH),
    crashes_a_day=8.0,
    torn_writes=True,
    disk_full=("15h", "30m", "1d"),
    clock_jumps=CLOCK[:2],
)
BY_NAME = {scenario.name: scenario for scenario in (*SCENARIOS, ALL_TOGETHER)}


def parse_scenarios(names: str) -> list[Scenario]:
    """The scenarios of a comma-separated list, or "all"; UserError for an unknown name."""
    if names == "all":
        return list(BY_NAME.values())
    chosen = []
    for name in (part.strip() for part in names.split(",")):
        if name not in BY_NAME:
            hint = did_you_mean(name, list(BY_NAME)) or f"; known are all, {', '.join(BY_NAME)}"
            raise UserError(f"scenario: {name!r} is unknown{hint}")
        chosen.append(BY_NAME[name])
    return chosen
