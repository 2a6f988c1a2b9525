"""Private keys at rest: encrypted version 3 keystores (Web3 Secret Storage) in one folder.

NAME.json signs; NAME.next.json and NAME.old.json exist only while a key is being rotated.
"""

import os
import re
from pathlib import Path
from typing import Any, Literal

import msgspec

from fractaltrader.durable import sync_folder
from fractaltrader.errors import UserError, did_you_mean
from fractaltrader.exchange.hyperliquid.signing import Signer
from fractaltrader.keys.private_files import (
    check_private,
    create_private,
    private_folder,
)

# scrypt's N: 128 MB and half a second for each guess, and for us once at the start.
SCRYPT_N = 131_072
LARGEST_SCRYPT_MB = 1_024
MOST_ITERATIONS = 10_000_000
LARGEST_FILE = 65_536
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2})+")

Stage = Literal["", "next", "old"]


class _Crypto(msgspec.Struct):
    cipher: Literal["aes-128-ctr"]
    ciphertext: str
    cipherparams: dict[str, str]
    kdf: Literal["scrypt", "pbkdf2"]
    kdfparams: dict[str, int | str]
    mac: str


class _Document(msgspec.Struct):
    version: Literal[3]
    crypto: _Crypto
    address: str


class Keystore:
    """The encrypted keys in `folder`, each under a name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def names(self) -> list[str]:
        """Names of the keys, sorted; UserError when others can read the folder."""
        if not self.folder.exists():
            return []
        check_private(self.folder, "keys")
        return sorted(p.stem for p in self.folder.glob("*.json") if _NAME.fullmatch(p.stem))

    def path(self, name: str, stage: Stage = "") -> Path:
        """File of the key `name`; UserError unless the name can be a file's."""
        if not _NAME.fullmatch(name):
            raise UserError(
                f"key name: {name[:80]!r} must be 1 to 64 letters, digits, - or _, like 'bot'"
            )
        return self.folder / (f"{name}.{stage}.json" if stage else f"{name}.json")

    def has(self, name: str, stage: Stage = "") -> bool:
        """Whether the key is there."""
        return self.path(name, stage).exists()

    def check_free(self, name: str, stage: Stage = "") -> None:
        """UserError when the name is taken: a key is never replaced."""
        path = self.path(name, stage)
        if path.exists():
            raise UserError(
                f"key {name!r}: {path} exists and is not replaced; choose another name, or move "
                "the file away if its key is of no use any more"
            )

    def address(self, name: str, stage: Stage = "") -> str:
        """Lower-case 0x address of a key, without its password; UserError as `open`."""
        return self._address(self._document(name, stage)[0])

    def create(
        self,
        name: str,
        private_key: bytes,
        password: str,
        *,
        stage: Stage = "",
        scrypt_n: int = SCRYPT_N,
    ) -> str:
        """Encrypt `private_key` (32 bytes) under `password`, read it back, return its address.

        Raises UserError when the name is taken or the folder is not private; nothing is replaced.
        """
        from eth_keyfile.keyfile import create_keyfile_json

        path = self.path(name, stage)
        self.check_free(name, stage)
        private_folder(self.folder, "keys")
        document = create_keyfile_json(
            private_key, _octets(password), kdf="scrypt", iterations=scrypt_n
        )
        try:
            create_private(path, msgspec.json.encode(document))
        except FileExistsError:
            self.check_free(name, stage)
        # A key that cannot be read back is lost, and the money with it.
        return self.open(name, password, stage=stage).address

    def open(self, name: str, password: str, *, stage: Stage = "") -> Signer:
        """The signer of the key; UserError for an unknown name, a file that is not private or is
        damaged, and a wrong password. Nothing is written."""
        from eth_keyfile.keyfile import decode_keyfile_json

        document, raw = self._document(name, stage)
        try:
            secret = decode_keyfile_json(raw, _octets(password))
        except ValueError:  # the MAC differs
            raise UserError(
                f"password: wrong for key {name!r} (or {self.path(name, stage)} is damaged); "
                "try again"
            ) from None
        signer = Signer(secret.hex())
        if signer.address != self._address(document):
            raise UserError(
                f"key {name!r}: {self.path(name, stage)} is damaged: it does not hold the key of "
                "its address; restore it from a backup"
            )
        return signer

    def promote(self, name: str) -> None:
        """Let NAME.next.json be the key and keep the former as NAME.old.json.

        There is a valid NAME.json at every moment; may be repeated after a crash.
        """
        now, following, old = (self.path(name, stage) for stage in ("", "next", "old"))
        if not old.exists():
            os.link(now, old)
        os.replace(following, now)
        sync_folder(self.folder)

    def remove(self, name: str, stage: Literal["next", "old"]) -> None:
        """Delete what a rotation left."""
        self.path(name, stage).unlink()
        sync_folder(self.folder)

    def _document(self, name: str, stage: Stage) -> tuple[_Document, dict[str, object]]:
        """The file's content, checked and as it is."""
        path = self.path(name, stage)
        known = self.names()
        if not path.exists():
            hint = did_you_mean(name, known) or "; `fractal keys new NAME` makes one"
            raise UserError(f"key {name!r}: there is none in {self.folder}{hint}")
        check_private(path, f"key {name!r}")
        try:
            content = path.read_bytes()[:LARGEST_FILE]
            document = msgspec.json.decode(content, type=_Document)
            _check_costs(document.crypto)
            raw: dict[str, object] = msgspec.json.decode(content)
        except OSError as error:
            raise UserError(f"key {name!r}: cannot read {path} ({error.strerror})") from None
        except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
            raise UserError(
                f"key {name!r}: {path} is damaged or no version 3 keystore ({error}); restore it "
                "from a backup"
            ) from None
        return document, raw

    @staticmethod
    def _address(document: _Document) -> str:
        return "0x" + document.address.lower().removeprefix("0x")


def _octets(password: str) -> Any:
    """UTF-8 as every other wallet takes it; the library takes it too but declares text."""
    return password.encode()


def _check_costs(crypto: _Crypto) -> None:
    """ValueError for a parameter that is missing, malformed, or would take all memory or hours."""
    given = crypto.kdfparams
    texts = (crypto.ciphertext, crypto.mac, crypto.cipherparams.get("iv", ""), given.get("salt"))
    if not all(isinstance(text, str) and _HEX.fullmatch(text) for text in texts):
        raise ValueError("crypto holds no hex")
    names = ("dklen", "n", "r", "p") if crypto.kdf == "scrypt" else ("dklen", "c")
    numbers = {name: value for name in names if isinstance(value := given.get(name), int)}
    if len(numbers) < len(names) or numbers["dklen"] != 32 or min(numbers.values()) < 1:
        raise ValueError(f"crypto.kdfparams of {crypto.kdf} are incomplete")
    if crypto.kdf == "pbkdf2":
        if given.get("prf") != "hmac-sha256" or numbers["c"] > MOST_ITERATIONS:
            raise ValueError("crypto.kdfparams are not hmac-sha256 of at most 10,000,000 rounds")
        return
    power_of_two = numbers["n"] & (numbers["n"] - 1) == 0
    megabytes = 128 * numbers["n"] * numbers["r"] * numbers["p"] >> 20
    if not power_of_two or megabytes > LARGEST_SCRYPT_MB:
        raise ValueError("crypto.kdfparams of scrypt need over 1 GB or are malformed")
