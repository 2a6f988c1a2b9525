"""Encrypted keys on disk: whole, private, never replaced, never told."""

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import eth_account
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wallet_world import QUICK_SCRYPT, key_of, signer_of

from fractaltrader.errors import UserError
from fractaltrader.keys.keystore import Keystore

PHRASE = "correct horse äöü 漢"


@pytest.fixture
def store(tmp_path: Path) -> Keystore:
    """A store with one key, `bot`."""
    made = Keystore(tmp_path / "home" / "keys")
    made.create("bot", key_of("bot"), PHRASE, scrypt_n=QUICK_SCRYPT)
    return made


def contents(store: Keystore) -> dict[str, tuple[int, bytes]]:
    """Mode and content of every file."""
    return {
        path.name: (path.stat().st_mode, path.read_bytes() if path.is_file() else b"")
        for path in store.folder.iterdir()
    }


def test_a_key_is_kept_and_private(store: Keystore) -> None:
    """The key comes back with its password; file and folder are their owner's alone and hold the
    key in no spelling."""
    assert store.open("bot", PHRASE).address == signer_of("bot").address
    assert store.address("bot") == signer_of("bot").address
    assert store.names() == ["bot"]
    path = store.path("bot")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700
    assert [one.name for one in store.folder.iterdir()] == ["bot.json"]
    assert signer_of("bot").redact(path.read_text()) == path.read_text()


@settings(max_examples=20, deadline=None)
@given(st.binary(min_size=32, max_size=32).filter(lambda k: any(k[1:]) and k[0] < 0xFF))
def test_other_wallets_read_ours_and_we_theirs(
    tmp_path_factory: pytest.TempPathFactory, secret: bytes
) -> None:
    """Any key written here is read by the reference implementation, and the other way round, with
    either derivation and any UTF-8 password."""
    store = Keystore(tmp_path_factory.mktemp("keys") / "keys")
    store.create("ours", secret, PHRASE, scrypt_n=QUICK_SCRYPT)
    ours = json.loads(store.path("ours").read_text())
    assert bytes(eth_account.Account.decrypt(ours, PHRASE.encode())) == secret
    for kdf in ("scrypt", "pbkdf2"):
        theirs = eth_account.Account.encrypt(secret, PHRASE.encode(), kdf=kdf, iterations=2)
        path = store.path(kdf)
        path.write_text(json.dumps(theirs))
        path.chmod(0o600)
        assert store.open(kdf, PHRASE).address == store.address("ours")


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def greedy(path: Path) -> None:
    document = json.loads(path.read_text())
    document["crypto"]["kdfparams"]["n"] = 2**40
    path.write_text(json.dumps(document))


def changed(**parameters: object) -> Callable[[Path], None]:
    """Other parameters of the derivation."""

    def change(path: Path) -> None:
        document = json.loads(path.read_text())
        document["crypto"]["kdfparams"] |= parameters
        path.write_text(json.dumps(document))

    return change


def of_no_hex(path: Path) -> None:
    document = json.loads(path.read_text())
    document["crypto"]["mac"] = "no hex"
    path.write_text(json.dumps(document))


def slow(path: Path) -> None:
    document = json.loads(path.read_text())
    salt = document["crypto"]["kdfparams"]["salt"]
    document["crypto"] |= {
        "kdf": "pbkdf2",
        "kdfparams": {"dklen": 32, "c": 10_000_001, "prf": "hmac-sha256", "salt": salt},
    }
    path.write_text(json.dumps(document))


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir(mode=0o700)


def another_address(path: Path) -> None:
    document = json.loads(path.read_text())
    document["address"] = "11" * 20
    path.write_text(json.dumps(document))


