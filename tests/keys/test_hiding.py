"""Private keys stay out of logs, tracebacks, representations and argument lists."""

import base64
import copy
import json
import logging
import pickle
import sys
from pathlib import Path

import pytest
import structlog
from hypothesis import assume, given
from hypothesis import strategies as st

from fractaltrader.errors import UserError
from fractaltrader.exchange.hyperliquid.signing import Signer
from fractaltrader.keys.hiding import (
    hide_in_tracebacks,
    hide_key_shaped,
    refuse_keys_in_arguments,
)
from fractaltrader.live.logs import configure_logs

KEYS = st.integers(min_value=1, max_value=2**255).map(lambda number: number.to_bytes(32, "big"))
KEY = bytes(range(1, 33))


def spellings(key: bytes) -> list[str]:
    """How a key might find its way into a text."""
    text = key.hex()
    mixed = "".join(c.upper() if i % 2 else c for i, c in enumerate(text))
    return [
        text,
        text.upper(),
        mixed,
        "0x" + text,
        "0X" + text.upper(),
        str(int.from_bytes(key, "big")),
        base64.b64encode(key).decode(),
        base64.urlsafe_b64encode(key).decode(),
        str(key),
    ]


@given(KEYS, st.text(max_size=20), st.text(max_size=20))
def test_a_signer_takes_its_key_out_of_any_text(key: bytes, before: str, after: str) -> None:
    """In no spelling does the key survive, wherever it stands; the text around it does."""
    # A key as small as 1 is hidden in every "1".
    assume(str(int.from_bytes(key, "big")) not in before + after)
    signer = Signer(key.hex())
    for spelt in spellings(key):
        shown = signer.redact(f"{before}|{spelt}|{after}")
        core = spelt.removeprefix("b'").removesuffix("'").rstrip("=")
        assert core.lower() not in shown.lower()
        assert shown.startswith(f"{before}|")
        assert shown.endswith(f"|{after}")


def test_a_signer_shows_and_lends_nothing() -> None:
    """Neither its representation nor a copy or pickle of it holds the key."""
    signer = Signer(KEY.hex())
    assert repr(signer) == f"Signer({signer.address})"
    for lend in (pickle.dumps, copy.deepcopy, copy.copy):
        with pytest.raises(TypeError, match="holds a private key"):
            lend(signer)


def test_logs_are_redacted_to_the_last_frame(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Message, fields, exception and its cause reach file and terminal without the key, and local
    variables are not shown; a library's own log goes the same way."""
    signer = Signer(KEY.hex())
    root, configuration = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    root.handlers = []
    try:
        configure_logs(tmp_path, terminal=True, redact=signer.redact)

        def fail() -> None:
            loot = KEY.hex()  # a local variable of a frame
            try:
                raise ValueError(f"cannot parse {loot}")
            except ValueError as error:
                raise RuntimeError(base64.b64encode(KEY).decode()) from error

        log = structlog.get_logger()
        try:
            fail()
        except RuntimeError:
            log.exception("failed", key="0x" + KEY.hex().upper(), raw=KEY)
            logging.getLogger("library").exception("also %s", KEY.hex())
        for handler in root.handlers:
            handler.close()
    finally:
        root.handlers = handlers
        root.setLevel(level)
        structlog.configure(**configuration)
    file, terminal = (tmp_path / "bot.log").read_text(), capsys.readouterr().err
    for text in (file, terminal):
        assert signer.redact(text) == text
        assert text.count("[private key]") >= 5
        assert "RuntimeError" in text
        assert "loot = " not in text.replace("loot = KEY.hex()", "")
    first = json.loads(file.splitlines()[0])
    assert (first["level"], first["key"]) == ("error", "[private key]")
    assert "[private key]" in first["raw"]
    assert repr(KEY) not in str(first["raw"])


def test_tracebacks_are_redacted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What nobody caught is printed, without the key."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    hide_in_tracebacks(Signer(KEY.hex()).redact)
    try:
        raise RuntimeError(f"bad key 0x{KEY.hex()}")
    except RuntimeError as error:
        sys.excepthook(type(error), error, error.__traceback__)
    shown = capsys.readouterr().err
    assert "RuntimeError: bad key [private key]" in shown
    assert "Traceback" in shown


@pytest.mark.parametrize("argument", [KEY.hex(), "0x" + KEY.hex().upper(), f"--key=0x{KEY.hex()}"])
def test_a_key_among_the_arguments_is_refused(argument: str) -> None:
    """The refusal says what happened and does not repeat the key."""
    with pytest.raises(UserError, match=r"argument 2: .*no secret any more") as caught:
        refuse_keys_in_arguments(["import", argument])
    assert KEY.hex() not in str(caught.value).lower()


def test_what_is_no_key_may_stay() -> None:
    """Addresses, client order ids and words are neither refused nor hidden; 64 hex digits are."""
    kept = ["0x" + "ab" * 20, "0x" + "9" * 32, "liquidity_sweep", "f" * 65]
    refuse_keys_in_arguments(kept)
    assert [hide_key_shaped(text) for text in kept] == kept
    assert hide_key_shaped(f"is '0x{KEY.hex()}'.") == "is '[64 hex digits hidden]'."
