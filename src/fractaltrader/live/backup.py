"""Backup and restore of a run: its state and its ledger in one checked file, without any key."""

import hashlib
import io
import os
import sqlite3
import tarfile
import zlib
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory

import msgspec

from fractaltrader.durable import write_file
from fractaltrader.errors import UserError
from fractaltrader.keys.private_files import create_private
from fractaltrader.live.ledger import FILE_NAME as LEDGER
from fractaltrader.live.state import BotState
from fractaltrader.live.state_manager import FILE_NAME as STATE
from fractaltrader.live.state_manager import StateManager
from fractaltrader.market import Clock

FORMAT = 1
MANIFEST = "manifest.json"
MAX_BYTES = 1 << 30  # of a file inside; what is larger is no backup of ours


class Manifest(msgspec.Struct, forbid_unknown_fields=True):
    """What a backup holds; `sha256` by file name."""

    format: int
    run: str
    account: str
    venue: str
    made_ms: int
    sha256: dict[str, str]


@dataclass(frozen=True, slots=True)
class Restored:
    """A run that was brought back, and what its state knew."""

    folder: Path
    manifest: Manifest
    state: BotState


def back_up(folder: Path, target: Path, clock: Clock) -> Manifest:
    """Write state and ledger of the run in `folder` to `target`, a bot in it may go on meanwhile.

    The state is read first: it tells up to when the ledger is complete, so an older state with a
    newer ledger is consistent, and not the other way round. Raises UserError where `target` exists
    or the run has no readable state, OSError or sqlite3.Error where the disk fails.
    """
    if target.exists():
        raise UserError(f"backup: {target} exists and is not overwritten; give another name")
    manager = StateManager(folder, clock)
    state = manager.read()
    files = {STATE: manager.path.read_bytes()}
    if (folder / LEDGER).exists():
        files[LEDGER] = _ledger_copy(folder / LEDGER)
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    manifest = Manifest(FORMAT, folder.name, state.account, state.venue, clock.now_ms(), sums)
    packed = _packed({MANIFEST: msgspec.json.encode(manifest), **files})
    create_private(target, packed)
    return manifest


def read_manifest(source: Path) -> Manifest:
    """What the backup in `source` holds; UserError where it is damaged."""
    return _checked(_unpacked(source), source)


def restore(source: Path, folder: Path, clock: Clock) -> Restored:
    """Bring the run in `source` back as `folder`, or change nothing.

    Raises UserError where `folder` exists already, or where the file is damaged, incomplete or of a
    newer version.
    """
    if folder.exists():
        raise UserError(
            f"restore: {folder} exists and is not overwritten; move it away, or restore under "
            "another --name"
        )
    files = _unpacked(source)
    manifest = _checked(files, source)
    beside = folder.with_name(f".{folder.name}.restoring")
    rmtree(beside, ignore_errors=True)  # what an interrupted restore left
    beside.mkdir(parents=True, mode=0o700)
    try:
        for name in manifest.sha256:
            write_file(beside / name, files[name])
        _check_ledger(beside / LEDGER, source)
        state = StateManager(beside, clock).read()
        os.rename(beside, folder)
    except BaseException:
        rmtree(beside, ignore_errors=True)
        raise
    return Restored(folder, manifest, state)


def _ledger_copy(path: Path) -> bytes:
    """The ledger as of one moment, by SQLite's own backup: its writer is not disturbed."""
    with TemporaryDirectory(dir=path.parent, prefix=".backup-") as scratch:
        copy = Path(scratch) / LEDGER
        with closing(sqlite3.connect(path)) as live, closing(sqlite3.connect(copy)) as made:
            live.backup(made)
            made.execute("PRAGMA journal_mode=DELETE")
        return copy.read_bytes()


def _check_ledger(path: Path, source: Path) -> None:
    if not path.exists():
        return
    try:
        with closing(sqlite3.connect(path)) as ledger:
            (verdict,) = ledger.execute("PRAGMA integrity_check").fetchone()
    except sqlite3.DatabaseError as error:  # too damaged to be looked at
        verdict = str(error)
    if verdict != "ok":
        raise UserError(f"restore: the ledger in {source} is damaged ({verdict}); nothing was done")


def _packed(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o600
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def _unpacked(source: Path) -> dict[str, bytes]:
    """The files inside by name; only the names that a backup has, and none as a path."""
    files: dict[str, bytes] = {}
    try:
        with tarfile.open(source, mode="r:gz") as archive:
            for entry in archive:
                content = archive.extractfile(entry) if entry.isfile() else None
                if entry.name not in (MANIFEST, STATE, LEDGER) or content is None:
                    raise UserError(f"restore: {source} holds {entry.name!r}; it is no backup")
                if entry.size > MAX_BYTES:
                    raise UserError(f"restore: {entry.name} in {source} is too large")
                files[entry.name] = content.read()
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise UserError(
            f"restore: {source} cannot be read ({error}); nothing was changed; use another backup"
        ) from error
    return files


def _checked(files: dict[str, bytes], source: Path) -> Manifest:
    try:
        manifest = msgspec.json.decode(files.get(MANIFEST, b""), type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UserError(f"restore: {source} has no readable manifest ({error})") from error
    if manifest.format != FORMAT:
        raise UserError(
            f"restore: {source} has format {manifest.format}, this program knows {FORMAT}; use the "
            "FractalTrader that wrote it"
        )
    found = {n: hashlib.sha256(c).hexdigest() for n, c in files.items() if n != MANIFEST}
    if found != manifest.sha256 or STATE not in found:
        raise UserError(f"restore: {source} is damaged: a checksum differs; nothing was changed")
    return manifest
