"""Files that people shared: downloaded with the token, from Slack's own hosts and no others."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

import aiohttp

from bot.core.errors import BadFile
from bot.core.invocations import Attachment
from bot.media.limits import MAX_ATTACHMENT_BYTES, build_too_large_error
from bot.platforms.slack.calls import SlackWebApi, ignore_refusal
from bot.platforms.slack.teams import SlackTeams

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

    def create_picture_attachments(self, team: str, message: Mapping[str, Any]) -> list[Attachment]:
        """The pictures of a message."""
        told = [file for file in message.get("files") or () if isinstance(file, Mapping)]
        attachments = [self.create_attachment(team, file) for file in told]
        return [attachment for attachment in attachments if attachment.mime.startswith("image/")]

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
