"""The error tree of the exchange. Each docstring says who acts next.

Kinds are decided by structure first (exception type, HTTP status, shape of the answer) and by text
last; `classify.py` holds the table.
"""


class ExchangeError(Exception):
    """Root of everything the venue or the way to it can do to us."""


class TransientError(ExchangeError):
    """Nothing happened and trying again later is right: the bot backs off and retries."""


class RejectedError(ExchangeError):
    """The venue refused this order or action as it stands: the bot must not resend it unchanged."""


class UnknownOutcomeError(ExchangeError):
    """The action may or may not have been executed: the bot asks the venue before anything else."""


class CriticalError(ExchangeError):
    """Trading on would be wrong (key, account, our own bug): the bot stops, the operator acts."""


class TransportError(Exception):
    """The bytes did not make the round trip. `sent` is False when they surely never left."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent
