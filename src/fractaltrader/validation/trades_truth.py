"""Trades told anew from the exchange's executions: entries of a day, losses in a row."""

from collections import deque
from collections.abc import Sequence
from decimal import Decimal

from fractaltrader.live.intents import Role, identity_of
from fractaltrader.simulator.state import Fill

LOOKS = 4


class TradesTruth:
    """What the executions of one account amount to; each is looked at once, in their order."""

    def __init__(self) -> None:
        self._seen = 0
        self._open: dict[str, Decimal] = {}  # by coin: profit so far, USDC, fees taken off
        self._closed: list[tuple[int, Decimal]] = []  # (closed ms, profit), without the zeros
        self._looks = deque([0], maxlen=LOOKS)  # trades closed before each of the last looks
        self._entered: dict[str, int] = {}  # by decision, in order: first execution, ms

    def see(self, fills: Sequence[Fill], *, working: bool = True) -> None:
        """Take in the executions since the last time; a bot that was not `working` meanwhile has
        not learned of them yet."""
        if working:
            self._looks.append(len(self._closed))
        for fill in fills[self._seen :]:
            self._see(fill)
        self._seen = len(fills)

    def _see(self, fill: Fill) -> None:
        identity = identity_of(fill.cloid)
        if identity is not None and identity.role is Role.ENTRY:
            self._entered.setdefault(identity.decision, fill.time_ms)
        profit = self._open.pop(fill.coin, Decimal(0)) + fill.closed_pnl - fill.fee
        signed = fill.size if str(fill.side) == "B" else -fill.size
        if fill.start_position + signed:
            self._open[fill.coin] = profit
        elif profit:
            self._closed.append((fill.time_ms, profit))

    def entries_since(self, time_ms: int) -> int:
        """Entries that began to execute at `time_ms` or later."""
        count = 0
        for entered_ms in reversed(self._entered.values()):
            if entered_ms < time_ms:
                break
            count += 1
        return count

    def losses_in_a_row(self, since_ms: int, trades: int | None = None) -> int:
        """The newest run of trades that lost, of those that closed after `since_ms`; as it was
        when only so many `trades` had closed."""
        count = 0
        for closed_ms, profit in reversed(self._closed[:trades]):
            if closed_ms <= since_ms or profit > 0:
                break
            count += 1
        return count

    def most_losses_in_a_row(self, since_ms: int) -> int:
        """The same, the most that it was after any execution since a few looks of the bot's work
        ago: it learns of them one by one, and a moment later."""
        moments = range(self._looks[0], len(self._closed) + 1)
        return max(self.losses_in_a_row(since_ms, trades) for trades in moments)
