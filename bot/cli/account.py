"""`python -m bot account`: says whose account at Replicate the token opens, without showing the token."""

import argparse
from collections.abc import Sequence

from bot.backends.replicate.client import ReplicateClient
from bot.cli.replicate_client import run_with_client
from bot.cli.terminal import print_errors, print_text, sanitise_line
from bot.settings import Settings

_FACTS = ("type", "username", "name", "github_url")


@print_errors
def main(arguments: Sequence[str]) -> int:
    argparse.ArgumentParser(prog="python -m bot account", description=__doc__).parse_args(arguments)

    async def read(client: ReplicateClient, _: Settings) -> str:
        account = await client.get_account()
        lines = [f"{name}: {sanitise_line(str(account[name]))}" for name in _FACTS if account.get(name)]
        return "\n".join(lines) or "Replicate says nothing about this account."

    print_text(run_with_client(read))
    return 0
