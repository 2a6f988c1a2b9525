"""One thing that was looked at, how it is, and what to do about it."""

from enum import StrEnum

import msgspec


class Level(StrEnum):
    """How bad it is: only a problem makes the doctor's exit code 1."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


class Finding(msgspec.Struct, frozen=True):
    """`check` names what was looked at, `found` says how it is; `remedy` is empty where all is
    well."""

    check: str
    level: Level
    found: str
    remedy: str = ""


def ok(check: str, found: str) -> Finding:
    """All is well."""
    return Finding(check, Level.OK, found)


def warning(check: str, found: str, remedy: str) -> Finding:
    """Works, but somebody should look at it."""
    return Finding(check, Level.WARNING, found, remedy)


def problem(check: str, found: str, remedy: str) -> Finding:
    """Must be put right before trading."""
    return Finding(check, Level.PROBLEM, found, remedy)
