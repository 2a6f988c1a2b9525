"""Watches what leaves the bot: durable intentions, whole brackets, limits, and backing off."""

import sqlite3
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from fractaltrader.exchange.errors import TransportError
from fractaltrader.live.intents import Role, client_order_id, identity_of
from fractaltrader.live.ledger import FILE_NAME as LEDGER
from fractaltrader.live.state_manager import StateManager
from fractaltrader.market import Clock
from fractaltrader.simulator.protocol.limits import ClientMeter
from fractaltrader.simulator.serving.transport import InProcessSocket, InProcessTransport

MINUTE_MS = 60_000
SECOND_MS = 1_000
# Requests that may fail within a minute of a bot that backs off (measured: 25 in the worst storm).
FAILURES_A_MINUTE = 30
# The document's own limits, calls a second; the venue's meter counts the weights.
PER_SECOND = {
    "order": 5,
    "candleSnapshot": 10,
    "allMids": 10,
    "meta": 5,
    "clearinghouseState": 10,
}

Violate = Callable[[int, str], None]


class WireWatch:
    """Every request of every life of the bot passes here. Times are the bot's own milliseconds."""

    def __init__(self, folder: Path, own: Clock, market: Clock, violate: Violate) -> None:
        self.own_429 = 0
        self.injected_429 = 0
        self.failures_ms: deque[int] = deque(maxlen=10_000)  # market time
        self.refused_entries = 0
        self.most_failures = 0  # within a minute
        self.meter = ClientMeter(own)
        self._folder = folder
        self._own = own
        self._market = market
        self._violate = violate
        self._sent: set[str] = set()
        self._failures: deque[int] = deque()
        self._calls: dict[str, deque[int]] = {kind: deque() for kind in PER_SECOND}

    def sending(self, path: str, request: dict[str, Any]) -> bool:
        """Check what is about to leave; False when the venue's limits refuse it."""
        action = request.get("action")
        kind = str((action if isinstance(action, dict) else request).get("type"))
        self._count(kind)
        if kind == "order" and isinstance(action, dict):
            self._orders(action["orders"])
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
            found = database.execute("SELECT 1 FROM intents WHERE entry_cloid = ?", (entry,))
            if found.fetchone() is None:
                self._violate(13, f"{cloid} leaves before the ledger has its intention")
        finally:
            database.close()
        if identity.role is Role.ENTRY:
            state = StateManager(self._folder, self._market).read()
            if all(intent.entry_cloid != cloid for intent in state.intents.values()):
                self._violate(13, f"{cloid} leaves before the state has its intention")

    def too_many_sockets(self) -> None:
        """The venue would refuse the handshake."""
        self._violate(6, "more new WebSockets than the venue allows in a minute")

    def answered(self, request: dict[str, Any], status: int, body: bytes) -> None:
        """Count what the answer costs, and whether it is a failure."""
        if status == 200:
            if request.get("type") in ("candleSnapshot", "userFillsByTime", "userFunding"):
                try:
                    self.meter.charge(request, msgspec.json.decode(body))
                except msgspec.DecodeError:
                    self.failed()
            if b'"error"' in body and "action" in request:
                self.refused_entries += 1
            return
        if status == 429:
            self.injected_429 += 1
        self.failed()

    def failed(self) -> None:
        """A request came to nothing."""
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

    def __init__(self, inner: InProcessTransport, watch: WireWatch) -> None:
        self._inner = inner
        self._watch = watch

    async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        request = msgspec.json.decode(body)
        if not self._watch.sending(path, request):
            return 429, b"null"
        try:
            status, answer = await self._inner.post(path, body)
        except TransportError:
            self._watch.failed()
            raise
        self._watch.answered(request, status, answer)
        return status, answer

    async def connect(self) -> InProcessSocket:
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
        return socket

    async def close(self) -> None:
        await self._inner.close()
