"""Where a user's files live."""

import os
from pathlib import Path

from fractaltrader.environment import HOME


def fractal_home() -> Path:
    """The folder everything a user's run writes lives under; `FRACTAL_HOME` moves it."""
    return Path(os.environ.get(HOME) or Path.home() / ".fractal")
