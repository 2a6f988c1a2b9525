"""Where passwords and private keys come from: a terminal, a file, a descriptor; never argv."""

import os
from collections.abc import Callable, MutableMapping
from pathlib import Path

from fractaltrader.environment import PASSWORD, PASSWORD_FD, PASSWORD_FILE
from fractaltrader.errors import UserError
from fractaltrader.keys.private_files import check_private

SHORTEST_PASSWORD = 8
LONGEST_LINE = 4_096

# Asks on the terminal without an echo.
Ask = Callable[[str], str]


class Passwords:
    """Passwords of keys: from the environment's source, which holds for every key, else asked for.

    `ask` is None where there is no terminal. FRACTAL_PASSWORD is removed from `environment` at
    once, so that no child inherits it.
    """

    def __init__(self, environment: MutableMapping[str, str], ask: Ask | None) -> None:
        self._ask = ask
        self._file = environment.get(PASSWORD_FILE)
        self._descriptor = environment.get(PASSWORD_FD)
        self._given = environment.pop(PASSWORD, None)

    def __repr__(self) -> str:
        return "Passwords()"

    def of(self, name: str) -> str:
        """Password of the existing key `name`; UserError when nobody can be asked for it."""
        return self._from_environment() or self._asked(f"Password of key {name}: ")

    def new(self, name: str) -> str:
        """Password for a new key, asked for twice; UserError when too short or mistyped."""
        password = self._from_environment()
        if password is None:
            password = self._asked(f"New password for key {name}: ")
            if self._asked("Once more: ") != password:
                raise UserError("password: the two differ; nothing was written, try again")
        if len(password) < SHORTEST_PASSWORD:
            raise UserError(
                f"password: {len(password)} characters are too few; give at least "
                f"{SHORTEST_PASSWORD}"
            )
        return password

    def _asked(self, prompt: str) -> str:
        if self._ask is None:
            raise UserError(
                f"password: there is no terminal to ask on; name a file in {PASSWORD_FILE}"
            )
        return self._ask(prompt)

    def _from_environment(self) -> str | None:
        if self._given is None and self._file:
            self._given = _line_of_file(Path(self._file))
        elif self._given is None and self._descriptor:
            self._given = _line_of_descriptor(self._descriptor)
        return self._given


def private_key_from(ask: Ask | None, read_line: Callable[[], str], whose: str) -> str:
    """A private key as text, from the terminal, else from a pipe; it is in no argument list."""
    text = ask(f"Private key of {whose} (not shown): ") if ask else read_line()
    if not text.strip():
        raise UserError(
            f"private key: none of {whose} was given; type it at the prompt or pipe it in"
        )
    return text.strip()


def _line_of_file(path: Path) -> str:
    check_private(path, PASSWORD_FILE)
    try:
        return _first_line(path.read_text(), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{PASSWORD_FILE}: cannot read {path} ({error})") from None


def _line_of_descriptor(number: str) -> str:
    try:
        content = bytearray()
        while len(content) < LONGEST_LINE and (part := os.read(int(number), LONGEST_LINE)):
            content += part
        return _first_line(content.decode(), f"descriptor {number}")
    except (OSError, ValueError) as error:
        raise UserError(f"{PASSWORD_FD}: cannot read descriptor {number!r} ({error})") from None


def _first_line(text: str, source: str) -> str:
    line = text.partition("\n")[0].removesuffix("\r")
    if not line:
        raise UserError(f"password: {source} is empty; write the password into its first line")
    return line
