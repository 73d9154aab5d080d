"""Transfers files: fits made files into Discord's upload limit, and downloads the files that users attach."""

import asyncio
import io
import mimetypes
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import discord

from bot.core.errors import BadFile, FileTooLarge, OutputGone, Unavailable
from bot.core.file_types import FILE_TYPES, MediaKind
from bot.core.invocations import Attachment, Link
from bot.core.replies import MadeFile, Picture, ResultFile
from bot.media.media import Media
from bot.media.recipes import load_with_recipe, write_recipe
from bot.platforms.discord.config import OFFICIAL_CDN

DownloadFile = Callable[[str], Awaitable[bytes]]
"""Downloads a file by URL; raises a `UserError`."""

DEFAULT_LIMIT_BYTES = discord.utils.DEFAULT_FILE_SIZE_LIMIT_BYTES
# discord.com/developers/docs/components/reference#component-object-component-types
_SECTION, _THUMBNAIL, _GALLERY, _CONTAINER = 9, 11, 12, 17


@dataclass(frozen=True, slots=True)
class DiscordUpload:
    """A file to send under `name`. Without data the file cannot be shown, for the `reason`."""

    name: str
    data: bytes = b""
    is_shrunk: bool = False
    reason: str = ""


async def prepare_uploads(made: Sequence[MadeFile], media: Media, limit_bytes: int) -> list[DiscordUpload]:
    """Return one upload per made file. Reading and shrinking run in a thread."""
    return [
        await (
            _prepare_file(file, media, limit_bytes)
            if isinstance(file, ResultFile)
            else _prepare_upload(file, media, limit_bytes)
        )
        for file in made
    ]


def open_files(uploads: Sequence[DiscordUpload]) -> list[discord.File]:
    """Return files for one request: sending reads a file to its end and closes the file."""
    return [discord.File(io.BytesIO(upload.data), upload.name) for upload in uploads if upload.data]


def describe_uploads(uploads: Sequence[DiscordUpload]) -> str:
    """Return a remark on missing and shrunk pictures for the user; empty if all are unchanged."""
    shrunk = sum(upload.is_shrunk for upload in uploads)
    remarks = [upload.reason for upload in uploads if upload.reason]
    if shrunk:
        subject = "The picture was" if len(uploads) == 1 else f"{shrunk} of {len(uploads)} pictures were"
        remarks.append(f"{subject} made smaller, to fit what can be uploaded here")
    return " · ".join(dict.fromkeys(remarks))


async def _prepare_upload(picture: Picture, media: Media, limit_bytes: int) -> DiscordUpload:
    path = media.find_path(picture.sha256)
    if path is None:
        return DiscordUpload("", reason="a picture is not kept any more")
    # The media store keeps the original; only Discord's copy is smaller.
    try:
        if path.stat().st_size <= limit_bytes:
            data = await asyncio.to_thread(load_with_recipe, path, picture.recipe, limit_bytes)
            return DiscordUpload(picture.name, data)
        small = await media.make_smaller(path, max_bytes=limit_bytes)
    except FileNotFoundError:  # retention deleted the file in between
        return DiscordUpload("", reason="a picture is not kept any more")
    except BadFile:
        return DiscordUpload("", reason="a picture is too large to be uploaded here")
    data = write_recipe(small.data, picture.recipe, limit_bytes)
    stem = picture.name.rpartition(".")[0] or picture.name
    return DiscordUpload(f"{stem}.{FILE_TYPES[small.facts.mime].extension}", data, is_shrunk=True)


async def _prepare_file(file: ResultFile, media: Media, limit_bytes: int) -> DiscordUpload:
    noun, path = file.kind.noun, media.find_path(file.sha256)
    # A message with a player has no gallery: the name alone hides a flagged file (docs, "Spoilers").
    name = f"SPOILER_{file.name}" if file.is_flagged else file.name
    try:
        if path is not None and path.stat().st_size <= limit_bytes:
            return DiscordUpload(name, await asyncio.to_thread(path.read_bytes))
    except FileNotFoundError:  # retention deleted the file in between
        path = None
    if path is None:
        return DiscordUpload("", reason=f"a {noun} is not kept any more")
    size = f"{file.size_bytes / 1_000_000:.1f} MB"
    if file.link:
        return DiscordUpload("", reason=f"the {noun} ({size}) is too large to be uploaded here: <{file.link}>")
    return DiscordUpload("", reason=f"the {noun} ({size}) is too large to be uploaded here; ask for a shorter one")


