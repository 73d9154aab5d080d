"""`python -m bot account`: says whose account at Replicate the token opens, without showing the token."""

import argparse
import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

from bot.backends import http
from bot.backends.replicate.client import ReplicateClient
from bot.cli.terminal import print_errors, print_text, sanitise_line
from bot.core.clock import SystemClock
from bot.core.errors import SubmitUnclear, Unavailable
from bot.settings import Settings, SettingsError, load_settings
from bot.telemetry import logs

T = TypeVar("T")


# The client of all verbs for Replicate.


def run_with_client(action: Callable[[ReplicateClient, Settings], Awaitable[T]]) -> T:
    """Run an action with an open client and the settings of the environment and .env; return the action's result."""
    settings = load_settings()
    logs.configure_logging("ERROR", settings.log_format, settings.list_secrets())
    return asyncio.run(_run_with_client(action, settings))


async def _run_with_client(action: Callable[[ReplicateClient, Settings], Awaitable[T]], settings: Settings) -> T:
    async with open_client(settings) as client:
        try:
            return await action(client, settings)
        except SubmitUnclear as error:
            # No automatic retry: a second deployment or training costs money.
            raise Unavailable(
                f"It is not known whether this arrived ({error}): list first, before you do it again."
            ) from error


@asynccontextmanager
async def open_client(settings: Settings) -> AsyncIterator[ReplicateClient]:
    """Yield a client with the owner's token. Raise `SettingsError` if no token is set."""
    if settings.replicate_api_token is None:
        raise SettingsError("REPLICATE_API_TOKEN is missing. Make one at replicate.com/account/api-tokens.")
    # A pasted token may end with a line break, which HTTP headers refuse.
    token = settings.replicate_api_token.get_secret_value().strip()
    context = http.create_context_for(settings.replicate_base_url)
    client = ReplicateClient(settings.replicate_base_url, token, SystemClock(), context=context)
    try:
        yield client
    finally:
        await client.close()


async def qualify_name(client: ReplicateClient, name: str) -> str:
    """Return `owner/name`; a name without an owner belongs to the account of the token."""
    if "/" in name:
        return name
    account = await client.get_account()
    return f"{account.get('username')}/{name}"


# The verb.

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
