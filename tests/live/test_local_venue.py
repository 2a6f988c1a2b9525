"""What only an exchange of this machine offers, and what is said where there is none."""

import asyncio

import pytest

from fractaltrader.errors import UserError
from fractaltrader.exchange.http import HttpTransport
from fractaltrader.live.local_venue import check_local_exchange, fund_from_faucet, replay_pace
from fractaltrader.simulator.serving.background import BackgroundExchange

pytestmark = pytest.mark.integration

NOBODY = "http://127.0.0.1:1"
ADDRESS = "0x" + "ab" * 20


def test_another_machines_venue_is_left_alone() -> None:
    """Neither reached for nor asked for its pace: the start waits for it as long as it takes."""

    async def ask() -> float:
        await check_local_exchange("https://api.example.org")
        return await replay_pace("https://api.example.org")

    assert asyncio.run(ask()) == 1.0


def test_an_exchange_that_is_not_there() -> None:
    """Nothing listens: that is said with the command that starts it; its minutes are ours."""

    async def ask() -> float:
        with pytest.raises(UserError, match=r"cannot reach .*start the local exchange"):
            await check_local_exchange(NOBODY)
        transport = HttpTransport(NOBODY)
        with pytest.raises(UserError, match=r"faucet: no answer .*is the exchange still running"):
            await fund_from_faucet(transport, ADDRESS)
        await transport.close()
        return await replay_pace(NOBODY)

    assert asyncio.run(ask()) == 1.0


def test_somebody_elses_exchange(local_exchange: BackgroundExchange) -> None:
    """What has no faucet is no local exchange, and one that tells no pace has ours."""
    url = f"{local_exchange.url}/elsewhere"

    async def ask() -> float:
        transport = HttpTransport(url)
        with pytest.raises(UserError, match=r"HTTP 404 .*mode 'sim' needs the local exchange"):
            await fund_from_faucet(transport, ADDRESS)
        await transport.close()
        return await replay_pace(url)

    assert asyncio.run(ask()) == 1.0
    assert local_exchange.exchange.state.accounts == {}
