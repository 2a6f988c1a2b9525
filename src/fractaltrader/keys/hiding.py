"""Keeps private keys out of what people and programs can read: arguments, errors, tracebacks."""

import re
import sys
import traceback
from collections.abc import Callable, Iterable
from types import TracebackType

from fractaltrader.errors import UserError

_KEY_SHAPED = re.compile(r"(?<![0-9a-zA-Z])(?:0[xX])?[0-9a-fA-F]{64}(?![0-9a-zA-Z])")
HIDDEN = "[64 hex digits hidden]"


def hide_key_shaped(text: str) -> str:
    """`text` without anything of a private key's shape; transaction hashes go with them."""
    return _KEY_SHAPED.sub(HIDDEN, text)


def refuse_keys_in_arguments(arguments: Iterable[str]) -> None:
    """UserError when an argument holds what may be a private key; the text does not repeat it."""
    for number, argument in enumerate(arguments, start=1):
        if _KEY_SHAPED.search(argument):
            raise UserError(
                f"argument {number}: 64 hex digits look like a private key, and every process of "
                "this machine can read arguments, as can the shell's history; keys are typed at a "
                "prompt or piped in. If it is a key, move its funds: it is no secret any more"
            )


def hide_in_tracebacks(redact: Callable[[str], str]) -> None:
    """Let this process print uncaught errors through `redact`."""

    def show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        sys.stderr.write(redact("".join(traceback.format_exception(kind, error, trace))))

    sys.excepthook = show


def forbid_core_dumps() -> None:
    """A dumped core would hold the key; this process leaves none."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
