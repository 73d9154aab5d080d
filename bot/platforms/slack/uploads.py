"""Files that people shared: downloaded with the token, from Slack's own hosts and no others."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import aiohttp

from bot.core.clock import Clock
from bot.core.errors import BadFile
from bot.core.invocations import Attachment
from bot.core.json import JSON
from bot.core.replies import MessageRef, Picture, TextFile
from bot.media.limits import MAX_ATTACHMENT_BYTES, build_too_large_error
from bot.platforms.slack.installations import SlackTeams
from bot.platforms.slack.messages import Block, render_alt_text
from bot.platforms.slack.web_api import CallRefused, CallUnclear, SlackWebApi, ignore_refusal
from bot.storage.database import Database

_SLACK_HOSTS = ("slack.com", "slack-files.com", "slack-edge.com")
_MOST_REDIRECTS = 3
_SECONDS = 60
_MAY_NOT = "I may not read {name}. Share it in a channel that I am in, or ask an admin to give me files:read."


class SlackFiles:
    """Shared files as attachments. The token goes to Slack, and to the origin of SLACK_API_URL."""

    def __init__(self, calls: SlackWebApi, teams: SlackTeams) -> None:
        self._calls = calls
        self._teams = teams
        self._own_origin = _origin(calls.api_url)

    def create_attachment(self, team: str, told: Mapping[str, Any]) -> Attachment:
        """A file as an event or a form tells of it; nothing is read before it is asked for."""
        name = str(told.get("name") or told.get("title") or "file")

        async def read() -> bytes:
            return await self._read(team, told, name)

        mime = str(told.get("mimetype") or _mime_of(name))
        return Attachment(name, mime, int(told.get("size") or 0), read)

    async def _read(self, team: str, told: Mapping[str, Any], name: str) -> bytes:
        told = await self._whole(team, told)
        url = str(told.get("url_private_download") or told.get("url_private") or "")
        if not url:
            raise BadFile(_MAY_NOT.format(name=name))
        for _ in range(_MOST_REDIRECTS):
            if not self._is_slacks(url):
                raise BadFile(f"{name} is not kept at Slack, so I do not fetch it. Upload it here instead.")
            content = await self._get(team, url, name)
            if isinstance(content, bytes):
                if _is_html(name) and int(told.get("size") or len(content)) != len(content):
                    raise BadFile(_MAY_NOT.format(name=name))  # not that page, but the one that asks to sign in
                return content
            url = content
        raise BadFile(_MAY_NOT.format(name=name))

    async def _whole(self, team: str, told: Mapping[str, Any]) -> Mapping[str, Any]:
        """Of files from other workspaces Slack tells no address at first: docs.slack.dev/apis/slack-connect"""
        if told.get("file_access") != "check_file_info" and (
            told.get("url_private") or told.get("url_private_download")
        ):
            return told
        answer = await ignore_refusal(self._calls.call(team, "files.info", file=str(told.get("id", ""))))
        found = (answer or {}).get("file")
        return found if isinstance(found, dict) else told

    async def _get(self, team: str, url: str, name: str) -> bytes | str:
        """The bytes, or where they are instead. Raises `BadFile`."""
        known = await self._teams.get(team)
        headers = {"Authorization": f"Bearer {known.token}"} if known else {}
        timeout = aiohttp.ClientTimeout(total=_SECONDS)
        try:
            session = self._calls.session
            async with session.get(url, headers=headers, allow_redirects=False, timeout=timeout) as response:
                if response.status in (301, 302, 303, 307, 308):
                    return urljoin(url, response.headers.get("Location", ""))
                # Without the scope Slack answers 200 and its login page.
                if response.status != 200 or (response.content_type == "text/html" and not _is_html(name)):
                    raise BadFile(_MAY_NOT.format(name=name))
                return await _limited(response)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise BadFile(f"{name} could not be fetched from Slack just now. Please try again.") from error

    def _is_slacks(self, url: str) -> bool:
        parts = urlsplit(url)
        host = parts.hostname or ""
        is_slack = any(host == name or host.endswith(f".{name}") for name in _SLACK_HOSTS)
        return (parts.scheme == "https" and is_slack) or _origin(url) == self._own_origin


async def _limited(response: aiohttp.ClientResponse) -> bytes:
    content = bytearray()
    async for chunk in response.content.iter_chunked(64 * 1024):
        content += chunk
        if len(content) > MAX_ATTACHMENT_BYTES:
            raise build_too_large_error(MAX_ATTACHMENT_BYTES)
    return bytes(content)


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _is_html(name: str) -> bool:
    return name.lower().endswith((".html", ".htm"))


def _mime_of(name: str) -> str:
    import mimetypes

    return mimetypes.guess_type(name)[0] or "application/octet-stream"


# MERGED Pictures into Slack: uploaded once each, their ids written down at once, so that no crash uploads one twice.

log = logging.getLogger(__name__)

PathOf = Callable[[str], Path | None]

_UPLOADS_AT_ONCE = 4
_LOOKS_SECONDS = (0.1, 0.2, 0.4, 0.8, 1.5, 2.0, 3.0)
"""Waits until a new file is ready to be shown: it takes Slack up to some seconds."""


class SlackUploads:
    """Pictures kept by us, as files of a workspace. `path_of` finds the kept bytes by their SHA-256."""

    def __init__(self, calls: SlackWebApi, database: Database, path_of: PathOf, clock: Clock) -> None:
        self._calls = calls
        self._database = database
        self._path_of = path_of
        self._clock = clock
        self._turns = asyncio.Semaphore(_UPLOADS_AT_ONCE)

    async def ensure_uploaded(self, ref: MessageRef, pictures: Sequence[Picture]) -> list[str]:
        """The file of each picture of a message: known from before, else uploaded now. A lost picture is left out."""
        known = await self._known(ref)
        missing = [picture for picture in pictures if picture.sha256 not in known]
        for picture, file in zip(
            missing, await asyncio.gather(*(self.upload(ref.workspace, one) for one in missing)), strict=True
        ):
            if file:
                known[picture.sha256] = file
        if missing:
            await self._note(ref, known)
        return [known[picture.sha256] for picture in pictures if picture.sha256 in known]

    async def upload(self, team: str, picture: Picture) -> str:
        """One picture as a private file of the app; empty when its bytes are not kept any more."""
        async with self._turns:
            file = await self._send(team, picture)
            if file:
                await self._complete(team, [file], [picture])
            return file

    async def post_pictures(self, ref: MessageRef, pictures: Sequence[Picture], blocks: Sequence[Block]) -> str:
        """Pictures and blocks as a message of their own, where a file cannot be put on one that is there: its ts."""
        files = [file for file in [await self._send(ref.workspace, picture) for picture in pictures] if file]
        place = {"channel_id": ref.channel, "thread_ts": ref.thread or None, "blocks": list(blocks)}
        await self._complete(ref.workspace, files, pictures, **place)
        for seconds in _LOOKS_SECONDS:
            if ts := await self._shared_at(ref, files[0]):
                return ts
            await self._clock.sleep(seconds)
        raise CallUnclear("files.completeUploadExternal: its message was not found.")

    async def post_text_files(self, team: str, channel: str, files: Sequence[TextFile]) -> bool:
        """Files of words, as a message in a channel."""
        told = []
        for file in files:
            content = file.text.encode()
            place = await self._calls.call(team, "files.getUploadURLExternal", filename=file.name, length=len(content))
            await self._put(str(place["upload_url"]), content)
            told.append({"id": str(place["file_id"]), "title": file.name})
        await self._calls.call(team, "files.completeUploadExternal", files=told, channel_id=channel)
        return True

    async def wait_until_ready(self, team: str, files: Sequence[str]) -> None:
        """Wait until Slack has looked at these files: before that no block can show them."""
        await asyncio.gather(*(self._ready(team, file) for file in files))

    async def delete_files(self, ref: MessageRef) -> None:
        """Take a message's files out of Slack."""
        for file in (await self._known(ref)).values():
            await ignore_refusal(self._calls.call(ref.workspace, "files.delete", file=file))

    async def _send(self, team: str, picture: Picture) -> str:
        path = self._path_of(picture.sha256)
        if path is None:
            return ""
        content = await asyncio.to_thread(path.read_bytes)
        told: dict[str, Any] = {"filename": picture.name, "length": len(content), "alt_txt": render_alt_text(picture)}
        place = await self._calls.call(team, "files.getUploadURLExternal", **told)
        await self._put(str(place["upload_url"]), content)
        return str(place["file_id"])

    async def _put(self, url: str, content: bytes) -> None:
        """The bytes to the address that Slack gave, which is a secret of its own and takes no token."""
        for attempt in range(3):
            try:
                timeout = aiohttp.ClientTimeout(total=120)
                headers = {"Content-Type": "application/octet-stream"}
                async with self._calls.session.post(url, data=content, headers=headers, timeout=timeout) as answer:
                    if answer.status == 200:
                        return
            except (aiohttp.ClientError, TimeoutError) as error:
                log.warning("slack.upload_broke", extra={"reason": type(error).__name__})
            await self._clock.sleep(0.5 * 2**attempt)
        raise CallUnclear("The upload of a picture to Slack broke.")

    async def _complete(self, team: str, files: Sequence[str], pictures: Sequence[Picture], **place: Any) -> None:
        told = [{"id": file, "title": picture.name} for file, picture in zip(files, pictures, strict=False)]
        try:
            await self._calls.call(team, "files.completeUploadExternal", files=told, **place)
        except CallUnclear:
            answer = await ignore_refusal(self._calls.call(team, "files.info", file=files[0]))
            if answer is None:
                raise

    async def _ready(self, team: str, file: str) -> None:
        for seconds in _LOOKS_SECONDS:
            answer = await ignore_refusal(self._calls.call(team, "files.info", file=file))
            if answer is None or (answer.get("file") or {}).get("mimetype"):
                return
            await self._clock.sleep(seconds)

    async def _shared_at(self, ref: MessageRef, file: str) -> str:
        """The message in that channel which shows a file."""
        try:
            answer = await self._calls.call(ref.workspace, "files.info", file=file)
        except CallRefused:
            return ""
        shares = (answer.get("file") or {}).get("shares") or {}
        for kind in ("public", "private"):
            for share in (shares.get(kind) or {}).get(ref.channel) or ():
                return str(share["ts"])
        return ""

    async def _known(self, ref: MessageRef) -> dict[str, str]:
        async with self._database.read() as tx:
            notes = await tx.messages.get_notes(ref)
        files = notes.get("files")
        return {str(sha256): str(file) for sha256, file in files.items()} if isinstance(files, dict) else {}

    async def _note(self, ref: MessageRef, known: dict[str, str]) -> None:
        files: dict[str, JSON] = dict(known)
        async with self._database.write(is_urgent=True) as tx:
            await tx.messages.put_notes(ref, {"files": files})
