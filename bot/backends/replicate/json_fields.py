"""What the parts of the client share: calls with the token, pages of lists, and addresses that name one thing."""

from collections.abc import AsyncIterator
from typing import Any, Protocol
from urllib.parse import quote

from bot.backends.replicate.errors import SERVICE_DOWN
from bot.backends.replicate.streams import Origins
from bot.core.errors import BackendDown, InputRefused
from bot.core.json import JSON

_MAX_LISTED_PAGES = 1_000
"""A list that never ends is no list."""


class ReplicateApi(Protocol):
    """`ReplicateClient`, as its parts see it. Both raise a `BackendError` for a refusal."""

    @property
    def origins(self) -> Origins: ...

    async def request(self, method: str, path: str, **options: Any) -> JSON:
        """A call that may be repeated, and is while the service is away."""
        ...

    async def request_once(self, method: str, path: str, **options: Any) -> JSON:
        """A call that must not arrive twice. Raises `SubmitUnclear` when a broken one may have arrived."""
        ...


async def iterate_items(
    api: ReplicateApi, path: str, *, method: str = "GET", **options: Any
) -> AsyncIterator[dict[str, JSON]]:
    """Every object of a list, page after page. The `next` of a page is followed to the API's own host only."""
    for _ in range(_MAX_LISTED_PAGES):
        page = await api.request(method, path, **options)
        for item in get_objects(page, "results"):
            yield item
        following = page.get("next") if isinstance(page, dict) else None
        if not isinstance(following, str) or not following:
            return
        if not api.origins.is_api(following):
            raise BackendDown(SERVICE_DOWN)
        path = following


def get_objects(body: JSON, key: str) -> list[dict[str, JSON]]:
    """The objects of a list inside an object; anything else is passed over."""
    items = body.get(key) if isinstance(body, dict) else None
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def get_text(body: JSON, key: str) -> str:
    """A text inside an object, empty when there is none."""
    value = body.get(key) if isinstance(body, dict) else None
    return value if isinstance(value, str) else ""


def get_object(body: JSON, key: str) -> dict[str, JSON]:
    """An object inside an object, empty when there is none."""
    value = body.get(key) if isinstance(body, dict) else None
    return value if isinstance(value, dict) else {}


def quote_ref(ref: str) -> str:
    """`owner/name` as a piece of an address. Raises `InputRefused` for what is none: it could name another place."""
    owner, slash, name = ref.partition("/")
    if not (owner and slash and name) or "/" in name or {owner, name} & {".", ".."}:
        raise InputRefused(f"“{ref}” is no owner/name.")
    return f"{quote(owner, safe='')}/{quote(name, safe='')}"


def quote_id(name: str) -> str:
    """An id or a slug as a piece of an address."""
    if not name or name in (".", ".."):
        raise InputRefused(f"“{name}” is no id.")
    return quote(name, safe="")
