"""What a WebSocket topic is, and a subscription in the venue's normal form (hyperliquid.md 5)."""

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from fractaltrader.simulator.core import Core
from fractaltrader.simulator.protocol.forms.common import UnprocessableError, address_of
from fractaltrader.simulator.protocol.info.fields import candle_interval

Subscription = dict[str, Any]
REQUIRED: Any = object()
OPTIONAL: Any = object()


class SubscriptionError(Exception):
    """Refused; the text of the error frame."""


def _newest(_old: Any, new: Any) -> Any:
    return new


def _as_is(value: Any) -> Any:
    return value


class Topic(NamedTuple):
    """One kind of subscription.

    `fields` are its keys in the order of the acknowledgement with the value filled in when absent.
    `now` is the whole state, None for nothing to tell; it is sent on subscribing and again every
    `period_ms` of market time while somebody listens, 0 for whenever anything happened.
    `change` is what to tell of a new state after an old one (None: nothing) and `wire` its form.
    """

    fields: dict[str, Any]
    now: Callable[[Core, Subscription], Any] | None = None
    period_ms: int | None = None
    channel: str | None = None
    change: Callable[[Any, Any], Any] = _newest
    wire: Callable[[Any], Any] = _as_is

    @property
    def tells_changes(self) -> bool:
        """Whether what is sent again depends on what was sent before."""
        return self.change is not _newest


def frame(channel: str, data: Any) -> dict[str, Any]:
    """A message of the WebSocket."""
    return {"channel": channel, "data": data}


def compact(value: object) -> str:
    """JSON as the venue echoes it."""
    return msgspec.json.encode(value).decode()


def normalised(core: Core, topics: dict[str, Topic], subscription: object) -> Subscription:
    """The subscription as the venue acknowledges it.

    Raises UnprocessableError for a form that cannot be parsed and SubscriptionError for one that
    names what does not exist.
    """
    if not isinstance(subscription, dict):
        raise UnprocessableError("expected an object")
    kind = subscription.get("type")
    if not isinstance(kind, str) or kind not in topics:
        raise UnprocessableError(f"unknown variant {kind!r}")
    result: Subscription = {"type": kind}
    for name, default in topics[kind].fields.items():
        value = subscription.get(name, default)
        if value is REQUIRED:
            raise UnprocessableError(f"missing field `{name}`")
        if value is not OPTIONAL:
            result[name] = _checked(name, value)
    _existing(core, result, subscription)
    return result


def _checked(name: str, value: Any) -> Any:
    """A field's value when its type is right; else UnprocessableError."""
    match name:
        case "user":
            return address_of(value)
        case "coin" | "interval" | "dex":
            good = isinstance(value, str)
        case "nSigFigs":
            good = value is None or (type(value) is int and value in (2, 3, 4, 5))
        case "mantissa":
            good = value is None or (type(value) is int and value in (1, 2, 5))
        case _:
            good = value is None or isinstance(value, bool)
    if not good:
        raise UnprocessableError(f"invalid {name}")
    return value


def _existing(core: Core, wanted: Subscription, subscription: object) -> None:
    invalid = SubscriptionError(f"Invalid subscription {compact(subscription)}")
    coin = wanted.get("coin")
    if (coin is not None and coin not in core.books) or wanted.get("dex"):
        raise invalid
    if "interval" in wanted:
        try:
            candle_interval(core, wanted["coin"], wanted["interval"])
        except UnprocessableError:
            raise invalid from None
