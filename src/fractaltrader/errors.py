"""The root of every error a user can cause or must act on."""


class UserError(Exception):
    """Bad input or a missing precondition; the user acts next.

    The message is one line that names the field, the value, the rule and the remedy. The command
    line prints it without a traceback and exits with `exit_code`.
    """

    exit_code = 2


def did_you_mean(name: str, known: list[str]) -> str:
    """A suggestion for a misspelt name, ready to append to an error; empty when nothing is near."""
    from difflib import get_close_matches

    near = get_close_matches(name, known)
    return f"; did you mean {near[0]!r}?" if near else ""
