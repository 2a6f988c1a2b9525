"""A bug planted in each safeguard: the validator must find it, by the invariant it breaks."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from fractaltrader.exchange import limits
from fractaltrader.exchange.errors import UnknownOutcomeError
from fractaltrader.live import bot, executor
from fractaltrader.live.breaker import BreakerWatch
from fractaltrader.live.desk import Desk
from fractaltrader.live.executor import Executor
from fractaltrader.live.intents import entry_orders
from fractaltrader.live.protection import NAKED_BOUND_MS
from fractaltrader.live.retry import Retry
from fractaltrader.live.state import Intent
from fractaltrader.live.state_manager import StateManager
from fractaltrader.risk.breaker import Breaker
from fractaltrader.risk.breaker_parameters import BreakerParameters, Cause
from fractaltrader.risk.breaker_state import ProbeFate, TradeFacts
from fractaltrader.simulator.protocol.limits import REQUESTS_FREE, WEIGHT_A_MINUTE
from fractaltrader.validation.crash_matrix import Cycle, one_cell, one_run
from fractaltrader.validation.report import validate
from fractaltrader.validation.scenarios import BY_NAME, CALM
from fractaltrader.validation.week import Week

SEED = 1
Plant = Callable[[pytest.MonkeyPatch], None]
ONE_TRADE = BreakerParameters(max_trades_per_day=1)
SMALL_LOSS = BreakerParameters(max_daily_loss=0.01)
LOSING_SEED = 3


def lock_removed(patch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def unlocked(self: StateManager) -> Iterator[None]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        yield

    patch.setattr(StateManager, "_locked", unlocked)


def write_ahead_skipped(patch: pytest.MonkeyPatch) -> None:
    def begin(self: Desk, intent: Intent) -> None:
        self.intents[intent.coin] = intent
        self.decided[intent.coin] = intent.bar_time
        self.book.expect(intent)

    patch.setattr(Desk, "begin", begin)


def stop_leg_dropped(patch: pytest.MonkeyPatch) -> None:
    def without_stop(intent: Intent, instrument: Any) -> list[Any]:
        entry, _, *rest = entry_orders(intent, instrument)
        return [entry, *rest]

    patch.setattr(executor, "entry_orders", without_stop)


def protection_forgotten(patch: pytest.MonkeyPatch) -> None:
    async def nothing(*_: object) -> None:
        return None

    stop_leg_dropped(patch)
    patch.setattr("fractaltrader.live.reconcile.protect_position", nothing)


def retry_made_blind(patch: pytest.MonkeyPatch) -> None:
    async def again(self: Executor, intent: Intent) -> None:
        orders = entry_orders(intent, self._desk.instruments[intent.coin])
        try:
            await self._desk.venue.place(orders, bracket=True, expires_ms=intent.expires_ms)
        except UnknownOutcomeError:
            await asyncio.sleep(1)

    patch.setattr(Executor, "settle", again)


def counter_too_low(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(BreakerWatch, "_facts", lambda _: TradeFacts(0, 0, 0, ProbeFate.GONE))


def counter_too_high(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(BreakerWatch, "_facts", lambda _: TradeFacts(99, 0, 0, ProbeFate.GONE))


def backoff_removed(patch: pytest.MonkeyPatch) -> None:
    def failed(self: Retry) -> None:
        self.delay, self._at = 0.0, asyncio.get_running_loop().time()

    patch.setattr(Retry, "failed", failed)


def executions_lost(patch: pytest.MonkeyPatch) -> None:
    record = Desk.record
    seen: dict[int, int] = {}

    def forgetful(self: Desk, fill: Any) -> bool:
        return bool(seen.setdefault(fill.tid, len(seen)) % 2) and record(self, fill)

    patch.setattr(Desk, "record", forgetful)


def silence_exaggerated(patch: pytest.MonkeyPatch) -> None:
    beat = BreakerWatch.beat
    patch.setattr(BreakerWatch, "beat", lambda self, bars: beat(self, 100 * bars))


def entry_raises(patch: pytest.MonkeyPatch) -> None:
    async def bug(*_: object) -> None:
        raise KeyError("our own bug")

    patch.setattr(Executor, "enter", bug)


# What is planted, under which fault of the crash matrix, and the invariant that must tell.
PLANTED: list[tuple[Plant, str, int]] = [
    (lock_removed, "none", 15),
    (write_ahead_skipped, "none", 13),
    (stop_leg_dropped, "none", 3),
    (protection_forgotten, "none", 2),
    (retry_made_blind, "lost answer", 14),
    (counter_too_low, "none", 9),
    (counter_too_high, "none", 8),
    (executions_lost, "none", 12),
    (silence_exaggerated, "late frames", 8),
    (entry_raises, "none", 10),
]


def limits_of(plant: Plant) -> BreakerParameters | None:
    return ONE_TRADE if plant is counter_too_low else None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("plant", "fault", "number"), PLANTED, ids=[plant.__name__ for plant, _, _ in PLANTED]
)
def test_a_planted_bug_is_found(
    plant: Plant, fault: str, number: int, entry_bar: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One trading cycle shows the bug by its invariant, and shows nothing without the bug."""

    def cycle() -> Cycle:
        return one_cell(SEED, entry_bar, fault, None, limits_of(plant))

    assert cycle().violations == []
    plant(monkeypatch)
    found = cycle().violated
    print(f"{plant.__name__}: {dict(found)}")
    assert found[number] > 0


