"""Hostile files: galleries of other bots that lead into the bot's own network."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.emulators.discord.messages import COMPONENTS_V2, GALLERY, DiscordMessageState
from tests.emulators.discord.posting import DiscordMessageDraft, create_message
from tests.platforms.discord.town import Town

PRIVATE = "I do not follow links to private or local addresses."


class PrivateServer:
    """A server on loopback that must not be asked for anything."""

    def __init__(self) -> None:
        self.requested_paths: list[str] = []
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer)
        self.server = TestServer(app)

    async def _answer(self, request: web.Request) -> web.Response:
        self.requested_paths.append(request.path)
        return web.Response(body=b"secret")


@pytest.fixture
async def private_server() -> AsyncIterator[PrivateServer]:
    server = PrivateServer()
    await server.server.start_server()
    yield server
    await server.server.close()


async def post_gallery(town: Town, url: str) -> DiscordMessageState:
    """Post a components V2 gallery by another bot."""
    other_bot = town.emulator.state.add_user("Gallery", bot=True)
    town.emulator.state.add_member(town.guild, other_bot)
    gallery = {"type": GALLERY, "items": [{"media": {"url": url}}]}
    draft = DiscordMessageDraft({"components": [gallery], "flags": COMPONENTS_V2}, {})
    return create_message(town.emulator.state, town.general, other_bot, draft)


async def test_a_gallery_of_another_bot_leads_to_no_private_address(town: Town, private_server: PrivateServer) -> None:
    for address in ("127.0.0.1", "localhost"):
        url = str(private_server.server.make_url("/metadata")).replace("127.0.0.1", address)
        post = await post_gallery(town, url)

        await town.ana.say(f"{town.emulator.bot.mention} caption", reply_to=post)
        refusal = await town.wait_until(lambda: [m for m in town.general.messages if m.author is town.emulator.bot])

        assert private_server.requested_paths == []
        assert "I only follow links that begin with https://." in refusal[-1].text
    assert town.backend.runs == {}


async def test_a_gallery_of_another_bot_leads_to_no_private_address_over_https(town: Town) -> None:
    post = await post_gallery(town, "https://127.0.0.1/metadata")

    await town.ana.say(f"{town.emulator.bot.mention} caption", reply_to=post)
    refusal = await town.wait_until(lambda: [m for m in town.general.messages if m.author is town.emulator.bot])

    assert PRIVATE in refusal[-1].text
    assert town.backend.runs == {}
