"""What the connection learns from the venue's answers, and what it keeps for an incident."""

import asyncio
import json
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest

from fractaltrader.exchange.budget_parameters import BudgetParameters, Priority
from fractaltrader.exchange.errors import (
    CriticalError,
    ExchangeError,
    OrderGoneError,
    RateLimitedError,
    RejectedError,
    TransientError,
    TransportError,
    UnknownOutcomeError,
)
from fractaltrader.exchange.hyperliquid.client import HyperliquidVenue
from fractaltrader.exchange.hyperliquid.signing import Signer
from fractaltrader.exchange.limiter import Limiter, peek
from fractaltrader.exchange.limits import BudgetState
from fractaltrader.exchange.port import OrderRequest, OutcomeKind, Side
from fractaltrader.market import Instrument
from fractaltrader.simulator.virtual_time import LoopClock, run_virtual

START_MS = 1_735_689_600_000
SIGNER = Signer("0x" + "1" * 64)
ETH = Instrument("ETH", 1, 4, 25)
OK = b'{"status":"ok","response":{"type":"default"}}'
BUY = OrderRequest(ETH, Side.BUY, Decimal("0.02"), Decimal(1900), "0x" + "0" * 32)
CLOSE = OrderRequest(
    ETH, Side.SELL, Decimal("0.02"), Decimal(1900), "0x" + "1" * 32, reduce_only=True
)


class Scripted:
    """Gives the answers in turn, the last one for ever, and keeps the requests."""

    def __init__(self, *answers: tuple[int, bytes] | TransportError) -> None:
        self._answers = list(answers)
        self.requests: list[Any] = []

    async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        self.requests.append(json.loads(body))
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, TransportError):
            raise answer
        return answer

    async def connect(self) -> Any:
        raise NotImplementedError

    async def close(self) -> None:
        pass


def refusal(text: str) -> tuple[int, bytes]:
    return 200, json.dumps({"status": "err", "response": text}).encode()


def statuses(*items: Any) -> tuple[int, bytes]:
    data = {"statuses": list(items)}
    return 200, json.dumps({"status": "ok", "response": {"type": "x", "data": data}}).encode()


class Bench:
    """A venue over scripted answers, with a real budget file."""

    def __init__(self, folder: Path, *answers: tuple[int, bytes] | TransportError) -> None:
        self.clock = LoopClock(START_MS)
        self.transport = Scripted(*answers)
        self.path = folder / "budget.json"
        self.limiter = Limiter(self.path, self.clock, spender="bot:1", rng=Random(1))
        self.venue = HyperliquidVenue(
            self.transport,
            SIGNER,
            account=SIGNER.address,
            clock=self.clock,
            mainnet=False,
            limiter=self.limiter,
        )
        self.venue._instruments["ETH"] = ETH

    @property
    def budget(self) -> BudgetState:
        return peek(self.path, BudgetParameters(), self.clock.now_ms())


async def failure(work: Any) -> ExchangeError:
    with pytest.raises(ExchangeError) as raised:
        await work
    return raised.value


def test_priorities_follow_from_what_is_asked(tmp_path: Path) -> None:
    """Cancels and orders that only reduce are charged to protection, others to entries, reads to
    the view that asks."""

    async def world() -> list[int]:
        bench = Bench(tmp_path, statuses("success"))
        filled = {"filled": {"oid": 1, "totalSz": "0.02", "avgPx": "1900"}}
        await bench.venue.cancel("ETH", BUY.cloid)
        bench.transport._answers = [statuses(filled)]
        await bench.venue.place([CLOSE], bracket=False)
        await bench.venue.protect([CLOSE])
        await bench.venue.place([BUY], bracket=False)
        bench.transport._answers = [(200, b'{"BTC":"1"}')]
        await bench.venue.mid_prices()
        await bench.venue.with_priority(Priority.INFORM).mid_prices()
        return bench.budget.spenders["bot:1"].weights

    assert run_virtual(world()) == [3, 2, 1, 2]


def test_a_read_is_charged_what_it_really_cost(tmp_path: Path) -> None:
    """The reservation for the longest answer is given back; an answer that is lost costs it all."""

    async def world() -> tuple[int, int]:
        bench = Bench(tmp_path, (200, b"[]"))
        await bench.venue.fills(0)
        first = bench.budget.spenders["bot:1"].weights[Priority.RECONCILE]
        bench.transport._answers = [TransportError("reset", sent=True)]
        await failure(bench.venue.fills(0))
        return first, bench.budget.spenders["bot:1"].weights[Priority.RECONCILE]

    assert run_virtual(world()) == (20, 20 + 120)


EMPTY = b"""{"marginSummary":{"accountValue":"5","totalNtlPos":"0","totalRawUsd":"5",
"totalMarginUsed":"0"},"withdrawable":"5","assetPositions":[],"time":1}"""


