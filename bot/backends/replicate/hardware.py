"""The hardware that deployments can run on."""

from dataclasses import dataclass

from bot.backends.replicate.calls import ReplicateApi, get_text
from bot.core.json import JSON


@dataclass(frozen=True, slots=True)
class Hardware:
    """`sku` is what requests say, such as `gpu-t4`; `name` is for people."""

    sku: str
    name: str


async def list_hardware(api: ReplicateApi) -> list[Hardware]:
    """GET /hardware."""
    told: JSON = await api.request("GET", "hardware")
    items = told if isinstance(told, list) else []
    return [Hardware(get_text(item, "sku"), get_text(item, "name")) for item in items if get_text(item, "sku")]
