"""Workspaces: tokens, scopes, and being installed."""

from typing import Any

import pytest
from slack_bolt.async_app import AsyncApp
from slack_bolt.oauth.async_oauth_settings import AsyncOAuthSettings
from slack_sdk.errors import SlackApiError
from slack_sdk.oauth.installation_store import FileInstallationStore
from slack_sdk.oauth.state_store import FileOAuthStateStore
from slack_sdk.web.async_client import AsyncWebClient

from tests.emulators.slack.client import SlackTestWorkspace


async def refused(call: Any) -> Any:
    with pytest.raises(SlackApiError) as error:
        await call
    return error.value.response


async def test_a_token_leads_to_its_workspace(place: SlackTestWorkspace) -> None:
    other = place.slack.add_team("Other")

    mine = await place.client.auth_test()
    theirs = await place.client.auth_test(token=other.bot_token)

    assert (mine["team_id"], theirs["team_id"]) == (place.team.id, other.id)
    post = place.client.chat_postMessage(token=other.bot_token, channel=place.general.id, text="a")
    assert (await refused(post))["error"] == "channel_not_found"


@pytest.mark.parametrize(
    ("token", "error"),
    [("", "not_authed"), ("xoxb-wrong", "invalid_auth"), ("app", "not_allowed_token_type")],
)
async def test_a_wrong_token_is_refused(place: SlackTestWorkspace, token: str, error: str) -> None:
    token = place.slack.app_token if token == "app" else token
    client = AsyncWebClient(token=token, base_url=place.slack.api_url)
    client.proxy = None

    assert (await refused(client.auth_test()))["error"] == error


async def test_a_bot_token_opens_no_socket(place: SlackTestWorkspace) -> None:
    opened = await refused(place.client.apps_connections_open(app_token=place.team.bot_token))

    assert opened["error"] == "not_allowed_token_type"


async def test_a_dead_token_says_why(place: SlackTestWorkspace) -> None:
    place.team.revoke_token()
    assert (await refused(place.client.auth_test()))["error"] == "token_revoked"

    token = place.team.install()
    await place.team.uninstall()
    assert (await refused(place.client.auth_test(token=token)))["error"] == "account_inactive"


async def test_a_missing_scope_is_named(place: SlackTestWorkspace) -> None:
    place.team.scopes.discard("users:read")

    answer = await refused(place.client.users_info(user=place.ana.id))

    assert (answer["error"], answer["needed"]) == ("missing_scope", "users:read")
    assert "chat:write" in answer["provided"]


@pytest.mark.filterwarnings("ignore:BasicAuth is deprecated:DeprecationWarning")  # slack_sdk still uses it
async def test_bolt_is_installed_by_oauth(place: SlackTestWorkspace, tmp_path: Any) -> None:
    newcomer = place.slack.add_team("Newcomer", is_installed=False)
    bea = newcomer.add_person("Bea", is_owner=True)
    store = FileInstallationStore(base_dir=str(tmp_path / "teams"))
    client = AsyncWebClient(base_url=place.slack.api_url)
    client.proxy = None
    place.bolt_app.app = AsyncApp(
        client=client,
        signing_secret=place.slack.signing_secret,
        oauth_settings=AsyncOAuthSettings(
            client_id=place.slack.oauth.client_id,
            client_secret=place.slack.oauth.client_secret,
            scopes=["chat:write", "commands"],
            installation_store=store,
            state_store=FileOAuthStateStore(expiration_seconds=60, base_dir=str(tmp_path / "states")),
            authorization_url=place.slack.oauth.authorize_url,
        ),
    )
    await place.bolt_app.serve()
    assert place.slack.http_transport

    status, _ = await bea.install_app(place.slack.http_transport.url.replace("/slack/events", "/slack/install"))

    assert status == 200
    installed = await store.async_find_bot(enterprise_id=None, team_id=newcomer.id)
    assert installed
    assert installed.bot_token == newcomer.bot_token
    assert newcomer.scopes == {"chat:write", "commands"}
    assert place.slack.violations == []
