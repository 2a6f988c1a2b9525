"""The error table against the whole catalogue of the venue reference, and against near misses."""

import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fractaltrader.exchange.catalogue import ROWS, Row
from fractaltrader.exchange.classify import (
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
    ExchangeError,
    HarmlessError,
    OrderGoneError,
    RateLimitedError,
    RejectedError,
    TransientError,
    TransportError,
    UnknownOutcomeError,
)

ADDRESS = "0x5e9ee1089755c3435139848e47e6635505d5a13a"
SUBSCRIPTION = '{"type":"candle","coin":"BTC","interval":"15m"}'

KINDS: dict[str, type[ExchangeError]] = {
    "RO": RejectedError,
    "TR": TransientError,
    "UO": UnknownOutcomeError,
    "RL": RateLimitedError,
    "NF": OrderGoneError,
    "FA": CriticalError,
    "CF": ConfigurationError,
    "ignore": HarmlessError,
}
# Rows whose class cell leaves a choice, or that its rules change, with what we chose.
CHOSEN = {
    5: OrderGoneError,  # "RO (often NF: already flat)"; a gone order is a rejected one too
    48: UnknownOutcomeError,  # "TR with new nonce, but UO"
    83: ConfigurationError,  # "ignore or CF"
    90: CriticalError,  # "CF", but rule 3: 404 must be fatal
}
# Texts the catalogue abbreviates, written out.
WRITTEN_OUT = {
    3: ["Order must have minimum value of 10 USDH. asset=10107"],
    13: [
        "Insufficient spot balance asset=10107",
        "(Spot-only) Order has insufficient spot balance to trade",
    ],
    14: ["Price too far from oracle asset=3", "Order price too far from oracle"],
    18: ["Order price cannot be more than 80% away from the reference price"],
    25: ["Too many open orders", "Too many open orders: 1000 of 1000"],
    34: ["Error placing new order during modify: Order has zero size."],
    36: [
        "Only post-only orders allowed immediately after a network upgrade",
        "Only post-only orders allowed immediately after network upgrade",
    ],
    42: [
        f"User or API Wallet {ADDRESS} does not exist.",
        f"L1 error: User or API Wallet {ADDRESS} does not exist.",
    ],
    48: ["Invalid nonce: duplicate nonce 1739471623231"],
    49: ["Invalid nonce: nonce too low 17 < 1739471623231"],
    50: ["Invalid nonce: nonce outside (T-2d, T+1d)"],
    52: [
        "Too many cumulative requests sent (97460 > 97456) for cumulative volume traded "
        "$87457.46. Place taker orders to free up 1 request per USDC traded."
    ],
    76: ["Invalid send", f"Invalid sub-account transfer from {ADDRESS} to {ADDRESS}"],
    85: ['{"status":"unknownOid"}'],
    86: ["null"],
    99: ['Error parsing JSON into valid websocket request: {"method":"subscribe"}'],
    100: [f"Already subscribed: {SUBSCRIPTION}", f"Already unsubscribed: {SUBSCRIPTION}"],
    101: [f"Invalid subscription {SUBSCRIPTION}"],
    103: ["Cannot subscribe to more than 1000 channels."],
    104: ["too many pending post requests id=1234"],
    105: ["429 Too Many Requests"],
    108: ["float_to_wire causes rounding"],
}
TEXTUAL = "SDE"


def table(shared: Path) -> dict[int, tuple[str, str, str]]:
    """Text, shape and class of every row of the reference."""
    found = {}
    document = (shared / "hyperliquid.md").read_text()
    for line in document.partition("## 10.")[2].partition("## 11.")[0].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if re.fullmatch(r"[0-9]+", cells[0]):
            found[int(cells[0])] = (cells[1], cells[2], cells[3])
    return found