def damaged_text(path: Path) -> None:
    document = json.loads(path.read_text())
    first = document["crypto"]["ciphertext"]
    document["crypto"]["ciphertext"] = f"{int(first[0], 16) ^ 1:x}" + first[1:]
    path.write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("spoil", "password", "told"),
    [
        (lambda path: None, "guessed", "password: wrong for key 'bot'"),
        (lambda path: path.chmod(0o644), PHRASE, "has mode 0644.*`chmod 600 "),
        (lambda path: path.chmod(0o620), PHRASE, "has mode 0620"),
        (lambda path: path.parent.chmod(0o755), PHRASE, "must be 0700: `chmod 700 "),
        (truncated, PHRASE, "is damaged or no version 3 keystore .*restore it from a backup"),
        (emptied, PHRASE, "is damaged"),
        (greedy, PHRASE, "need over 1 GB"),
        (changed(n=3), PHRASE, "need over 1 GB or are malformed"),
        (changed(dklen=16), PHRASE, "kdfparams of scrypt are incomplete"),
        (changed(p="1"), PHRASE, "kdfparams of scrypt are incomplete"),
        (slow, PHRASE, "not hmac-sha256 of at most 10,000,000 rounds"),
        (of_no_hex, PHRASE, "crypto holds no hex"),
        (a_folder, PHRASE, "cannot read .*Is a directory"),
        (another_address, PHRASE, "does not hold the key of its address"),
        (damaged_text, PHRASE, "password: wrong for key 'bot' .or .* is damaged"),
        (lambda path: path.unlink(), PHRASE, "there is none in"),
    ],
)
def test_what_cannot_be_opened_is_named_and_left_alone(
    store: Keystore, spoil, password: str, told: str
) -> None:
    """Wrong password, wrong mode, truncation and damage each give one clear line without the
    password, and change nothing."""
    spoil(store.path("bot"))
    before = contents(store)
    with pytest.raises(UserError, match=told) as caught:
        store.open("bot", password)
    assert contents(store) == before
    assert "\n" not in str(caught.value)
    assert password not in str(caught.value)


def test_a_key_is_never_replaced(store: Keystore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A taken name is refused, also when it is taken meanwhile, and the key stays."""
    before = contents(store)
    with pytest.raises(UserError, match="exists and is not replaced"):
        store.create("bot", key_of("other"), PHRASE, scrypt_n=QUICK_SCRYPT)
    assert contents(store) == before

    def meanwhile(path: Path, content: bytes) -> None:
        path.write_bytes(b"of another process")
        raise FileExistsError

    monkeypatch.setattr("fractaltrader.keys.keystore.create_private", meanwhile)
    with pytest.raises(UserError, match="exists and is not replaced"):
        store.create("new", key_of("other"), PHRASE, scrypt_n=QUICK_SCRYPT)
    assert store.path("new").read_bytes() == b"of another process"


@pytest.mark.parametrize("name", ["../bot", "", "a/b", ".bot", "bot.next", "x" * 65])
def test_a_name_cannot_lead_elsewhere(store: Keystore, name: str) -> None:
    """Names that are no plain file names are refused."""
    with pytest.raises(UserError, match="key name"):
        store.create(name, key_of("other"), PHRASE)


def test_an_open_folder_is_refused(tmp_path: Path) -> None:
    """No key is written where others can read."""
    (tmp_path / "keys").mkdir(mode=0o755)
    (tmp_path / "keys").chmod(0o755)
    with pytest.raises(UserError, match="mode 0755"):
        Keystore(tmp_path / "keys").create("bot", key_of("bot"), PHRASE)
    assert list((tmp_path / "keys").iterdir()) == []


def test_private_from_the_first_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the umask says, nothing that others can read is ever on the disk; a full disk
    leaves nothing."""
    old = os.umask(0)
    modes, fsync = [], os.fsync

    def full(handle: int) -> None:
        modes.append(stat.S_IMODE(os.fstat(handle).st_mode))
        raise OSError(28, "No space left on device")

    try:
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            Keystore(tmp_path / "keys").create("a", key_of("a"), PHRASE, scrypt_n=QUICK_SCRYPT)
        assert modes == [0o600]
        assert list((tmp_path / "keys").iterdir()) == []
        assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700
    finally:
        os.umask(old)
        monkeypatch.setattr(os, "fsync", fsync)


def test_what_belongs_to_somebody_else_is_refused(
    store: Keystore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of another user are not trusted, however private their mode; root's are."""
    monkeypatch.setattr(os, "geteuid", lambda: 12_345)
    owner = store.path("bot").stat().st_uid
    if owner == 0:
        assert store.address("bot") == signer_of("bot").address
        os.chown(store.path("bot"), 54_321, -1)
        owner = 54_321
    with pytest.raises(UserError, match=f"belongs to user {owner}, not to you .12345.; `chown"):
        store.address("bot")


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """Where a file is in the way the reason is told, and the file stays."""
    (tmp_path / "home").write_text("mine")
    with pytest.raises(UserError, match=r"keys: cannot make .*home/keys"):
        Keystore(tmp_path / "home" / "keys").create("bot", key_of("bot"), PHRASE)
    assert (tmp_path / "home").read_text() == "mine"