def test_two_reads_pass_the_budget_as_one(tmp_path: Path) -> None:
    """Account and prices are charged once, for both weights and both limits; where one fails the
    other's answer is waited for, and where the asker has gone both are given up."""

    class Slow(Scripted):
        left = 0

        async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
            mids = b"allMids" in body
            answer = await super().post(path, body)
            if mids:
                await asyncio.sleep(1)
                self.left += 1
            return answer

    async def world() -> None:
        bench = Bench(tmp_path, (200, EMPTY), (200, b'{"BTC":"1"}'))
        account, mids = await bench.venue.account_and_prices()
        assert (account.equity, mids) == (5, {"BTC": 1})
        budget = bench.budget
        assert budget.spenders["bot:1"].weights[Priority.RECONCILE] == 4
        assert budget.calls.keys() == {"portfolio", "price"}

        slow = bench.venue._link.transport = Slow(
            TransportError("reset", sent=True), (200, b'{"BTC":"1"}')
        )
        error = await failure(bench.venue.account_and_prices())
        assert ("reset" in str(error), slow.left) == (True, 1)

        slow._answers = [(200, EMPTY), (200, b'{"BTC":"1"}')]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await bench.venue.account_and_prices()
        await asyncio.sleep(2)
        assert slow.left == 1
        assert [task for task in asyncio.all_tasks() if not task.done()] == [asyncio.current_task()]

    run_virtual(world())


def test_what_answers_teach(tmp_path: Path) -> None:
    """A low nonce jumps forward, an exhausted address and an expired action are counted, a 429
    slows every process down."""

    async def world() -> None:
        bench = Bench(
            tmp_path, refusal(f"Invalid nonce: nonce too low 5 < {START_MS + 9_000}"), (200, OK)
        )
        error = await failure(bench.venue.set_leverage("ETH", 3))
        assert isinstance(error, TransientError)
        await bench.venue.set_leverage("ETH", 3)
        assert bench.transport.requests[-1]["nonce"] == START_MS + 9_001

        limits = b'{"cumVlm":"1.0","nRequestsUsed":100,"nRequestsCap":10001}'
        bench.transport._answers = [(200, limits)]
        await bench.venue.learn_limits()
        await bench.venue.learn_limits()  # not again within the hour
        assert len(bench.transport.requests) == 3
        bench.transport._answers = [refusal("Action already expired")]
        assert isinstance(await failure(bench.venue.place([BUY], bracket=False)), RejectedError)
        assert bench.budget.addresses[SIGNER.address].used == 105
        bench.transport._answers = [
            refusal(
                "Too many cumulative requests sent (97460 > 97456) for cumulative volume traded "
                "$87457.46. Place taker orders to free up 1 request per USDC traded."
            )
        ]
        error = await failure(bench.venue.place([BUY], bracket=False))
        assert isinstance(error, RateLimitedError)
        assert error.scope == "address"
        assert bench.budget.addresses[SIGNER.address].used == 10_001

        bench.transport._answers = [(429, b"null")]
        error = await failure(bench.venue.account())
        assert isinstance(error, RateLimitedError)
        assert error.scope == "ip"
        assert bench.budget.strikes == 1

    run_virtual(world())


def test_a_cancel_says_gone_only_when_it_is(tmp_path: Path) -> None:
    """An order that is gone is False; any other refusal is not taken for that."""

    async def world() -> None:
        gone = {"error": "Order was never placed, already canceled, or filled. asset=1"}
        bench = Bench(tmp_path, statuses("success"), statuses(gone), statuses({"error": "Words"}))
        assert await bench.venue.cancel("ETH", BUY.cloid) is True
        assert await bench.venue.cancel("ETH", BUY.cloid) is False
        error = await failure(bench.venue.cancel("ETH", BUY.cloid))
        assert isinstance(error, RejectedError)
        assert not error.recognised
        bench.transport._answers = [statuses()]
        assert isinstance(await failure(bench.venue.cancel("ETH", BUY.cloid)), UnknownOutcomeError)

    run_virtual(world())


def test_a_connection_without_a_key_only_reads(tmp_path: Path) -> None:
    """Actions are refused before anything is charged or sent; reads are answered."""

    async def world() -> None:
        bench = Bench(tmp_path, (200, b'{"BTC":"1"}'))
        reader = HyperliquidVenue(
            bench.transport,
            None,
            account=SIGNER.address,
            clock=bench.clock,
            mainnet=False,
            limiter=bench.limiter,
        )
        for action in (
            reader.place([BUY], bracket=False),
            reader.noop(),
            reader.approve_agent(SIGNER.address, "bot"),
        ):
            with pytest.raises(CriticalError, match="this connection can only read"):
                await action
        assert bench.transport.requests == []
        assert await reader.mid_prices() == {"BTC": Decimal(1)}
        assert bench.budget.spenders["bot:1"].weights == [0, 2, 0, 0]

    run_virtual(world())


