"""Builds the slack-bolt app, with the OAuth flow by which workspaces install the app."""

import logging
from urllib.parse import urljoin

from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.authorization.async_authorize import AsyncAuthorize
from slack_bolt.context.async_context import AsyncBoltContext
from slack_bolt.oauth.async_oauth_settings import AsyncOAuthSettings

from bot.platforms.slack.config import SlackConfig
from bot.platforms.slack.installations import InstalledTeams, SlackTeams
from bot.platforms.slack.manifest import OPTIONAL_SCOPES, SCOPES
from bot.platforms.slack.web_api import SlackWebApi, create_client

INSTALL_PATH, REDIRECT_PATH = "/slack/install", "/slack/oauth_redirect"
AUTHORIZE_PATH = "/oauth/v2/authorize"

_NOT_INSTALLED = (
    "I am not installed in this workspace, or not any more. "
    "Whoever looks after me can install me again, at /slack/install of my address."
)


def create_bolt_app(
    config: SlackConfig, teams: SlackTeams, installed_teams: InstalledTeams | None, web_api: SlackWebApi
) -> AsyncApp:
    """Return the app without listeners; with `installed_teams` workspaces can install the app by OAuth."""
    logger = logging.getLogger("slack_bolt.easel")
    # At INFO slack-bolt logs the bodies of requests with a bad signature, which may hold prompts. At WARNING its
    # constructor complains about every ignored environment variable.
    logger.setLevel(logging.ERROR)
    return AsyncApp(
        logger=logger,
        name="easel",
        # Without a secret the route for HTTP is not mounted, so no signature is verified with this value.
        signing_secret=config.signing_secret or "none",
        client=create_client(web_api.api_url, web_api.session),
        authorize=_Authorize(teams),  # type: ignore[arg-type] # slack-bolt accepts such an object too
        oauth_settings=create_oauth_settings(config, installed_teams) if installed_teams is not None else None,
        user_facing_authorize_error_message=_NOT_INSTALLED,
        attaching_conversation_kwargs_enabled=False,
        # slack-bolt acknowledges an event before its listener runs, unless the listener is to end first.
        process_before_response=True,
    )


def create_oauth_settings(config: SlackConfig, installed_teams: InstalledTeams) -> AsyncOAuthSettings:
    """Return the settings of slack-bolt's OAuth flow."""
    return AsyncOAuthSettings(
        authorization_url=urljoin(config.api_url, AUTHORIZE_PATH),
        client_id=config.client_id,
        client_secret=config.client_secret,
        scopes=[*SCOPES, *OPTIONAL_SCOPES],
        user_scopes=[],
        redirect_uri=f"{config.public_url}{REDIRECT_PATH}" if config.public_url else None,
        install_path=INSTALL_PATH,
        redirect_uri_path=REDIRECT_PATH,
        installation_store=installed_teams,
        state_store=installed_teams.states,
    )


class _Authorize(AsyncAuthorize):
    """Finds the installation of a request. slack-bolt's own authorisation calls `auth.test` for every request."""

    def __init__(self, teams: SlackTeams) -> None:
        self._teams = teams

    async def __call__(
        self,
        *,
        context: AsyncBoltContext,
        enterprise_id: str | None,
        team_id: str | None,
        user_id: str | None,
        **_: str | None,
    ) -> AuthorizeResult | None:
        team = await self._teams.get(team_id or "")
        if team is None:
            return None
        return AuthorizeResult(
            enterprise_id=enterprise_id,
            team_id=team.id,
            bot_token=team.token,
            bot_id=team.bot_id,
            bot_user_id=team.bot_user,
            bot_scopes=sorted(team.scopes),
        )
