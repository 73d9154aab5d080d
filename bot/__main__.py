"""`python -m bot VERB`, which an installed package also offers as `easel VERB`."""

import sys

from bot.cli import main


def run() -> None:
    """Run the verb that the command line names and exit with its code."""
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    run()
