"""What only an exchange of this machine offers: play money, and time that runs faster."""

import asyncio
from contextlib import suppress
from urllib.parse import urlsplit

import aiohttp
import msgspec

from fractaltrader.errors import UserError
from fractaltrader.exchange.errors import TransportError
from fractaltrader.exchange.transport import Transport

SIM_FUNDS_USD = "10000"
STATUS_TIMEOUT = aiohttp.ClientTimeout(total=5)


def is_loopback(url: str) -> bool:
    """Whether `url` is an address of this machine."""
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")


async def check_local_exchange(url: str) -> None:
    """Raise UserError when `url` is an address of this machine and nothing listens there: that
    exchange is ours to start, so waiting for it would be wrong."""
    if not is_loopback(url):
        return
    place = urlsplit(url)
    try:
        _, writer = await asyncio.open_connection(place.hostname, place.port or 80)
    except OSError as error:
        raise UserError(
            f"venue: cannot reach {url} ({error.strerror or error}); start the local exchange "
            "with `fractal exchange`"
        ) from None
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


async def replay_pace(url: str) -> float:
    """How many times as fast as time the local exchange at `url` runs; 1 for any other venue."""
    if not is_loopback(url):
        return 1.0
    try:
        async with (
            aiohttp.ClientSession(timeout=STATUS_TIMEOUT) as session,
            session.get(url.rstrip("/") + "/admin/status") as response,
        ):
            status = await response.read()
        return max(1.0, msgspec.json.decode(status, type=_Status).speed)
    except (aiohttp.ClientError, TimeoutError, OSError, msgspec.DecodeError):
        return 1.0  # somebody else's exchange: its minutes are ours


class _Status(msgspec.Struct):
    speed: float


async def fund_from_faucet(transport: Transport, address: str) -> None:
    """Play money for an account of the local exchange."""
    body = msgspec.json.encode({"user": address, "usd": SIM_FUNDS_USD})
    try:
        status, answer = await transport.post("/admin/faucet", body)
    except TransportError as error:
        raise UserError(f"faucet: no answer ({error}); is the exchange still running?") from error
    if status != 200:
        raise UserError(
            f"faucet: the venue answered HTTP {status} {answer[:80]!r}; mode 'sim' needs the "
            "local exchange, start it with `fractal exchange`"
        )
