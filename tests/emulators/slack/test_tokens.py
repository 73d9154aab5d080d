"""Tokens, scopes, and installation."""

from typing import Any

import pytest
from slack_bolt.async_app import AsyncApp
from slack_bolt.oauth.async_oauth_settings import AsyncOAuthSettings
from slack_sdk.errors import SlackApiError
from slack_sdk.oauth.installation_store import FileInstallationStore
from slack_sdk.oauth.state_store import FileOAuthStateStore
from slack_sdk.web.async_client import AsyncWebClient

from tests.emulators.slack.client import SlackTestWorkspace, expect_error


async def test_a_token_leads_to_its_workspace(workspace: SlackTestWorkspace) -> None:
    other = workspace.slack.add_team("Other")

    mine = await workspace.client.auth_test()
    theirs = await workspace.client.auth_test(token=other.bot_token)

    assert (mine["team_id"], theirs["team_id"]) == (workspace.team.id, other.id)
    post = workspace.client.chat_postMessage(token=other.bot_token, channel=workspace.general.id, text="a")
    assert await expect_error(post) == "channel_not_found"


@pytest.mark.parametrize(
    ("token", "error"),
    [("", "not_authed"), ("xoxb-wrong", "invalid_auth"), ("app", "not_allowed_token_type")],
)
async def test_a_wrong_token_is_refused(workspace: SlackTestWorkspace, token: str, error: str) -> None:
    token = workspace.slack.app_token if token == "app" else token
    client = AsyncWebClient(token=token, base_url=workspace.slack.api_url)
    client.proxy = None

    assert await expect_error(client.auth_test()) == error


async def test_a_bot_token_opens_no_socket(workspace: SlackTestWorkspace) -> None:
    opening = workspace.client.apps_connections_open(app_token=workspace.team.bot_token)

    assert await expect_error(opening) == "not_allowed_token_type"


async def test_a_revoked_token_gives_its_reason(workspace: SlackTestWorkspace) -> None:
    workspace.team.revoke_token()
    assert await expect_error(workspace.client.auth_test()) == "token_revoked"

    token = workspace.team.install()
    await workspace.team.uninstall()
    assert await expect_error(workspace.client.auth_test(token=token)) == "account_inactive"


async def test_a_missing_scope_is_named(workspace: SlackTestWorkspace) -> None:
    workspace.team.scopes.discard("users:read")

    with pytest.raises(SlackApiError) as error:
        await workspace.client.users_info(user=workspace.ana.id)

    answer = error.value.response
    assert (answer["error"], answer["needed"]) == ("missing_scope", "users:read")
    assert "chat:write" in answer["provided"]


@pytest.mark.filterwarnings("ignore:BasicAuth is deprecated:DeprecationWarning")  # slack_sdk still uses it
async def test_bolt_is_installed_by_oauth(workspace: SlackTestWorkspace, tmp_path: Any) -> None:
    newcomer = workspace.slack.add_team("Newcomer", is_installed=False)
    bea = newcomer.add_person("Bea", is_owner=True)
    store = FileInstallationStore(base_dir=str(tmp_path / "teams"))
    client = AsyncWebClient(base_url=workspace.slack.api_url)
    client.proxy = None
    workspace.bolt_app.app = AsyncApp(
        client=client,
        signing_secret=workspace.slack.signing_secret,
        oauth_settings=AsyncOAuthSettings(
            client_id=workspace.slack.oauth.client_id,
            client_secret=workspace.slack.oauth.client_secret,
            scopes=["chat:write", "commands"],
            installation_store=store,
            state_store=FileOAuthStateStore(expiration_seconds=60, base_dir=str(tmp_path / "states")),
            authorization_url=workspace.slack.oauth.authorize_url,
        ),
    )
    await workspace.bolt_app.serve()
    assert workspace.slack.http_transport

    status, _ = await bea.install_app(workspace.slack.http_transport.url.replace("/slack/events", "/slack/install"))

    assert status == 200
    installed = await store.async_find_bot(enterprise_id=None, team_id=newcomer.id)
    assert installed
    assert installed.bot_token == newcomer.bot_token
    assert newcomer.scopes == {"chat:write", "commands"}
    assert workspace.slack.violations == []
