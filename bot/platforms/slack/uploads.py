"""Moves files between Slack and the bot: downloads shared files, uploads made files and text files."""

import asyncio
import logging
import mimetypes
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from bot.core.clock import Clock
from bot.core.errors import BadFile, FileTooLarge, OutputGone, Unavailable, UnsafeAddress
from bot.core.invocations import Attachment
from bot.core.json import JSON
from bot.core.replies import MadeFile, MessageRef, Picture, TextFile
from bot.media.fetching import FetchedFile
from bot.media.media import FindPath, Media
from bot.media.recipes import load_with_recipe
from bot.platforms.slack.errors import CallRefused, CallUnclear, ignore_refusal
from bot.platforms.slack.installations import SlackTeams
from bot.platforms.slack.messages import Block, render_alt_text
from bot.platforms.slack.web_api import SlackWebApi
from bot.storage.database import Database

log = logging.getLogger(__name__)

_SLACK_HOSTS = ("slack.com", "slack-files.com", "slack-edge.com")
_ACCESS_DENIED = "I may not read {name}. Share it in a channel that I am in, or ask an admin to give me files:read."
_CANVAS_DENIED = "I may not read {name}. Share the canvas with me, or ask an admin to give me canvases:read."
# The type of canvases in Slack's file objects (docs.slack.dev/reference/objects/file-object).
_CANVAS_MIME = "application/vnd.slack-docs"

_MAX_PARALLEL_UPLOADS = 4
_UPLOAD_ATTEMPTS = 3
_UPLOAD_SECONDS = 120
# Slack takes up to some seconds to process a new file (github.com/slackapi/python-slack-sdk/issues/1658).
_POLL_WAITS_SECONDS = (0.1, 0.2, 0.4, 0.8, 1.5, 2.0, 3.0)


