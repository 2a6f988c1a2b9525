"""History: an append-only SQLite file keyed by the venue's own ids, so a replay changes nothing.

Amounts are the exact decimal strings of the wire; sums are made with Decimal in Python.
"""

import sqlite3
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

import msgspec

from fractaltrader.exchange.chronology import chronological
from fractaltrader.exchange.errors import ErrorRecord, ExchangeError, error_record
from fractaltrader.exchange.port import Fill, Funding, OrderRecord, Side, Transfer
from fractaltrader.live.state import Intent
from fractaltrader.market.instrument import to_wire
from fractaltrader.risk.breaker_parameters import Action, Cause
from fractaltrader.risk.breaker_state import BreakerEvent, Inputs

FILE_NAME = "ledger.sqlite"
CACHE_KB = 256
ENTER = "enter"  # the verdict on a signal that was entered

_SCHEMA = """
CREATE TABLE IF NOT EXISTS decisions (
    coin TEXT NOT NULL, strategy TEXT NOT NULL, bar_time INTEGER NOT NULL, side INTEGER NOT NULL,
    confidence REAL NOT NULL, verdict TEXT NOT NULL, detail TEXT NOT NULL,
    PRIMARY KEY (coin, strategy, bar_time)
);
CREATE TABLE IF NOT EXISTS intents (
    entry_cloid TEXT PRIMARY KEY, coin TEXT NOT NULL, created_ms INTEGER NOT NULL,
    document TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS order_events (
    oid INTEGER NOT NULL, status TEXT NOT NULL, coin TEXT NOT NULL, cloid TEXT,
    size TEXT NOT NULL, placed_ms INTEGER NOT NULL, status_ms INTEGER NOT NULL,
    PRIMARY KEY (oid, status)
);
CREATE TABLE IF NOT EXISTS fills (
    tid INTEGER NOT NULL, oid INTEGER NOT NULL, coin TEXT NOT NULL, side TEXT NOT NULL,
    price TEXT NOT NULL, size TEXT NOT NULL, time_ms INTEGER NOT NULL, cloid TEXT,
    fee TEXT NOT NULL, closed_pnl TEXT NOT NULL, start_position TEXT NOT NULL,
    direction TEXT NOT NULL, taker INTEGER NOT NULL, liquidated INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (tid, oid)
);
CREATE TABLE IF NOT EXISTS funding (
    coin TEXT NOT NULL, time_ms INTEGER NOT NULL, usdc TEXT NOT NULL, size TEXT NOT NULL,
    rate TEXT NOT NULL, PRIMARY KEY (coin, time_ms)
);
CREATE TABLE IF NOT EXISTS transfers (
    hash TEXT NOT NULL, time_ms INTEGER NOT NULL, kind TEXT NOT NULL, usdc TEXT NOT NULL,
    PRIMARY KEY (hash, time_ms, kind, usdc)
);
CREATE TABLE IF NOT EXISTS equity (
    time_ms INTEGER PRIMARY KEY, equity TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS incidents (
    id INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, kind TEXT NOT NULL, detail TEXT NOT NULL,
    row INTEGER, context TEXT
);
CREATE TABLE IF NOT EXISTS breaker_events (
    id INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, cause TEXT NOT NULL, change TEXT NOT NULL,
    action TEXT NOT NULL, value REAL NOT NULL, limit_value REAL NOT NULL,
    until_ms INTEGER NOT NULL, reason TEXT NOT NULL, inputs TEXT NOT NULL
);
"""

_LATER_COLUMNS = (
    ("incidents", "row INTEGER"),
    ("incidents", "context TEXT"),
    ("fills", "liquidated INTEGER NOT NULL DEFAULT 0"),
)


