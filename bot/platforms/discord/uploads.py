"""Pictures as Discord takes them: as files no larger than the place allows, made smaller where they must be."""

import asyncio
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import discord

from bot.core.errors import BadFile
from bot.core.replies import Picture
from bot.media.decoding import shrink

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
