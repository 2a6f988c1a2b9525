"""Known keys through a whole life of real processes: they turn up nowhere."""

import base64
import os
import pty
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fractaltrader.exchange.hyperliquid.signing import Signer, keccak256
from fractaltrader.keys.keystore import Keystore

KEYS = {name: keccak256(f"secrecy {name}".encode()) for name in ("owner", "bot", "guard")}
PHRASE = "a password of the secrecy test"
FRACTAL = [sys.executable, "-c", "from fractaltrader.cli.main import main; main()"]
# The bot dies of an error whose text, cause and arguments hold its key in several spellings.
CRASHING = [
    sys.executable,
    "-c",
    """
import base64
from fractaltrader.live import bot
from fractaltrader.cli import secrets
from fractaltrader.cli.main import main
unlock = secrets.unlock
def remembered(*given, **more):
    signer = unlock(*given, **more)
    bot.secret = signer._key.secret
    return signer
secrets.unlock = remembered
async def run(self, **_):
    try:
        raise ValueError(bot.secret.hex().upper(), bot.secret)
    except ValueError as error:
        coded = base64.b64encode(bot.secret)
        raise RuntimeError(f"crash with {coded} 0x{bot.secret.hex()}") from error
bot.Bot.run = run
main()
""",
]
PATIENCE_SECONDS = 90.0


def spellings(key: bytes) -> set[bytes]:
    """The key as it is, in decimal, and in base64 of it and of its hex; hex is looked for in any
    case."""
    text = key.hex().encode()
    coded = {
        encode(one).rstrip(b"=")
        for one in (key, text, b"0x" + text, text.upper())
        for encode in (base64.b64encode, base64.urlsafe_b64encode)
    }
    return {key, str(int.from_bytes(key, "big")).encode()} | coded


NEEDLES = {name: spellings(key) for name, key in KEYS.items()}


def found_in(content: bytes) -> list[str]:
    """Which keys `content` holds in any spelling, and whether it holds the password."""
    lower = content.lower()
    names = [
        name
        for name, needles in NEEDLES.items()
        if KEYS[name].hex().encode() in lower or any(one in content for one in needles)
    ]
    return names + (["password"] if PHRASE.encode() in content else [])


class Processes:
    """Looks at the arguments and the environment of every process of this machine, again and
    again, until it is stopped."""

    def __init__(self) -> None:
        self.leaks: set[str] = set()
        self.seen: set[str] = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._ended.wait(0.3):
            for process in Path("/proc").glob("[0-9]*"):
                for file in ("cmdline", "environ"):
                    self._check(process / file)

    def _check(self, path: Path) -> None:
        try:
            content = path.read_bytes()
        except OSError:
            return  # ended meanwhile, or somebody else's
        if b"fractaltrader" in content:
            self.seen.add(path.name)
        self.leaks.update(f"{path}: {name}" for name in found_in(content))

    def stop(self) -> None:
        self._ended.set()
        self._thread.join(PATIENCE_SECONDS)


class Life:
    """Runs commands in one FRACTAL_HOME and keeps all they print."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.home.mkdir()
        password = folder / "private"
        password.write_text(PHRASE)
        password.chmod(0o600)
        self.environment = {
            **{name: text for name, text in os.environ.items() if not name.startswith("FRACTAL_")},
            "FRACTAL_HOME": str(self.home),
            "FRACTAL_PASSWORD_FILE": str(password),
            "PYTHONUNBUFFERED": "1",
        }
        self.output: list[bytes] = []

    def do(self, *arguments: str, typed: str = "", program: list[str] = FRACTAL) -> str:
        """Run a command to its end; what it printed."""
        done = subprocess.run(
            [*program, *arguments],
            input=typed.encode(),
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        self.output.append(done.stdout)
        return done.stdout.decode()

    @contextmanager
    def running(self, *arguments: str, until: str) -> Iterator[None]:
        """A command that goes on while the block runs; it is over at the end."""
        path = self.folder / f"output-{len(self.output)}"
        with (
            path.open("wb") as file,
            subprocess.Popen(
                [*FRACTAL, *arguments], env=self.environment, stdout=file, stderr=file
            ) as process,
        ):
            self.output.append(b"")
            deadline = time.monotonic() + PATIENCE_SECONDS
            try:
                while until.encode() not in path.read_bytes():
                    assert process.poll() is None, path.read_text()
                    assert time.monotonic() < deadline, path.read_text()
                    time.sleep(0.05)
                yield
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(PATIENCE_SECONDS)

    def files(self) -> dict[str, bytes]:
        """Every file that was written, but the password's own."""
        return {
            str(path): path.read_bytes()
            for path in self.folder.rglob("*")
            if path.is_file() and path.name != "private"
        }