class SlackFiles:
    """Shared files as attachments. The bot token is sent to Slack's hosts and to the origin of SLACK_API_URL only."""

    def __init__(self, web_api: SlackWebApi, teams: SlackTeams, media: Media) -> None:
        self._web_api = web_api
        self._teams = teams
        self._media = media
        self._api_origin = _get_origin(web_api.api_url)

    def create_attachment(self, team: str, file: Mapping[str, Any]) -> Attachment:
        """Return an attachment of Slack's file object. The download starts with the first read."""
        name = str(file.get("name") or file.get("title") or "file")
        if file.get("mimetype") == _CANVAS_MIME:
            return self.create_canvas(team, str(file.get("id", "")), str(file.get("title") or name))

        async def read() -> bytes:
            return await self._download(team, file, name)

        mime = str(file.get("mimetype") or _guess_mime(name))
        return Attachment(name, mime, int(file.get("size") or 0), read)

    def create_canvas(self, team: str, canvas: str, title: str) -> Attachment:
        """Return an attachment with the Markdown of a canvas (docs.slack.dev/reference/methods/canvases.getContent)."""
        name = title if title.endswith(".md") else f"{title}.md"

        async def read() -> bytes:
            call = self._web_api.call(team, "canvases.getContent", canvas_id=canvas, content_type="markdown")
            response = await ignore_refusal(call)
            if response is None:
                raise BadFile(_CANVAS_DENIED.format(name=title))
            return str(response.get("content") or "").encode()

        return Attachment(name, "text/markdown", 0, read)

    async def _download(self, team: str, file: Mapping[str, Any], name: str) -> bytes:
        file = await self._complete_file(team, file)
        url = str(file.get("url_private_download") or file.get("url_private") or "")
        if not url:
            raise BadFile(_ACCESS_DENIED.format(name=name))
        fetched = await self._fetch(team, url, name)
        # Without the scope files:read Slack responds with status 200 and a login page. Of an HTML file only the size
        # tells the file from the login page.
        is_html = _is_html(name)
        if (fetched.mime == "text/html" and not is_html) or (
            is_html and int(file.get("size") or len(fetched.data)) != len(fetched.data)
        ):
            raise BadFile(_ACCESS_DENIED.format(name=name))
        return fetched.data

    async def _complete_file(self, team: str, file: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the file object with an address, absent in Slack Connect (docs.slack.dev/apis/slack-connect)."""
        has_url = file.get("url_private") or file.get("url_private_download")
        if file.get("file_access") != "check_file_info" and has_url:
            return file
        response = await ignore_refusal(self._web_api.call(team, "files.info", file=str(file.get("id", ""))))
        complete = (response or {}).get("file")
        return complete if isinstance(complete, dict) else file

    async def _fetch(self, team: str, url: str, name: str) -> FetchedFile:
        """Return the file of an address at Slack. Raise `BadFile` if Slack denies the file."""
        installed = await self._teams.get(team)
        headers = {"Authorization": f"Bearer {installed.token}"} if installed else {}

        def check_hop(address: str) -> None:
            # Check every hop: a redirect must not carry the token to another host.
            if not self._is_trusted(address):
                raise UnsafeAddress(f"{name} is not kept at Slack, so I do not fetch it. Upload it here instead.")

        is_at_api = _get_origin(url) == self._api_origin
        try:
            return await self._media.download(url, is_trusted=is_at_api, headers=headers, check_hop=check_hop)
        except FileTooLarge:
            raise
        except Unavailable as error:
            raise BadFile(f"{name} could not be fetched from Slack just now. Please try again.") from error
        except (BadFile, OutputGone) as error:
            raise BadFile(_ACCESS_DENIED.format(name=name)) from error
        except UnsafeAddress as error:
            raise BadFile(str(error)) from error

    def _is_trusted(self, url: str) -> bool:
        parts = urlsplit(url)
        host = parts.hostname or ""
        is_slack = any(host == name or host.endswith(f".{name}") for name in _SLACK_HOSTS)
        return (parts.scheme == "https" and is_slack) or _get_origin(url) == self._api_origin


class SlackUploads:
    """Uploads kept files and text files. A restart uploads no file twice: the file ids of messages are stored."""

    def __init__(self, web_api: SlackWebApi, database: Database, find_path: FindPath, clock: Clock) -> None:
        self._web_api = web_api
        self._database = database
        self._find_path = find_path
        self._clock = clock
        self._slots = asyncio.Semaphore(_MAX_PARALLEL_UPLOADS)

    async def ensure_uploaded(self, ref: MessageRef, made: Sequence[MadeFile]) -> list[str]:
        """Return the file id of each made file of a message, after uploading new files. A lost file is left out."""
        files = await self._get_files(ref)
        missing = [one for one in made if one.sha256 not in files]
        uploaded = await asyncio.gather(*(self.upload(ref.workspace, one) for one in missing))
        files |= {one.sha256: file for one, file in zip(missing, uploaded, strict=True) if file}
        if missing:
            await self._put_files(ref, files)
        return [files[one.sha256] for one in made if one.sha256 in files]

    async def upload(self, team: str, made: MadeFile) -> str:
        """Upload a made file as a private file of the app; return the file id, or an empty id for a lost file."""
        async with self._slots:
            file = await self._send_file(team, made)
            if file:
                await self._complete(team, [file], [made])
            return file

    async def post_files(self, ref: MessageRef, made: Sequence[MadeFile], blocks: Sequence[Block]) -> str:
        """Post made files and blocks as a new message in the channel and thread of `ref`; return the message's ts.

        Raise `CallUnclear` if the message does not appear.
        """
        sent = [await self._send_file(ref.workspace, one) for one in made]
        files = [file for file in sent if file]
        share = {"channel_id": ref.channel, "thread_ts": ref.thread or None, "blocks": list(blocks)}
        await self._complete(ref.workspace, files, made, **share)
        # The response has no ts: Slack posts the message later, and `files.info` lists the message then.
        for wait_seconds in _POLL_WAITS_SECONDS:
            if ts := await self._find_share(ref, files[0]):
                return ts
            await self._clock.sleep(wait_seconds)
        raise CallUnclear("files.completeUploadExternal: its message was not found.")

    async def post_text_files(self, team: str, channel: str, files: Sequence[TextFile]) -> bool:
        """Post text files as a message in a channel."""
        uploaded = []
        for file in files:
            content = file.text.encode()
            slot = await self._web_api.call(team, "files.getUploadURLExternal", filename=file.name, length=len(content))
            await self._put_content(str(slot["upload_url"]), content)
            uploaded.append({"id": str(slot["file_id"]), "title": file.name})
        await self._web_api.call(team, "files.completeUploadExternal", files=uploaded, channel_id=channel)
        return True

    async def wait_until_ready(self, team: str, files: Sequence[str]) -> None:
        """Wait until Slack has processed these files: before, Slack refuses blocks with such a file."""
        await asyncio.gather(*(self._wait_for_file(team, file) for file in files))

    async def delete_files(self, ref: MessageRef) -> None:
        """Delete a message's files from Slack."""
        for file in (await self._get_files(ref)).values():
            await ignore_refusal(self._web_api.call(ref.workspace, "files.delete", file=file))

    async def _send_file(self, team: str, made: MadeFile) -> str:
        path = self._find_path(made.sha256)
        if path is None:
            return ""
        content = None
        if isinstance(made, Picture) and made.recipe:
            content = await asyncio.to_thread(load_with_recipe, path, made.recipe)
        slot = await self._web_api.call(
            team,
            "files.getUploadURLExternal",
            filename=made.name,
            length=path.stat().st_size if content is None else len(content),
            # Slack takes alt text for pictures (docs.slack.dev/reference/methods/files.getUploadURLExternal).
            alt_txt=render_alt_text(made) if isinstance(made, Picture) else None,
        )
        await self._put_content(str(slot["upload_url"]), path if content is None else content)
        return str(slot["file_id"])

    async def _put_content(self, url: str, content: bytes | Path) -> None:
        """Send bytes or a file to an upload address. The address itself is the secret, so no token goes along."""
        headers = {"Content-Type": "application/octet-stream"}
        timeout = aiohttp.ClientTimeout(total=_UPLOAD_SECONDS)
        for attempt in range(_UPLOAD_ATTEMPTS):
            try:
                # aiohttp sends an open file in parts, and closes the file.
                data = content if isinstance(content, bytes) else content.open("rb")
                async with self._web_api.session.post(url, data=data, headers=headers, timeout=timeout) as response:
                    if response.status == 200:
                        return
            except (aiohttp.ClientError, TimeoutError) as error:
                log.warning("slack.upload_failed", extra={"reason": type(error).__name__})
            await self._clock.sleep(0.5 * 2**attempt)
        raise CallUnclear("The upload of a file to Slack broke.")

    async def _complete(self, team: str, files: Sequence[str], made: Sequence[MadeFile], **share: Any) -> None:
        uploaded = [{"id": file, "title": one.name} for file, one in zip(files, made, strict=False)]
        try:
            await self._web_api.call(team, "files.completeUploadExternal", files=uploaded, **share)
        except CallUnclear:
            # The lost call may have taken effect: then the file is known.
            if await ignore_refusal(self._web_api.call(team, "files.info", file=files[0])) is None:
                raise

    async def _wait_for_file(self, team: str, file: str) -> None:
        for wait_seconds in _POLL_WAITS_SECONDS:
            response = await ignore_refusal(self._web_api.call(team, "files.info", file=file))
            # Slack sets the mimetype when the file is processed.
            if response is None or (response.get("file") or {}).get("mimetype"):
                return
            await self._clock.sleep(wait_seconds)

    async def _find_share(self, ref: MessageRef, file: str) -> str:
        """Return the ts of the message in the channel of `ref` with a file; empty if there is none yet."""
        try:
            response = await self._web_api.call(ref.workspace, "files.info", file=file)
        except CallRefused:
            return ""
        shares = (response.get("file") or {}).get("shares") or {}
        for kind in ("public", "private"):
            for share in (shares.get(kind) or {}).get(ref.channel) or ():
                return str(share["ts"])
        return ""

    async def _get_files(self, ref: MessageRef) -> dict[str, str]:
        """Return the file ids of a message by SHA-256."""
        async with self._database.read() as tx:
            notes = await tx.messages.get_notes(ref)
        files = notes.get("files")
        return {str(sha256): str(file) for sha256, file in files.items()} if isinstance(files, dict) else {}

    async def _put_files(self, ref: MessageRef, files: dict[str, str]) -> None:
        notes: dict[str, JSON] = dict(files)
        # Urgent: a crash before this write would upload the files again.
        async with self._database.write(is_urgent=True) as tx:
            await tx.messages.put_notes(ref, {"files": notes})


def _get_origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _is_html(name: str) -> bool:
    return name.lower().endswith((".html", ".htm"))


def _guess_mime(name: str) -> str:
    return mimetypes.guess_type(name)[0] or "application/octet-stream"
