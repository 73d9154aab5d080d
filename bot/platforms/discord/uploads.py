"""Pictures as Discord takes them: as files no larger than the place allows, made smaller where they must be."""

import asyncio
import io
import mimetypes
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import discord

from bot.core.errors import BadFile
from bot.core.invocations import Attachment, Link
from bot.core.replies import Picture
from bot.media.decoding import shrink
from bot.platforms.discord.discord_py_internals import build_file_url
from bot.platforms.discord.registration import build_attachment

PathOf = Callable[[str], Path | None]

DEFAULT_LIMIT_BYTES = discord.utils.DEFAULT_FILE_SIZE_LIMIT_BYTES
_EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}


@dataclass(frozen=True, slots=True)
class DiscordUpload:
    """A file to send under `name`; without data it cannot be shown, and `why` says so. `is_smaller`: it was changed."""

    name: str
    data: bytes = b""
    is_smaller: bool = False
    reason: str = ""


async def prepare_uploads(pictures: Sequence[Picture], path_of: PathOf, limit_bytes: int) -> list[DiscordUpload]:
    """One for each picture, read and if need be encoded anew in a thread."""
    return [
        await asyncio.to_thread(_prepare_upload, picture, path_of(picture.sha256), limit_bytes) for picture in pictures
    ]


def open_files(made: Sequence[DiscordUpload]) -> list[discord.File]:
    """What discord.py sends."""
    return [discord.File(io.BytesIO(upload.data), upload.name) for upload in made if upload.data]


def describe_uploads(made: Sequence[DiscordUpload]) -> str:
    """What a person should know of what was done to the pictures."""
    smaller = sum(upload.is_smaller for upload in made)
    told = [upload.reason for upload in made if upload.reason]
    if smaller:
        which = "The picture was" if len(made) == 1 else f"{smaller} of {len(made)} pictures were"
        told.append(f"{which} made smaller, to fit what can be uploaded here")
    return " · ".join(dict.fromkeys(told))


def _prepare_upload(picture: Picture, path: Path | None, limit_bytes: int) -> DiscordUpload:
    if path is None or not path.is_file():
        return DiscordUpload("", reason="a picture is not kept any more")
    data = path.read_bytes()
    if len(data) <= limit_bytes:
        return DiscordUpload(picture.name, data)
    try:
        small = shrink(data, max_bytes=limit_bytes)
    except BadFile:
        return DiscordUpload("", reason="a picture is too large to be uploaded here")
    stem = picture.name.rpartition(".")[0] or picture.name
    return DiscordUpload(f"{stem}.{_EXTENSIONS.get(small.facts.mime, 'bin')}", small.data, is_smaller=True)


# MERGED Files that people attach: described by Discord, downloaded from it when a command wants them.

_SECTION, _THUMBNAIL, _GALLERY, _CONTAINER = 9, 11, 12, 17


class DiscordFiles:
    """Downloads through discord.py's own session, from the owner's proxy where there is one."""

    def __init__(self, client: discord.Client, cdn_url: str) -> None:
        self._client = client
        self._cdn_url = cdn_url

    def attach(self, raw: Mapping[str, Any]) -> Attachment:
        """A file as Discord's JSON describes it."""
        return build_attachment(raw, self._read)

    def list_attachments(self, message: discord.Message) -> list[Attachment]:
        """The files of a message that discord.py read."""
        files = [self.attach(file.to_dict()) for file in message.attachments]
        # The files of a layout are told of in its parts; not each Discord lists them besides.
        return files or [self._attach_media(item.media) for item in _iterate_gallery(message.components)]

    def _attach_media(self, media: discord.UnfurledMediaItem) -> Attachment:
        name = urlsplit(media.url).path.rpartition("/")[2] or "picture"
        mime = media.content_type or mimetypes.guess_type(name)[0] or "image/png"
        return Attachment(name, mime, 0, lambda: self._read(media.url))

    def find_picture(self, raw: Mapping[str, Any]) -> Attachment | Link | None:
        """The first picture that a message shows, from Discord's JSON of it: attached, in its layout, or linked."""
        for message in (raw, *(snapshot["message"] for snapshot in raw.get("message_snapshots") or ())):
            for file in message.get("attachments") or ():
                if str(file.get("content_type") or "").startswith("image/"):
                    return self.attach(file)
            for address in (*_find_in_layout(message.get("components") or ()), *_find_in_embeds(message)):
                return Link(build_file_url(address, self._cdn_url))
        return None

    async def _read(self, address: str) -> bytes:
        try:
            return await self._client.http.get_from_cdn(build_file_url(address, self._cdn_url))
        except (discord.HTTPException, aiohttp.ClientError, OSError) as error:
            raise BadFile("Discord did not give me that file. Please attach it again.") from error


def _iterate_gallery(components: Sequence[Any]) -> Iterator[discord.MediaGalleryItem]:
    for component in components:
        if isinstance(component, discord.MediaGalleryComponent):
            yield from component.items
        elif isinstance(component, discord.Container):
            yield from _iterate_gallery(component.children)


def _find_in_layout(components: Any) -> Iterator[str]:
    for component in components:
        kind = component.get("type")
        if kind == _GALLERY:
            yield from (item["media"]["url"] for item in component["items"])
        elif kind == _THUMBNAIL:
            yield component["media"]["url"]
        elif kind == _SECTION:
            yield from _find_in_layout([component.get("accessory") or {}])
        elif kind == _CONTAINER:
            yield from _find_in_layout(component.get("components") or ())


def _find_in_embeds(message: Mapping[str, Any]) -> Iterator[str]:
    for embed in message.get("embeds") or ():
        for kind in ("image", "thumbnail"):
            if address := (embed.get(kind) or {}).get("url"):
                yield address
