"""What an answer means, at the borders of each kind of evidence."""

import pytest

from fractaltrader.errors import UserError, did_you_mean
from fractaltrader.exchange.classify import (
    UNRECOGNISED,
    classify_body,
    classify_frame,
    classify_refusal,
    classify_silence,
    classify_status,
    classify_transport,
    explain,
)
from fractaltrader.exchange.errors import (
    Classified,
    ConfigurationError,
    CriticalError,
    ErrorRecord,
    ExchangeError,
    HarmlessError,
    RateLimitedError,
    RejectedError,
    TransientError,
    TransportError,
    UnknownOutcomeError,
    error_record,
)


def short(answer: Classified) -> tuple[type[ExchangeError], int | None, bool]:
    return answer.kind, answer.row, answer.recognised


@pytest.mark.parametrize(
    ("status", "of_read", "of_action", "row"),
    [
        (400, CriticalError, CriticalError, 88),
        (404, CriticalError, CriticalError, 90),
        (407, CriticalError, CriticalError, None),
        (408, TransientError, UnknownOutcomeError, None),
        (409, CriticalError, CriticalError, None),
        (425, TransientError, TransientError, None),
        (426, CriticalError, CriticalError, None),
        (429, RateLimitedError, RateLimitedError, 92),
        (499, CriticalError, CriticalError, None),
        (500, TransientError, UnknownOutcomeError, 93),
        (501, TransientError, UnknownOutcomeError, None),
        (503, TransientError, UnknownOutcomeError, 94),
        (504, TransientError, UnknownOutcomeError, 95),
        (505, TransientError, UnknownOutcomeError, None),
    ],
)
def test_a_status_decides(
    status: int, of_read: type[ExchangeError], of_action: type[ExchangeError], row: int | None
) -> None:
    """From 500 on nobody knows whether an action was executed; a read may be repeated."""
    read, action = classify_status(status, action=False), classify_status(status, action=True)
    known = row is not None
    assert short(read) == (of_read, row, known)
    assert short(action) == (of_action, row, known)
    assert known or read.remedy == action.remedy == UNRECOGNISED


@pytest.mark.parametrize(("timed_out", "row"), [(False, 97), (True, 98)])
def test_what_never_left_did_nothing(timed_out: bool, row: int) -> None:
    """An action that was sent may have been executed, one that was not sent was not, and a read
    never matters."""
    for action, sent, kind in (
        (True, True, UnknownOutcomeError), (True, False, TransientError),
        (False, True, TransientError), (False, False, TransientError),
    ):  # fmt: skip
        lost = TransportError("gone", sent=sent, timed_out=timed_out)
        assert short(classify_transport(lost, action=action)) == (kind, row, True)
    assert not TransportError("gone", sent=True).timed_out


@pytest.mark.parametrize(
    ("body", "request_type", "kind", "row"),
    [
        (b"null", "l2Book", ConfigurationError, 86),
        (b" null\n", "subAccounts", ConfigurationError, 86),
        (b"null", "meta", TransientError, 96),
        (b"[]", "l2Book", TransientError, 96),
        (b"null", None, UnknownOutcomeError, 96),
        (b"<html>", None, UnknownOutcomeError, 96),
    ],
)
def test_a_body_that_is_not_what_was_asked_for(
    body: bytes, request_type: str | None, kind: type[ExchangeError], row: int
) -> None:
    """`null` means an unknown name where the venue says it so; anything else is no answer."""
    assert short(classify_body(body, request=request_type)) == (kind, row, True)


def test_silence_and_frames() -> None:
    """A socket and one feed of it are told apart; a frame's text is looked up among frames only, an
    order's among orders only."""
    assert short(classify_silence(feed=False)) == (TransientError, 106, True)
    assert short(classify_silence(feed=True)) == (TransientError, 107, True)
    assert classify_silence(feed=True).remedy == (
        "the stream reconnects, subscribes anew and asks for what it missed"
    )
    frame = 'Already subscribed: {"type":"l2Book"}'
    assert short(classify_frame(frame)) == (HarmlessError, 100, True)
    assert short(classify_refusal(frame)) == (RejectedError, None, False)
    order = "Order has zero size."
    assert short(classify_refusal(order)) == (RejectedError, 19, True)
    assert short(classify_frame(order)) == (TransientError, None, False)


