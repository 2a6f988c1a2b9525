"""Real money needs limits that somebody has seen: armed for exactly them, and for a while."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fractaltrader.config import Config
from fractaltrader.errors import UserError
from fractaltrader.keys.arming import Arming, arm, arming_path, disarm, flat, require_armed

ACCOUNT = "0x" + "ab" * 20
URL = "https://api.hyperliquid.xyz"
NOW = 1_750_000_000_000
BOUNDS = Config().bounds_of_loss()


def armed(home: Path) -> Path:
    return arm(
        home,
        Arming(
            account=ACCOUNT, url=URL, settings=flat(BOUNDS), armed_ms=NOW, expires_ms=NOW + 1_000
        ),
    )


def test_armed_for_exactly_this(tmp_path: Path) -> None:
    """What was armed is accepted until it ends; another account, venue and time are not."""
    path = armed(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert require_armed(tmp_path, ACCOUNT, URL + "/", BOUNDS, NOW + 999).armed_ms == NOW
    with pytest.raises(UserError, match="the arming ended at 2025-06-15 15:06:41Z; `fractal arm`"):
        require_armed(tmp_path, ACCOUNT, URL, BOUNDS, NOW + 1_000)
    with pytest.raises(UserError, match="is not armed; `fractal arm` shows the limits"):
        require_armed(tmp_path, "0x" + "cd" * 20, URL, BOUNDS, NOW)
    with pytest.raises(UserError, match=r"is for .* on https://api.hyperliquid.xyz"):
        require_armed(tmp_path, ACCOUNT, "https://example.org", BOUNDS, NOW)
    path.rename(arming_path(tmp_path, "0x" + "cd" * 20))
    with pytest.raises(UserError, match=f"is for {ACCOUNT}"):
        require_armed(tmp_path, "0x" + "cd" * 20, URL, BOUNDS, NOW)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(flat(BOUNDS))), st.booleans())
def test_any_bound_that_changes_disarms(tmp_path: Path, name: str, removed: bool) -> None:
    """Whichever setting that bounds a loss differs from what was confirmed, it is named with both
    values and nothing starts."""
    armed(tmp_path)
    changed = flat(BOUNDS)
    if removed:
        del changed[name]
    else:
        changed[name] += "1"
    with pytest.raises(UserError, match=f"changed since it was armed: {name} "):
        require_armed(tmp_path, ACCOUNT, URL, changed, NOW)


def test_a_strategys_own_parameter_counts(tmp_path: Path) -> None:
    """Parameters that only a strategy knows are among what was confirmed."""
    armed(tmp_path)
    other = Config(strategy={"min_rr": 1.0}).bounds_of_loss()
    with pytest.raises(UserError, match=r"strategy.min_rr \(none\) -> 1.0"):
        require_armed(tmp_path, ACCOUNT, URL, other, NOW)


def test_damage_and_open_files_do_not_arm(tmp_path: Path) -> None:
    """A damaged file and one that others could have written do not count; disarming ends it."""
    path = armed(tmp_path)
    path.chmod(0o666)
    with pytest.raises(UserError, match="mode 0666"):
        require_armed(tmp_path, ACCOUNT, URL, BOUNDS, NOW)
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(UserError, match="is damaged"):
        require_armed(tmp_path, ACCOUNT, URL, BOUNDS, NOW)
    armed(tmp_path)
    assert disarm(tmp_path, None) == [ACCOUNT]
    assert disarm(tmp_path, ACCOUNT) == []
    with pytest.raises(UserError, match="is not armed"):
        require_armed(tmp_path, ACCOUNT, URL, BOUNDS, NOW)
