"""Holds every use of discord.py that the documentation of discord.py does not promise.

Checked against discord.py 2.7.1. `tests/platforms/discord/test_discord_py_internals.py` fails if a part disappears or
if another version is installed: read the parts below again before an upgrade. The reasons:

- `Route.BASE`, `DiscordWebSocket.DEFAULT_GATEWAY`: the only places for the addresses. `Client(proxy=…)` is an HTTP
  CONNECT proxy and does not work with API proxies (github.com/twilight-rs/http-proxy/issues/57).
- `Client.http`, `async_context`, `MultipartParameters`, `Webhook.session`: requests of plain JSON. The documented
  methods take views and return message objects, which discord.py would keep in memory.
- `Client._connection.parsers`: a parser that raises ends the gateway connection.
- `VoiceClient.warn_nacl`, `VoiceClient.warn_dave`: the bot has no voice, so no warning about missing voice libraries.
"""

import json
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import aiohttp
import discord
import yarl
from discord.gateway import DiscordWebSocket
from discord.http import MultipartParameters, Route
from discord.webhook.async_ import AsyncWebhookAdapter, async_context, interaction_response_params

log = logging.getLogger(__name__)

CHECKED_VERSION = "2.7.1"

Payload = dict[str, Any]
"""A JSON object that Discord takes or sends."""
RawRequest = Coroutine[Any, Any, Any]
"""One request, sent when awaited. Returns Discord's JSON; raises what discord.py raises."""
EventParser = Callable[[Any], None]

_TEXT_CHANNEL, _DIRECT_CHANNEL = 0, 1
_THREAD_TYPES = (10, 11, 12)
_DEFAULT_FILE_LIMIT_BYTES = 10 * 1024 * 1024
_LONG_AGO = "1970-01-01T00:00:00+00:00"

# discord.py reads these when a client is constructed.
discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False


def use_api(api_url: str) -> None:
    """Send every later request of the process to this address: discord.py keeps the address in a class."""
    Route.BASE = api_url.rstrip("/")


def use_gateway(gateway_url: str) -> None:
    """Connect to this address, also after a lost session. A resumed session goes to the address that Discord names."""
    DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(gateway_url)


class RawRequests:
    """Creates requests of one client. Discord addresses channels and threads alike, by id."""

    def __init__(self, client: discord.Client) -> None:
        self._client = client

    @property
    def application_id(self) -> int:
        return self._client.application_id or 0

    @property
    def _session(self) -> aiohttp.ClientSession:
        # HTTPClient keeps the session under a mangled name; a webhook of the client hands the session over.
        return discord.Webhook.partial(1, "-", client=self._client).session

    @property
    def _webhooks(self) -> AsyncWebhookAdapter:
        return async_context.get()

    async def create_message(self, channel: int, payload: Payload, files: Sequence[discord.File]) -> Any:
        with _build_parameters(payload, files) as parameters:
            return await self._client.http.send_message(channel, params=parameters)

    async def edit_message(self, channel: int, message: int, payload: Payload, files: Sequence[discord.File]) -> Any:
        with _build_parameters(payload, files) as parameters:
            return await self._client.http.edit_message(channel, message, params=parameters)

    def delete_message(self, channel: int, message: int) -> RawRequest:
        return self._client.http.delete_message(channel, message)

    def get_message(self, channel: int, message: int) -> RawRequest:
        return self._client.http.get_message(channel, message)

    def get_channel(self, channel: int) -> RawRequest:
        return self._client.http.get_channel(channel)

    def unarchive_thread(self, thread: int) -> RawRequest:
        route = Route("PATCH", "/channels/{channel_id}", channel_id=thread)
        return self._client.http.request(route, json={"archived": False})

    def create_thread(self, channel: int, message: str, body: Payload) -> RawRequest:
        path = "/channels/{channel_id}/messages/{message_id}/threads"
        return self._client.http.request(Route("POST", path, channel_id=channel, message_id=message), json=body)

    def open_direct_channel(self, user: int) -> RawRequest:
        return self._client.http.start_private_message(user)

    def create_response(self, interaction: int, token: str, kind: int, data: Payload | None) -> RawRequest:
        """Create the first response to an interaction, of a type of Discord's "interaction callback type"."""
        parameters = interaction_response_params(kind, data)
        return self._webhooks.create_interaction_response(interaction, token, session=self._session, params=parameters)

    def get_original_response(self, token: str) -> RawRequest:
        return self._webhooks.get_original_interaction_response(self.application_id, token, session=self._session)

    async def edit_response(
        self, token: str, message: int | None, payload: Payload, files: Sequence[discord.File]
    ) -> Any:
        """Edit a message of an interaction; None is the original response."""
        with _build_parameters(payload, files) as parameters:
            body = {**parameters._asdict(), "session": self._session}
            if message is None:
                return await self._webhooks.edit_original_interaction_response(self.application_id, token, **body)
            return await self._webhooks.edit_webhook_message(self.application_id, token, message, **body)

    def delete_response(self, token: str, message: int | None) -> RawRequest:
        """Delete a message of an interaction; None is the original response."""
        if message is None:
            return self._webhooks.delete_original_interaction_response(
                self.application_id, token, session=self._session
            )
        return self._webhooks.delete_webhook_message(self.application_id, token, message, session=self._session)

    async def create_followup(self, token: str, payload: Payload, files: Sequence[discord.File]) -> Any:
        with _build_parameters(payload, files) as parameters:
            body = {**parameters._asdict(), "session": self._session}
            return await self._webhooks.execute_webhook(self.application_id, token, wait=True, **body)

    async def fetch_gateway(self) -> tuple[int, str]:
        """Return the recommended number of shards and the address of the gateway."""
        shards, gateway, _ = await self._client.http.get_bot_gateway()
        return shards, gateway

    async def fetch_guilds(self) -> Sequence[Any]:
        """Return up to 200 guilds of the bot: id, name and the bot's permissions of each."""
        return await self._client.http.get_guilds(limit=200, with_counts=False)

    async def fetch_commands(self) -> list[Payload]:
        """Return the registered application commands with their translations."""
        route = Route("GET", "/applications/{application_id}/commands", application_id=self.application_id)
        commands: list[Payload] = await self._client.http.request(route, params={"with_localizations": "true"})
        return commands

    async def replace_commands(self, commands: list[Payload]) -> None:
        await self._client.http.bulk_upsert_global_commands(self.application_id, commands)


