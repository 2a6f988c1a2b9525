"""One connection to the venue: every request is let through by the budget, sent, and judged."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from fractaltrader.exchange.budget_parameters import Priority
from fractaltrader.exchange.classify import (
    classify_body,
    classify_refusal,
    classify_status,
    classify_transport,
)
from fractaltrader.exchange.errors import (
    ADDRESS_BUDGET_ROW,
    CriticalError,
    ExchangeError,
    RateLimitedError,
    TransportError,
)
from fractaltrader.exchange.hyperliquid import wire
from fractaltrader.exchange.hyperliquid.nonces import NonceAllocator
from fractaltrader.exchange.hyperliquid.signing import Signer
from fractaltrader.exchange.hyperliquid.wallet_actions import WalletAction
from fractaltrader.exchange.hyperliquid.weights import (
    action_cost,
    extra_weight,
    info_cost,
    joint_cost,
)
from fractaltrader.exchange.limiter import Limiter, Ticket
from fractaltrader.exchange.limits import Cost
from fractaltrader.exchange.port import ClockSkew
from fractaltrader.exchange.transport import Transport
from fractaltrader.market import Clock

T = TypeVar("T")
U = TypeVar("U")

NONCE_TOO_LOW_ROW = 49
# An action that came after its `expiresAfter` costs the address five times (hyperliquid.md 6.2).
EXPIRED_ROW = 51
EXPIRED_FACTOR = 5
# A bot that waits longer for a read is deaf to its stream and looks dead to its guard; it is told
# so and comes back to the question. Protection has a bound of its own, and onlookers can wait.
PATIENCE_SECONDS = 15.0
PATIENT = (Priority.PROTECT, Priority.INFORM)
# As much of an answer as an incident keeps.
BODY_KEPT = 2_000


class Link:
    """Signs, sends, charges and classifies; knows nothing of orders or accounts."""

    def __init__(
        self,
        transport: Transport,
        signer: Signer | None,
        nonces: NonceAllocator,
        limiter: Limiter | None,
        clock: Clock,
        *,
        account: str,
        mainnet: bool,
    ) -> None:
        self.transport = transport
        self.signer = signer
        self.limiter = limiter
        self.skew: ClockSkew | None = None
        self.limits_known_ms = 0  # our clock: when the address's budget was last asked for
        self._nonces = nonces
        self._clock = clock
        self._account = account
        self._mainnet = mainnet

    async def info(self, request: Mapping[str, Any], shape: type[T], priority: Priority) -> T:
        """The answer to an /info request; raises TransientError, CriticalError and what a refused
        read means."""
        ticket = await self._acquire(info_cost(request), priority)
        extra: int | None = None
        try:
            answer, extra = await self._answer(request, shape, ticket)
        finally:
            self._settle(ticket, extra)
        return answer

    async def both(
        self,
        first: tuple[Mapping[str, Any], type[T]],
        second: tuple[Mapping[str, Any], type[U]],
        priority: Priority,
    ) -> tuple[T, U]:
        """The answers to two /info requests that pass the budget as one and leave together.

        Raises as `info` does, once neither is on its way any more.
        """
        cost = joint_cost(info_cost(first[0]), info_cost(second[0]))
        ticket = await self._acquire(cost, priority)
        extra: int | None = None
        later = asyncio.ensure_future(self._answer(*second, ticket))
        try:
            try:
                one, more = await self._answer(*first, ticket)
            except asyncio.CancelledError:
                later.cancel()
                raise
            finally:
                two, most = await later
            extra = more + most
        finally:
            self._settle(ticket, extra)
        return one, two

    async def _answer(
        self, request: Mapping[str, Any], shape: type[T], ticket: Ticket | None
    ) -> tuple[T, int]:
        """The answer to an /info request, and the weight that what it holds adds."""
        kind = str(request["type"])
        body = await self._post("/info", request, wire.encode(request), ticket)
        try:
            answer = msgspec.json.decode(body, type=shape)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            known = classify_body(body, request=kind)
            raise known.error(f"info {kind}: {error}", **_context(request, body)) from error
        return answer, extra_weight(kind, len(answer)) if isinstance(answer, list) else 0

    async def venue_time(self, priority: Priority) -> int:
        """The venue's clock, epoch ms; `skew` is measured on the way."""
        sent = self._clock.now_ms()
        status = await self.info({"type": "exchangeStatus"}, wire.ExchangeStatus, priority)
        received = self._clock.now_ms()
        # The answer was made at some moment between; half the round trip is the error at most.
        middle = (sent + received) // 2
        self.skew = ClockSkew(status.time - middle, (received - sent + 1) // 2, received)
        return status.time

    async def act(
        self,
        action: dict[str, Any],
        priority: Priority,
        *,
        expires_ms: int | None = None,
        coin: str | None = None,
    ) -> list[wire.OrderStatusItem | str]:
        """Sign and send one action; the statuses of its answer, empty where it has none."""
        if self.signer is None:
            raise CriticalError(f"{action['type']}: this connection can only read")
        # The budget first: a nonce is as old as the action is when it leaves.
        cost = action_cost(action, self._account, coin)
        ticket = await self._acquire_by(expires_ms, cost, priority)
        try:
            body = await self._send(action, self.signer, expires_ms, ticket)
        finally:
            self._settle(ticket, 0)
        return self._statuses(action, body)

    async def act_as_wallet(
        self, kind: str, build: Callable[..., WalletAction], priority: Priority
    ) -> None:
        """Send an action that only the account's own key may sign; `build` makes it for
        (`nonce`, `mainnet`)."""
        if self.signer is None:
            raise CriticalError(f"{kind}: this connection can only read")
        ticket = await self._acquire(action_cost({"type": kind}, self._account), priority)
        try:
            nonce = await self._nonces.next()
            made = build(nonce=nonce, mainnet=self._mainnet)
            signature = self.signer.sign_digest(made.digest)
            envelope = {"action": made.action, "nonce": nonce, "signature": signature}
            body = await self._post("/exchange", made.action, wire.encode(envelope), ticket)
        finally:
            self._settle(ticket, 0)
        self._statuses(made.action, body)

    def _statuses(self, action: Mapping[str, Any], body: bytes) -> list[wire.OrderStatusItem | str]:
        """The statuses in the answer to `action`; raises what a refusal means."""
        try:
            answer = msgspec.json.decode(body, type=wire.ActionAnswer)
            if answer.status == "err":
                raise self._refusal(action, msgspec.json.decode(answer.response, type=str))
            return msgspec.json.decode(answer.response, type=wire.ActionResponse).data.statuses
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            known = classify_body(body)
            raise known.error(f"{action['type']}: {error}", **_context(action, body)) from error

    async def _send(
        self,
        action: dict[str, Any],
        signer: Signer,
        expires_ms: int | None,
        ticket: Ticket | None,
    ) -> bytes:
        nonce = await self._nonces.next()
        signature = signer.sign_action(
            action, nonce, mainnet=self._mainnet, expires_after=expires_ms
        )
        envelope = {
            "action": action,
            "nonce": nonce,
            "signature": signature,
            "vaultAddress": None,
            "expiresAfter": expires_ms,
        }
        return await self._post("/exchange", action, wire.encode(envelope), ticket)

    async def _post(
        self, path: str, request: Mapping[str, Any], body: bytes, ticket: Ticket | None
    ) -> bytes:
        """The body of an HTTP 200; every other end raises what it means."""
        action = path == "/exchange"
        what = str(request["type"]) if action else f"info {request['type']}"
        try:
            status, answer = await self.transport.post(path, body)
        except TransportError as error:
            known = classify_transport(error, action=action)
            raise known.error(f"{what}: {error}", **_context(request, b"")) from error
        if status == 200:
            return answer
        known = classify_status(status, action=action)
        text = f"HTTP {status}: {answer[:200].decode(errors='replace')}"
        failure = known.error(text, **_context(request, answer))
        if isinstance(failure, RateLimitedError) and self.limiter and ticket:
            self.limiter.refused(ticket)
        raise failure

    def _refusal(self, action: Mapping[str, Any], text: str) -> ExchangeError:
        """The error that an `err` answer stands for; what it teaches is taken over."""
        known = classify_refusal(text)
        if known.row == ADDRESS_BUDGET_ROW and self.limiter is not None:
            self.limiter.address_exhausted(self._account)
        if known.row == EXPIRED_ROW and self.limiter is not None:
            extra = (EXPIRED_FACTOR - 1) * action_cost(action, self._account).actions
            self.limiter.count_actions(self._account, extra)
        if known.row == NONCE_TOO_LOW_ROW:
            least = text.removesuffix(".").rpartition(" ")[2]
            if least.isdigit():
                self._nonces.at_least(int(least))
        return known.error(text, **_context(action, text.encode()))

    async def _acquire(self, cost: Cost, priority: Priority) -> Ticket | None:
        if self.limiter is None:
            return None
        if priority in PATIENT:
            return await self.limiter.acquire(cost, priority)
        return await self._acquire_within(PATIENCE_SECONDS, self.limiter, cost, priority)

    async def _acquire_by(
        self, expires_ms: int | None, cost: Cost, priority: Priority
    ) -> Ticket | None:
        """As `_acquire`, but raises RateLimitedError instead of waiting longer than the action
        lives: nothing was sent, and an expired action would cost five times its budget."""
        if expires_ms is None or self.limiter is None:
            return await self._acquire(cost, priority)
        patience = max(expires_ms - self._clock.now_ms(), 0) / 1000
        return await self._acquire_within(patience, self.limiter, cost, priority)

    @staticmethod
    async def _acquire_within(
        seconds: float, limiter: Limiter, cost: Cost, priority: Priority
    ) -> Ticket | None:
        if (ticket := limiter.acquire_at_once(cost, priority)) is not None:
            return ticket
        try:
            async with asyncio.timeout(seconds):
                return await limiter.acquire(cost, priority)
        except TimeoutError:
            raise RateLimitedError(
                f"{cost.what}: no room in the budget within {seconds:.0f} s"
            ) from None

    def _settle(self, ticket: Ticket | None, extra: int | None) -> None:
        if ticket is not None and self.limiter is not None:
            self.limiter.settle(ticket, extra)


def _context(request: Mapping[str, Any], body: bytes) -> dict[str, object]:
    """What an incident should keep: the request, which holds no secret, and the raw answer."""
    return {"request": dict(request), "body": body[:BODY_KEPT].decode(errors="replace")}
