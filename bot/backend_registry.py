"""The kinds of backends: opens Replicate and each server of a table `[backends.NAME]`."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from bot.backends.a1111.backend import A1111Backend
from bot.backends.cog.backend import CogBackend
from bot.backends.comfyui.backend import ComfyUIBackend
from bot.backends.openai.backend import OpenAIBackend
from bot.backends.replicate.backend import ReplicateBackend
from bot.core.backend import Backend, BackendConfig, BackendKind
from bot.core.clock import Clock

OpenBackend: TypeAlias = Callable[[BackendConfig, Clock, str | None], Backend]
"""Opens a backend: its table, the clock, and the bot's public address or None."""


def open_replicate(config: BackendConfig, clock: Clock, public_url: str | None) -> Backend:
    """Return a further server with Replicate's API, without webhooks: their route belongs to the first account."""
    return ReplicateBackend(config.url, config.key, clock, config=config)


KINDS: Mapping[BackendKind, OpenBackend] = {
    BackendKind.OPENAI: OpenAIBackend,
    BackendKind.REPLICATE: open_replicate,
    BackendKind.COG: CogBackend,
    BackendKind.A1111: A1111Backend,
    BackendKind.COMFYUI: ComfyUIBackend,
}
"""How to open a server of each kind."""


def open_backends(configs: Sequence[BackendConfig], clock: Clock, public_url: str | None) -> dict[str, Backend]:
    """Return a backend for each table, by name."""
    return {config.name: KINDS[config.kind](config, clock, public_url) for config in configs}
