"""Workspaces: OAuth, moderators, separation of workspaces, and workspaces without permission."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from slack_bolt.error import BoltError
from slack_sdk.oauth.installation_store import Installation

from bot.core.people import User
from bot.platforms.slack.connection import INSTALL_PATH, REDIRECT_PATH, SlackConnection
from bot.platforms.slack.installations import InstalledTeams
from bot.settings import Owner
from tests.emulators.slack.state import SlackTeamState
from tests.fakes.backend import make_png
from tests.platforms.slack.conftest import OfficeOpener
from tests.platforms.slack.office import Office, create_office
from tests.platforms.slack.test_signatures import exchange
from tests.ports import find_free_port

# slack_sdk 3.47 uses aiohttp's BasicAuth, deprecated in aiohttp 4, to exchange OAuth codes.
pytestmark = pytest.mark.filterwarnings("ignore:BasicAuth is deprecated:DeprecationWarning")


@pytest.fixture
async def oauth_office(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Office]:
    """A bot for many workspaces over HTTP, before the first installation."""
    caplog.set_level(logging.INFO)
    office = await create_office(tmp_path, transport="http", slack_bot_token=None)
    office.port = find_free_port()
    changes: dict[str, Any] = {
        "slack_client_id": office.slack.oauth.client_id,
        "slack_client_secret": SecretStr(office.slack.oauth.client_secret),
        "public_url": f"http://127.0.0.1:{office.port}",
    }
    office.settings = office.settings.model_copy(update=changes)
    yield await office.open()
    await office.close()
    await office.slack.stop()
    assert office.slack.violations == []


def install_url(office: Office) -> str:
    assert office.slack.http_transport is not None
    return office.slack.http_transport.url.replace("/slack/events", INSTALL_PATH)


async def install(office: Office, team: SlackTeamState) -> None:
    admin = next(iter(team.people.values()))
    status, page = await admin.install_app(install_url(office))
    assert status == 200, page


async def test_a_workspace_installs_the_app_and_uses_it(oauth_office: Office) -> None:
    await install(oauth_office, oauth_office.team)

    await oauth_office.ana.use_command("/imagine", "a fox", oauth_office.general)

    await oauth_office.general.wait_for_bot_message(condition=lambda one: "Again" in one.button_labels)


async def test_installations_outlive_the_bot(oauth_office: Office) -> None:
    await install(oauth_office, oauth_office.team)
    await oauth_office.close()
    await oauth_office.open()

    await oauth_office.ana.use_command("/imagine", "a fox", oauth_office.general)

    await oauth_office.general.wait_for_bot_message(condition=lambda one: "Again" in one.button_labels)


async def test_tokens_are_stored_encrypted(
    oauth_office: Office, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await install(oauth_office, oauth_office.team)
    token = oauth_office.team.bot_token

    await oauth_office.close()
    kept = await asyncio.to_thread(lambda: b"".join(path.read_bytes() for path in tmp_path.rglob("*.db*")))
    await oauth_office.open()

    assert token.encode() not in kept
    assert token not in caplog.text


async def test_another_client_secret_decrypts_nothing(oauth_office: Office) -> None:
    await install(oauth_office, oauth_office.team)
    await oauth_office.close()
    oauth_office.settings = oauth_office.settings.model_copy(
        update={"slack_client_secret": SecretStr("another-secret-of-easel")}
    )
    await oauth_office.open()

    await oauth_office.ana.use_command("/imagine", "a fox", oauth_office.general)

    await oauth_office.ana.wait_for_private_message("I am not installed in this workspace")


async def test_a_workspace_without_the_app_gets_an_explanation(oauth_office: Office) -> None:
    await oauth_office.ana.use_command("/imagine", "a fox", oauth_office.general)

    await oauth_office.ana.wait_for_private_message("I am not installed in this workspace")


async def test_an_authorisation_is_looked_up_once(oauth_office: Office) -> None:
    await install(oauth_office, oauth_office.team)
    before = len(oauth_office.slack.find_calls("auth.test"))

    for _ in range(3):
        await (await oauth_office.ana.use_command("/usage", "", oauth_office.general)).wait_for_acknowledgement()

    assert len(oauth_office.slack.find_calls("auth.test")) == before


async def test_a_foreign_state_installs_nothing(oauth_office: Office) -> None:
    session = oauth_office.slack.http_transport
    assert session is not None
    url = install_url(oauth_office).replace("install", "oauth_redirect")

    async with session._session.get(url, params={"code": "x", "state": "forged"}) as answer:
        status = answer.status

    assert status in (400, 401)


async def test_a_state_installs_once(oauth_office: Office) -> None:
    wire = oauth_office.slack.http_transport
    assert wire is not None
    install_page = install_url(oauth_office)
    async with wire._session.get(install_page, allow_redirects=False) as page:
        cookies = "; ".join(f"{name}={morsel.value}" for name, morsel in page.cookies.items())
        links = re.findall(r'href="([^"]*)"', unescape(await page.text()))
    place = next(link for link in links if link.startswith(oauth_office.slack.oauth.authorize_url))
    first, second = (oauth_office.slack.oauth.approve(oauth_office.ana, place) for _ in range(2))

    statuses = []
    for back in (first, second):
        async with wire._session.get(back, headers={"cookie": cookies}) as answer:
            statuses.append(answer.status)

    assert statuses == [200, 401]


async def test_an_installation_for_a_whole_organisation_is_refused(oauth_office: Office) -> None:
    (connection,) = oauth_office.app.connections
    assert isinstance(connection, SlackConnection)
    assert isinstance(connection._installed_teams, InstalledTeams)
    everywhere = Installation(app_id="A1", user_id="U1", enterprise_id="E1", bot_token="xoxb-1", team_id=None)

    with pytest.raises(BoltError, match="one workspace at a time"):
        await connection._installed_teams.async_save(everywhere)


async def test_a_workspace_without_the_app_must_be_allowed_again(any_office: Office) -> None:
    await any_office.team.uninstall()

    async def is_noted() -> bool:
        async with any_office.app.database.read() as tx:
            left = await tx.audit.list_rows("slack", any_office.team.id, 10, kind="workspace.left")
        return len(left) == 1

    await any_office.wait_until(is_noted)


async def test_an_uninstalled_workspace_is_forgotten(oauth_office: Office) -> None:
    await install(oauth_office, oauth_office.team)
    await oauth_office.ana.use_command("/imagine", "a fox", oauth_office.general)
    await oauth_office.general.wait_for_bot_message(condition=lambda one: "Again" in one.button_labels)

    await oauth_office.team.uninstall()

    async def is_forgotten() -> bool:
        async with oauth_office.app.database.read() as tx:
            return await tx.installations.get("slack", oauth_office.team.id) is None

    await oauth_office.wait_until(is_forgotten)


async def test_two_workspaces_share_nothing(oauth_office: Office) -> None:
    other = oauth_office.slack.add_team("Beta", is_installed=False)
    hall, ben = other.add_channel("hall"), other.add_person("Ben", is_admin=True)
    await install(oauth_office, oauth_office.team)
    await install(oauth_office, other)
    await oauth_office.ana.use_command("/imagine", "a fox", oauth_office.general)
    picture = await oauth_office.general.wait_for_bot_message(condition=lambda one: "Again" in one.button_labels)
    job = picture.elements[0]["value"]
    many_settings = oauth_office.app.dispatcher.services.moderation
    await many_settings.admin.allow_workspace(User("slack", other.id, ben.id, "Ben"))

    await ben.use_command("/show", job, hall)
    await ben.use_command("/quota", f"grant {oauth_office.ana.escaped_mention} 50", hall)

    await ben.wait_for_private_message("There is no job called")
    assert await oauth_office.balance(oauth_office.ana) < oauth_office.daily_micros
    mine = {call.token for call in oauth_office.slack.calls if call.args.get("channel") == oauth_office.general.id}
    assert mine == {oauth_office.team.bot_token}


async def test_an_administrator_moderates_and_others_do_not(any_office: Office) -> None:
    await any_office.ana.use_command("/quota", f"grant {any_office.otto.escaped_mention} 50", any_office.general)
    await any_office.ana.wait_for_private_message("is for a moderator of this workspace")

    await any_office.ana.use_command("/imagine", "a fox", any_office.general)
    await any_office.general.wait_for_bot_message(condition=lambda one: "Again" in one.button_labels)
    await any_office.otto.use_command("/quota", f"grant {any_office.ana.escaped_mention} 50", any_office.general)

    await any_office.otto.wait_for_private_message("50 credits")


async def test_a_user_group_may_moderate(office: Office) -> None:
    mia = office.team.add_person("Mia")
    crew = office.team.add_user_group("crew", [mia])
    await office.otto.use_command("/settings", f"moderators --role <!subteam^{crew.id}|@crew>", office.general)
    await office.otto.wait_for_private_message()
    await office.ana.use_command("/imagine", "a fox", office.general)
    picture = await office.general.wait_for_bot_message(condition=lambda one: "Delete" in one.button_labels)
    office.advance_time(2)

    await mia.press(picture, "Delete")

    await picture.wait_until(lambda message: message.is_deleted, "deletion")


async def test_an_unknown_workspace_gets_a_sentence_until_the_owner_allows_the_workspace(
    open_office: OfficeOpener,
) -> None:
    office = await open_owned_office(open_office)

    await office.ana.use_command("/imagine", "a fox", office.general)
    await office.ana.wait_for_private_message("This workspace is not on my list yet")
    assert office.backend.runs == {}
    await office.otto.use_command("/setup", "", office.general)
    await office.otto.wait_for_private_message()
    await office.ana.use_command("/imagine", "a fox", office.general)

    await office.general.wait_for_bot_message(condition=lambda one: "Again" in one.button_labels)


async def open_owned_office(open_office: OfficeOpener) -> Office:
    """Open an office with a workspace that is not allowed yet, and Otto as the bot's owner."""
    office = await open_office(allowed_workspaces=())
    await office.close()
    owner = Owner("slack", office.team.id, office.otto.id)
    office.settings = office.settings.model_copy(update={"admin_users": (owner,)})
    return await office.open()


