"""Watches what leaves the bot: durable intentions, whole brackets, limits, and backing off."""

import sqlite3
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from fractaltrader.exchange.errors import TransportError
from fractaltrader.live.intents import Role, client_order_id, identity_of, unlearned
from fractaltrader.live.ledger import FILE_NAME as LEDGER
from fractaltrader.live.state import Intent
from fractaltrader.live.state_manager import StateManager
from fractaltrader.market import Clock
from fractaltrader.simulator.protocol.limits import (
    WEIGHT_A_MINUTE,
    ClientMeter,
    answer_weight,
    request_weight,
)
from fractaltrader.simulator.serving.transport import InProcessTransport
from fractaltrader.validation.invariants import Violate
from fractaltrader.validation.stream_watch import StreamWatch, WatchedSocket

MINUTE_MS = 60_000
SECOND_MS = 1_000
# What may fail within a minute, handshakes too (measured: 11 in the worst week).
FAILURES_A_MINUTE = 20
# Requests of one life that may fail within five minutes while none succeeds: five in the first
# minute of a bot that backs off, then one a minute and each reconciliation's.
FRUITLESS_MS = 5 * MINUTE_MS
FRUITLESS_REQUESTS = 15
# The longest pause after a 429, and a minute in which the budget grows back for a reconciliation.
WAIT_AFTER_429_MS = 3 * MINUTE_MS
# The document's own limits, calls a second; the venue's meter counts the weights.
PER_SECOND = {
    "order": 5,
    "candleSnapshot": 10,
    "allMids": 10,
    "meta": 5,
    "clearinghouseState": 10,
}

# What the venue says to an address that has no actions left (hyperliquid.md 6.2).
NO_ACTIONS_LEFT = b"Too many cumulative requests"
_BATCHES = ("orders", "cancels", "modifies")
# The requests whose answers weigh by their length.
_ITEMS = ("candleSnapshot", "userFillsByTime", "userFunding")


class _Summary(msgspec.Struct):
    value: str = msgspec.field(name="accountValue")


class _Account(msgspec.Struct):
    summary: _Summary = msgspec.field(name="marginSummary")