class Ledger:
    """One bot's history. Opened by one writer; readers open it beside (WAL)."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / FILE_NAME
        self._db = sqlite3.connect(self.path, isolation_level=None, timeout=10)
        try:
            self._prepare()
        except sqlite3.Error:
            self._db.close()
            raise

    def _prepare(self) -> None:
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        # By default it fills 2 MB over the months, which looks like a leak; rows are only appended.
        self._db.execute(f"PRAGMA cache_size=-{CACHE_KB}")
        self._db.executescript(_SCHEMA)
        self._add_missing_columns()
        self._db.execute("PRAGMA synchronous=FULL")

    def _add_missing_columns(self) -> None:
        """Bring a file of an earlier version up to date."""
        for table, column in _LATER_COLUMNS:
            present = {name for _, name, *_ in self._db.execute(f"PRAGMA table_info({table})")}
            if column.split()[0] not in present:
                self._db.execute(f"ALTER TABLE {table} ADD COLUMN {column}")

    def close(self) -> None:
        self._db.close()

    def checkpoint(self) -> None:
        """Bring what was written home to the main file; the next write begins the log anew.

        For quiet moments, and let that write be one that can wait too: it syncs the log's new head.
        An intent is then synced twice as fast as into a log that grows.
        """
        self._db.execute("PRAGMA wal_checkpoint")

    def _add(self, statement: str, row: tuple[object, ...]) -> sqlite3.Cursor:
        """Write a row that is on the disk with the next intent: only that one is waited for."""
        self._db.execute("PRAGMA synchronous=NORMAL")
        try:
            return self._db.execute(statement, row)
        finally:
            self._db.execute("PRAGMA synchronous=FULL")

    def add_decision(
        self,
        *,
        coin: str,
        strategy: str,
        bar_time: int,
        side: int,
        confidence: float,
        verdict: str,
        detail: dict[str, object],
    ) -> None:
        """A signal and what became of it: 'enter' or the reason it was not taken."""
        self._add(
            "INSERT OR IGNORE INTO decisions VALUES (?,?,?,?,?,?,?)",
            (coin, strategy, bar_time, side, confidence, verdict, _json(detail)),
        )

    def add_lost_decision(self, intent: Intent) -> None:
        """The verdict on the signal behind `intent`, unless it could be written itself: what spoke
        for the signal is lost then."""
        self.add_decision(
            coin=intent.coin,
            strategy=intent.strategy,
            bar_time=intent.bar_time,
            side=intent.side,
            confidence=0.0,
            verdict=ENTER,
            detail={"why": "the bot died as the order left"},
        )

    def add_intent(self, intent: Intent) -> None:
        """A decided entry, before its order leaves: on the disk once this returns, and with it
        everything written before."""
        self._db.execute(
            "INSERT OR IGNORE INTO intents VALUES (?,?,?,?)",
            (intent.entry_cloid, intent.coin, intent.created_ms, _json(intent)),
        )

    def add_order_event(self, record: OrderRecord) -> None:
        """A status an order reached."""
        self._add(
            "INSERT OR IGNORE INTO order_events VALUES (?,?,?,?,?,?,?)",
            (
                record.oid,
                record.status,
                record.coin,
                record.cloid,
                to_wire(record.size),
                record.placed_ms,
                record.status_ms,
            ),
        )

    def add_fill(self, fill: Fill) -> bool:
        """An execution; False when the ledger has it already."""
        cursor = self._add(
            "INSERT OR IGNORE INTO fills VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            (
                fill.tid,
                fill.oid,
                fill.coin,
                str(fill.side),
                to_wire(fill.price),
                to_wire(fill.size),
                fill.time_ms,
                fill.cloid,
                to_wire(fill.fee),
                to_wire(fill.closed_pnl),
                to_wire(fill.start_position),
                fill.direction,
                int(fill.taker),
                int(fill.liquidated),
            ),
        )
        return cursor.rowcount == 1

    def add_funding(self, payment: Funding) -> None:
        """An hourly funding payment."""
        self._add(
            "INSERT OR IGNORE INTO funding VALUES (?,?,?,?,?)",
            (
                payment.coin,
                payment.time_ms,
                to_wire(payment.usdc),
                to_wire(payment.size),
                to_wire(payment.rate),
            ),
        )

    def funding(self) -> list[Funding]:
        """Funding payments, oldest first."""
        rows = self._db.execute(
            "SELECT coin, time_ms, usdc, size, rate FROM funding ORDER BY time_ms, coin"
        )
        return [
            Funding(coin, time_ms, Decimal(usdc), Decimal(size), Decimal(rate))
            for coin, time_ms, usdc, size, rate in rows
        ]

    def add_transfer(self, transfer: Transfer) -> bool:
        """Money that came or went; False when the ledger has it already."""
        cursor = self._add(
            "INSERT OR IGNORE INTO transfers VALUES (?,?,?,?)",
            (transfer.hash, transfer.time_ms, transfer.kind, to_wire(transfer.usdc)),
        )
        return cursor.rowcount == 1

    def transfers(self) -> list[Transfer]:
        """Money that came and went, oldest first."""
        rows = self._db.execute("SELECT time_ms, hash, kind, usdc FROM transfers ORDER BY time_ms")
        return [Transfer(time, text, kind, Decimal(usdc)) for time, text, kind, usdc in rows]

    def last_funding_ms(self) -> int:
        """Venue time of the newest funding payment; 0 without one."""
        newest: int | None = self._db.execute("SELECT max(time_ms) FROM funding").fetchone()[0]
        return newest or 0

    def add_equity(self, time_ms: int, equity: Decimal) -> None:
        """Account equity at a moment, USDC."""
        self._add("INSERT OR REPLACE INTO equity VALUES (?,?)", (time_ms, to_wire(equity)))

    def add_incident(
        self, time_ms: int, kind: str, detail: str, error: ExchangeError | None = None
    ) -> None:
        """Something an operator should be able to find later; an error of the venue's with the
        catalogue row it was recognised by, if any, and all that is known of it."""
        context = None if error is None else _json(error_record(error))
        row = None if error is None else error.row
        self._add(
            "INSERT INTO incidents (time_ms, kind, detail, row, context) VALUES (?,?,?,?,?)",
            (time_ms, kind, detail, row, context),
        )

    def add_breaker_event(self, event: BreakerEvent) -> None:
        """A latch of the circuit breaker changed, with the inputs it was judged by."""
        self._add(
            "INSERT INTO breaker_events (time_ms, cause, change, action, value, limit_value,"
            " until_ms, reason, inputs) VALUES (?,?,?,?,?,?,?,?,?)",
            (
                event.time_ms,
                str(event.cause),
                event.change,
                str(event.action),
                event.value,
                event.limit,
                event.until_ms,
                event.reason,
                _json(event.inputs),
            ),
        )

    def fills(self) -> list[Fill]:
        """All executions, oldest first."""
        rows = self._db.execute(
            "SELECT coin, side, price, size, time_ms, oid, tid, cloid, fee, closed_pnl,"
            " start_position, direction, taker, liquidated FROM fills"
        )
        return chronological(map(_fill, rows))

    def last_fill_ms(self) -> int:
        """Venue time of the newest execution; 0 without one."""
        newest: int | None = self._db.execute("SELECT max(time_ms) FROM fills").fetchone()[0]
        return newest or 0

    def intents(self) -> list[Intent]:
        """All entries ever decided, oldest first."""
        rows = self._db.execute("SELECT document FROM intents ORDER BY created_ms")
        return [msgspec.json.decode(document, type=Intent) for (document,) in rows]

    def equity(self) -> list[tuple[int, Decimal]]:
        """Equity curve as (time, USDC), oldest first."""
        rows = self._db.execute("SELECT time_ms, equity FROM equity ORDER BY time_ms")
        return [(time_ms, Decimal(equity)) for time_ms, equity in rows]

    def verdicts(self) -> list[tuple[str, int]]:
        """How often each verdict on a signal was reached, most frequent first."""
        rows = self._db.execute(
            "SELECT verdict, count(*) FROM decisions GROUP BY verdict ORDER BY 2 DESC, 1"
        )
        return list(rows)

    def incidents(self) -> list[tuple[int, str, str]]:
        """Incidents as (time, kind, detail), oldest first."""
        return list(self._db.execute("SELECT time_ms, kind, detail FROM incidents ORDER BY id"))

    def errors(self) -> list[tuple[int, ErrorRecord]]:
        """The venue's errors among the incidents as (time, record), oldest first."""
        rows = self._db.execute(
            "SELECT time_ms, context FROM incidents WHERE context IS NOT NULL ORDER BY id"
        )
        return [(time, msgspec.json.decode(context, type=ErrorRecord)) for time, context in rows]

    def breaker_events(self) -> list[BreakerEvent]:
        """Changes of the circuit breaker's latches, oldest first."""
        rows = self._db.execute(
            "SELECT time_ms, cause, change, action, value, limit_value, until_ms, reason, inputs"
            " FROM breaker_events ORDER BY id"
        )
        return [
            BreakerEvent(
                time_ms,
                Cause(cause),
                change,
                Action(action),
                value,
                limit,
                until_ms,
                reason,
                msgspec.json.decode(inputs, type=Inputs),
            )
            for time_ms, cause, change, action, value, limit, until_ms, reason, inputs in rows
        ]


def _json(document: object) -> str:
    return msgspec.json.encode(document).decode()


def _fill(row: Iterable[object]) -> Fill:
    coin, side, price, size, time_ms, oid, tid, cloid, fee, pnl, *more = row
    start, direction, taker, liquidated = more
    return Fill(
        str(coin),
        Side(str(side)),
        Decimal(str(price)),
        Decimal(str(size)),
        int(str(time_ms)),
        int(str(oid)),
        int(str(tid)),
        None if cloid is None else str(cloid),
        Decimal(str(fee)),
        Decimal(str(pnl)),
        Decimal(str(start)),
        str(direction),
        bool(taker),
        bool(liquidated),
    )
