"""Notices a feed that stopped although its socket is open (it happens: hyperliquid.md 9)."""

from collections.abc import Sequence

from fractaltrader.market import Bar

# A coin that others out-traded by this many frames in this time is asked for anew.
SILENCE_SECONDS = 90.0
FRAMES_OF_OTHERS = 20
# No coin at all.
ALL_SILENT_SECONDS = 180.0
LONGEST_PATIENCE_SECONDS = 3_600.0


class FeedWatch:
    """When each coin's candles came last. Times are seconds of any steady clock.

    A coin may simply not trade. So each alarm doubles the patience with that coin, and only news,
    a candle that differs from the last one, restores it: the snapshot that follows a reconnect
    shows whether anything had been missed.
    """

    def __init__(self, coins: Sequence[str], now: float) -> None:
        self._coins = tuple(coins)
        self._patience = dict.fromkeys(coins, SILENCE_SECONDS)
        self._all_patience = ALL_SILENT_SECONDS
        self._newest: dict[str, Bar] = {}
        self.reconnected(now)

    def reconnected(self, now: float) -> None:
        """Every feed starts afresh."""
        self._last = dict.fromkeys(self._coins, now)
        self._others = dict.fromkeys(self._coins, 0)

    def seen(self, coin: str, bar: Bar, now: float) -> None:
        """A candle of `coin` came."""
        if coin not in self._last:
            return
        self._last[coin] = now
        for other in self._others:
            self._others[other] += 1
        self._others[coin] = 0
        if self._newest.get(coin) != bar:
            self._newest[coin] = bar
            self._patience[coin] = SILENCE_SECONDS
            self._all_patience = ALL_SILENT_SECONDS

    def stale(self, now: float) -> str | None:
        """The feed that must be asked for anew, and why; None while all is well."""
        if now - max(self._last.values()) >= self._all_patience:
            silent = self._all_patience
            self._all_patience = min(2 * silent, LONGEST_PATIENCE_SECONDS)
            return f"no candle of any coin for {silent:.0f} s"
        for coin, last in self._last.items():
            silent = self._patience[coin]
            if now - last >= silent and self._others[coin] >= FRAMES_OF_OTHERS:
                self._patience[coin] = min(2 * silent, LONGEST_PATIENCE_SECONDS)
                return f"no candle of {coin} for {silent:.0f} s while others came"
        return None
