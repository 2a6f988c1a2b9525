"""The way to mainnet as a person goes it, against a local exchange that signs as mainnet does."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from fractaltrader.cli.main import main
from fractaltrader.exchange.clock import SystemClock
from fractaltrader.exchange.hyperliquid.signing import Signer
from fractaltrader.keys.keystore import Keystore
from fractaltrader.keys.rotation import rotate
from fractaltrader.live.lock import only_bot, only_guard
from fractaltrader.live.state_manager import StateManager
from fractaltrader.simulator.serving.background import BackgroundExchange

MASTER_KEY = "0x" + "5a" * 32
MASTER = Signer(MASTER_KEY).address
PROCESS = [sys.executable, "-c", "from fractaltrader.cli.main import main; main()"]

Command = Callable[..., str]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A FRACTAL_HOME whose keys have one password, kept in a private file."""
    password = tmp_path / "password"
    password.write_text("correct horse\n")
    password.chmod(0o600)
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("FRACTAL_HOME", str(folder))
    monkeypatch.setenv("FRACTAL_PASSWORD_FILE", str(password))
    return folder


@pytest.fixture
def fractal(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Runs a command; its output, and its error line when it is refused."""

    def run(*arguments: str, typed: str = "", code: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["fractal", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        with pytest.raises(SystemExit) as ended:
            main()
        output = capsys.readouterr()
        assert (ended.value.code or 0) == code, output.out + output.err
        assert MASTER_KEY[2:] not in output.out + output.err
        # A person takes minutes for these commands, and the budget is full again each time.
        shutil.rmtree(home / "budget", ignore_errors=True)
        return output.out + output.err

    return run


@pytest.fixture
def quick_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys are stretched a little instead of for half a second each."""
    monkeypatch.setitem(Keystore.create.__kwdefaults__, "scrypt_n", 2)
    monkeypatch.setitem(rotate.__kwdefaults__, "scrypt_n", 2)


def configure(home: Path, url: str, **risk: float) -> None:
    """A configuration for mainnet at `url`."""
    lines = ["[venue]", 'mode = "mainnet"', f'url = "{url}"', 'key = "bot"', "[risk]"]
    lines += [f"{name} = {value}" for name, value in risk.items()]
    (home / "config.toml").write_text("\n".join(lines))


@pytest.mark.integration
@pytest.mark.slow
def test_the_way_to_mainnet(
    home: Path,
    fractal: Command,
    local_exchange: BackgroundExchange,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A key is made, approved, shown; nothing trades before the limits were confirmed, nor after
    they changed, nor with the account's own key or one from the environment; then it trades."""
    local_exchange.exchange.state.mainnet = True
    local_exchange.exchange.faucet(MASTER, Decimal(10_000))
    configure(home, local_exchange.url)
    told = fractal("keys", "new", "bot")
    assert "next: `fractal keys approve-agent bot`" in told
    assert "exists and is not replaced" in fractal("keys", "new", "bot", code=2)
    assert "the venue does not know" in fractal("run", code=2)
    told = fractal("keys", "approve-agent", "bot", "--days", "90", typed=MASTER_KEY + "\n")
    assert f"agent fractal of {MASTER}, expires " in told
    (shown,) = json.loads(fractal("keys", "show", "--json"))
    assert (shown["role"], shown["account"], shown["agent"]) == ("agent", MASTER, "fractal")
    assert "is not armed; `fractal arm`" in fractal("run", code=2)
    assert "nothing was armed" in fractal("arm", typed="yes\n", code=2)
    told = fractal("arm", typed=MASTER[-6:] + "\n")
    for part in ("10,000.00 USDC", "1.00% of equity, 100.00 USDC today", "armed for 30 days"):
        assert part in told
    with subprocess.Popen([*PROCESS, "run"], stderr=subprocess.PIPE, text=True) as bot:
        assert bot.stderr is not None
        assert any("started on" in line for line in bot.stderr)
        bot.send_signal(signal.SIGTERM)
        bot.communicate(timeout=60)
    assert bot.returncode == 0
    configure(home, local_exchange.url, base_risk=0.02)
    assert "armed: risk.base_risk 0.01 -> 0.02" in fractal("run", code=2)
    configure(home, local_exchange.url)
    fractal("keys", "import", "owner", typed=MASTER_KEY)
    assert "can also withdraw" in fractal("run", "--key", "owner", code=2)
    file = os.environ["FRACTAL_PASSWORD_FILE"]
    monkeypatch.delenv("FRACTAL_PASSWORD_FILE")
    monkeypatch.setenv("FRACTAL_PASSWORD", "correct horse")  # serves both keys, then is gone
    told = fractal("keys", "rotate", "bot", "--master", "owner")
    assert "FRACTAL_PASSWORD" not in os.environ
    assert "agent fractal is deregistered, its key deleted" in told
    names = [agent.name for agent in local_exchange.exchange.state.agents.values()]
    assert names == ["fractal-2"]
    monkeypatch.setenv("FRACTAL_PASSWORD_FILE", file)
    assert MASTER in fractal("disarm")
    assert "is not armed" in fractal("run", code=2)
    (home / "config.toml").write_text(f'[venue]\nmode = "mainnet"\nurl = "{local_exchange.url}"\n')
    monkeypatch.setenv("FRACTAL_PRIVATE_KEY", MASTER_KEY)
    assert "is not taken on mainnet" in fractal("run", code=2)


@pytest.mark.integration
@pytest.mark.usefixtures("quick_keys")
def test_keys_on_the_play_exchange(fractal: Command, local_exchange: BackgroundExchange) -> None:
    """On the local exchange the folder's play account approves, funded once; what is asked of a
    key that is not there names it."""
    url = ("--url", local_exchange.url)
    assert "there is none in" in fractal("keys", "approve-agent", "bot", *url, code=2)
    assert "`fractal keys new NAME` makes one" in fractal("keys", "show", code=2)
    for name in ("bot", "guard"):
        fractal("keys", "new", name)
        told = fractal("keys", "approve-agent", name, *url, "--agent-name", name)
        assert f"is agent {name} of 0x" in told
    (account,) = local_exchange.exchange.state.accounts.values()
    assert account.cash == Decimal(10_000)
    assert "did you mean 'guard'" in fractal("keys", "show", "gard", *url, code=2)
    told = fractal("keys", "show", "--offline")
    assert told.count("(not asked)") == 2


@pytest.mark.integration
@pytest.mark.usefixtures("quick_keys")
def test_an_agent_in_use_is_rotated_in_two_steps(
    home: Path, fractal: Command, local_exchange: BackgroundExchange
) -> None:
    """While bot and guard of the account run the old agent goes on working and is shown; the
    command that ends it after their restart is told, and does so. Runs of other accounts, and
    venues that are not there, are told apart."""
    url = ("--url", local_exchange.url)
    fractal("keys", "new", "bot")
    fractal("keys", "approve-agent", "bot", *url)
    (owner,) = local_exchange.exchange.state.accounts
    for name, account in (("bot", owner), ("other", "0x" + "1" * 40)):
        with StateManager(home / "runs" / name, SystemClock()).update() as state:
            state.account = account
    with only_bot(home / "runs/bot"), only_guard(home / "runs/bot"), only_bot(home / "runs/other"):
        told = fractal("keys", "rotate", "bot", *url)
        assert "still works, for bot of run bot, guard of run bot; restart and then" in told
        assert "`fractal keys rotate bot --finish`" in told
    shown = fractal("keys", "show", *url)
    assert "agent fractal-2 of" in shown
    assert "bot (old, see rotate --finish): 0x" in shown
    assert "agent fractal is deregistered" in fractal("keys", "rotate", "bot", "--finish", *url)
    shown = fractal("keys", "show", "bot", "--venue", "sim", "--offline")
    assert shown.startswith("on http://127.0.0.1:3001:\nbot: 0x")
    local_exchange.add_fault("garbled_answer", paths=["info"])
    assert f"error: venue {local_exchange.url}: " in fractal("keys", "show", *url, code=2)


def test_arming_names_the_key_it_needs(home: Path, fractal: Command) -> None:
    """Without a key nothing can be armed, and the command that makes one is told."""
    (home / "config.toml").write_text('[venue]\nmode = "mainnet"\n')
    assert "arm: no key; give --key NAME or [venue] key" in fractal("arm", code=2)


def test_a_key_on_the_command_line_is_refused(fractal: Command, home: Path) -> None:
    """Whatever the command, 64 hex digits among its arguments end it, unrepeated."""
    assert "no secret any more" in fractal("keys", "import", "bot", MASTER_KEY, code=2)
    assert "no secret any more" in fractal("nonsense", MASTER_KEY[2:], code=2)
    assert list(home.iterdir()) == []


def test_what_is_piped_in_must_be_a_key(fractal: Command, home: Path) -> None:
    """Text that is no key is refused before a password is asked for, and not shown."""
    told = fractal("keys", "import", "bot", typed="not a key at all\n", code=2)
    assert "not a valid secp256k1 key" in told
    assert "not a key at all" not in told
    assert "none of key bot was given" in fractal("keys", "import", "bot", code=2)
    assert list(home.iterdir()) == []
