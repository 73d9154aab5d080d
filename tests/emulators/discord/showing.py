"""Components as Discord's answers show them: defaults filled in, ids given, files at their addresses."""

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from tests.emulators.discord.component_rules import ATTACHMENT_SCHEME
from tests.emulators.discord.messages import (
    BUTTON,
    FILE,
    GALLERY,
    SELECTS,
    THUMBNAIL,
    DiscordAttachmentState,
    walk_components,
)
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


def render_components(components: Sequence[Json], attachments: Sequence[DiscordAttachmentState]) -> list[Json]:
    """A copy of what a request sent."""
    copies = [_render_component(node, attachments) for node in components]
    taken = {node.get("id") for node in walk_components(copies)}
    fresh = (number for number in range(1, 1000) if number not in taken)
    for node in walk_components(copies):
        node["id"] = node.get("id") or next(fresh)
    return copies


def _render_component(node: Json, attachments: Sequence[DiscordAttachmentState]) -> Json:
    sent = {name: value for name, value in node.items() if value is not None}
    copy = {**_DEFAULTS.get(node["type"], {}), **sent}
    if node["type"] == GALLERY:
        copy["items"] = [
            _ITEM_DEFAULTS | item | {"media": _render_media(item["media"], attachments)} for item in node["items"]
        ]
    if node["type"] == THUMBNAIL:
        copy["media"] = _render_media(node["media"], attachments)
    if node["type"] == FILE:
        copy["file"] = _render_media(node["file"], attachments)
        found = _find_attachment(node["file"]["url"], attachments)
        copy |= {"name": found.filename, "size": len(found.data)} if found else {"name": "", "size": 0}
    if sent.get("components"):
        copy["components"] = [_render_component(child, attachments) for child in node["components"]]
    if sent.get("accessory"):
        copy["accessory"] = _render_component(node["accessory"], attachments)
    return copy


def _render_media(media: Json, attachments: Sequence[DiscordAttachmentState]) -> Json:
    url = media["url"]
    found = _find_attachment(url, attachments)
    if found is None:
        return {"id": str(zlib.crc32(url.encode())), "url": url, "proxy_url": url, "width": None, "height": None}
    width, height = found.size_in_pixels or (None, None)
    address = {"id": str(found.id), "url": found.url, "proxy_url": found.url, "attachment_id": str(found.id)}
    return {**address, "width": width, "height": height, "content_type": found.content_type}


def _find_attachment(url: str, attachments: Sequence[DiscordAttachmentState]) -> DiscordAttachmentState | None:
    """The file behind `attachment://name`, or behind its address."""
    if url.startswith(ATTACHMENT_SCHEME):
        return next(one for one in attachments if one.filename == url.removeprefix(ATTACHMENT_SCHEME))
    return next((one for one in attachments if one.url == url), None)
