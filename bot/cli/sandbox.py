"""`python -m bot sandbox`: serves the Replicate-compatible sandbox alone and prints the token."""

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path

from bot.cli.terminal import print_errors, print_text, wait_for_stop_signal
from bot.sandbox.ids import new_api_token
from bot.sandbox.server import Sandbox, SandboxOptions

_PACKAGE = Path(__file__).resolve().parents[1]
_INSTALLED = _PACKAGE / "documents"
"""The copy inside an installed package (pyproject.toml, force-include)."""


@print_errors
def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bot sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8766, help="0 takes any free port")
    parser.add_argument("--token", default=None, help="made up when not given")
    parser.add_argument("--speed", type=float, default=1.0, help="multiplies the models' times; 0 is as fast as can be")
    parser.add_argument("--rate-limit", action="store_true", help="enforce Replicate's limits: 600 creates a minute")
    parser.add_argument("--low-credit", action="store_true", help="6 creates a minute, as with less than $5 of credit")
    options = parser.parse_args(arguments)
    sandbox_options = SandboxOptions(
        host=options.host,
        port=options.port,
        token=options.token or new_api_token(),
        speed=options.speed,
        docs=find_documents(),
        rate_limit=options.rate_limit,
        low_credit=options.low_credit,
    )
    return asyncio.run(_serve(sandbox_options))


def find_documents() -> tuple[Path, ...]:
    """Return the README and each page of docs/, from a source checkout or from an installed package.

    The sandbox's guide model answers questions from these documents.
    """
    readme = _PACKAGE.parent / "README.md"
    if not _INSTALLED.is_dir():
        return (readme, *sorted((_PACKAGE.parent / "docs").glob("*.md")))
    return tuple(sorted(_INSTALLED.glob("*.md")))


async def _serve(options: SandboxOptions) -> int:
    sandbox = Sandbox(options)
    url = await sandbox.start()
    print_text(f"REPLICATE_BASE_URL={url}\nREPLICATE_API_TOKEN={sandbox.token}")
    print_text(f"webhook secret: {options.webhook_secret}\nCtrl-C stops it.")
    await wait_for_stop_signal()
    await sandbox.stop()
    return 0