async def test_a_chat_in_an_unknown_workspace_leaves_no_trace(open_office: OfficeOpener) -> None:
    office = await open_office(allowed_workspaces=())

    await office.ana.use_command("/chat", "hello", office.general)

    await office.ana.wait_for_private_message("This workspace is not on my list yet")
    assert office.general.messages == []


async def test_a_guest_from_another_workspace_spends_no_credits_of_this_workspace(office: Office) -> None:
    guest = office.team.add_person("Gus", is_admin=True)
    request = await office.ana.say("look", office.general, files=[make_png()])
    event = {"type": "app_mention", "user": guest.id, "user_team": "T0ELSEWHERE", "text": f"{office.team.mention} hi"}
    event |= {"ts": office.slack.clock.next_timestamp(), "channel": office.general.id, "channel_type": "channel"}

    office.slack.event_sender.send(office.team, event)

    await guest.wait_for_private_message("not on my list")
    assert office.backend.runs == {}
    assert request


async def test_a_new_user_waits_for_a_single_round_trip(open_office: OfficeOpener) -> None:
    office = await open_office()
    office.slack.faults.delay("users.info", 30)

    await (await office.ana.use_command("/usage", "", office.general)).wait_for_acknowledgement()
    await office.slack.wait_for_call("usergroups.list")

    assert [call.status for call in office.slack.find_calls("users.info")] == [0]
    office.advance_time(30)
    await office.ana.wait_for_private_message("credits left")


@pytest.mark.parametrize("path", [INSTALL_PATH, REDIRECT_PATH])
@pytest.mark.parametrize(
    ("query", "content_type", "body"),
    [
        ("", b"application/json; charset=nonsense", b"{}"),
        ("", b"application/json", b"[" * 100_000),
        ("?code=x&state=%00", b"text/plain", b""),
        ("?code=x&state=%ED%A0%80", b"text/plain", b""),
        ("?code=%ED%A0%80&state=%C3%A9", b"text/plain", b"\xff"),
        ("?error=%00%ED%A0%80", b"text/plain", b""),
    ],
)
async def test_a_stranger_s_visit_to_the_installation_is_answered_without_a_traceback(
    oauth_office: Office, caplog: pytest.LogCaptureFixture, path: str, query: str, content_type: bytes, body: bytes
) -> None:
    caplog.clear()
    lines = [b"GET %s HTTP/1.1" % (path + query).encode(), b"Host: bot", b"Connection: close"]

    status, _ = await exchange(oauth_office.port, [*lines, b"Content-Type: " + content_type], body)

    assert status in ((200, 302) if path == INSTALL_PATH else (200, 400, 401, 403))
    assert not any(record.exc_info for record in caplog.records)
