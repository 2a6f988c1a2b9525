"""Scenarios: which faults there are, when they may strike and how likely.

A scenario file is TOML, one `[[fault]]` a fault:

    [[fault]]
    kind = "lost_answer"
    probability = 0.02
    begins = "2h"      # after the run's beginning, or a UTC time such as 2025-01-05T12:00:00Z
    lasts = "30m"
    every = "1d"       # the window comes again
"""

import re
import tomllib
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from fractaltrader.errors import UserError, did_you_mean

Probability = Annotated[float, Meta(ge=0, le=1)]
Positive = Annotated[float, Meta(gt=0)]
PositiveInt = Annotated[int, Meta(gt=0)]
Route = Literal["info", "exchange", "ws"]

_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def duration_ms(text: str, field: str) -> int:
    """'250ms', '90s', '15m', '2h' or '1d' in milliseconds; raises UserError naming `field`."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise UserError(f"{field}: {text!r} is no duration; give for example 250ms, 90s, 15m or 2h")
    return round(float(found[1]) * _UNITS[found[2]])


def _moment(text: str) -> tuple[int, bool]:
    """Milliseconds of `begins`, and whether they count from the run's beginning."""
    if _DURATION.fullmatch(text):
        return duration_ms(text, "begins"), True
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UserError(
            f"begins: {text!r} is neither a duration (2h) nor a UTC time (2025-01-05T12:00:00Z)"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000), False


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """What every fault has: a probability and a window of market time.

    The probability is per request, message or order, or, for a fault that is a state of the world
    (`is_state`), per window.
    """

    probability: Probability = 1.0
    begins: str = "0s"
    lasts: str | None = None
    every: str | None = None

    is_state = False

    @cached_property
    def _window(self) -> tuple[int, bool, int | None, int | None]:
        start, is_relative = _moment(self.begins)
        length = duration_ms(self.lasts, "lasts") if self.lasts is not None else None
        period = duration_ms(self.every, "every") if self.every is not None else None
        if period is not None and (length is None or not 0 < length <= period):
            raise UserError(f"every: {self.every!r} needs `lasts`, above zero and not longer")
        return start, is_relative, length, period

    def validate(self) -> None:
        """Raises UserError for a window that cannot be."""
        _ = self._window

    def occurrence(self, now_ms: int, origin_ms: int) -> int | None:
        """Number of the window that `now_ms` falls in, from 0; None outside all windows."""
        start, is_relative, length, period = self._window
        since = now_ms - start - (origin_ms if is_relative else 0)
        if since < 0:
            return None
        number = since // period if period else 0
        inside = since - number * period if period else since
        return number if length is None or inside < length else None


class _Distributed(Fault, frozen=True, kw_only=True):
    """A delay of `ms`: fixed, uniform up to `to_ms`, exponential with that mean, or lognormal with
    that median and `sigma`."""

    ms: Positive
    distribution: Literal["fixed", "uniform", "exponential", "lognormal"] = "fixed"
    to_ms: Positive | None = None
    sigma: Positive = 0.5

    def validate(self) -> None:
        super().validate()
        if self.distribution == "uniform" and (self.to_ms is None or self.to_ms < self.ms):
            raise UserError(f"to_ms: {self.to_ms} must be given and at least ms = {self.ms}")


class Latency(_Distributed, frozen=True, kw_only=True, tag="latency"):
    """Requests, and with "ws" frames, take longer."""

    paths: tuple[Route, ...] = ("info", "exchange")


class _RequestFault(Fault, frozen=True, kw_only=True):
    paths: tuple[Route, ...] = ("info", "exchange")


class LostRequest(_RequestFault, frozen=True, kw_only=True, tag="lost_request"):
    """The request never arrives; the client sees its connection reset."""


class LostAnswer(_RequestFault, frozen=True, kw_only=True, tag="lost_answer"):
    """The request is executed; the client sees its connection reset."""


class Timeout(_RequestFault, frozen=True, kw_only=True, tag="timeout"):
    """No answer; the connection ends after `after_ms`. `executed`: late, when nobody waits."""

    after_ms: Positive = 15_000
    executed: bool = False


class Unreachable(_RequestFault, frozen=True, kw_only=True, tag="unreachable"):
    """Nothing can connect."""

    paths: tuple[Route, ...] = ("info", "exchange", "ws")
    is_state = True


class RateLimit(_RequestFault, frozen=True, kw_only=True, tag="rate_limit"):
    """A storm of 429s with the venue's body `null`; nothing is executed."""


class ServerError(_RequestFault, frozen=True, kw_only=True, tag="server_error"):
    """500 with `null`, or 502, 503 or 504 with a HTML page; `executed` all the same or not."""

    status: Literal[500, 502, 503, 504] = 502
    executed: bool = False


class GarbledAnswer(_RequestFault, frozen=True, kw_only=True, tag="garbled_answer"):
    """Executed, and answered with 200 and JSON that breaks off."""


class DuplicateMessage(Fault, frozen=True, kw_only=True, tag="duplicate_message"):
    """A WebSocket frame comes twice."""


class ReorderMessage(Fault, frozen=True, kw_only=True, tag="reorder_message"):
    """A WebSocket frame comes after the one that follows it, or a second late."""


