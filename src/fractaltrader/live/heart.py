"""Is the bot alive? Told from its heartbeat alone, by a steady clock that nobody sets."""

from dataclasses import dataclass

from fractaltrader.live.state import BotState


@dataclass(slots=True)
class Heart:
    """Whoever sees the same heartbeat for `limit_s` takes the bot for dead.

    The bot's and the watcher's wall clocks are not compared, so neither may be wrong or jump. A
    state that cannot be read beats no more than one that stands still.
    """

    limit_s: float
    _beat: tuple[int, int] | None = None  # process and its newest heartbeat
    _changed: float | None = None

    def dead_for(self, state: BotState | None, now: float) -> float | None:
        """Seconds since the bot was last seen alive, at the steady time `now`; None while it is
        alive or has not been watched for long enough."""
        beat = None if state is None else (state.pid, state.heartbeat_ms)
        if self._changed is None or (beat is not None and beat != self._beat):
            self._beat, self._changed = beat, now
        silent = now - self._changed
        return silent if silent >= self.limit_s else None
