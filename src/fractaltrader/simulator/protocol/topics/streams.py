"""Subscriptions: who hears what, and when (hyperliquid.md section 5)."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from fractaltrader.simulator.core import Core
from fractaltrader.simulator.protocol.topics.markets import MARKET_TOPICS, book_period
from fractaltrader.simulator.protocol.topics.topic import (
    Subscription,
    SubscriptionError,
    Topic,
    compact,
    frame,
    normalised,
)
from fractaltrader.simulator.protocol.topics.users import (
    AGGREGATED_FILLS,
    USER_TOPICS,
    Push,
    event_pushes,
    fill_pushes,
    funding_pushes,
    ledger_pushes,
    order_pushes,
    slice_pushes,
    twap_pushes,
)
from fractaltrader.simulator.protocol.views.orders import trade_view

Sink = Callable[[dict[str, Any]], None]
TOPICS: dict[str, Topic] = MARKET_TOPICS | USER_TOPICS
NEVER = 1 << 62


@dataclass(eq=False, slots=True)
class _Audience:
    """Who has one subscription; `told` is the last state they were sent, due again at `due_ms`."""

    wanted: Subscription
    topic: Topic
    sinks: list[Sink] = field(default_factory=list)
    told: Any = None
    due_ms: int = NEVER

    @property
    def channel(self) -> str:
        return self.topic.channel or str(self.wanted["type"])

    @property
    def period_ms(self) -> int:
        if self.wanted["type"] == "l2Book":
            return book_period(self.wanted)
        return self.topic.period_ms or 0

    def send(self, message: dict[str, Any]) -> None:
        """To everybody; a sink may drop its subscription meanwhile."""
        for sink in list(self.sinks):
            sink(message)


class Streams:
    """Subscriptions of every socket, indexed by topic so that publishing touches no others."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._topics: dict[tuple[str, str], dict[str, _Audience]] = {}
        # Those that hear the whole state, by time and whenever anything happened.
        self._timed: list[_Audience] = []
        self._watching: list[_Audience] = []
        self._next_ms = NEVER

    def subscribe(self, subscription: object, sink: Sink) -> None:
        """Acknowledge to `sink`, send the snapshot and push from now on.

        Raises SubscriptionError when `sink` has the subscription already or it names what does not
        exist, UnprocessableError when it cannot be parsed.
        """
        wanted = normalised(self._core, TOPICS, subscription)
        entries = self._topics.setdefault(_key(wanted), {})
        audience = entries.get(compact(wanted))
        if audience is None:
            audience = entries[compact(wanted)] = _Audience(wanted, TOPICS[wanted["type"]])
            self._schedule(audience)
        if sink in audience.sinks:
            raise SubscriptionError(f"Already subscribed: {compact(subscription)}")
        if audience.told is not None and audience.topic.tells_changes:
            # From now on changes are told against the newcomer's snapshot, to everybody.
            self._tell(audience)
        audience.sinks.append(sink)
        self._core.outbox.is_heard = True
        sink(frame("subscriptionResponse", {"method": "subscribe", "subscription": wanted}))
        first = None if audience.topic.now is None else audience.topic.now(self._core, wanted)
        if first is not None:
            if audience.topic.period_ms is not None:
                audience.told = first
            sink(frame(audience.channel, audience.topic.wire(first)))

    def _schedule(self, audience: _Audience) -> None:
        period_ms = audience.topic.period_ms
        if period_ms == 0:
            self._watching.append(audience)
        elif period_ms is not None:
            audience.due_ms = self._core.now_ms() + audience.period_ms
            self._timed.append(audience)
            self._next_ms = min(self._next_ms, audience.due_ms)

    def unsubscribe(self, subscription: object, sink: Sink) -> None:
        """Acknowledge and stop; raises SubscriptionError when `sink` had no such subscription."""
        wanted = normalised(self._core, TOPICS, subscription)
        audience = self._topics.get(_key(wanted), {}).get(compact(wanted))
        if audience is None or sink not in audience.sinks:
            raise SubscriptionError(f"Already unsubscribed: {compact(subscription)}")
        self._drop(audience, sink)
        sink(frame("subscriptionResponse", {"method": "unsubscribe", "subscription": wanted}))

    def forget(self, sink: Sink) -> None:
        """The socket behind `sink` is gone."""
        everybody = [one for entries in self._topics.values() for one in entries.values()]
        for audience in everybody:
            if sink in audience.sinks:
                self._drop(audience, sink)

    def _drop(self, audience: _Audience, sink: Sink) -> None:
        audience.sinks.remove(sink)
        if audience.sinks:
            return
        key = _key(audience.wanted)
        del self._topics[key][compact(audience.wanted)]
        if not self._topics[key]:
            del self._topics[key]
        self._core.outbox.is_heard = bool(self._topics)
        for listed in (self._timed, self._watching):
            if audience in listed:
                listed.remove(audience)

    def publish_due(self) -> None:
        """The whole state to whoever hears it by time, where that time has come."""
        now = self._core.now_ms()
        if now < self._next_ms:
            return
        for audience in list(self._timed):
            if audience.due_ms <= now:
                audience.due_ms = now + audience.period_ms
                self._tell(audience)
        self._next_ms = min((one.due_ms for one in self._timed), default=NEVER)

    def _tell(self, audience: _Audience) -> None:
        """What changed since the last time, if anything."""
        if audience.topic.now is None:
            return
        state = audience.topic.now(self._core, audience.wanted)
        change = None if state is None else audience.topic.change(audience.told, state)
        if change is not None:
            audience.told = state
            audience.send(frame(audience.channel, audience.topic.wire(change)))

    def publish(self) -> None:
        """Everything that happened since the last time, then the states that follow from it."""
        self.publish_events()
        for audience in list(self._watching):
            self._tell(audience)
        self.publish_due()

    def publish_events(self) -> None:
        """Everything that happened since the last time."""
        if self._topics:
            self._tell_events()
        self._core.outbox.clear()

    def _tell_events(self) -> None:
        outbox = self._core.outbox
        for user, changes in outbox.order_updates.items():
            if self._heard(user, "orderUpdates", "userHistoricalOrders"):
                self._push(user, order_pushes(self._core, user, changes))
        for user, fills in outbox.fills.items():
            kinds = ("userEvents", "userFills", AGGREGATED_FILLS, "notification")
            if self._heard(user, *kinds):
                self._push(user, fill_pushes(user, fills))
        for user, fills in outbox.slice_fills.items():
            if self._heard(user, "userEvents", "userTwapSliceFills"):
                self._push(user, slice_pushes(user, fills))
        for user, events in outbox.user_events.items():
            self._push(user, event_pushes(events))
        for user, fundings in outbox.fundings.items():
            self._push(user, funding_pushes(user, fundings))
        for user, rows in outbox.ledger_updates.items():
            self._push(user, ledger_pushes(user, rows))
        for user, twaps in outbox.twap_changes.items():
            if self._heard(user, "userEvents", "userTwapHistory"):
                self._push(user, twap_pushes(user, twaps))
        for coin, trades in outbox.trades.items():
            if ("trades", coin) in self._topics:
                prints = [trade_view(trade) for trade in trades]
                self._send(("trades", coin), frame("trades", prints))

    def _heard(self, user: str, *kinds: str) -> bool:
        return any((kind, user) in self._topics for kind in kinds)

    def _push(self, user: str, pushes: Iterable[Push]) -> None:
        for kind, message in pushes:
            self._send((kind, user), message)

    def _send(self, key: tuple[str, str], message: dict[str, Any]) -> None:
        for audience in list(self._topics.get(key, {}).values()):
            audience.send(message)


def _key(wanted: Subscription) -> tuple[str, str]:
    """A topic and whom it is about: its user, else its coin."""
    kind = AGGREGATED_FILLS if wanted.get("aggregateByTime") else wanted["type"]
    return kind, wanted.get("user") or wanted.get("coin") or ""


__all__ = ["Sink", "Streams", "SubscriptionError", "compact", "frame"]
