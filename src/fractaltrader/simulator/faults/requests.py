"""Faults between a client's request and its answer (hyperliquid.md section 10, rows 92-98)."""

from collections.abc import Awaitable, Callable

from fractaltrader.simulator.faults.injector import Injector
from fractaltrader.simulator.faults.plan import (
    GarbledAnswer,
    LostAnswer,
    LostRequest,
    RateLimit,
    ServerError,
    Timeout,
    Unreachable,
)
from fractaltrader.simulator.protocol.gateway import JSON, Reply

_TITLES = {502: "Bad Gateway", 503: "Service Temporarily Unavailable", 504: "Gateway Time-out"}


class LostConnectionError(Exception):
    """The client gets no answer; `sent` is False when its bytes surely never left."""

    def __init__(self, reason: str, *, sent: bool) -> None:
        super().__init__(reason)
        self.sent = sent


async def carried(
    injector: Injector,
    route: str,
    execute: Callable[[], Reply],
    sleep_ms: Callable[[float], Awaitable[None]],
) -> Reply:
    """The answer to a request on `route` ("info" or "exchange"), or what the faults leave of it.

    `execute` is called at most once. Raises LostConnectionError.
    """
    if not injector.is_armed:
        return execute()
    if injector.strikes(Unreachable, route) is not None:
        raise LostConnectionError("nothing answers at this address", sent=False)
    delay = injector.delay_ms(route)
    await sleep_ms(delay / 2)
    if injector.strikes(LostRequest, route) is not None:
        raise LostConnectionError("connection reset", sent=True)
    timeout = injector.strikes(Timeout, route)
    if timeout is not None:
        await sleep_ms(timeout.after_ms)
        if timeout.executed:
            execute()
        raise LostConnectionError("no answer in time", sent=True)
    reply = _answered(injector, route, execute)
    await sleep_ms(delay / 2)
    if injector.strikes(LostAnswer, route) is not None:
        raise LostConnectionError("connection reset", sent=True)
    return reply


def _answered(injector: Injector, route: str, execute: Callable[[], Reply]) -> Reply:
    if injector.strikes(RateLimit, route) is not None:
        return Reply(429, JSON, b"null")
    error = injector.strikes(ServerError, route)
    if error is not None:
        if error.executed:
            execute()
        return error_page(error.status)
    reply = execute()
    if injector.strikes(GarbledAnswer, route) is not None:
        return Reply(reply.status, reply.content_type, reply.body[: len(reply.body) // 2])
    return reply


def error_page(status: int) -> Reply:
    """What stands in front of the venue answers when the venue does not."""
    if status == 500:
        return Reply(500, JSON, b"null")
    title = f"{status} {_TITLES[status]}"
    page = (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n"
        f"<center><h1>{title}</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    )
    return Reply(status, "text/html", page.encode())
