"""What an exchange answer means for us: one table, structure first, text last."""

from typing import NoReturn

from fractaltrader.exchange.errors import (
    CriticalError,
    ExchangeError,
    RejectedError,
    TransientError,
    UnknownOutcomeError,
)

# Texts of `{"status": "err"}` answers, matched as substrings, first match wins. Source: the error
# catalogue in the venue reference; a text that is not listed counts as a rejection, never as
# something to try again.
_REFUSALS: tuple[tuple[str, type[ExchangeError]], ...] = (
    ("User or API Wallet", CriticalError),
    ("Must deposit before performing actions", CriticalError),
    ("Unable to recover signer", CriticalError),
    ("Vault not registered", CriticalError),
    ("Too many cumulative requests sent", TransientError),
    ("User has pending agent removal", TransientError),
    ("Trading is halted", TransientError),
    ("Only post-only orders allowed immediately after", TransientError),
    # The first action with this nonce was accepted, so ours may be that one.
    ("duplicate nonce", UnknownOutcomeError),
    ("nonce too low", TransientError),
)


def raise_for_refusal(text: str) -> NoReturn:
    """Raise the error that an `err` answer stands for."""
    for pattern, kind in _REFUSALS:
        if pattern in text:
            raise kind(text)
    raise RejectedError(text)


def raise_for_status(status: int, body: bytes, *, action: bool) -> None:
    """Raise the error that an HTTP status stands for; 200 passes.

    A 5xx or 408 answer to an action says nothing about whether the action was executed.
    """
    if status == 200:
        return
    text = f"HTTP {status}: {body[:200].decode(errors='replace')}"
    # 403 comes from the edge in front of the venue, so an action it refused was not executed.
    if status in (403, 425, 429):
        raise TransientError(text)
    if status == 408 or status >= 500:
        raise UnknownOutcomeError(text) if action else TransientError(text)
    raise CriticalError(text)