def examples(number: int, text: str) -> list[str]:
    """What the venue would really send for a cell's abbreviated text."""
    if number in WRITTEN_OUT:
        return WRITTEN_OUT[number]
    text = re.sub(r" \((?:older prefix|tooMany|docs|deployer).*", "", text)
    text = text.removeprefix("WS ").strip("`")
    text = text.replace("0x…", ADDRESS).replace("…", "").strip()
    text = re.sub(r"\$x\b", "$12066.75", text).replace("B@A", "1891.4@1891.5")
    text = re.sub(r"asset=N\b|\bN\b", lambda m: m[0].replace("N", "173"), text)
    text = re.sub(r"(registered to)$", rf"\1 {ADDRESS}", text)
    text = re.sub(r"Max is \$$", "Max is $1000000", text)
    return text.split(" / ")


def kind_expected(number: int, cell: str) -> type[ExchangeError]:
    code = re.match(r"RO|TR|UO|RL|NF|FA|CF|ignore", cell)
    assert code is not None, cell
    return CHOSEN.get(number, KINDS[code[0]])


def test_no_row_is_forgotten(shared_folder: Path) -> None:
    """The catalogue has exactly the rows of the reference, and each has a remedy."""
    theirs = table(shared_folder)
    assert set(theirs) == set(range(1, 109))
    assert {row.number for row in ROWS} == set(theirs)
    assert all(row.remedy and row.texts for row in ROWS)


@pytest.mark.parametrize("number", range(1, 109))
def test_row(number: int, shared_folder: Path) -> None:
    """Every text and structure of the reference is classified as its own row and kind."""
    text, shape, class_cell = table(shared_folder)[number]
    kind = kind_expected(number, class_cell)
    answers: list[Classified] = []
    actions: list[Classified] = []
    if statuses := re.findall(r"\b([45][0-9][0-9])\b", text) if shape == "H" else []:
        answers = [classify_status(int(status), action=False) for status in statuses]
        actions = [classify_status(int(status), action=True) for status in statuses]
    elif number == 96:
        answers = [classify_body(b"<html>", request="meta")]
        actions = [classify_body(b'{"status":"ok","resp')]
    elif number in (97, 98):
        late = number == 98
        lost = TransportError("", sent=True, timed_out=late)
        answers = [classify_transport(lost, action=False)]
        answers += [classify_transport(TransportError("", sent=False, timed_out=late), action=True)]
        actions = [classify_transport(lost, action=True)]
    elif number in (106, 107):
        answers = [classify_silence(feed=number == 107)]
    elif number == 86:
        answers = [classify_body(b"null", request="l2Book")]
    elif number in (85, 108):
        row = explain(WRITTEN_OUT[number][0])
        assert row is not None
        answers = [Classified(row.kind, row.number, True, row.remedy)]
    else:
        classify = classify_frame if shape == "W" else classify_refusal
        answers = [classify(sent) for sent in examples(number, text)]
        if number == 40:
            (soon,) = [a for a in answers if a.kind is TransientError]
            assert soon.row == 40
            answers.remove(soon)
            assert len(answers) == 3
    assert answers
    for answer in answers + actions:
        assert (answer.row, answer.recognised) == (number, True)
    assert {answer.kind for answer in answers} == {kind}
    if "UO" in class_cell and number != 48:
        assert {action.kind for action in actions} == {UnknownOutcomeError}
    elif actions:
        assert {action.kind for action in actions} == {kind}


def concrete(row: Row) -> list[str]:
    """Texts of a row with its wildcards filled."""
    filled = {
        "{n}": "1739471623231",
        "{address}": ADDRESS,
        "{word}": "USDH",
        "{json}": SUBSCRIPTION,
        "{rest}": "",
    }
    texts = []
    for text in row.texts:
        for wildcard, value in filled.items():
            text = text.replace(wildcard, value)
        texts.append(text)
    return texts


# Rows 25, 34, 69 and 87 end (69 also begins) with words that no source records.
CLOSED = [
    (row, text)
    for row in ROWS
    if set(row.shape) & set(TEXTUAL) and not any("{rest}" in t for t in row.texts)
    for text in concrete(row)
]
FRAMES = [(row, text) for row in ROWS if row.shape == "W" for text in concrete(row)]
WORDS = st.text(st.characters(categories=["Lu", "Ll", "Nd", "Zs", "Po"]), min_size=1, max_size=20)