def test_an_action_does_not_wait_longer_than_it_lives(tmp_path: Path) -> None:
    """While the budget is shut after a 429, an order that would expire waiting is not sent: that
    would cost five actions."""

    async def world() -> None:
        bench = Bench(tmp_path, (429, b"null"), statuses({"resting": {"oid": 7}}))
        await failure(bench.venue.account())
        began = bench.clock.now_ms()
        late = bench.venue.place([BUY], bracket=False, expires_ms=began + 900)
        error = await failure(late)
        assert isinstance(error, RateLimitedError)
        assert "no room in the budget within 1 s" in str(error)
        assert bench.clock.now_ms() - began == pytest.approx(900, abs=1)
        assert len(bench.transport.requests) == 1
        (outcome,) = await bench.venue.place([BUY], bracket=False, expires_ms=began + 300_000)
        assert (outcome.kind, outcome.oid) == (OutcomeKind.RESTING, 7)

    run_virtual(world())


class Paged:
    """Answers reads of history as the venue does: oldest first from `startTime` on, cut to a page
    whose end may lie within one millisecond."""

    def __init__(self, page: int, entries: list[dict[str, Any]]) -> None:
        self._page, self._entries = page, entries
        self.asked = 0

    async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        self.asked += 1
        start = json.loads(body)["startTime"]
        found = [entry for entry in self._entries if entry["time"] >= start]
        return 200, json.dumps(found[: self._page]).encode()

    async def connect(self) -> Any:
        raise NotImplementedError

    async def close(self) -> None:
        pass


def history(entries: list[dict[str, Any]], page: int) -> tuple[HyperliquidVenue, Paged]:
    transport = Paged(page, entries)
    return (
        HyperliquidVenue(
            transport, SIGNER, account=SIGNER.address, clock=LoopClock(START_MS), mainnet=False
        ),
        transport,
    )


FILL = {"coin": "ETH", "px": "1", "sz": "1", "side": "B", "dir": "Open Long", "closedPnl": "0",
        "hash": "0x0", "crossed": True, "fee": "0", "feeToken": "USDC"}  # fmt: skip


@pytest.mark.parametrize("count", [1_999, 2_000, 2_001, 4_100])
def test_fills_are_read_to_the_last_page(count: int) -> None:
    """Pages overlap where several fills share a millisecond, and each fill is there once."""

    async def world() -> None:
        entries = [
            FILL | {"time": START_MS + i // 3, "oid": i // 2, "tid": i, "startPosition": str(i)}
            for i in range(count)
        ]
        venue, transport = history(entries, 2_000)
        found = await venue.fills(START_MS)
        assert [fill.tid for fill in found] == list(range(count))
        assert transport.asked == 1 + (count >= 2_000) + (count > 3_999)

    run_virtual(world())


@pytest.mark.parametrize("count", [499, 500, 501, 1_250])
def test_funding_and_transfers_are_read_to_the_last_page(count: int) -> None:
    """As fills; two coins are paid in the same millisecond."""

    async def world() -> None:
        paid = {"type": "funding", "usdc": "-0.1", "szi": "1", "fundingRate": "0.0001"}
        entries = [
            {
                "time": START_MS + i // 2 * 3_600_000,
                "hash": "0x0",
                "delta": paid | {"coin": "AB"[i % 2]},
            }
            for i in range(count)
        ]
        funding = await history(entries, 500)[0].funding(0)
        assert [(one.time_ms, one.coin) for one in funding] == [
            (entry["time"], entry["delta"]["coin"]) for entry in entries
        ]
        moved = [
            {"time": START_MS + i // 2, "hash": f"0x{i:x}", "delta": {"type": "deposit", "usdc": i}}
            for i in range(count)
        ]
        transfers = await history(moved, 500)[0].transfers(0)
        assert [int(one.usdc) for one in transfers] == list(range(count))

    run_virtual(world())


def test_a_refused_order_carries_its_row(tmp_path: Path) -> None:
    """A rejected outcome says what the catalogue makes of its text."""
    error = {"error": "Reduce only order would increase position. asset=1"}

    async def world() -> Any:
        return await Bench(tmp_path, statuses(error)).venue.protect([CLOSE])

    (outcome,) = run_virtual(world())
    assert outcome.kind is OutcomeKind.REJECTED
    assert outcome.classified.kind is OrderGoneError
    assert outcome.classified.row == 5


def test_an_unknown_refusal_keeps_its_full_context(tmp_path: Path) -> None:
    """Request and raw answer go with the error, without the signature or any secret."""

    async def world() -> ExchangeError:
        return await failure(Bench(tmp_path, refusal("Words")).venue.place([BUY], bracket=False))

    error = run_virtual(world())
    assert (error.row, error.recognised) == (None, False)
    context = json.dumps(error.context)
    assert BUY.cloid in context
    assert "Words" in context
    assert "signature" not in context


def test_a_waiting_request_is_signed_when_it_leaves(tmp_path: Path) -> None:
    """An action that had to wait for the budget gets its nonce afterwards, not before."""

    async def world() -> int:
        bench = Bench(tmp_path, (429, b"null"), (200, OK))
        await failure(bench.venue.account())
        waiting = asyncio.create_task(bench.venue.set_leverage("ETH", 3))
        await waiting
        nonce: int = bench.transport.requests[-1]["nonce"]
        assert nonce == bench.clock.now_ms()
        return nonce

    assert run_virtual(world()) > START_MS + 2_000
