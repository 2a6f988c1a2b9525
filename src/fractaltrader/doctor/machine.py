"""The machine: interpreter, disk, folder, environment."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from fractaltrader.doctor.finding import Finding, ok, problem, warning
from fractaltrader.environment import VARIABLES
from fractaltrader.errors import did_you_mean

OLDEST, NEWEST = (3, 11), (3, 13)
# The ledger of a busy month takes some 50 MB, the logs at most 25 MB a run.
LITTLE_BYTES, TOO_LITTLE_BYTES = 1_000_000_000, 100_000_000


def python(version: tuple[int, int, int]) -> Finding:
    """Whether the interpreter is one that the tests run on."""
    told = ".".join(map(str, version))
    remedy = f"use Python {OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}"
    if version[:2] < OLDEST:
        return problem("python", f"{told} is too old", remedy)
    if version[:2] > NEWEST:
        return warning("python", f"{told} is newer than what was tested", remedy)
    return ok("python", told)


def folder(home: Path) -> Finding:
    """Whether FRACTAL_HOME is, or can become, a folder of ours."""
    existing = _existing(home)
    if not existing.is_dir():
        return problem("folder", f"{existing} is not a folder", "set FRACTAL_HOME to another one")
    if not os.access(existing, os.W_OK | os.X_OK):
        return problem(
            "folder", f"{existing} cannot be written", "set FRACTAL_HOME to a folder of yours"
        )
    return ok("folder", f"{home}" + ("" if home.exists() else " (made on first use)"))


def disk(home: Path) -> Finding:
    """Whether state, ledger and logs have room to grow."""
    free = shutil.disk_usage(_existing(home)).free
    found = f"{free / 1e9:.1f} GB free under {home}"
    remedy = "free the disk: without room no entry is made, stops rest on the exchange"
    if free < TOO_LITTLE_BYTES:
        return problem("disk", found, remedy)
    return warning("disk", found, remedy) if free < LITTLE_BYTES else ok("disk", found)


def environment(variables: Mapping[str, str]) -> list[Finding]:
    """FRACTAL_ variables that nobody reads, and secrets that had better be elsewhere."""
    known = list(VARIABLES)
    ours = [name for name in sorted(variables) if name.startswith("FRACTAL_")]
    found = [
        warning(
            "environment",
            f"{name} is not read{did_you_mean(name, known)}",
            "unset it; docs/configuration.md lists the variables",
        )
        for name in ours
        if name not in known
    ]
    found += [
        warning(
            "environment",
            f"{name} holds a secret, which `/proc` shows to every process of yours",
            "`fractal keys import` a key and name its password's file in FRACTAL_PASSWORD_FILE",
        )
        for name in ("FRACTAL_PRIVATE_KEY", "FRACTAL_GUARD_KEY", "FRACTAL_PASSWORD")
        if variables.get(name)
    ]
    return found or [ok("environment", ", ".join(ours) or "no FRACTAL_ variable is set")]


def is_usable(home: Path) -> bool:
    """Whether there is any sense in looking into the folder."""
    return _existing(home).is_dir()


def _existing(path: Path) -> Path:
    """`path`, or the nearest folder above it that is there."""
    return next(one for one in (path, *path.parents) if one.exists())
