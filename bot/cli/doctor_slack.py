"""What `doctor` looks at of Slack: the tokens, and whether the app was granted what the manifest asks for."""

import aiohttp

from bot.cli.findings import DoctorCheck, DoctorFinding
from bot.settings import Settings

_SLACK_HINT = "See docs/slack.md, or `python -m bot slack manifest`."


async def _check_slack_transport(settings: Settings) -> DoctorFinding | None:
    if not _is_slack_on(settings):
        return None
    if settings.slack_app_token is not None:
        return DoctorFinding("ok", "Slack is heard by Socket Mode.")
    if settings.slack_signing_secret is None:
        fix = "Set SLACK_APP_TOKEN for Socket Mode, or SLACK_SIGNING_SECRET for HTTP."
        return DoctorFinding("fail", "Nothing says how Slack is heard.", fix)
    if settings.public_url is None:
        fix = "Set PUBLIC_URL to the address that Slack reaches, and put its /slack/events into the app's settings."
        return DoctorFinding("warn", "Slack is heard by HTTP, and PUBLIC_URL is empty.", fix)
    return DoctorFinding("ok", f"Slack is heard by HTTP at {settings.public_url}/slack/events.")


async def _check_slack_app_token(settings: Settings) -> DoctorFinding | None:
    """Tried as the bot does when it starts."""
    if settings.slack_app_token is None or not _is_slack_on(settings):
        return None
    error, _ = await _call_slack(settings, "apps.connections.open", settings.slack_app_token.get_secret_value())
    if error:
        return DoctorFinding(
            "fail", f"SLACK_APP_TOKEN: Slack says {error}.", f"It needs connections:write. {_SLACK_HINT}"
        )
    return DoctorFinding("ok", "SLACK_APP_TOKEN opens a socket.")


async def _check_slack_bot_token(settings: Settings) -> DoctorFinding | None:
    """Tried, and its scopes compared with the manifest's."""
    if settings.slack_bot_token is None:
        return None
    error, scopes = await _call_slack(settings, "auth.test", settings.slack_bot_token.get_secret_value())
    if error:
        return DoctorFinding("fail", f"SLACK_BOT_TOKEN: Slack says {error}.", _SLACK_HINT)
    from bot.platforms.slack.manifest import SCOPES  # slack-bolt is loaded only where Slack is used

    missing = sorted(set(SCOPES) - scopes)
    if missing:
        fix = f"Paste the manifest into the app's settings and install it again. {_SLACK_HINT}"
        return DoctorFinding("fail", f"The Slack app lacks {', '.join(missing)}.", fix)
    return DoctorFinding("ok", "SLACK_BOT_TOKEN is good, and has every scope of the manifest.")


async def _show_slack_events(settings: Settings) -> DoctorFinding | None:
    """No token tells which events an app is subscribed to: they can only be named."""
    if not _is_slack_on(settings):
        return None
    from bot.platforms.slack.manifest import EVENTS  # slack-bolt is loaded only where Slack is used

    return DoctorFinding("ok", f"Slack's events cannot be asked for. The app needs {', '.join(EVENTS)}.")


def _is_slack_on(settings: Settings) -> bool:
    return settings.slack_bot_token is not None or settings.slack_client_id is not None


async def _call_slack(settings: Settings, method: str, token: str) -> tuple[str, frozenset[str]]:
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


SLACK_LOCAL_CHECKS: tuple[DoctorCheck, ...] = (_check_slack_transport,)
SLACK_REMOTE_CHECKS: tuple[DoctorCheck, ...] = (_check_slack_app_token, _check_slack_bot_token, _show_slack_events)
