"""Where passwords come from, and that they do not stay there."""

import os
from pathlib import Path

import pytest

from fractaltrader.errors import UserError
from fractaltrader.keys.password import Passwords, private_key_from


def answers(*texts: str):
    """A terminal where somebody types `texts`."""
    typed = iter(texts)
    return lambda _prompt: next(typed)


def test_the_terminal_is_asked_twice_for_a_new_one() -> None:
    """A new password has to be typed twice, must be long enough, and an old one is asked once."""
    assert Passwords({}, answers("long enough", "long enough")).new("bot") == "long enough"
    assert Passwords({}, answers("x")).of("bot") == "x"
    with pytest.raises(UserError, match="the two differ"):
        Passwords({}, answers("long enough", "long enouhg")).new("bot")
    with pytest.raises(UserError, match="7 characters are too few"):
        Passwords({}, answers("1234567", "1234567")).new("bot")
    with pytest.raises(UserError, match="no terminal to ask on; name a file in FRACTAL_PASSWORD"):
        Passwords({}, None).of("bot")


def test_a_file_must_be_private(tmp_path: Path) -> None:
    """The first line of a private file is the password; a file that others can read is refused."""
    path = tmp_path / "password"
    path.write_text("from a file\r\nnot this\n")
    path.chmod(0o600)
    environment = {"FRACTAL_PASSWORD_FILE": str(path)}
    assert Passwords(environment, None).of("bot") == "from a file"
    path.chmod(0o640)
    with pytest.raises(UserError, match="mode 0640"):
        Passwords(environment, None).of("bot")
    path.chmod(0o600)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="FRACTAL_PASSWORD_FILE: cannot read"):
        Passwords(environment, None).of("bot")
    path.write_text("\n")
    with pytest.raises(UserError, match="is empty"):
        Passwords(environment, None).of("bot")
    with pytest.raises(UserError, match="cannot read"):
        Passwords({"FRACTAL_PASSWORD_FILE": str(tmp_path / "none")}, None).of("bot")


def test_a_descriptor_is_read_once() -> None:
    """A pipe's first line serves every key of the process; a number that is no descriptor is
    named."""
    reader, writer = os.pipe()
    os.write(writer, b"from a pipe\n")
    os.close(writer)
    passwords = Passwords({"FRACTAL_PASSWORD_FD": str(reader)}, None)
    assert [passwords.of("bot"), passwords.of("guard")] == ["from a pipe"] * 2
    os.close(reader)
    with pytest.raises(UserError, match="cannot read descriptor 'nine'"):
        Passwords(dict.fromkeys(["FRACTAL_PASSWORD_FD"], "nine"), None).of("bot")


def test_no_child_inherits_it() -> None:
    """FRACTAL_PASSWORD is gone from the environment, and no representation shows it."""
    given = "from a variable"
    environment = {"FRACTAL_PASSWORD": given, "OTHER": "stays"}
    passwords = Passwords(environment, None)
    assert passwords.of("bot") == given
    assert environment == {"OTHER": "stays"}
    assert "variable" not in repr(passwords)


def test_a_private_key_is_typed_or_piped() -> None:
    """The key comes from the prompt, else from a line of a pipe; nothing at all is refused."""
    assert private_key_from(answers("0xabc "), lambda: "never", "bot") == "0xabc"
    assert private_key_from(None, lambda: "0xdef\n", "bot") == "0xdef"
    with pytest.raises(UserError, match="none of bot was given"):
        private_key_from(None, lambda: "", "bot")