def _build_parameters(payload: Payload, files: Sequence[discord.File]) -> MultipartParameters:
    """Return a JSON body, or a form with the JSON and the files. Leaving the context closes the files."""
    if not files:
        return MultipartParameters(payload, None, None)
    listed = [{"id": n, "filename": file.filename} for n, file in enumerate(files)]
    attachments = payload.get("attachments") or listed
    form: list[Payload] = [{"name": "payload_json", "value": json.dumps({**payload, "attachments": attachments})}]
    form += [
        {"name": f"files[{n}]", "value": file.fp, "filename": file.filename, "content_type": "application/octet-stream"}
        for n, file in enumerate(files)
    ]
    return MultipartParameters(None, form, files)


def make_parsers_tolerant(client: discord.Client) -> None:
    """Complete interaction events before discord.py parses them; log an unreadable event and drop the event."""
    parsers: dict[str, EventParser] = client._connection.parsers
    for name, parser in list(parsers.items()):
        parsers[name] = _make_tolerant(name, parser)


def _make_tolerant(name: str, parser: EventParser) -> EventParser:
    def parse(event: Any) -> None:
        try:
            parser(fill_interaction_defaults(event) if name == "INTERACTION_CREATE" else event)
        except Exception:  # any error raised here would end the gateway connection
            log.exception("discord.event_not_read", extra={"event": name})

    return parse


def fill_interaction_defaults(interaction: Payload) -> Payload:
    """Return an interaction event with every field that discord.py requires.

    Proxies leave fields out, and so does Discord for channels of a guild without the bot.
    """
    guild = interaction.get("guild_id")
    filled = {
        "version": 1,
        "attachment_size_limit": _DEFAULT_FILE_LIMIT_BYTES,
        "context": 0 if guild else 1,
        "authorizing_integration_owners": {"0": guild or "0"},
        **{name: value for name, value in interaction.items() if value is not None},
    }
    kind = _TEXT_CHANNEL if guild else _DIRECT_CHANNEL
    channel = {"id": interaction.get("channel_id"), "type": kind, **(filled.get("channel") or {})}
    is_thread = channel["type"] in _THREAD_TYPES
    return filled | {"channel": _fill_thread(channel) if is_thread else _fill_channel(channel)}


def _fill_channel(channel: Payload) -> Payload:
    return {"name": "", "position": 0, "bitrate": 0, "user_limit": 0, **channel}


def _fill_thread(thread: Payload) -> Payload:
    # Without a parent the thread stands for its own channel, so that the channel id is never empty.
    counts = {"message_count": 0, "member_count": 0}
    filled = {"name": "", "parent_id": thread["id"], "owner_id": "0", **counts, **thread}
    metadata = {"archived": False, "auto_archive_duration": 1440, "archive_timestamp": _LONG_AGO}
    return filled | {"thread_metadata": metadata | (thread.get("thread_metadata") or {})}