class WireWatch:
    """Every request of every life of the bot passes here. Times are the bot's own milliseconds.

    `budget` tells how many actions the address has used and how many it may use, by the venue.
    """

    def __init__(
        self,
        folder: Path,
        own: Clock,
        market: Clock,
        violate: Violate,
        budget: Callable[[], tuple[int, int]],
    ) -> None:
        self.own_429 = 0
        self.injected_429 = 0
        self.failures_ms: deque[int] = deque(maxlen=10_000)  # market time
        self.refused_entries = 0
        self.most_failures = 0  # within a minute
        self.most_fruitless = 0  # within five minutes
        self.most_weight = 0  # within a minute
        self.meter = ClientMeter(own)
        self.on_equity: Callable[[float], None] = lambda _: None  # each that the venue tells
        self._folder = folder
        self._own = own
        self._market = market
        self._violate = violate
        self._budget = budget
        self._weights: deque[tuple[int, int]] = deque()
        self._weight = 0
        self._sent: set[str] = set()
        self._failures: deque[int] = deque()
        self._fruitless: deque[int] = deque()
        self._waits_until_ms = 0
        self._calls: dict[str, deque[int]] = {kind: deque() for kind in PER_SECOND}

    def sending(self, path: str, request: dict[str, Any]) -> bool:
        """Check what is about to leave; False when the venue's limits refuse it."""
        action = request.get("action")
        kind = str((action if isinstance(action, dict) else request).get("type"))
        self._count(kind)
        if isinstance(action, dict):
            self._acting(kind, action)
        self._weigh(request_weight(path, request))
        if self.meter.admits(path, request):
            return True
        self.own_429 += 1
        self._violate(6, f"{kind}: more weight than the venue allows in a minute")
        return False

    def _count(self, kind: str) -> None:
        calls = self._calls.get(kind)
        if calls is None:
            return
        now = self._own.now_ms()
        calls.append(now)
        while calls[0] <= now - SECOND_MS:
            calls.popleft()
        if len(calls) > PER_SECOND[kind]:
            self._violate(5, f"{len(calls)} x {kind} within a second")

    def _weigh(self, weight: int) -> None:
        """Count weight in an exact sliding minute, that of answers at the moment they come."""
        now = self._own.now_ms()
        self._weights.append((now, weight))
        self._weight += weight
        while self._weights[0][0] <= now - MINUTE_MS:
            self._weight -= self._weights.popleft()[1]
        self.most_weight = max(self.most_weight, self._weight)
        if self._weight > WEIGHT_A_MINUTE >= self._weight - weight:
            self._violate(5, f"weight {self._weight} of {WEIGHT_A_MINUTE} within a minute")

    def _acting(self, kind: str, action: dict[str, Any]) -> None:
        """An action needs as many of the address's as it has orders or cancels."""
        count = max(len(action.get(batch, ())) for batch in _BATCHES) or 1
        used, cap = self._budget()
        if used + count > cap and not kind.startswith("cancel"):
            self._violate(5, f"{kind}: the address has used {used} of its {cap} actions")
        if kind == "order":
            self._orders(action["orders"])

    def _orders(self, orders: list[dict[str, Any]]) -> None:
        entries = [order for order in orders if not order["r"]]
        stops = [o for o in orders if o["t"].get("trigger", {}).get("tpsl") == "sl"]
        for entry in entries:
            if not any(stop["s"] == entry["s"] and stop["a"] == entry["a"] for stop in stops):
                self._violate(3, f"an entry of {entry['s']} leaves without its stop")
        for order in orders:
            cloid = str(order.get("c"))
            if cloid in self._sent:
                self._violate(14, f"{cloid} is sent a second time")
            self._sent.add(cloid)
            self._durable(cloid)

    def _durable(self, cloid: str) -> None:
        identity = identity_of(cloid)
        if identity is None:
            self._violate(13, f"{cloid} derives from no decision")
            return
        entry = client_order_id(identity.decision, Role.ENTRY)
        database = sqlite3.connect(f"file:{self._folder / LEDGER}?mode=ro", uri=True)
        try:
            rows = database.execute("SELECT document FROM intents ORDER BY created_ms").fetchall()
        finally:
            database.close()
        found = [msgspec.json.decode(document, type=Intent) for (document,) in rows]
        if all(intent.entry_cloid != entry for intent in found):
            self._violate(13, f"{cloid} leaves before the ledger has its intention")
        if identity.role is Role.ENTRY:
            state = StateManager(self._folder, self._market).read()
            under_way = state.intents | unlearned(found, state.decided)
            if all(intent.entry_cloid != cloid for intent in under_way.values()):
                self._violate(13, f"{cloid} leaves, and the next life would not settle it")

    def too_many_sockets(self) -> None:
        """The venue would refuse the handshake."""
        self._violate(6, "more new WebSockets than the venue allows in a minute")

    def begins(self) -> None:
        """A life of the bot begins, and knows nothing of the failures of the one before it."""
        self._fruitless.clear()

    def answered(self, request: dict[str, Any], status: int, body: bytes) -> None:
        """Count what the answer costs, and whether it is a failure."""
        if status == 200:
            self._fruitless.clear()
            if request.get("type") in _ITEMS:
                self._charge(request, body)
            if "action" in request:
                self._acted(body)
            if request.get("type") == "clearinghouseState":
                self._tell(body)
            return
        if status == 429:
            self.injected_429 += 1
            self._waits_until_ms = self._own.now_ms() + WAIT_AFTER_429_MS
        self.unanswered()

    @property
    def told_to_wait(self) -> bool:
        """Whether the bot was told 429 so lately that it need not have asked for anything since."""
        return self._own.now_ms() < self._waits_until_ms

    def unanswered(self) -> None:
        """A request has no answer, or a useless one."""
        self.failed()
        now = self._own.now_ms()
        self._fruitless.append(now)
        while self._fruitless[0] <= now - FRUITLESS_MS:
            self._fruitless.popleft()
        self.most_fruitless = max(self.most_fruitless, len(self._fruitless))
        if len(self._fruitless) > FRUITLESS_REQUESTS:
            minutes = FRUITLESS_MS // MINUTE_MS
            self._violate(7, f"{len(self._fruitless)} requests failed in {minutes} minutes")

    def _charge(self, request: dict[str, Any], body: bytes) -> None:
        try:
            answer = msgspec.json.decode(body)
        except msgspec.DecodeError:
            self.failed()
            return
        self.meter.charge(request, answer)
        self._weigh(answer_weight(request, answer))

    def _tell(self, body: bytes) -> None:
        with suppress(msgspec.DecodeError):
            self.on_equity(float(msgspec.json.decode(body, type=_Account).summary.value))

    def _acted(self, body: bytes) -> None:
        if b'"error"' in body:
            self.refused_entries += 1
        if NO_ACTIONS_LEFT in body:
            self._violate(5, "the venue says that the address has no actions left")

    def failed(self) -> None:
        """A request or a handshake came to nothing."""
        now = self._own.now_ms()
        self.failures_ms.append(self._market.now_ms())
        self._failures.append(now)
        while self._failures[0] <= now - MINUTE_MS:
            self._failures.popleft()
        self.most_failures = max(self.most_failures, len(self._failures))
        if len(self._failures) > FAILURES_A_MINUTE:
            self._violate(7, f"{len(self._failures)} requests failed within a minute")


class WatchedTransport:
    """The in-process transport under the watch."""

    def __init__(self, inner: InProcessTransport, watch: WireWatch, stream: StreamWatch) -> None:
        self._inner = inner
        self._watch = watch
        self._stream = stream
        self._listening = False
        watch.begins()

    async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        request = msgspec.json.decode(body)
        if not self._watch.sending(path, request):
            return 429, b"null"
        try:
            status, answer = await self._inner.post(path, body)
        except TransportError:
            self._watch.unanswered()
            raise
        self._watch.answered(request, status, answer)
        return status, answer

    async def connect(self) -> WatchedSocket:
        if not self._listening:
            self._listening = True
            self._stream.listens()
        if not self._watch.meter.connects():
            self._watch.too_many_sockets()
            raise TransportError("handshake refused: HTTP 429", sent=False)
        try:
            socket = await self._inner.connect()
        except TransportError:
            self._watch.meter.disconnects()
            self._watch.failed()
            raise
        self._watch.meter.disconnects()  # open sockets are counted by the exchange
        return WatchedSocket(socket, self._stream)

    async def close(self) -> None:
        await self._inner.close()
