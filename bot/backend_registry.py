"""The kinds of backends: opens Replicate and each server of a table `[backends.NAME]`."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from bot.backends.replicate.backend import ReplicateBackend
from bot.core.backend import Backend, BackendConfig, BackendKind
from bot.core.clock import Clock

OpenBackend: TypeAlias = Callable[[BackendConfig, Clock, str | None], Backend]
"""Opens a backend: its table, the clock, and the bot's public address or None."""


def _open_replicate(config: BackendConfig, clock: Clock, public_url: str | None) -> Backend:
    """Return a further server with Replicate's API, without webhooks: their route belongs to the first account."""
    return ReplicateBackend(config.url, config.key, clock, config=config)


# Each kind is loaded with the first server of the kind: most bots save 2 MB and a twentieth of the start.
def _open_openai(config: BackendConfig, clock: Clock, public_url: str | None) -> Backend:
    from bot.backends.openai.backend import OpenAIBackend

    return OpenAIBackend(config, clock, public_url)


def _open_cog(config: BackendConfig, clock: Clock, public_url: str | None) -> Backend:
    from bot.backends.cog.backend import CogBackend

    return CogBackend(config, clock, public_url)


def _open_a1111(config: BackendConfig, clock: Clock, public_url: str | None) -> Backend:
    from bot.backends.a1111.backend import A1111Backend

    return A1111Backend(config, clock, public_url)


def _open_comfyui(config: BackendConfig, clock: Clock, public_url: str | None) -> Backend:
    from bot.backends.comfyui.backend import ComfyUIBackend

    return ComfyUIBackend(config, clock, public_url)


KINDS: Mapping[BackendKind, OpenBackend] = {
    BackendKind.OPENAI: _open_openai,
    BackendKind.REPLICATE: _open_replicate,
    BackendKind.COG: _open_cog,
    BackendKind.A1111: _open_a1111,
    BackendKind.COMFYUI: _open_comfyui,
}
"""How to open a server of each kind."""


def open_backends(configs: Sequence[BackendConfig], clock: Clock, public_url: str | None) -> dict[str, Backend]:
    """Return a backend for each table, by name."""
    return {config.name: KINDS[config.kind](config, clock, public_url) for config in configs}