def test_texts_are_compared_whole_and_bounded() -> None:
    """What surrounds a text is cut off where the venue puts it, and nowhere else; only the first
    4,000 characters are read, and at most 400 unknown ones are let pass."""
    assert classify_refusal("Order has zero size. asset=12").row == 19
    assert classify_refusal("Order has zero size. asset=12x").row is None
    assert classify_refusal("Order has zero size" + " " * 3_981 + "x").row == 19
    assert classify_refusal("Order has zero size" + " " * 3_980 + "x").row is None
    assert classify_refusal("Too many open orders" + "x" * 400).row == 25
    assert classify_refusal("Too many open orders" + "x" * 401).row is None
    assert classify_refusal("Too many open orders <b>").row is None
    assert classify_refusal("Order must have minimum value of $10.").row == 2
    assert classify_refusal("Order must have minimum value of $ten.").row is None


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("HTTP 502: <html>", 94),
        ("TransientError: HTTP 429: null", 92),
        ("  HTTP 404", 90),
        ("HTTP 418: teapot", None),
        ("HTTP 200 with a body that is not the JSON expected", 96),
        ("HTTP 5021", None),
        ("float_to_wire causes rounding", 108),
        ("429 Too Many Requests", 105),
        ("TWAP was never placed, already canceled, or filled", 79),
        ("connect timeout or read timeout", 98),
        ("null", 86),
        ("the moon is full", None),
    ],
)
def test_an_operator_finds_the_row(text: str, row: int | None) -> None:
    """A log's words, of whatever shape, lead to the row; unknown ones to none."""
    found = explain(text)
    assert (found.number if found else None) == row


def test_an_error_carries_what_is_needed_later() -> None:
    """Its row, whether it was recognised, whose budget it is about, and its context."""
    error = classify_refusal("Order has zero size.").error("Order has zero size.", coin="BTC")
    assert type(error) is RejectedError
    assert (str(error), error.row, error.recognised) == ("Order has zero size.", 19, True)
    record = error_record(error)
    assert record == ErrorRecord("RejectedError", str(error), 19, True, {"coin": "BTC"})
    unknown = classify_refusal("The moon is full.").error("The moon is full.")
    assert (unknown.row, unknown.recognised, unknown.context) == (None, False, {})
    budget = "Too many cumulative requests sent (9 > 8) for cumulative volume traded $1. Place "
    budget += "taker orders to free up 1 request per USDC traded."
    address = classify_refusal(budget).error(budget)
    assert isinstance(address, RateLimitedError)
    assert (address.scope, address.row, address.recognised) == ("address", 52, True)
    ip = classify_status(429, action=True).error("HTTP 429")
    assert isinstance(ip, RateLimitedError)
    assert (ip.scope, ip.row, ip.recognised) == ("ip", 92, True)


def test_an_error_by_itself_is_recognised_and_empty() -> None:
    """What we raise ourselves is no answer of the venue that nobody knows."""
    for error in (ExchangeError("x"), RateLimitedError("x")):
        assert (str(error), error.row, error.recognised, error.context) == ("x", None, True, {})
    assert TransportError("lost", sent=True).args == ("lost",)
    assert RateLimitedError("x", recognised=False).recognised is False


def test_a_misspelt_name_gets_one_suggestion() -> None:
    """The nearest one, or none; and a user's error ends a command with 2."""
    assert did_you_mean("BTG", ["ETH", "BTC", "BTCB"]) == "; did you mean 'BTC'?"
    assert did_you_mean("BTCX", ["BTCB", "BTC"]) == "; did you mean 'BTC'?"
    assert did_you_mean("zzz", ["ETH", "BTC"]) == ""
    assert UserError.exit_code == 2
