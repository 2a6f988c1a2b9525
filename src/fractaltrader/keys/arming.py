"""Real money is traded only after somebody saw the limits and said yes: the account is armed.

An arming names the account, the address of the venue, and every setting that bounds a loss. It
ends by itself, and any of those settings that changes ends it too.
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from fractaltrader.durable import write_file
from fractaltrader.errors import UserError
from fractaltrader.keys.private_files import check_private, private_folder
from fractaltrader.market.bars import utc

LONGEST_DAYS = 90
DIFFERENCES_SHOWN = 3


class Arming(msgspec.Struct, frozen=True, kw_only=True):
    """What was confirmed, for which account on which venue, and until when (epoch ms)."""

    account: str
    url: str
    settings: dict[str, str]
    armed_ms: int
    expires_ms: int


def flat(settings: Mapping[str, object], prefix: str = "") -> dict[str, str]:
    """Nested settings as `section.key` to text."""
    found: dict[str, str] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = str(value)
    return found


def arming_path(home: Path, account: str) -> Path:
    """File of the account's arming."""
    return home / "armed" / f"{account}.json"


def arm(home: Path, arming: Arming) -> Path:
    """Write the arming in place of an older one."""
    path = arming_path(home, arming.account)
    private_folder(path.parent, "armed")
    write_file(path, msgspec.json.encode(arming))
    path.chmod(0o600)
    return path


def disarm(home: Path, account: str | None) -> list[str]:
    """Accounts disarmed: `account`, or all when None."""
    folder = home / "armed"
    files = [arming_path(home, account)] if account else sorted(folder.glob("0x*.json"))
    present = [path for path in files if path.exists()]
    for path in present:
        path.unlink()
    return [path.stem for path in present]


def require_armed(
    home: Path, account: str, url: str, settings: Mapping[str, object], now_ms: int
) -> Arming:
    """The arming that covers exactly this; UserError says why there is none."""
    path = arming_path(home, account)
    if not path.exists():
        raise UserError(
            f"mainnet: {account} is not armed; `fractal arm` shows the limits and asks for them to "
            "be confirmed"
        )
    check_private(path, "armed")
    try:
        arming = msgspec.json.decode(path.read_bytes(), type=Arming)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise UserError(f"mainnet: {path} is damaged; `fractal arm` writes it anew") from None
    again = "`fractal arm` confirms it again"
    if arming.account != account or arming.url.rstrip("/") != url.rstrip("/"):
        raise UserError(f"mainnet: {path} is for {arming.account} on {arming.url}; {again}")
    if arming.expires_ms <= now_ms:
        raise UserError(f"mainnet: the arming ended at {utc(arming.expires_ms)}; {again}")
    changed = _differences(arming.settings, flat(settings))
    if changed:
        raise UserError(f"mainnet: changed since it was armed: {changed}; {again}")
    return arming


def _differences(confirmed: Mapping[str, str], now: Mapping[str, str]) -> str:
    names = [name for name in sorted({*confirmed, *now}) if confirmed.get(name) != now.get(name)]
    told = [
        f"{name} {confirmed.get(name, '(none)')} -> {now.get(name, '(none)')}"
        for name in names[:DIFFERENCES_SHOWN]
    ]
    rest = len(names) - len(told)
    return "; ".join(told) + (f" and {rest} more" if rest > 0 else "")