def is_unknown(text: str) -> bool:
    answer = classify_refusal(text)
    return answer.kind is RejectedError and answer.row is None and not answer.recognised


@given(st.sampled_from(CLOSED), WORDS, WORDS)
@example((ROWS[3], "Insufficient margin to place order"), "Please deposit", "tomorrow")
def test_no_row_is_matched_by_accident(sample: tuple[Row, str], before: str, after: str) -> None:
    """A known text with words before, after or in it, or in another case, is unknown."""
    _, text = sample
    assert is_unknown(f"x{before} {text}")
    assert is_unknown(f"{text} {after}x")
    words = text.split(" ")
    assert is_unknown(" ".join([*words[:1], "not", *words[1:], "quite"]))
    if text.swapcase() != text:
        assert is_unknown(text.swapcase())
    assert is_unknown(f"<html><body>{text}</body></html>")
    assert is_unknown(text + "\n" + text)


@given(st.sampled_from(CLOSED), st.integers(0, 200_000))
def test_decoration_changes_nothing(sample: tuple[Row, str], asset: int) -> None:
    """The venue's suffix, its old prefix and a last period leave the row what it is."""
    row, text = sample
    for sent in (text, f"{text}.", f"{text}. asset={asset}", f"L1 error: {text}"):
        assert classify_refusal(sent).row == row.number


@given(st.sampled_from(CLOSED), st.integers(min_value=0), st.integers(min_value=0))
def test_numbers_are_wildcards(sample: tuple[Row, str], first: int, second: int) -> None:
    """Whatever numbers the venue puts in, the row stays the same."""
    row, text = sample
    numbers = iter([first, second] * 4)
    sent = re.sub(r"1739471623231", lambda _: str(next(numbers)), text)
    assert classify_refusal(sent).row == row.number


@given(
    st.sampled_from([text for _, text in CLOSED + FRAMES]),
    st.sampled_from([400, 401, 403, 404, 405, 415, 422, 429, 500, 502, 503, 504]),
    st.booleans(),
)
def test_a_page_is_judged_by_its_status(text: str, status: int, action: bool) -> None:
    """Whatever words the page of the edge holds, only its status counts."""
    answer = classify_status(status, action=action)
    assert answer.row == next(row.number for row in ROWS if status in row.statuses)
    row = explain(f"HTTP {status}: <html><h1>{text}</h1></html>")
    assert row is not None
    assert row.number == answer.row


@given(WORDS)
def test_an_unknown_frame_is_worth_a_reconnect(text: str) -> None:
    """A frame nobody has recorded ends the connection, never the bot, and says it is unknown."""
    answer = classify_frame(f"zz {text}")
    assert (answer.kind, answer.recognised) == (TransientError, False)


@pytest.mark.parametrize(
    ("status", "action", "kind"),
    [
        (408, True, UnknownOutcomeError),
        (408, False, TransientError),
        (520, True, UnknownOutcomeError),
        (599, False, TransientError),
        (418, True, CriticalError),
        (301, True, CriticalError),
    ],
)
def test_statuses_nobody_recorded(status: int, action: bool, kind: type[ExchangeError]) -> None:
    """A status outside the catalogue is read by its class and marked as unrecognised."""
    answer = classify_status(status, action=action)
    assert (answer.kind, answer.row, answer.recognised) == (kind, None, False)


def test_an_address_out_of_budget_says_so() -> None:
    """The two budgets are told apart: the address's by its text, the IP's by its status."""
    (text,) = WRITTEN_OUT[52]
    by_text = classify_refusal(text).error(text, coin="BTC")
    by_status = classify_status(429, action=True).error("HTTP 429: null")
    assert isinstance(by_text, RateLimitedError)
    assert isinstance(by_status, RateLimitedError)
    assert (by_text.scope, by_status.scope) == ("address", "ip")
    assert by_text.context == {"coin": "BTC"}
