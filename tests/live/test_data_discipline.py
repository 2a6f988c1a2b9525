"""Closed bars only, no holes, and no entry on old facts."""

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal

import eth_account
import pytest
from by_hand_world import incidents
from hyperliquid.utils import signing as sdk
from virtual_world import KEY, World

from fractaltrader.config import Config, TradeConfig, VenueConfig
from fractaltrader.exchange.budget_parameters import Priority
from fractaltrader.exchange.port import Account, CandleUpdate, ClockSkew
from fractaltrader.live.assembly import build_bot
from fractaltrader.live.closed_bars import ClosedBars, without_holes
from fractaltrader.live.freshness import Facts, Freshness, Look
from fractaltrader.live.ledger import Ledger
from fractaltrader.live.parameters import DataParameters
from fractaltrader.market import Bar, Timeframe
from fractaltrader.risk.breaker_parameters import BreakerParameters
from fractaltrader.simulator.virtual_time import LoopClock, run_virtual

Send = Callable[[], Awaitable[tuple[int, bytes]]]
QUARTER = Timeframe.parse("15m")
BAR_MS = QUARTER.ms
CLOSE = 10 * BAR_MS  # close of the bar that opens at 9 * BAR_MS
FRESH = Freshness(DataParameters(), QUARTER, venue_time=True)


def facts(
    *,
    bar_time: int = 9 * BAR_MS,
    view_ms: int = CLOSE + 2_000,
    asked_ms: float = 100.0,
    now_ms: int = CLOSE + 2_100,
    read_ms: int | None = None,
    skew: ClockSkew | None = ClockSkew(20, 30, CLOSE),  # noqa: B008 - it is frozen
) -> Facts:
    account = Account(Decimal(1), Decimal(1), Decimal(0), {}, view_ms)
    look = Look(account, 0.0, now_ms if read_ms is None else read_ms)
    return Facts(bar_time, look, asked_ms, now_ms, skew)


@pytest.mark.parametrize(
    ("known", "reason"),
    [
        (facts(), None),
        (facts(bar_time=8 * BAR_MS - 1), "the newest bar closed 902 s ago, the limit is 900 s"),
        (
            facts(view_ms=CLOSE - 2_000, now_ms=CLOSE + 900_500, read_ms=CLOSE - 2_000),
            "the newest bar closed 901 s ago, the limit is 900 s",
        ),
        (facts(asked_ms=5_001), "the account view is 5.0 s old"),
        (facts(view_ms=CLOSE - 3_000), "the account view is 5.1 s old"),
        (facts(skew=None), "was not compared"),
        (facts(skew=ClockSkew(20, 30, CLOSE - 300_000)), "was not compared"),
        (facts(skew=ClockSkew(20, 30, CLOSE + 9_000)), "our clock went backwards"),
        (facts(skew=ClockSkew(-1_480, 30, CLOSE)), "up to 1510 ms off"),
        (facts(skew=ClockSkew(-1_460, 30, CLOSE)), None),
    ],
)
def test_old_facts_are_refused_by_name(known: Facts, reason: str | None) -> None:
    """Bar, account view and clock each have a limit, and the verdict says which one it was."""
    refusal = FRESH.refusal(known)
    if reason is None:
        assert refusal is None
    else:
        assert refusal is not None
        assert refusal.startswith("stale: ")
        assert reason in refusal


def test_a_market_with_a_time_of_its_own_is_not_compared_with_our_clock() -> None:
    """Where the venue replays another day, only how long ago the account was asked for and the
    bar's age count."""
    offline = Freshness(DataParameters(), QUARTER, venue_time=False)
    far_off = facts(now_ms=CLOSE + 10**12, skew=ClockSkew(-(10**12), 5, 0))
    assert offline.refusal(far_off) is None
    assert "stale" in str(offline.refusal(facts(asked_ms=6_000)))


class WrongClock:
    """Two seconds ahead of the right one."""

    def __init__(self, right: LoopClock) -> None:
        self._right = right
        self.speed = right.speed

    def now_ms(self) -> int:
        return self._right.now_ms() + 2_000

    async def sleep_until(self, time_ms: int) -> None:
        await self._right.sleep_until(time_ms)

    async def sleep_ms(self, duration_ms: int) -> None:
        await self._right.sleep_ms(duration_ms)


