"""Subscriptions: who hears what (hyperliquid.md section 5)."""

from collections.abc import Callable
from typing import Any

import msgspec

from fractaltrader.market import Timeframe
from fractaltrader.simulator.core import Core
from fractaltrader.simulator.protocol import market_views as markets
from fractaltrader.simulator.protocol.fields import candle_interval
from fractaltrader.simulator.protocol.forms import UnprocessableError, address_of
from fractaltrader.simulator.protocol.views import fill_view, trade_view

Sink = Callable[[dict[str, Any]], None]
Subscription = dict[str, Any]
SNAPSHOT_FILLS = 2_000

_COIN_TYPES = ("l2Book", "bbo", "trades", "candle")
_USER_TYPES = ("orderUpdates", "userEvents", "userFills")
# What the venue fills in when it acknowledges (hyperliquid.md 5.1).
_DEFAULTS: dict[str, dict[str, Any]] = {
    "l2Book": {"nSigFigs": None, "mantissa": None, "fast": False},
    "userFills": {"aggregateByTime": False},
}
_FIELDS = {
    "allMids": ("dex",),
    "l2Book": ("coin", "nSigFigs", "mantissa", "fast"),
    "bbo": ("coin",),
    "trades": ("coin",),
    "candle": ("coin", "interval"),
    "orderUpdates": ("user",),
    "userEvents": ("user",),
    "userFills": ("user", "aggregateByTime"),
}


class SubscriptionError(Exception):
    """Refused; the text of the error frame."""


def frame(channel: str, data: Any) -> dict[str, Any]:
    """A message of the WebSocket."""
    return {"channel": channel, "data": data}


def compact(value: object) -> str:
    """JSON as the venue echoes it."""
    return msgspec.json.encode(value).decode()


