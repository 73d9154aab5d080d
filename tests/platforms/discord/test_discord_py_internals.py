"""discord.py's undocumented parts: all are there in the installed version; incomplete events are answered."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import discord
import pytest
import yarl
from discord.gateway import DiscordWebSocket
from discord.http import HTTPClient, MultipartParameters, Route
from discord.webhook.async_ import async_context, interaction_response_params

from bot.platforms.discord.discord_py_internals import CHECKED_VERSION
from tests.emulators.discord import message_payloads, people
from tests.fakes.backend import make_png
from tests.platforms.discord.town import Town, finish, open_town

Change = Callable[[dict[str, Any]], Any]

HTTP_METHODS = {
    "request": ("route", "json", "params"),
    "send_message": ("channel_id", "params"),
    "edit_message": ("channel_id", "message_id", "params"),
    "delete_message": ("channel_id", "message_id"),
    "get_message": ("channel_id", "message_id"),
    "get_channel": ("channel_id",),
    "start_private_message": ("user_id",),
    "get_bot_gateway": (),
    "get_guilds": ("limit", "with_counts"),
    "bulk_upsert_global_commands": ("application_id", "payload"),
}
_FILES = ("session", "payload", "multipart", "files")
WEBHOOK_METHODS = {
    "create_interaction_response": ("interaction_id", "token", "session", "params"),
    "get_original_interaction_response": ("application_id", "token", "session"),
    "edit_original_interaction_response": ("application_id", "token", *_FILES),
    "edit_webhook_message": ("webhook_id", "token", "message_id", *_FILES),
    "delete_original_interaction_response": ("application_id", "token", "session"),
    "delete_webhook_message": ("webhook_id", "token", "message_id", "session"),
    "execute_webhook": ("webhook_id", "token", "wait", *_FILES),
}


def test_the_internals_were_checked_against_the_installed_discord_py() -> None:
    assert discord.__version__ == CHECKED_VERSION


@pytest.mark.parametrize(
    ("owner", "name", "parameters"),
    [
        *((HTTPClient, *method) for method in HTTP_METHODS.items()),
        *((type(async_context.get()), *method) for method in WEBHOOK_METHODS.items()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_undocumented_request_is_there(owner: type, name: str, parameters: tuple[str, ...]) -> None:
    taken = inspect.signature(getattr(owner, name)).parameters
    takes_any = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in taken.values())

    assert takes_any or set(parameters) <= set(taken)


async def test_each_undocumented_attribute_is_there() -> None:
    client = discord.Client(intents=discord.Intents(guilds=True))

    assert isinstance(Route.BASE, str)
    assert isinstance(DiscordWebSocket.DEFAULT_GATEWAY, yarl.URL)
    assert isinstance(client.http, HTTPClient)
    assert callable(client._connection.parsers["INTERACTION_CREATE"])
    assert "client" in inspect.signature(discord.Webhook.partial).parameters
    async with aiohttp.ClientSession() as session:
        assert discord.Webhook.partial(1, "-", session=session).session is session
    assert MultipartParameters._fields == ("payload", "multipart", "files")
    assert interaction_response_params(5, {"flags": 64}).payload == {"type": 5, "data": {"flags": 64}}
    assert {"warn_nacl", "warn_dave"} <= vars(discord.VoiceClient).keys()


# Incomplete events.


def change_interaction_events(monkeypatch: pytest.MonkeyPatch, change: Change) -> None:
    """Change the interaction events that the local Discord sends."""
    build_event = message_payloads.interaction_json

    def build_changed_event(interaction: Any) -> dict[str, Any]:
        payload = build_event(interaction)
        change(payload)
        return payload

    monkeypatch.setattr(people, "interaction_json", build_changed_event)


def drop_fields(*names: str) -> Change:
    return lambda payload: [payload.pop(name) for name in names if name in payload]


def reduce_channel(payload: dict[str, Any]) -> None:
    payload["channel"] = {"id": payload["channel"]["id"], "type": payload["channel"]["type"]}


@pytest.mark.parametrize(
    "change",
    [
        reduce_channel,
        drop_fields("channel"),
        drop_fields("attachment_size_limit", "entitlements", "app_permissions"),
        drop_fields("authorizing_integration_owners", "context"),
        drop_fields("guild", "guild_locale", "locale"),
    ],
)
async def test_an_interaction_event_without_optional_fields_is_answered(
    town: Town, monkeypatch: pytest.MonkeyPatch, change: Change
) -> None:
    change_interaction_events(monkeypatch, change)

    picture = await finish(await town.ana.use_command("imagine", {"prompt": "a fox"}))
    direct = await town.ana.use_command("usage", channel=town.ana.direct_channel)

    assert picture.pictures
    assert "of 100 credits left today" in (await direct.wait_for_private_message()).text


async def test_a_partial_channel_of_a_server_without_the_bot_is_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_town(tmp_path, allow_user_installs=True) as town:
        change_interaction_events(monkeypatch, reduce_channel)
        cleo = town.emulator.add_guild("Elsewhere", has_bot=False).add_member("Cleo")
        cleo.install_app()

        picture = await finish(await cleo.use_command("imagine", {"prompt": "a fox"}))

    assert picture.pictures


async def test_an_unreadable_event_is_logged_and_keeps_the_connection(
    town: Town, caplog: pytest.LogCaptureFixture
) -> None:
    for session in town.emulator.gateway.connected_sessions:
        session.dispatch("CHANNEL_CREATE", {"guild_id": str(town.guild.id), "type": 0})

    usage = await (await town.ana.use_command("usage")).wait_for_private_message()

    assert "of 100 credits left today" in usage.text
    assert any(record.message == "discord.event_not_read" for record in caplog.records)
    assert town.emulator.gateway.identify_count == 1


async def test_a_known_server_that_arrives_late_is_not_greeted(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        await town.wait_until_ready()

        for session in town.emulator.gateway.connected_sessions:
            late = next(event["d"] for event in session.events if event["t"] == "GUILD_CREATE")
            session.dispatch("GUILD_CREATE", {name: value for name, value in late.items() if name != "unavailable"})
        await (await town.ana.use_command("usage")).wait_for_private_message()

        assert town.general.messages == []


async def test_models_are_suggested_while_discord_does_not_describe_the_file(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_interaction_events(monkeypatch, lambda payload: payload["data"].pop("resolved", None))

    typing = await town.ana.autocomplete("upscale", "model", "", {"image": make_png()})

    assert await typing.wait_for_choices()