@pytest.mark.slow
def test_a_missing_backoff_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """An outage shows that the bot asks without pause, and nothing when it backs off."""
    outage = BY_NAME["outage"]
    assert validate(outage, SEED, 0.25).violations == []
    backoff_removed(monkeypatch)
    assert any("INV-7" in text for text in validate(outage, SEED, 0.25).violations)


@pytest.mark.slow
def test_a_daily_loss_overlooked_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A day on which more is lost than the limit shows that the breaker did not see it."""

    def day() -> Week:
        return one_run(Week, LOSING_SEED, CALM, length_days=0.42, limits=SMALL_LOSS)

    assert day().truth.trips == {"daily_loss": 1}
    judge = Breaker._judge

    def blind(self: Breaker, cause: Cause, *facts: Any) -> bool:
        return cause is not Cause.DAILY_LOSS and judge(self, cause, *facts)

    monkeypatch.setattr(Breaker, "_judge", blind)
    assert day().violated[9] == 1


@pytest.mark.slow
def test_a_weight_not_counted_is_found(entry_bar: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bot that asks all the time stays within the venue's weight only by its budget."""
    monkeypatch.setattr(bot, "RECONCILE_SECONDS", 2.0)
    assert one_cell(SEED, entry_bar, "none", None).violations == []
    monkeypatch.setattr(limits, "_weight_wait", lambda *_: None)
    found = one_cell(SEED, entry_bar, "none", None)
    assert found.violated[5] > 0
    assert found.violated[6] > 0
    assert found.wire.most_weight > WEIGHT_A_MINUTE


@pytest.mark.slow
def test_an_address_in_debt_is_found(entry_bar: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address whose actions are used up makes no entry, unless its budget is not kept."""
    prepare = Cycle.prepare

    def poor(self: Cycle) -> None:
        prepare(self)
        account = self.exchange.state.accounts[self.signer.address]
        account.requests = REQUESTS_FREE - len(self.coins)  # enough to set their leverage

    monkeypatch.setattr(Cycle, "prepare", poor)
    frugal = one_cell(SEED, entry_bar, "none", None)
    assert frugal.violations == []
    assert frugal.fills() == []
    monkeypatch.setattr(limits, "_address_wait", lambda *_: None)
    assert one_cell(SEED, entry_bar, "none", None).violated[5] > 0


def test_the_bound_of_a_naked_position_is_within_what_a_cycle_watches() -> None:
    """The cycle's last life is longer than the bound, or no cell could ever break it."""
    assert Cycle.last_life_seconds.fget(None) * 1000 > NAKED_BOUND_MS  # type: ignore[attr-defined]
