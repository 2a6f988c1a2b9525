"""`fractal run` against a venue that does not answer at first."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from fractaltrader.cli.run import _probed
from fractaltrader.config import Config, TradeConfig
from fractaltrader.data.synthetic import generated_market
from fractaltrader.errors import UserError
from fractaltrader.exchange.clock import SystemClock
from fractaltrader.exchange.errors import CriticalError, TransportError
from fractaltrader.exchange.hyperliquid.client import HyperliquidVenue
from fractaltrader.exchange.hyperliquid.signing import Signer
from fractaltrader.market import Timeframe
from fractaltrader.market.universe import instruments_for
from fractaltrader.simulator.feeds.feed import Feed
from fractaltrader.simulator.local_exchange import LocalExchange
from fractaltrader.simulator.serving.transport import InProcessTransport
from fractaltrader.simulator.state import Agent
from fractaltrader.simulator.virtual_time import LoopClock, run_virtual

SIGNER = Signer("0x" + "2" * 64)
OWNER = "0x" + "3" * 40


class DownAtFirst(InProcessTransport):
    """The in-process transport; `outage` answers or raises for the n-th request, or is None."""

    outage: Callable[[int], tuple[int, bytes] | None]
    requests = 0

    async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        self.requests += 1
        return self.outage(self.requests) or await super().post(path, body)


def probed(
    outage: Callable[[int], tuple[int, bytes] | None],
    coins: tuple[str, ...] = ("BTC",),
    agent_days: float | None = None,
) -> tuple[str, float]:
    """The account found and the seconds it took; with `agent_days` the key is an agent's that
    expires then."""

    async def world() -> tuple[str, float]:
        timeframe = Timeframe.parse("15m")
        markets = generated_market(
            ["BTC"], days=2, timeframe=timeframe, seed=1, start_ms=1_735_689_600_000
        )
        feed = Feed(markets, start_index=100)
        clock = LoopClock(feed.start_ms)
        exchange = LocalExchange(feed.listings(instruments_for(markets)), clock=clock, seed=1)
        if agent_days is None:
            exchange.faucet(SIGNER.address, Decimal(1_000))
        else:
            exchange.faucet(OWNER, Decimal(1_000))
            # Its end is by our own clock, which the local exchange's market does not share.
            until = SystemClock().now_ms() + round(agent_days * 86_400_000)
            exchange.state.agents[SIGNER.address] = Agent(OWNER, "bot", until)
        transport = DownAtFirst(exchange, clock)
        transport.outage = outage
        venue = HyperliquidVenue(
            transport, SIGNER, account=SIGNER.address, clock=clock, mainnet=False
        )
        config = Config(trade=TradeConfig(coins=coins))
        account = await _probed(config, venue, transport, SIGNER)
        return account, (clock.now_ms() - feed.start_ms) / 1000

    return run_virtual(world())


def test_an_outage_is_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    """Hours of lost connections, 429s and pages of the edge only delay the start, with longer and
    longer waits of at most a minute, each of them told."""

    def outage(request: int) -> tuple[int, bytes] | None:
        if request > 200:
            return None
        if request % 3 == 0:
            raise TransportError("reset", sent=True)
        return (503, b"<html>down</html>") if request % 3 == 1 else (429, b"null")

    account, seconds = probed(outage)
    assert account == SIGNER.address
    assert 190 * 30 < seconds < 200 * 60
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 200
    assert "HTTP 503" in told[0]


def test_what_waiting_cannot_cure_is_said_at_once() -> None:
    """A wrong address of the API and a coin that is not listed end the command at once."""
    with pytest.raises(CriticalError) as refused:
        probed(lambda _: (404, b"not found"))
    assert refused.value.row == 90
    with pytest.raises(UserError, match="does not list 'NONE'"):
        probed(lambda _: None, ("NONE",))


@pytest.mark.parametrize(("days", "warns"), [(6.9, True), (7.1, False)])
def test_an_agent_that_soon_expires(
    days: float, warns: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """A week before its end the start warns with the command that renews the agent."""
    account, _ = probed(lambda _: None, agent_days=days)
    assert account == OWNER
    told = capsys.readouterr().err
    assert ("warning: agent bot expires in 6.9 days; `fractal keys rotate`" in told) == warns
