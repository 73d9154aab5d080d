"""What `doctor` looks at of Slack: the tokens, and whether the app was granted what the manifest asks for."""

import aiohttp

from bot.cli.findings import Check, Finding
from bot.settings import Settings

_HOW = "See docs/slack.md, or `python -m bot slack manifest`."


async def _ways_in(settings: Settings) -> Finding | None:
    if not _is_on(settings):
        return None
    if settings.slack_app_token is not None:
        return Finding("ok", "Slack is heard by Socket Mode.")
    if settings.slack_signing_secret is None:
        fix = "Set SLACK_APP_TOKEN for Socket Mode, or SLACK_SIGNING_SECRET for HTTP."
        return Finding("fail", "Nothing says how Slack is heard.", fix)
    if settings.public_url is None:
        fix = "Set PUBLIC_URL to the address that Slack reaches, and put its /slack/events into the app's settings."
        return Finding("warn", "Slack is heard by HTTP, and PUBLIC_URL is empty.", fix)
    return Finding("ok", f"Slack is heard by HTTP at {settings.public_url}/slack/events.")


async def _app_token(settings: Settings) -> Finding | None:
    """Tried as the bot does when it starts."""
    if settings.slack_app_token is None or not _is_on(settings):
        return None
    error, _ = await _asked(settings, "apps.connections.open", settings.slack_app_token.get_secret_value())
    if error:
        return Finding("fail", f"SLACK_APP_TOKEN: Slack says {error}.", f"It needs connections:write. {_HOW}")
    return Finding("ok", "SLACK_APP_TOKEN opens a socket.")


async def _bot_token(settings: Settings) -> Finding | None:
    """Tried, and its scopes compared with the manifest's."""
    if settings.slack_bot_token is None:
        return None
    error, scopes = await _asked(settings, "auth.test", settings.slack_bot_token.get_secret_value())
    if error:
        return Finding("fail", f"SLACK_BOT_TOKEN: Slack says {error}.", _HOW)
    from bot.platforms.slack.manifest import SCOPES  # slack-bolt is loaded only where Slack is used

    missing = sorted(set(SCOPES) - scopes)
    if missing:
        fix = f"Paste the manifest into the app's settings and install it again. {_HOW}"
        return Finding("fail", f"The Slack app lacks {', '.join(missing)}.", fix)
    return Finding("ok", "SLACK_BOT_TOKEN is good, and has every scope of the manifest.")


async def _events(settings: Settings) -> Finding | None:
    """No token tells which events an app is subscribed to: they can only be named."""
    if not _is_on(settings):
        return None
    from bot.platforms.slack.manifest import EVENTS  # slack-bolt is loaded only where Slack is used

    return Finding("ok", f"Slack's events cannot be asked for. The app needs {', '.join(EVENTS)}.")


def _is_on(settings: Settings) -> bool:
    return settings.slack_bot_token is not None or settings.slack_client_id is not None


async def _asked(settings: Settings, method: str, token: str) -> tuple[str, frozenset[str]]:
    """Slack's error, empty when there is none, and the scopes it names."""
    headers = {"Authorization": f"Bearer {token}"}
    url = f"{settings.slack_api_url.rstrip('/')}/{method}"
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session,
            session.post(url, headers=headers) as answer,
        ):
            told = await answer.json(content_type=None)
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        return f"nothing ({type(error).__name__})", frozenset()
    if not isinstance(told, dict):
        return "nothing that can be read", frozenset()
    scopes = answer.headers.get("x-oauth-scopes", "")
    return "" if told.get("ok") else str(told.get("error")), frozenset(map(str.strip, scopes.split(",")))


LOCAL: tuple[Check, ...] = (_ways_in,)
OUTSIDE: tuple[Check, ...] = (_app_token, _bot_token, _events)
