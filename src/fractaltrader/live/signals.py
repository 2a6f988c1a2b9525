"""SIGINT and SIGTERM: the first asks the bot to end, the second ends it at once."""

import asyncio
import signal

from fractaltrader.live.bot import Bot


def stop_on_signals(loop: asyncio.AbstractEventLoop, bot: Bot) -> None:
    """Have `loop` handle the signals for `bot`."""
    asked = False

    def on_signal() -> None:
        nonlocal asked
        (bot.kill if asked else bot.stop)()
        asked = True

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)
