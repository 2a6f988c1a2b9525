"""Sends entries, write-ahead: an intention is durable in the ledger before its order leaves.

A lost answer is an unknown outcome and is settled by asking the venue for the client order id.
"""

import asyncio

from fractaltrader.exchange.errors import (
    RejectedError,
    TransientError,
    UnknownOutcomeError,
)
from fractaltrader.exchange.port import OrderOutcome, OutcomeKind
from fractaltrader.live.desk import Desk
from fractaltrader.live.intents import entry_orders
from fractaltrader.live.protection import protect_fill, protect_position
from fractaltrader.live.state import Intent

SETTLE_SECONDS = 0.5
# Clocks differ, and a block takes its time to show.
EXPIRY_MARGIN_MS = 3_000
# The market moved away from an immediate-or-cancel order (hyperliquid.md 10): nobody's fault.
NO_MATCH_ROW = 7


class Executor:
    """Turns intentions into orders on the venue."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def enter(self, intent: Intent) -> None:
        """Send entry, stop and target in one action and act on the answer."""
        desk = self._desk
        desk.begin(intent)
        orders = entry_orders(intent, desk.instruments[intent.coin])
        try:
            outcomes = await desk.venue.place(orders, bracket=True, expires_ms=intent.expires_ms)
        except UnknownOutcomeError as error:
            desk.incident("unknown outcome", f"{intent.coin} entry: {error}", error)
            desk.breaker.error(error)
            desk.write()
            await self.settle(intent)
        except (RejectedError, TransientError) as error:
            desk.incident("entry refused", f"{intent.coin}: {error}", error)
            desk.drop(intent.coin, str(error))
            if isinstance(error, RejectedError):
                desk.breaker.answered(str(error))
            else:
                desk.breaker.error(error)
        else:
            await self._answered(intent, outcomes)

    async def _answered(self, intent: Intent, outcomes: list[OrderOutcome]) -> None:
        entry, *exits = outcomes
        if entry.kind is OutcomeKind.REJECTED:
            reason = entry.error or "rejected"
            self._desk.drop(intent.coin, reason)
            if entry.classified is None or entry.classified.row != NO_MATCH_ROW:
                refusal = entry.classified.error(reason) if entry.classified else None
                self._desk.incident("entry refused", f"{intent.coin}: {reason}", refusal)
                self._desk.breaker.answered(reason)
            return
        self._desk.breaker.answered(None)
        protected = all(outcome.kind is OutcomeKind.WAITING for outcome in exits)
        if entry.filled < intent.size:
            # The bracket's stop and target died with the part of the entry that did not fill.
            await protect_fill(self._desk, intent, entry.filled)
        self._desk.write()
        if entry.filled < intent.size or not protected:
            self._desk.incident(
                "bracket incomplete",
                f"{intent.coin}: filled {entry.filled} of {intent.size}, "
                f"exits {[outcome.error or str(outcome.kind) for outcome in exits]}",
            )
            await self.settle(intent)

    async def settle(self, intent: Intent) -> None:
        """Ask the venue what became of an intention until the answer is definite.

        An id that is unknown once the action has expired never arrived and never will.
        """
        desk = self._desk
        record = await desk.venue.order(intent.entry_cloid)
        while record is None and desk.clock.now_ms() <= intent.expires_ms + EXPIRY_MARGIN_MS:
            await asyncio.sleep(SETTLE_SECONDS)
            record = await desk.venue.order(intent.entry_cloid)
        if record is None:
            desk.drop(intent.coin, "the order never reached the venue")
            return
        await desk.catch_up()
        account = await desk.venue.account()
        if intent.coin in account.positions:
            # Its executions may not be told yet; its stop must rest all the same.
            await protect_position(desk, intent.coin)
        elif record.status not in ("filled", "open"):
            desk.drop(intent.coin, record.status)

    async def settle_all(self) -> None:
        """Settle every intention whose outcome is still open; raises the last failure."""
        failure: TransientError | UnknownOutcomeError | None = None
        for intent in list(self._desk.intents.values()):
            try:
                await self.settle(intent)
            except (TransientError, UnknownOutcomeError) as error:
                failure = error
        if failure is not None:
            raise failure
