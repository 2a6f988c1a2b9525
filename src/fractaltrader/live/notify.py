"""Tells systemd how the bot is (sd_notify protocol): READY=1, WATCHDOG=1, STOPPING=1."""

import socket
from collections.abc import Mapping


class Notifier:
    """Sends states to the datagram socket that systemd names; does nothing outside systemd."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        # A leading @ stands for the zero byte of Linux's abstract namespace.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) if address else None
        if self._socket is not None:
            self._socket.setblocking(False)

    def __call__(self, state: str) -> None:
        """Send one state; a supervisor that does not listen must not disturb the bot."""
        if self._socket is None:
            return
        try:
            self._socket.sendto(state.encode(), self._address)
        except OSError:
            return

    def close(self) -> None:
        """Give the socket back."""
        if self._socket is not None:
            self._socket.close()
