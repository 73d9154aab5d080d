"""/slack/install and /slack/oauth_redirect: how a workspace installs the app."""

import logging
from urllib.parse import urljoin

from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.authorization.async_authorize import AsyncAuthorize
from slack_bolt.context.async_context import AsyncBoltContext
from slack_bolt.oauth.async_oauth_settings import AsyncOAuthSettings

from bot.platforms.slack.config import SlackConfig
from bot.platforms.slack.installations import InstalledTeams, OAuthStates, SlackTeams
from bot.platforms.slack.manifest import SCOPES
from bot.platforms.slack.web_api import SlackWebApi

INSTALL_PATH, REDIRECT_PATH = "/slack/install", "/slack/oauth_redirect"


AUTHORIZE_PATH = "/oauth/v2/authorize"


def create_oauth_settings(
    client_id: str,
    client_secret: str,
    api_url: str,
    public_url: str,
    teams: InstalledTeams,
    states: OAuthStates,
) -> AsyncOAuthSettings:
    """What slack-bolt's flow needs; the authorisation itself is ours."""
    return AsyncOAuthSettings(
        authorization_url=urljoin(api_url, AUTHORIZE_PATH),
        client_id=client_id,
        client_secret=client_secret,
        scopes=list(SCOPES),
        user_scopes=[],
        redirect_uri=f"{public_url}{REDIRECT_PATH}" if public_url else None,
        install_path=INSTALL_PATH,
        redirect_uri_path=REDIRECT_PATH,
        installation_store=teams,
        state_store=states,
    )


# MERGED slack-bolt as we use it: with an authorisation of ours, and nothing in the log that people said.

_UNKNOWN = (
    "I am not installed in this workspace, or not any more. "
    "Whoever looks after me can install me again, at /slack/install of my address."
)


def create_bolt_app(keys: SlackConfig, teams: SlackTeams, many: InstalledTeams | None, calls: SlackWebApi) -> AsyncApp:
    """The app without listeners; `many` are the workspaces that install it by OAuth, if there are to be such."""
    oauth = None
    if many is not None:
        oauth = create_oauth_settings(
            keys.client_id, keys.client_secret, keys.api_url, keys.public_url, many, many.states
        )
    logger = logging.getLogger("slack_bolt.easel")
    # At INFO it logs the bodies of requests with a bad signature, which may hold prompts; and while it is built it
    # warns of every variable of the environment that it does not use.
    logger.setLevel(logging.ERROR)
    return AsyncApp(
        logger=logger,
        name="easel",
        signing_secret=keys.signing_secret or "none",
        client=calls.create_client(),
        authorize=_Authorize(teams),  # type: ignore[arg-type] # it takes such an object too
        oauth_settings=oauth,
        user_facing_authorize_error_message=_UNKNOWN,
        attaching_conversation_kwargs_enabled=False,
    )


class _Authorize(AsyncAuthorize):
    """Which installation a request belongs to. slack-bolt's own asks Slack for every single one."""

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
