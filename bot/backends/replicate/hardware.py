"""The hardware that deployments can run on."""

from dataclasses import dataclass

from bot.backends.replicate.calls import Calls, words
from bot.core.json import JSON


@dataclass(frozen=True, slots=True)
class Hardware:
    """`sku` is what requests say, such as `gpu-t4`; `name` is for people."""

    sku: str
    name: str


async def list_hardware(calls: Calls) -> list[Hardware]:
    """GET /hardware."""
    told: JSON = await calls.ask("GET", "hardware")
    items = told if isinstance(told, list) else []
    return [Hardware(words(item, "sku"), words(item, "name")) for item in items if words(item, "sku")]
