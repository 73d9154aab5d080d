"""Components as Discord's answers show them: defaults filled in, ids given, files at their addresses."""

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from tests.emulators.discord.component_rules import SCHEME
from tests.emulators.discord.messages import BUTTON, FILE, GALLERY, SELECTS, THUMBNAIL, Attachment, walk
from tests.emulators.discord.world import Json

CONTAINER, SEPARATOR = 17, 14

_DEFAULTS: Mapping[int, Mapping[str, Any]] = {
    CONTAINER: {"accent_color": None, "spoiler": False},
    SEPARATOR: {"spacing": 1, "divider": True},
    THUMBNAIL: {"description": None, "spoiler": False},
    FILE: {"spoiler": False},
    BUTTON: {"disabled": False},
    **{kind: {"min_values": 1, "max_values": 1, "disabled": False} for kind in SELECTS},
}
_ITEM_DEFAULTS = {"description": None, "spoiler": False}


def shown(components: Sequence[Json], attachments: Sequence[Attachment]) -> list[Json]:
    """A copy of what a request sent."""
    copies = [_node(node, attachments) for node in components]
    taken = {node.get("id") for node in walk(copies)}
    fresh = (number for number in range(1, 1000) if number not in taken)
    for node in walk(copies):
        node["id"] = node.get("id") or next(fresh)
    return copies


def _node(node: Json, attachments: Sequence[Attachment]) -> Json:
    sent = {name: value for name, value in node.items() if value is not None}
    copy = {**_DEFAULTS.get(node["type"], {}), **sent}
    if node["type"] == GALLERY:
        copy["items"] = [
            _ITEM_DEFAULTS | item | {"media": _media(item["media"], attachments)} for item in node["items"]
        ]
    if node["type"] == THUMBNAIL:
        copy["media"] = _media(node["media"], attachments)
    if node["type"] == FILE:
        copy["file"] = _media(node["file"], attachments)
        found = _named(node["file"]["url"], attachments)
        copy |= {"name": found.filename, "size": len(found.data)} if found else {"name": "", "size": 0}
    if sent.get("components"):
        copy["components"] = [_node(child, attachments) for child in node["components"]]
    if sent.get("accessory"):
        copy["accessory"] = _node(node["accessory"], attachments)
    return copy


def _media(media: Json, attachments: Sequence[Attachment]) -> Json:
    url = media["url"]
    found = _named(url, attachments)
    if found is None:
        return {"id": str(zlib.crc32(url.encode())), "url": url, "proxy_url": url, "width": None, "height": None}
    width, height = found.size_in_pixels or (None, None)
    address = {"id": str(found.id), "url": found.url, "proxy_url": found.url, "attachment_id": str(found.id)}
    return {**address, "width": width, "height": height, "content_type": found.content_type}


def _named(url: str, attachments: Sequence[Attachment]) -> Attachment | None:
    """The file behind `attachment://name`, or behind its address."""
    if url.startswith(SCHEME):
        return next(one for one in attachments if one.filename == url.removeprefix(SCHEME))
    return next((one for one in attachments if one.url == url), None)