def live_through(life: Life) -> None:
    """Import, approve, show, trade, watch, fail, stop, audit, crash, rotate."""
    owner = Signer(KEYS["owner"].hex()).address
    for name, key in KEYS.items():
        told = life.do("keys", "import", name, typed="0x" + key.hex() + "\n")
        assert f"key {name} stored" in told, told
    market = ("exchange", "--port", "0", "--days", "90", "--speed", "8000")
    state = ("--state", str(life.folder / "exchange.state"), "--faucet", f"{owner}=10000")
    with life.running(*market, *state, until="ready at"):
        url = (life.folder / f"output-{len(life.output) - 1}").read_text().split()[-1]
        (life.home / "config.toml").write_text(
            f'[venue]\nurl = "{url}"\nkey = "bot"\nguard_key = "guard"\naccount = "{owner}"\n'
        )
        for name in ("bot", "guard"):
            approved = life.do(
                "keys", "approve-agent", name, "--master", "owner", "--agent-name", name
            )
            assert f"agent {name} of {owner}" in approved, approved
        assert "guard:" in life.do("keys", "show")
        with (
            life.running("run", until=" open "),
            life.running("guard", until="guarding bot"),
        ):
            assert "running, process" in life.do("status")
            assert "problem" not in life.do("doctor")
            assert "stopped bot" in life.do("stop")
        assert "audit of bot" in life.do("audit")
        crashed = life.do("run", program=CRASHING)
        assert "Traceback" in crashed
        assert crashed.count("[private key]") == 4, crashed
        assert "wrong for key" in wrong_password(life)
        assert "agent bot is deregistered" in life.do("keys", "rotate", "bot", "--master", "owner")


def wrong_password(life: Life) -> str:
    """`fractal run` with another password."""
    other = life.folder / "other"
    other.write_text("not the password")
    other.chmod(0o600)
    right = life.environment["FRACTAL_PASSWORD_FILE"]
    life.environment["FRACTAL_PASSWORD_FILE"] = str(other)
    told = life.do("run")
    life.environment["FRACTAL_PASSWORD_FILE"] = right
    return told


@pytest.mark.integration
@pytest.mark.slow
def test_a_known_key_appears_nowhere(tmp_path: Path) -> None:
    """Exchange, keys, run, guard, status, doctor, stop, audit, a crash with its traceback and a
    rotation leave three known keys and the password in no output, file, argument list or
    environment, in no spelling; the search itself finds what is planted."""
    processes, life = Processes(), Life(tmp_path)
    try:
        live_through(life)
    finally:
        processes.stop()
    files = life.files()
    assert {name: found for name, text in files.items() if (found := found_in(text))} == {}
    assert found_in(b"\n".join(life.output)) == []
    assert processes.leaks == set()
    assert processes.seen >= {"cmdline"}
    names = {Path(name).name for name in files}
    assert {"bot.log", "guard.log", "ledger.sqlite", ".trading_state.json", "bot.json"} <= names
    assert {"exchange.state"} <= names
    for key in KEYS.values():
        planted = (
            key,
            key.hex().encode(),
            base64.b64encode(key),
            b"0X" + key.hex().upper().encode(),
        )
        assert all(found_in(b"..." + one + b"...") for one in planted)


@pytest.mark.integration
def test_nothing_typed_is_echoed(tmp_path: Path) -> None:
    """On a terminal key and password are asked for, the password twice, and neither is shown."""
    life = Life(tmp_path)
    del life.environment["FRACTAL_PASSWORD_FILE"]
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*FRACTAL, "keys", "import", "bot"],
        env=life.environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        shown = b""
        for prompt, text in (
            (b"not shown): ", KEYS["bot"].hex()),
            (b"New password for key bot: ", PHRASE),
            (b"Once more: ", PHRASE),
            (b"key bot stored", ""),
        ):
            while prompt not in shown:
                assert select.select([ours], [], [], PATIENCE_SECONDS)[0], shown
                shown += os.read(ours, 1_000)
            os.write(ours, f"{text}\n".encode())
        assert process.wait(PATIENCE_SECONDS) == 0
    os.close(ours)
    assert found_in(shown) == []
    opened = Keystore(life.home / "keys").open("bot", PHRASE)
    assert opened.address == Signer(KEYS["bot"].hex()).address
