"""Files of messages and of command options: stored under expiring URLs, served by the CDN."""

import contextlib
import io
import mimetypes
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web
from PIL import Image

from tests.emulators.discord.errors import ENTITY_TOO_LARGE, DiscordErrorResponse, raise_if_invalid
from tests.emulators.discord.messages import DiscordAttachmentState, DiscordMessageState
from tests.emulators.discord.state import DEFAULT_UPLOAD_LIMIT, DiscordChannelState, DiscordState, Json
from tests.specs.discord_schemas import DiscordViolation

if TYPE_CHECKING:
    from tests.emulators.discord.emulator import DiscordEmulator

GONE_TEXT = "This content is no longer available."
FILE_URL_SECONDS = 24 * 3600
VOICE_MESSAGE = 1 << 13
"""The flag of a voice message (docs.discord.com/developers/resources/message, "Voice Messages")."""
MAX_WAVEFORM_VALUES = 256
_PIECE_BYTES = 256 * 1024
_UNSAFE_IN_NAMES = re.compile(r"[^\w.\-]+")


@dataclass(frozen=True)
class DiscordFileUpload:
    """A file of a request."""

    filename: str
    data: bytes
    voice_seconds: float | None = None
    """The length of a voice message."""


def resolve_attachments(
    message: DiscordMessageState,
    entries: list[Json] | None,
    uploads: Mapping[int, DiscordFileUpload],
    *,
    keep_by_default: bool,
) -> list[DiscordAttachmentState]:
    """Return the attachments after a request: entries keep or add files, uploads without an entry are added.

    Without entries (None), all earlier attachments stay if `keep_by_default`. Raise `DiscordErrorResponse` for a file
    over the upload limit or an unknown id.
    """
    state, limit = message.channel.state, get_upload_limit(message.channel)
    if any(len(upload.data) > limit for upload in uploads.values()):
        raise DiscordErrorResponse(ENTITY_TOO_LARGE)
    if entries is None:
        kept = list(message.attachments) if keep_by_default else []
        return kept + [store_file(state, message.channel, upload) for upload in uploads.values()]
    own_attachments = {attachment.id: attachment for attachment in message.attachments}
    attachments, used_numbers = [], set()
    for number, entry in enumerate(entries):
        name = int(entry["id"])
        if name in own_attachments:
            own_attachments[name].description = entry.get("description", own_attachments[name].description)
            attachments.append(own_attachments[name])
        elif name in uploads:
            used_numbers.add(name)
            attachments.append(store_file(state, message.channel, uploads[name], entry))
        else:
            raise_if_invalid(
                [
                    DiscordViolation(
                        ("attachments", number, "id"), "ATTACHMENT_NOT_FOUND", f"{name} is no file of this request"
                    )
                ]
            )
    unlisted = [
        store_file(state, message.channel, upload) for number, upload in uploads.items() if number not in used_numbers
    ]
    return attachments + unlisted


def get_upload_limit(channel: DiscordChannelState) -> int:
    """Return the maximum bytes of a single file."""
    return channel.guild.upload_limit_bytes if channel.guild else DEFAULT_UPLOAD_LIMIT


def store_file(
    state: DiscordState, channel: DiscordChannelState, upload: DiscordFileUpload, entry: Json | None = None
) -> DiscordAttachmentState:
    """Store a file for the CDN, under a signed-looking URL that expires."""
    entry = entry or {}
    filename = _UNSAFE_IN_NAMES.sub("_", entry.get("filename") or upload.filename)
    if entry.get("is_spoiler") and not filename.startswith("SPOILER_"):
        filename = f"SPOILER_{filename}"
    file_id = state.ids.next()
    kind = mimetypes.guess_type(filename)[0] or "application/octet-stream"
    url = build_file_url(state, "attachments", channel, file_id, filename)
    size = _measure_pixels(upload.data) if kind.startswith("image/") else None
    attachment = DiscordAttachmentState(file_id, filename, upload.data, kind, url, entry.get("description"), size)
    attachment.voice_seconds = entry.get("duration_secs", upload.voice_seconds)
    attachment.waveform = entry.get("waveform", attachment.waveform)
    state.files[file_id] = attachment
    return attachment


def build_file_url(state: DiscordState, folder: str, channel: DiscordChannelState, file_id: int, filename: str) -> str:
    now = state.clock.now()
    expires = int(now + state.clock.scale(FILE_URL_SECONDS))
    signature = f"{hash((file_id, expires)) & (1 << 128) - 1:064x}"
    path = f"{state.cdn_url}/{folder}/{channel.id}/{file_id}/{filename}"
    return f"{path}?ex={expires:x}&is={int(now):x}&hm={signature}&"


def _measure_pixels(data: bytes) -> tuple[int, int] | None:
    try:
        with Image.open(io.BytesIO(data)) as picture:
            return picture.size
    except (OSError, ValueError):
        return None


class DiscordFileServer:
    """Serves files stored by `store_file`."""

    def __init__(self, emulator: "DiscordEmulator") -> None:
        self._emulator = emulator
        self.served_paths: list[str] = []
        """Requested paths, oldest first."""
        self.forced_status: int | None = None
        """While set, every file request gets this status."""

    async def handle(self, http: web.Request) -> web.StreamResponse:
        self.served_paths.append(http.path)
        if self.forced_status is not None:
            return web.Response(status=self.forced_status, text=GONE_TEXT)
        file_id = http.match_info["file"]
        attachments = self._emulator.state.files.get(int(file_id)) if file_id.isdigit() else None
        signature = http.query.get("hm", "unsigned")
        if attachments is None or http.path not in attachments.url or signature not in attachments.url:
            return web.Response(status=404, text=GONE_TEXT)
        if int(http.query["ex"], 16) < self._emulator.clock.now():
            return web.Response(status=404, text=GONE_TEXT)
        response = web.StreamResponse(headers={"Content-Type": attachments.content_type})
        response.content_length = len(attachments.data)
        await response.prepare(http)
        with contextlib.suppress(ConnectionError):  # the reader has enough
            for start in range(0, len(attachments.data), _PIECE_BYTES):
                await response.write(attachments.data[start : start + _PIECE_BYTES])
        return response
