"""The configuration file: what is read, and what is said when it is wrong."""

from pathlib import Path

import pytest

from fractaltrader.config import Config, load_config
from fractaltrader.errors import UserError


def test_defaults_without_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any file the bot trades on the local exchange."""
    monkeypatch.setenv("FRACTAL_HOME", str(tmp_path))
    config = load_config(None)
    assert config.venue.endpoint == "http://127.0.0.1:3001"
    assert config == Config()
    assert list(tmp_path.iterdir()) == []


def test_every_section_is_read(tmp_path: Path) -> None:
    """Values of each section arrive typed."""
    path = tmp_path / "config.toml"
    path.write_text(
        '[venue]\nurl = "http://127.0.0.1:4000"\n[trade]\ncoins = ["ETH"]\n'
        "[risk]\nbase_risk = 0.005\n[limits]\nmax_open_positions = 1\n"
        "[strategy]\nmin_reward_risk = 2.0\n"
    )
    config = load_config(path)
    assert config.venue.endpoint == "http://127.0.0.1:4000"
    assert config.trade.coins == ("ETH",)
    assert config.risk.base_risk == 0.005
    assert config.limits.max_open_positions == 1
    assert config.strategy == {"min_reward_risk": 2.0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[rsk]\n", r"unknown section \[rsk\]; did you mean 'risk'"),
        ("[risk]\nbase_rsk = 0.01\n", r"\[risk\].*'base_rsk'; did you mean 'base_risk'"),
        ("[risk]\nbase_risk = 0.5\n", r"\[risk\]: base_risk = 0.5: .*less than or equal to 0.05"),
        ("[risk]\nbase_risk = nan\n", r"base_risk = nan"),
        ('[venue]\nmode = "live"\n', r"mode = 'live'.*'sim', 'testnet' or 'mainnet'"),
        (
            '[venue]\nurl = "https://api.hyperliquid.xyz"\n',
            r"address of mainnet; set mode = \"mainnet\"",
        ),
        ('[venue]\naccount = "0x12"\n', r"account = '0x12'"),
        ("[trade]\ncoins = []\n", r"coins"),
        ("risk = 3\n", r"risk = 3 must be a section"),
        ("[risk\n", r"not valid TOML"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    """A wrong key, value, section or syntax gives one line with the place and the rule."""
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        load_config(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A file that was asked for must exist."""
    with pytest.raises(UserError, match=r"cannot read .*nothing\.toml"):
        load_config(tmp_path / "nothing.toml")
