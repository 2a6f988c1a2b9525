"""The error tree of the exchange. Each docstring says who acts next.

Kinds are decided by structure first (exception type, HTTP status, shape of the answer) and by text
last: `catalogue.py` holds the table, `classify.py` reads it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

# Catalogue row of "Too many cumulative requests sent": the address, not the IP, is out of budget.
ADDRESS_BUDGET_ROW = 52


class ExchangeError(Exception):
    """Root of everything the venue or the way to it can do to us.

    `row` is the catalogue row (hyperliquid.md section 10) that names the error, if one does.
    `recognised` is False for an answer of the venue that no rule knows: it is handled by the
    conservative reading of its structure, recorded with `context`, and weighs double.
    """

    def __init__(self, message: str, *, row: int | None = None, recognised: bool = True) -> None:
        super().__init__(message)
        self.row = row
        self.recognised = recognised
        self.context: Mapping[str, object] = {}


class TransientError(ExchangeError):
    """Nothing happened and trying again later is right: the bot backs off and retries."""


class RateLimitedError(TransientError):
    """A budget is used up and nothing happened: the bot waits for that budget and retries."""

    def __init__(
        self,
        message: str,
        *,
        scope: Literal["ip", "address"] = "ip",
        row: int | None = None,
        recognised: bool = True,
    ) -> None:
        super().__init__(message, row=row, recognised=recognised)
        self.scope = scope


class RejectedError(ExchangeError):
    """The venue refused this order or action as it stands: the bot must not resend it unchanged."""


class OrderGoneError(RejectedError):
    """The order meant is filled, cancelled or unknown: the bot reconciles, nothing is wrong."""


class ConfigurationError(RejectedError):
    """The account or our set-up does not allow this: nothing is resent until the operator acts."""


class UnknownOutcomeError(ExchangeError):
    """The action may or may not have been executed: the bot asks the venue before anything else."""


class CriticalError(ExchangeError):
    """Trading on would be wrong (key, account, our own bug): the bot stops, the operator acts."""


class HarmlessError(ExchangeError):
    """The venue says so but nothing is wrong: nobody acts."""


@dataclass(frozen=True, slots=True)
class ErrorRecord:
    """An error as the ledger keeps it, so that the catalogue can be judged and completed later."""

    kind: str
    text: str
    row: int | None
    recognised: bool
    context: dict[str, object]


def error_record(error: ExchangeError) -> ErrorRecord:
    """What to keep of an error."""
    return ErrorRecord(
        type(error).__name__, str(error), error.row, error.recognised, dict(error.context)
    )


class TransportError(Exception):
    """The bytes did not make the round trip. `sent` is False when they surely never left."""

    def __init__(self, message: str, *, sent: bool, timed_out: bool = False) -> None:
        super().__init__(message)
        self.sent = sent
        self.timed_out = timed_out


@dataclass(frozen=True, slots=True)
class Classified:
    """What an answer of the venue means: the kind of error and the catalogue row that says so."""

    kind: type[ExchangeError]
    row: int | None
    recognised: bool
    remedy: str

    def error(self, text: str, **context: object) -> ExchangeError:
        """The exception to raise; `context` is what an operator needs to understand it later."""
        error = self.kind(text, row=self.row, recognised=self.recognised)
        if isinstance(error, RateLimitedError) and self.row == ADDRESS_BUDGET_ROW:
            error.scope = "address"
        error.context = context
        return error
