"""Runs `python -m bot VERB`; an installed package offers the same as `easel VERB`."""

import sys

from bot.cli import main


def run() -> None:
    """Run the verb of the command line and exit with the verb's code."""
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    run()