class SilentStream(Fault, frozen=True, kw_only=True, tag="silent_stream"):
    """Data frames (of `channels`, all when empty) stop; the socket stays open and answers pings."""

    channels: tuple[str, ...] = ()
    is_state = True


class HalfOpen(Fault, frozen=True, kw_only=True, tag="half_open"):
    """Sockets stay open and nothing gets through either way, pings included."""

    is_state = True


class DroppedSocket(Fault, frozen=True, kw_only=True, tag="dropped_socket"):
    """A socket closes instead of bringing a frame."""


class CandleGap(Fault, frozen=True, kw_only=True, tag="candle_gap"):
    """A bar (the probability is per bar) is missing from snapshots and streams."""

    coin: str | None = None


class LateCandle(Fault, frozen=True, kw_only=True, tag="late_candle"):
    """Snapshots and streams know bars only `ms` after they opened, a closed one so much late."""

    ms: Positive
    coin: str | None = None
    is_state = True


class PriceJump(Fault, frozen=True, kw_only=True, tag="price_jump"):
    """The price is `percent` away from the feed's while it lasts: a flash crash and its return."""

    percent: Annotated[float, Meta(gt=-100, le=1_000)]
    coin: str | None = None
    is_state = True


class ThinBook(Fault, frozen=True, kw_only=True, tag="thin_book"):
    """The modelled market offers only this share of its depth, so orders fill in part."""

    depth: Annotated[float, Meta(gt=0, le=1)] = 0.001
    coin: str | None = None
    is_state = True


class ForcedLiquidation(Fault, frozen=True, kw_only=True, tag="forced_liquidation"):
    """The positions of `user` (of everybody when absent) are liquidated as the window begins."""

    user: str | None = None
    coin: str | None = None
    is_state = True


class Halt(Fault, frozen=True, kw_only=True, tag="halt"):
    """Every order is refused: "Trading is halted." """

    is_state = True


class PostOnly(Fault, frozen=True, kw_only=True, tag="post_only"):
    """Only ALO orders are accepted, as after a network upgrade."""

    is_state = True


class RejectedOrder(Fault, frozen=True, kw_only=True, tag="rejected_order"):
    """An order is refused with one of `texts`, in the venue's words when none are given."""

    texts: tuple[str, ...] = ()


class ClockSkew(Fault, frozen=True, kw_only=True, tag="clock_skew"):
    """The venue's clock is `ms` ahead of the client's (behind when negative)."""

    ms: int
    is_state = True


class SparseMetadata(Fault, frozen=True, kw_only=True, tag="sparse_metadata"):
    """Optional keys of `meta` are missing; a coin (the probability is per coin) has null prices."""


class UnknownOrder(Fault, frozen=True, kw_only=True, tag="unknown_order"):
    """`orderStatus` does not know an order yet."""


KINDS: tuple[type[Fault], ...] = (
    Latency, LostRequest, LostAnswer, Timeout, Unreachable, RateLimit, ServerError, GarbledAnswer,
    DuplicateMessage, ReorderMessage, SilentStream, HalfOpen, DroppedSocket,
    CandleGap, LateCandle, PriceJump, ThinBook, ForcedLiquidation, Halt, PostOnly, RejectedOrder,
    ClockSkew, SparseMetadata, UnknownOrder,
)  # fmt: skip
_BY_NAME = {str(kind.__struct_config__.tag): kind for kind in KINDS}


def parse_fault(fields: object) -> Fault:
    """One fault from its table; raises UserError that names what is amiss."""
    if not isinstance(fields, dict) or not isinstance(fields.get("kind"), str):
        raise UserError(f"fault: {fields!r} has no kind; give one of {', '.join(_BY_NAME)}")
    name = fields["kind"]
    if name not in _BY_NAME:
        hint = did_you_mean(name, list(_BY_NAME)) or f"; known are {', '.join(_BY_NAME)}"
        raise UserError(f"fault: kind {name!r} is not known{hint}")
    try:
        fault = msgspec.convert(
            {key: value for key, value in fields.items() if key != "kind"}, _BY_NAME[name]
        )
        fault.validate()
    except (msgspec.ValidationError, UserError) as error:
        raise UserError(f"fault {name}: {error}") from None
    return fault


def parse_plan(table: object) -> list[Fault]:
    """The faults of `{"fault": [{…}, …]}`; raises UserError."""
    if not isinstance(table, dict) or not isinstance(table.get("fault"), list) or len(table) != 1:
        raise UserError("faults: give [[fault]] tables and nothing else")
    return [parse_fault(fields) for fields in table["fault"]]


def load_plan(path: Path) -> list[Fault]:
    """The faults of a scenario file; raises UserError, one line with the file's name."""
    try:
        return parse_plan(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, UserError) as error:
        raise UserError(f"{path}: {error}") from None


def described(fault: Fault) -> dict[str, Any]:
    """The fault as its table, without what is left at its default."""
    given = {
        field.name: getattr(fault, field.name)
        for field in msgspec.structs.fields(fault)
        if getattr(fault, field.name) != field.default
    }
    return {"kind": kind_of(fault), **given}


def kind_of(fault: Fault) -> str:
    """Its name in scenario files."""
    return str(fault.__struct_config__.tag)
