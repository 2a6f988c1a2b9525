"""`fractal doctor` against a real local exchange: what it finds, says and exits with."""

import io
import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fractaltrader.cli.main import main
from fractaltrader.config import load_config
from fractaltrader.exchange.clock import SystemClock
from fractaltrader.exchange.hyperliquid.signing import Signer
from fractaltrader.keys.arming import Arming, arm, flat
from fractaltrader.keys.keystore import Keystore
from fractaltrader.simulator.serving.background import BackgroundExchange
from fractaltrader.simulator.state import Agent

KEYS = {"bot": b"\x11" * 32, "guard": b"\x12" * 32}
ADDRESSES = {name: Signer(key.hex()).address for name, key in KEYS.items()}
MASTER = Signer("13" * 32).address
DAY_MS = 86_400_000

Doctor = Callable[..., tuple[int, dict[str, list[str]]]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A FRACTAL_HOME with keys for bot and guard."""
    monkeypatch.setenv("FRACTAL_HOME", str(tmp_path))
    for name in ("FRACTAL_PRIVATE_KEY", "FRACTAL_GUARD_KEY", "FRACTAL_PASSWORD_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name, key in KEYS.items():
        Keystore(tmp_path / "keys").create(name, key, "correct horse", scrypt_n=2)
    return tmp_path


@pytest.fixture
def doctor(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Doctor:
    """Runs the command; its exit code and what is not fine by check."""

    def look(*arguments: str) -> tuple[int, dict[str, list[str]]]:
        monkeypatch.setattr(sys, "argv", ["fractal", "doctor", "--json", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO())
        with pytest.raises(SystemExit) as ended:
            main()
        # Asked again within the minute it would wait for the budget, as everybody does.
        shutil.rmtree(home / "budget", ignore_errors=True)
        output = capsys.readouterr()
        assert output.err == ""
        bad: dict[str, list[str]] = {}
        for finding in json.loads(output.out):
            if finding["level"] != "ok":
                assert finding["remedy"]
                bad.setdefault(finding["check"], []).append(finding["found"])
        return int(ended.value.code or 0), bad

    return look


def configure(home: Path, url: str, more: str = "", mode: str = "testnet") -> None:
    (home / "config.toml").write_text(
        f'[venue]\nmode = "{mode}"\nurl = "{url}"\nkey = "bot"\nguard_key = "guard"\n{more}'
    )


def approve(exchange: BackgroundExchange, name: str, days: int) -> None:
    """`name`'s key is the master's agent for so many days."""
    until = exchange.exchange.now_ms() + days * DAY_MS
    exchange.exchange.state.agents[ADDRESSES[name]] = Agent(MASTER, name, until)


@pytest.mark.integration
def test_fit_for_trading(home: Path, doctor: Doctor, local_exchange: BackgroundExchange) -> None:
    """With both agents approved, clocks equal and files private nothing is found, exit code 0; an
    agent that soon expires, a skewed clock and an unapproved one are, with exit code 1."""
    local_exchange.fund(MASTER)
    configure(home, local_exchange.url)
    approve(local_exchange, "bot", 90)
    approve(local_exchange, "guard", 90)
    assert doctor() == (0, {})
    approve(local_exchange, "guard", 3)
    code, bad = doctor()
    assert code == 0
    (soon,) = bad.pop("guard key")
    assert "in 3.0 days" in soon
    assert bad == {}
    del local_exchange.exchange.state.agents[ADDRESSES["bot"]]
    approve(local_exchange, "guard", 90)
    local_exchange.add_fault("clock_skew", ms=30_000)
    configure(home, local_exchange.url, f'account = "{MASTER}"\n')
    code, bad = doctor()
    assert code == 1
    assert "over 1500 ms: no entries" in bad["clock"][0]
    assert "is no agent of venue.account" in bad["key"][0]
    assert set(bad) == {"clock", "key"}


@pytest.mark.integration
def test_mainnet_must_be_armed(
    home: Path, doctor: Doctor, local_exchange: BackgroundExchange
) -> None:
    """On mainnet an account that is not armed is a problem."""
    local_exchange.fund(MASTER)
    configure(home, local_exchange.url, mode="mainnet")
    approve(local_exchange, "bot", 90)
    approve(local_exchange, "guard", 90)
    code, bad = doctor()
    assert code == 1
    assert "is not armed" in bad["armed"][0]
    assert set(bad) == {"armed"}


def configured(exchange: BackgroundExchange, *lines: str, coins: str = "BTC") -> str:
    """A configuration of the exchange with just these lines of [venue]."""
    text = "\n".join(['[venue]\nmode = "testnet"', f'url = "{exchange.url}"', *lines])
    return f'{text}\n[trade]\ncoins = ["{coins}"]\n'


BOT, GUARD = 'key = "bot"', 'guard_key = "guard"'


@pytest.mark.integration
@pytest.mark.parametrize(
    ("lines", "coins", "code", "check", "found"),
    [
        ([BOT, GUARD], "BCT", 1, "venue", "does not list 'BCT'; did you mean 'BTC'"),
        ([BOT, GUARD], "SOL", 1, "venue", "the venue has delisted 'SOL'; leave it out"),
        (['key = "bto"', GUARD], "BTC", 1, "key", "there is none in .*; did you mean 'bot'"),
        ([GUARD], "BTC", 1, "key", "none is configured"),
        ([BOT], "BTC", 0, "guard key", "none is configured"),
        ([BOT, 'guard_key = "bot"'], "BTC", 0, "guard key", "it is the bot's own"),
    ],
)
def test_keys_and_coins(
    lines: list[str],
    coins: str,
    code: int,
    check: str,
    found: str,
    home: Path,
    doctor: Doctor,
    local_exchange: BackgroundExchange,
) -> None:
    """A coin that cannot be traded and a key that is not there are problems; a guard without a
    key of its own is a warning; nothing else is found."""
    local_exchange.fund(MASTER)
    local_exchange.exchange.state.markets["SOL"].is_delisted = True
    for name in KEYS:
        approve(local_exchange, name, 90)
    (home / "config.toml").write_text(configured(local_exchange, *lines, coins=coins))
    ended, bad = doctor()
    assert (ended, list(bad)) == (code, [check])
    (text,) = bad[check]
    assert re.search(found, text)


@pytest.mark.integration
def test_a_venue_that_answers_nonsense(
    home: Path, doctor: Doctor, local_exchange: BackgroundExchange
) -> None:
    """What answers, but not as the venue does, is a problem of the venue; on the local exchange
    the play key needs no configuration, nor a comparison of clocks."""
    (home / "config.toml").write_text(f'[venue]\nurl = "{local_exchange.url}"\n')
    assert doctor() == (0, {})
    local_exchange.add_fault("garbled_answer", paths=["info"])
    code, bad = doctor()
    assert code == 1
    assert list(bad) == ["venue"]
    assert local_exchange.url in bad["venue"][0]


@pytest.mark.integration
def test_an_armed_account_is_fit(
    home: Path, doctor: Doctor, local_exchange: BackgroundExchange
) -> None:
    """On mainnet an arming that covers the configuration is fine until its end."""
    local_exchange.fund(MASTER)
    configure(home, local_exchange.url, mode="mainnet")
    for name in KEYS:
        approve(local_exchange, name, 90)
    now = SystemClock().now_ms()
    settings = flat(load_config(None).bounds_of_loss())
    arming = Arming(
        account=MASTER,
        url=local_exchange.url,
        settings=settings,
        armed_ms=now,
        expires_ms=now + DAY_MS,
    )
    arm(home, arming)
    assert doctor() == (0, {})


def test_what_cannot_be_reached_or_read(home: Path, doctor: Doctor) -> None:
    """A venue that is not there and a configuration that is wrong are problems, the rest is still
    looked at; offline the venue is not asked."""
    configure(home, "http://127.0.0.1:1")
    code, bad = doctor()
    assert code == 1
    assert "cannot reach http://127.0.0.1:1" in bad["venue"][0]
    assert doctor("--offline") == (0, {})
    (home / "config.toml").write_text("[risk]\nbase_rsk = 1\n")
    (home / "keys").chmod(0o755)
    code, bad = doctor()
    assert code == 1
    assert "did you mean 'base_risk'" in bad["configuration"][0]
    assert "mode 0755" in bad["key files"][0]


def test_a_person_reads_it(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a terminal each line says how a check went, and a remedy follows what is not fine."""
    home.joinpath("keys", "bot.json").chmod(0o644)
    monkeypatch.setattr(sys, "argv", ["fractal", "doctor", "--offline"])
    with pytest.raises(SystemExit):
        main()
    shown = capsys.readouterr().out
    assert "ok      python: 3." in shown
    assert "problem key files: key 'bot': " in shown
    assert "→ as the text says" in shown


def test_a_folder_that_is_a_file(home: Path, doctor: Doctor, tmp_path: Path) -> None:
    """Where FRACTAL_HOME cannot be a folder nothing in it is looked at, and nothing raises."""
    shutil.rmtree(home / "keys")
    home.rmdir()
    home.write_text("mine")
    code, bad = doctor("--offline")
    assert code == 1
    assert list(bad) == ["folder"]
    assert "is not a folder" in bad["folder"][0]
