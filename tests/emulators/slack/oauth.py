"""Installs the app by OAuth: Slack's consent page, the code exchange, and a person who approves."""

import re
import secrets
from dataclasses import dataclass
from html import unescape
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

import aiohttp
from aiohttp import web

from tests.emulators.slack.request_log import SlackErrorResponse

if TYPE_CHECKING:
    from tests.emulators.slack.emulator import SlackEmulator
    from tests.emulators.slack.people import SlackPerson
    from tests.emulators.slack.state import SlackTeamState


@dataclass(frozen=True)
class SlackOAuthGrant:
    person: "SlackPerson"
    scopes: frozenset[str]
    redirect_uri: str


class SlackOAuthServer:
    def __init__(self, slack: "SlackEmulator") -> None:
        self._slack = slack
        self.client_id = "1234567890.987654321"
        self.client_secret = secrets.token_hex(16)
        self._grants: dict[str, SlackOAuthGrant] = {}

    @property
    def authorize_url(self) -> str:
        return f"{self._slack.url}/oauth/v2/authorize"

    async def handle_consent_page(self, request: web.Request) -> web.Response:
        """Serve the page that a browser shows; `SlackPerson.install_app` approves without the page."""
        if request.query.get("client_id") != self.client_id:
            return web.Response(status=400, text="Invalid client_id parameter")
        scopes = request.query.get("scope", "").replace(",", "<br>")
        return web.Response(text=f"<h1>Easel asks for</h1>{scopes}", content_type="text/html")

    def approve(self, person: "SlackPerson", authorize_url: str) -> str:
        """Approve the installation; return the browser's next URL."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(authorize_url).query).items()}
        assert query.get("client_id") == self.client_id, f"the page asks for client {query.get('client_id')}"
        code = f"{secrets.token_hex(6)}.{secrets.token_hex(12)}"
        scopes = frozenset(query.get("scope", "").split(","))
        redirect_uri = query.get("redirect_uri", "")
        self._grants[code] = SlackOAuthGrant(person, scopes, redirect_uri)
        return f"{redirect_uri}?{urlencode({'code': code, 'state': query.get('state', '')})}"

    def exchange(
        self, client_id: str, client_secret: str, code: str, redirect_uri: str
    ) -> tuple["SlackTeamState", "SlackPerson"]:
        """Install the app; return the workspace and the approving person. Raise `SlackErrorResponse` for wrong
        credentials or an unknown code.
        """
        if client_id != self.client_id:
            raise SlackErrorResponse("invalid_client_id")
        if client_secret != self.client_secret:
            raise SlackErrorResponse("bad_client_secret")
        grant = self._grants.pop(code, None)
        if grant is None:
            raise SlackErrorResponse("invalid_code")
        if grant.redirect_uri and redirect_uri != grant.redirect_uri:
            raise SlackErrorResponse("bad_redirect_uri")
        grant.person.team.scopes = set(grant.scopes)
        grant.person.team.install()
        return grant.person.team, grant.person


async def install_app(person: "SlackPerson", install_url: str) -> tuple[int, str]:
    """Install as a browser does: the app's page, Slack's consent, the app's last page. Return status and text."""
    oauth = person.team.slack.oauth
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as browser:
        async with browser.get(install_url, allow_redirects=False) as page:
            cookies = {name: morsel.value for name, morsel in page.cookies.items()}
            consent_url = page.headers.get("location") or _find_link(await page.text(), oauth.authorize_url)
        headers = {"cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
        redirect_url = oauth.approve(person, consent_url)
        if redirect_url.startswith("?"):
            redirect_url = install_url.replace("/slack/install", "/slack/oauth_redirect") + redirect_url
        async with browser.get(redirect_url, headers=headers, allow_redirects=False) as page:
            return page.status, await page.text()


def _find_link(page: str, authorize_url: str) -> str:
    found = re.search(rf'href="({re.escape(authorize_url)}[^"]*)"', unescape(page))
    assert found, f"the page has no link to {authorize_url}: {page[:200]}"
    return found.group(1)
