"""How commands come by secrets: asked for on a terminal, and kept out of all they print."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fractaltrader.exchange.hyperliquid.signing import Signer
    from fractaltrader.keys.password import Ask, Passwords
    from fractaltrader.live.wallet import KeySource


def terminal() -> "Ask | None":
    """Asks on the terminal without an echo; None where there is none."""
    import getpass
    import sys

    return getpass.getpass if sys.stdin.isatty() else None


def known_passwords() -> "Passwords":
    """Passwords from the environment's source, else from the terminal."""
    import os

    from fractaltrader.keys.password import Passwords

    return Passwords(os.environ, terminal())


def unlock(url: str, home: Path, source: "KeySource", *, mainnet: bool) -> "Signer":
    """The key to sign with; from here on this process prints no traceback with it and leaves no
    core. Raises UserError when it cannot be used."""
    import os

    from fractaltrader.keys.hiding import forbid_core_dumps, hide_in_tracebacks
    from fractaltrader.live.wallet import signer_for

    forbid_core_dumps()
    signer = signer_for(url, home, source, os.environ, known_passwords(), mainnet=mainnet)
    hide_in_tracebacks(signer.redact)
    return signer