class Streams:
    """Subscriptions of every socket, indexed by topic so that publishing touches no others."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._topics: dict[tuple[str, str], dict[str, tuple[Subscription, list[Sink]]]] = {}
        self._last_bbo: dict[str, Any] = {}

    def normalised(self, subscription: object) -> Subscription:
        """The subscription as the venue acknowledges it; raises SubscriptionError."""
        if not isinstance(subscription, dict) or subscription.get("type") not in _FIELDS:
            raise SubscriptionError(f"Invalid subscription {compact(subscription)}")
        kind = subscription["type"]
        values = _DEFAULTS.get(kind, {}) | subscription
        result = {"type": kind} | {key: values[key] for key in _FIELDS[kind] if key in values}
        try:
            if kind in _USER_TYPES:
                result["user"] = address_of(result.get("user"))
            if kind in _COIN_TYPES and result.get("coin") not in self._core.books:
                raise UnprocessableError("unknown coin")
            if kind == "candle":
                candle_interval(self._core, result["coin"], result.get("interval", ""))
        except UnprocessableError:
            raise SubscriptionError(f"Invalid subscription {compact(subscription)}") from None
        return result

    def subscribe(self, subscription: object, sink: Sink) -> None:
        """Acknowledge to `sink`, send the snapshot and push from now on.

        Raises SubscriptionError when `sink` has the subscription already or it is not served.
        """
        wanted = self.normalised(subscription)
        _, sinks = self._topics.setdefault(_topic(wanted), {}).setdefault(
            compact(wanted), (wanted, [])
        )
        if sink in sinks:
            raise SubscriptionError(f"Already subscribed: {compact(subscription)}")
        sinks.append(sink)
        sink(frame("subscriptionResponse", {"method": "subscribe", "subscription": wanted}))
        first = self._snapshot(wanted)
        if first is not None:
            sink(first)

    def unsubscribe(self, subscription: object, sink: Sink) -> None:
        """Acknowledge and stop; raises SubscriptionError when `sink` had no such subscription."""
        wanted = self.normalised(subscription)
        entry = self._topics.get(_topic(wanted), {}).get(compact(wanted))
        if entry is None or sink not in entry[1]:
            raise SubscriptionError(f"Already unsubscribed: {compact(subscription)}")
        self._drop(wanted, entry[1], sink)
        sink(frame("subscriptionResponse", {"method": "unsubscribe", "subscription": wanted}))

    def forget(self, sink: Sink) -> None:
        """The socket behind `sink` is gone."""
        for entries in list(self._topics.values()):
            for wanted, sinks in list(entries.values()):
                if sink in sinks:
                    self._drop(wanted, sinks, sink)

    def _drop(self, wanted: Subscription, sinks: list[Sink], sink: Sink) -> None:
        sinks.remove(sink)
        topic = _topic(wanted)
        if not sinks:
            del self._topics[topic][compact(wanted)]
            if not self._topics[topic]:
                del self._topics[topic]

    def _snapshot(self, wanted: Subscription) -> dict[str, Any] | None:
        kind = wanted["type"]
        if kind == "userFills":
            fills = self._core.account_or_empty(wanted["user"]).fills[-SNAPSHOT_FILLS:]
            views = [fill_view(fill) for fill in reversed(fills)]
            return frame(kind, {"isSnapshot": True, "user": wanted["user"], "fills": views})
        if kind == "trades":
            recent = markets.recent_trades(self._core, wanted["coin"], 30)
            return frame(kind, recent) if recent else None
        return None if kind in _USER_TYPES else self._market_frame(wanted)

    def _market_frame(self, wanted: Subscription) -> dict[str, Any] | None:
        """The current state of a market topic."""
        kind, core = wanted["type"], self._core
        match kind:
            case "allMids":
                return frame(kind, {"mids": markets.all_mids(core)})
            case "l2Book":
                figures, mantissa = wanted["nSigFigs"], wanted["mantissa"]
                return frame(kind, markets.l2_book(core, wanted["coin"], figures, mantissa))
            case "bbo":
                return frame(kind, markets.bbo(core, wanted["coin"]))
            case _:
                timeframe = Timeframe.parse(wanted["interval"])
                candle = core.candles[wanted["coin"]].current(timeframe)
                return None if candle is None else frame(kind, candle)

    def publish_market(self, coin: str) -> None:
        """The price of `coin` moved: mids, book and candles to whoever listens."""
        for kind, key in (("candle", coin), ("allMids", ""), ("l2Book", coin)):
            self._refresh((kind, key))
        self._publish_bbo(coin)

    def _publish_bbo(self, coin: str) -> None:
        if ("bbo", coin) in self._topics:
            pair = markets.bbo(self._core, coin)["bbo"]
            if pair != self._last_bbo.get(coin):
                self._last_bbo[coin] = pair
                self._refresh(("bbo", coin))

    def publish_outbox(self) -> None:
        """Order updates, fills and trades that happened since the last time."""
        outbox = self._core.outbox
        for user, updates in outbox.order_updates.items():
            self._send(("orderUpdates", user), frame("orderUpdates", updates))
        for user, fills in outbox.fills.items():
            views = [fill_view(fill) for fill in fills]
            self._send(("userEvents", user), frame("user", {"fills": views}))
            self._send(("userFills", user), frame("userFills", {"user": user, "fills": views}))
        for coin, trades in outbox.trades.items():
            if ("trades", coin) in self._topics:
                prints = [trade_view(trade) for trade in trades]
                self._send(("trades", coin), frame("trades", prints))
            self._publish_bbo(coin)
        outbox.clear()

    def _send(self, topic: tuple[str, str], message: dict[str, Any]) -> None:
        for _, sinks in list(self._topics.get(topic, {}).values()):
            for sink in list(sinks):
                sink(message)

    def _refresh(self, topic: tuple[str, str]) -> None:
        for wanted, sinks in list(self._topics.get(topic, {}).values()):
            message = self._market_frame(wanted)
            if message is not None:
                for sink in list(sinks):
                    sink(message)


def _topic(wanted: Subscription) -> tuple[str, str]:
    return wanted["type"], wanted.get("coin") or wanted.get("user") or ""