class DiscordFiles:
    """Downloads attachments through the guarded fetcher, from the owner's CDN proxy if there is one."""

    def __init__(self, media: Media, cdn_url: str) -> None:
        self._media = media
        self._cdn_url = cdn_url

    def attach(self, raw: Mapping[str, Any]) -> Attachment:
        """Return the attachment that Discord's JSON describes."""
        return build_attachment(raw, self._read)

    def list_attachments(self, message: discord.Message | discord.MessageSnapshot) -> list[Attachment]:
        """Return the attached files, else the pictures in the components, else the pictures of the embeds."""
        files = [self.attach(file.to_dict()) for file in message.attachments]
        # Some servers list the files of a components message only in the components.
        shown = files or [self._attach_media(item.media) for item in _iterate_gallery(message.components)]
        return shown or [self._attach_picture(url) for embed in message.embeds if (url := _get_picture_url(embed))]

    def list_given(self, raw: Mapping[str, Any], kinds: Sequence[MediaKind]) -> list[Attachment | Link]:
        """Return the files of some kinds in a message's JSON: attached ones, else pictures in components and embeds."""
        for message in (raw, *(snapshot["message"] for snapshot in raw.get("message_snapshots") or ())):
            files = [self.attach(file) for file in message.get("attachments") or ()]
            attached: list[Attachment | Link] = [file for file in files if file.kind in kinds]
            if attached:
                return attached
            if MediaKind.PICTURE not in kinds:
                continue
            urls = [*_find_in_components(message.get("components") or ()), *_find_in_embeds(message)]
            if urls:
                return [Link(build_file_url(url, self._cdn_url)) for url in dict.fromkeys(urls)]
        return []

    def _attach_media(self, media: discord.UnfurledMediaItem) -> Attachment:
        # Components name no size: the download enforces the limit.
        name = urlsplit(media.url).path.rpartition("/")[2] or "picture"
        mime = media.content_type or mimetypes.guess_type(name)[0] or "image/png"
        return Attachment(name, mime, 0, lambda: self._read(media.url))

    def _attach_picture(self, url: str) -> Attachment:
        # An embed names no type: whatever stands at the address is read as a picture, or refused.
        name = urlsplit(url).path.rpartition("/")[2] or "picture"
        mime = mimetypes.guess_type(name)[0] or "image/png"
        return Attachment(name, mime if mime.startswith("image/") else "image/png", 0, lambda: self._read(url))

    async def _read(self, url: str) -> bytes:
        address = build_file_url(url, self._cdn_url)
        # Another bot's gallery may name any address: the configured CDN alone may stand on this machine or network.
        is_at_cdn = address.startswith(f"{self._cdn_url.rstrip('/')}/") and "/../" not in address
        try:
            return (await self._media.download(address, is_trusted=is_at_cdn)).data
        except FileTooLarge:
            raise
        except (BadFile, OutputGone, Unavailable) as error:
            raise BadFile("Discord did not give me that file. Please attach it again.") from error


def build_attachment(raw: Mapping[str, Any], download: DownloadFile) -> Attachment:
    """Return the attachment of Discord's JSON. Type and size are claims of the uploading client."""
    url = str(raw["url"])
    mime = str(raw.get("content_type") or "application/octet-stream").partition(";")[0]
    return Attachment(str(raw["filename"]), mime, int(raw["size"]), lambda: download(url))


def build_file_url(url: str, cdn_url: str) -> str:
    """Return the URL of a CDN file at the owner's proxy; other URLs unchanged."""
    official = f"{OFFICIAL_CDN}/"
    return cdn_url.rstrip("/") + "/" + url.removeprefix(official) if url.startswith(official) else url


def _iterate_gallery(components: Sequence[Any]) -> Iterator[discord.MediaGalleryItem]:
    for component in components:
        if isinstance(component, discord.MediaGalleryComponent):
            yield from component.items
        elif isinstance(component, discord.Container):
            yield from _iterate_gallery(component.children)


def _get_picture_url(embed: discord.Embed) -> str:
    return embed.image.url or embed.thumbnail.url or ""


def _find_in_components(components: Any) -> Iterator[str]:
    for component in components:
        kind = component.get("type")
        if kind == _GALLERY:
            yield from (item["media"]["url"] for item in component["items"])
        elif kind == _THUMBNAIL:
            yield component["media"]["url"]
        elif kind == _SECTION:
            yield from _find_in_components([component.get("accessory") or {}])
        elif kind == _CONTAINER:
            yield from _find_in_components(component.get("components") or ())


def _find_in_embeds(message: Mapping[str, Any]) -> Iterator[str]:
    for embed in message.get("embeds") or ():
        for kind in ("image", "thumbnail"):
            if url := (embed.get(kind) or {}).get("url"):
                yield url
