"""Who may read and write the files of keys, passwords, armings and states."""

import stat
from collections.abc import Mapping
from pathlib import Path

from fractaltrader.doctor.finding import Finding, ok, problem
from fractaltrader.environment import PASSWORD_FILE
from fractaltrader.errors import UserError
from fractaltrader.keys.keystore import Keystore
from fractaltrader.keys.private_files import check_private

REMEDY = "as the text says; nothing is signed with it before"
STATE_FILES = (
    "runs",
    "runs/*",
    "runs/*/.trading_state.json*",
    "runs/*/*.sqlite",
    "runs/*/*.lock",
    "budget",
    "budget/*",
)


def key_files(home: Path, environment: Mapping[str, str]) -> list[Finding]:
    """Each key is whole and readable by its owner alone; so are the password's file and the
    armings."""
    store = Keystore(home / "keys")
    try:
        names = store.names()
    except UserError as error:
        return [problem("key files", str(error), REMEDY)]
    found = [_key(store, name) for name in names]
    private = sorted((home / "armed").glob("0x*.json"))
    if PASSWORD_FILE in environment:
        private.append(Path(environment[PASSWORD_FILE]))
    found += [_private(path) for path in private]
    return found or [ok("key files", "no key is stored")]


def state_files(home: Path) -> list[Finding]:
    """Nobody else may write what a bot believes about its positions."""
    paths = [path for pattern in STATE_FILES for path in sorted(home.glob(pattern))]
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in paths}
    return [
        problem(
            "state files",
            f"{path} has mode {mode:04o}: others can change it",
            f"`chmod go-w {path}`",
        )
        for path, mode in modes.items()
        if mode & 0o022
    ] or [ok("state files", f"{len(paths)} files and folders, written by their owner alone")]


def _key(store: Keystore, name: str) -> Finding:
    try:
        return ok("key files", f"{name}: {store.address(name)}, encrypted, private")
    except UserError as error:
        return problem("key files", str(error), REMEDY)


def _private(path: Path) -> Finding:
    try:
        check_private(path, "secret")
    except UserError as error:
        return problem("key files", str(error), REMEDY)
    return ok("key files", f"{path}: private")
