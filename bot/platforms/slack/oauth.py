"""/slack/install and /slack/oauth_redirect: how a workspace installs the app."""

from urllib.parse import urljoin

from slack_bolt.oauth.async_oauth_settings import AsyncOAuthSettings

from bot.platforms.slack.installations import InstalledTeams, OAuthStates
from bot.platforms.slack.manifest import SCOPES

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
