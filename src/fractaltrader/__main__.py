"""`python -m fractaltrader`, and what the command `fractal` starts with.

The version is told without loading the command line's libraries, which take most of a start.
"""

import sys

from fractaltrader import __version__


def main() -> None:
    """Run the command in `sys.argv`."""
    if sys.argv[1:] in (["version"], ["--version"]):
        sys.stdout.write(f"{__version__}\n")
        return
    from fractaltrader.cli.main import main as run

    run()


if __name__ == "__main__":
    main()
