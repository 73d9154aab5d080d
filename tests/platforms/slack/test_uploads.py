"""Downloads of shared files: the token goes to Slack only."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from bot.core.clock import SystemClock
from bot.core.errors import BadFile
from bot.core.limits import MAX_ATTACHMENT_BYTES
from bot.media.media import Media
from bot.platforms.slack.installations import SingleTeam, SlackTeam
from bot.platforms.slack.pacing import SlackRateLimits
from bot.platforms.slack.uploads import SlackFiles
from bot.platforms.slack.web_api import SlackWebApi
from tests.emulators.slack.emulator import SlackEmulator
from tests.emulators.slack.forms import SlackFileUpload
from tests.platforms.slack.office import Office


@pytest.fixture
async def slack() -> AsyncIterator[SlackEmulator]:
    async with SlackEmulator() as emulator:
        yield emulator


@pytest.fixture
async def files(slack: SlackEmulator, tmp_path: Path) -> AsyncIterator[SlackFiles]:
    """Downloads for the first workspace."""
    team, clock = slack.add_team(), SystemClock()
    teams = SingleTeam(SlackTeam(team.id, team.bot_token, team.bot_user_id, team.bot_id))
    media = Media(tmp_path, allowed_origins=[slack.api_url])
    async with aiohttp.ClientSession() as session:
        yield SlackFiles(SlackWebApi(slack.api_url, session, teams, SlackRateLimits(clock), clock), teams, media)
    await media.close()


async def read(files: SlackFiles, slack: SlackEmulator, file: dict[str, Any]) -> bytes:
    return await files.create_attachment(slack.teams[0].id, {"name": "a.png", "mimetype": "image/png", **file}).read()


def share_file(slack: SlackEmulator, content: bytes, name: str = "a.png") -> dict[str, Any]:
    """Share a file with the bot and return its file object."""
    team = slack.teams[0]
    file = team.add_file(team.add_person("Ana").id, name, content)
    file.was_attached_to_form = True
    return file.to_json()


async def test_a_shared_file_is_read(files: SlackFiles, slack: SlackEmulator) -> None:
    assert await read(files, slack, share_file(slack, b"picture")) == b"picture"


async def test_a_file_of_another_workspace_is_looked_up_first(files: SlackFiles, slack: SlackEmulator) -> None:
    file = share_file(slack, b"picture")

    content = await read(files, slack, {"id": file["id"], "file_access": "check_file_info"})

    assert content == b"picture"


async def test_slacks_login_page_is_not_read_as_a_file(files: SlackFiles, slack: SlackEmulator) -> None:
    file = share_file(slack, b"picture")
    slack.teams[0].scopes.discard("files:read")

    with pytest.raises(BadFile, match="may not read"):
        await read(files, slack, file)


async def test_the_token_goes_to_slack_only(files: SlackFiles, slack: SlackEmulator) -> None:
    requests: list[str] = []

    async def listen(request: web.Request) -> web.Response:
        requests.append(request.headers.get("authorization", ""))
        return web.Response(body=b"stolen")

    app = web.Application()
    app.router.add_get("/{path:.*}", listen)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]

    for url in (f"http://{host}:{port}/a.png", "http://files.slack.com/a.png", "https://slack.com.evil.example/a.png"):
        with pytest.raises(BadFile, match="not kept at Slack"):
            await read(files, slack, {"url_private": url})

    await runner.cleanup()
    assert requests == []


async def test_a_file_without_an_address_cannot_be_read(files: SlackFiles, slack: SlackEmulator) -> None:
    with pytest.raises(BadFile, match="may not read"):
        await read(files, slack, {"id": "F0UNKNOWN"})


async def test_the_download_of_a_too_large_file_stops_early(files: SlackFiles, slack: SlackEmulator) -> None:
    file = share_file(slack, b"x" * (MAX_ATTACHMENT_BYTES + 1))

    with pytest.raises(BadFile, match="too large"):
        await read(files, slack, file)


async def test_a_redirect_is_followed_within_slack_and_no_further(
    files: SlackFiles, slack: SlackEmulator, tmp_path: Path
) -> None:
    file = share_file(slack, b"picture")
    requested_paths: list[str] = []

    async def away(request: web.Request) -> web.Response:
        requested_paths.append(request.path)
        raise web.HTTPFound("http://elsewhere.example/a.png")

    app = web.Application()
    app.router.add_get("/api/{path:.*}", away)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    files._api_origin = ("http", f"{host}:{port}")
    files._media = Media(tmp_path, allowed_origins=[f"http://{host}:{port}"])

    with pytest.raises(BadFile, match="not kept at Slack"):
        await read(files, slack, {**file, "url_private_download": f"http://{host}:{port}/api/a.png"})

    await runner.cleanup()
    assert requested_paths == ["/api/a.png"]


async def test_slacks_login_page_is_not_read_as_an_html_file(office: Office) -> None:
    office.team.scopes.discard("files:read")
    await office.ana.say(
        f"{office.team.mention} what?", office.general, files=[SlackFileUpload("page.html", b"<p>hello</p>")]
    )

    await office.ana.wait_for_private_message("I may not read page.html")