def test_a_clock_that_is_off_refuses_every_entry(world: World) -> None:
    """The real bot with a clock 2 s wrong sees its signals and enters none of them."""

    async def play() -> None:
        world.days = 3
        world.open()
        world.config = Config(
            trade=TradeConfig(coins=world.coins),
            venue=VenueConfig(mode="testnet"),
            data=DataParameters(watchdog_bars=100, max_skew_age_s=3_600),
        )
        # The exchange keeps the right time.
        world.clock = WrongClock(world.clock)  # type: ignore[assignment]
        await world.trade()

    run_virtual(play())
    ledger = Ledger(world.folder)
    verdicts = dict(ledger.verdicts())
    ledger.close()
    assert verdicts.get("enter", 0) == 0
    assert verdicts["stale"] >= 1


def bar(index: int, close: float = 1.0) -> Bar:
    return Bar(index * BAR_MS, close, close, close, close, 5.0)


def test_bars_nobody_traded_in_are_flat() -> None:
    """A hole, in the middle or at the end, is filled with the last close and no volume."""
    whole = without_holes([bar(1, 7.0), bar(4, 8.0)], QUARTER, until=6 * BAR_MS)
    assert [b.open_time // BAR_MS for b in whole] == [1, 2, 3, 4, 5]
    assert [(b.close, b.volume) for b in whole] == [
        (7.0, 5.0),
        (7.0, 0.0),
        (7.0, 0.0),
        (8.0, 5.0),
        (8.0, 0.0),
    ]


class Seen:
    """A decider that remembers what it was shown."""

    def __init__(self) -> None:
        self.bars: list[Bar] = []

    def next_bar_time(self, coin: str, now_ms: int) -> int:
        return self.bars[-1].open_time + BAR_MS if self.bars else now_ms - 5 * BAR_MS

    def observe(self, coin: str, seen: Bar) -> None:
        if not self.bars or seen.open_time > self.bars[-1].open_time:
            self.bars.append(seen)


@pytest.mark.parametrize("lost", ["nothing", "last frames", "two bars"])
def test_a_closed_bar_is_the_venues_bar(world: World, lost: str) -> None:
    """Whatever frames are lost, late or repeated, the strategy sees each closed bar once, whole,
    exactly as the venue has it."""

    async def play() -> None:
        world.open()
        desk, seen = world.desk(), Seen()
        limits = DataParameters(quiet_close_s=0.01)
        bars = ClosedBars(desk, seen, ["BTC"], QUARTER, limits)  # type: ignore[arg-type]
        await bars.catch_up()
        stream = desk.venue.stream(["BTC"], QUARTER)
        start, late = world.exchange.now_ms(), None
        async for event in stream:
            if not isinstance(event, CandleUpdate):
                continue
            since = event.bar.open_time - start
            skipped = {
                "nothing": False,
                "last frames": event.bar.open_time + BAR_MS - world.exchange.now_ms() < BAR_MS // 2,
                "two bars": 3 * BAR_MS <= since < 5 * BAR_MS,
            }
            if skipped[lost]:
                continue
            for update in (event, late or event, event):
                closed = await bars.closed_by(update)
                if closed is not None:
                    seen.observe("BTC", closed)
            late = event
            if since > 12 * BAR_MS:
                break
        await stream.aclose()  # type: ignore[attr-defined]
        first, last = seen.bars[0].open_time, seen.bars[-1].open_time
        assert seen.bars == await desk.venue.candles("BTC", QUARTER, first, last)
        assert len(seen.bars) >= 12
        desk.ledger.close()
        world.replay.cancel()

    run_virtual(play())


def test_a_feed_that_stops_is_noticed_and_asked_for(world: World) -> None:
    """When candles stop although the socket lives, the bot asks by REST, writes it down, and the
    breaker trips for stale data."""

    async def play() -> None:
        world.days, world.coins = 6, ("BTC",)
        world.open()
        world.config = Config(
            trade=TradeConfig(coins=world.coins), data=DataParameters(watchdog_bars=10)
        )
        world.breaker = BreakerParameters(max_data_age_bars=12.0)
        desk = world.desk()
        bot = build_bot(world.config, desk)
        running = asyncio.create_task(bot.run(venue_name="world"))
        await asyncio.sleep(20)
        world.replay.cancel()  # no more ticks, while everything else answers
        await asyncio.sleep(20)
        bot.stop()
        await running
        desk.ledger.close()

    run_virtual(play())
    assert {"candles stopped", "breaker tripped"} <= set(incidents(world))


def test_funding_is_in_the_books(world: World) -> None:
    """Hourly payments reach the ledger once each, and equity agrees with them to the cent."""

    async def play() -> None:
        world.days, world.coins = 4, ("BTC", "ETH")
        world.open()
        assert await world.trade()
        audit = {line.what: line for line in await world.audit()}
        assert [line for line in audit.values() if not line.agrees] == []
        assert audit["funding, USDC"].ours != "0"

    run_virtual(play())
    ledger = Ledger(world.folder)
    paid = ledger.funding()
    ledger.close()
    assert len({(p.coin, p.time_ms) for p in paid}) == len(paid) >= 3
    assert sum(p.usdc for p in paid)


@pytest.mark.parametrize("how", ["leverage", "margin mode"])
def test_a_leverage_changed_by_hand_bars_the_coin(world: World, how: str) -> None:
    """What the venue reads back decides: a coin whose leverage or margin mode is not the one that
    sizes assume is not entered, and is entered again once it has been put right."""

    async def play() -> None:
        world.days, world.coins = 6, ("BTC",)
        world.open()
        desk = world.desk()
        bot = build_bot(world.config, desk)
        running = asyncio.create_task(bot.run(venue_name="world"))
        await asyncio.sleep(1)
        assert desk.blocked == {}
        wanted = await desk.venue.leverage("BTC")
        assert wanted.cross
        action = {
            "type": "updateLeverage",
            "asset": desk.instruments["BTC"].asset,
            "isCross": how == "leverage",
            "leverage": wanted.value - (how == "leverage"),
        }
        await world.venue()._link.act(action, Priority.ENTER)
        while "BTC" not in desk.blocked:  # noqa: ASYNC110 - the timer finds it
            await asyncio.sleep(1)
        assert "sizes assume" in desk.blocked["BTC"]
        await world.venue()._link.act(
            action | {"isCross": True, "leverage": wanted.value}, Priority.ENTER
        )
        await asyncio.sleep(70)
        assert desk.blocked == {}
        bot.stop()
        await running
        desk.ledger.close()
        world.replay.cancel()

    run_virtual(play())
    assert incidents(world).count("leverage differs") == 1


def test_money_that_comes_and_goes_is_neither_gain_nor_loss(world: World) -> None:
    """Deposits and withdrawals while the bot trades reach the books, leave the audit exact to the
    cent, and do not trip the breaker for a daily loss."""

    async def play() -> None:
        world.days, world.coins = 3, ("BTC", "ETH")
        world.open()
        world.breaker = BreakerParameters(max_daily_loss=0.3, max_data_age_bars=100)
        other = "0x" + "5" * 40
        world.exchange.faucet(other, Decimal(1))
        trading = asyncio.create_task(world.trade())
        await asyncio.sleep(20)
        world.exchange.faucet(world.signer.address, Decimal("1234.56"))
        await asyncio.sleep(20)
        send_by_hand(world, other, "4321.09")
        await trading
        audit = {line.what: line for line in await world.audit()}
        assert [line for line in audit.values() if not line.agrees] == []
        assert Decimal(audit["transfers, USDC"].ours) == Decimal("1234.56") - Decimal("4321.09")

    run_virtual(play())


def send_by_hand(world: World, destination: str, usd: str) -> None:
    """The owner sends perp USDC to another account."""
    now = world.exchange.now_ms()
    action = {"destination": destination, "amount": usd, "time": now}
    wallet = eth_account.Account.from_key(KEY)
    signature = sdk.sign_usd_transfer_action(wallet, action, False)
    action["type"] = "usdSend"
    answer = world.exchange.act({"action": action, "nonce": now, "signature": signature})
    assert answer["status"] == "ok", answer
