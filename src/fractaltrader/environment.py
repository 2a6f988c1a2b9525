"""Every environment variable that FractalTrader reads, with what it is for."""

HOME = "FRACTAL_HOME"
PRIVATE_KEY, GUARD_KEY = "FRACTAL_PRIVATE_KEY", "FRACTAL_GUARD_KEY"
PASSWORD_FILE, PASSWORD_FD, PASSWORD = (
    "FRACTAL_PASSWORD_FILE",
    "FRACTAL_PASSWORD_FD",
    "FRACTAL_PASSWORD",
)

_MEANINGS = (
    (HOME, "folder of everything that is written; `~/.fractal` by default"),
    (
        PASSWORD_FILE,
        "file with the password of the key (first line), readable by its owner alone",
    ),
    (
        PASSWORD_FD,
        "number of an open file descriptor to read the password from (first line)",
    ),
    (
        PASSWORD,
        "the password itself; removed from the environment once read, yet `/proc` of the "
        "process goes on showing it to its owner: prefer a file",
    ),
    (
        PRIVATE_KEY,
        "private key of `fractal run` where no key is configured; refused on mainnet",
    ),
    (GUARD_KEY, "the same for `fractal guard`"),
    ("NOTIFY_SOCKET", "set by systemd: where `fractal run` tells that it is alive"),
)
VARIABLES = dict(_MEANINGS)
