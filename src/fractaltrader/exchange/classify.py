"""What an answer of the venue means for us: structure first, the catalogue's texts last.

Order of the evidence: did an answer come at all, its HTTP status, the shape of its JSON, and only
then the text, compared whole. A page of the edge in front of the venue is judged by its status
alone, whatever words it holds. A text that is not in the catalogue is never taken for something to
try again: it counts as a rejection, unrecognised.
"""

import re
from functools import cache

from fractaltrader.exchange.catalogue import ROWS, Row
from fractaltrader.exchange.errors import (
    Classified,
    CriticalError,
    ExchangeError,
    RejectedError,
    TransientError,
    TransportError,
    UnknownOutcomeError,
)

UNRECOGNISED = "not in the catalogue: read the recorded text, then act on the venue yourself"

_WILDCARDS = {
    "{n}": r"-?[0-9][0-9.,]*",
    "{address}": r"0x[0-9a-fA-F]{40}",
    "{word}": r"[\w:@.-]+",
    "{json}": r"[\[{\"].*[\]}\"]",
    "{rest}": r"[^<>]{0,400}",
}
_REFUSALS, _FRAMES = frozenset("SDE"), frozenset("W")
_ASSET_SUFFIX = re.compile(r" asset=[0-9]+\Z")
_LONGEST_TEXT = 4_000
# Answers that may be `null` where a coin or an address means nothing to the venue (row 86).
_NULLABLE = frozenset({"l2Book", "subAccounts", "subAccounts2", "vaultDetails"})


def classify_refusal(text: str) -> Classified:
    """What the venue's text about an order or an action means."""
    return _by_text(text, _REFUSALS)


def classify_frame(text: str) -> Classified:
    """What the text of a WebSocket error frame means; an unknown one is worth a reconnect."""
    known = _by_text(text, _FRAMES)
    return known if known.recognised else _unrecognised(TransientError)


def classify_status(status: int, *, action: bool) -> Classified:
    """What an HTTP status other than 200 means.

    A 5xx or 408 answer to an action says nothing about whether the action was executed.
    """
    for row in ROWS:
        if status in row.statuses:
            return _classified(row, action=action)
    if status == 408 or status >= 500:
        return _unrecognised(UnknownOutcomeError if action else TransientError)
    return _unrecognised(TransientError if status == 425 else CriticalError)


def classify_transport(error: TransportError, *, action: bool) -> Classified:
    """What a request without an answer means: one that surely never left is transient."""
    return _classified(_numbered(98 if error.timed_out else 97), action=action and error.sent)


def classify_body(body: bytes, *, request: str | None = None) -> Classified:
    """What an HTTP 200 means whose body is not what was expected; `request` is the /info type, None
    for an action."""
    if body.strip() == b"null" and request in _NULLABLE:
        return _classified(_numbered(86))
    return _classified(_numbered(96), action=request is None)


def classify_silence(*, feed: bool) -> Classified:
    """A stream that ended or fell silent; `feed` when only one of its feeds did."""
    return _classified(_numbered(107 if feed else 106))


def explain(text: str) -> Row | None:
    """The row for a text as an operator finds it in a log, whatever its shape; None if unknown."""
    status = re.match(r"(?:\w+: )?HTTP ([0-9]{3})\b", text.strip())
    if status and status[1] != "200":
        code = int(status[1])
        return next((row for row in ROWS if code in row.statuses), None)
    return _find(text, frozenset("SDEWILHT"))


def _by_text(text: str, shapes: frozenset[str]) -> Classified:
    row = _find(text, shapes)
    return _unrecognised(RejectedError) if row is None else _classified(row)


def _find(text: str, shapes: frozenset[str]) -> Row | None:
    text = _normalised(text)
    return next((row for pattern, row in _patterns(shapes) if pattern.fullmatch(text)), None)


def _normalised(text: str) -> str:
    text = text[:_LONGEST_TEXT].strip().removeprefix("L1 error: ")
    return _ASSET_SUFFIX.sub("", text).removesuffix(".")


@cache
def _patterns(shapes: frozenset[str]) -> list[tuple[re.Pattern[str], Row]]:
    patterns = []
    for row in ROWS:
        for text in row.texts if shapes & frozenset(row.shape) else ():
            parts = re.split("(" + "|".join(map(re.escape, _WILDCARDS)) + ")", text)
            pattern = "".join(_WILDCARDS.get(part) or re.escape(part) for part in parts)
            patterns.append((re.compile(pattern), row))
    return patterns


@cache
def _numbered(number: int) -> Row:
    return next(row for row in ROWS if row.number == number)


def _classified(row: Row, *, action: bool = False) -> Classified:
    return Classified(row.action_kind if action else row.kind, row.number, True, row.remedy)


def _unrecognised(kind: type[ExchangeError]) -> Classified:
    return Classified(kind, None, False, UNRECOGNISED)
