"""Pages of a list: 100 entries each, with a cursor that stays valid while new entries arrive."""

import base64
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from aiohttp import web

from bot.sandbox.problems import Problem

PAGE_SIZE = 100
T = TypeVar("T")


def paginate(
    request: web.Request, base_url: str, entries: Sequence[T], key: Callable[[T], str], show: Callable[[T], Any]
) -> web.Response:
    """Return one page of `entries` (newest first) from the request's cursor; `next` and `previous` are absolute."""
    keys = [key(entry) for entry in entries]
    start = _find_start(request.query.get("cursor"), keys)
    end = start + PAGE_SIZE
    url = request.rel_url.without_query_params("cursor")

    def link(position: int) -> str:
        cursor = base64.urlsafe_b64encode(keys[position].encode()).decode().rstrip("=")
        return base_url + str(url.update_query(cursor=cursor))

    body = {
        "next": link(end) if end < len(entries) else None,
        "previous": link(max(0, start - PAGE_SIZE)) if start > 0 else None,
        "results": [show(entry) for entry in entries[start:end]],
    }
    return web.json_response(body)


def _find_start(cursor: str | None, keys: Sequence[str]) -> int:
    """Return the position of the cursor's entry, the first of the page."""
    if not cursor:
        return 0
    try:
        return keys.index(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode())
    except (ValueError, UnicodeDecodeError) as error:
        raise Problem(400, "Invalid cursor") from error
