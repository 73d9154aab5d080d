"""Routes of the bot's account and application, and the gateway's URL."""

from tests.emulators.discord.payloads import user_json
from tests.emulators.discord.request_context import DiscordRequestContext, RouteResponse
from tests.emulators.discord.state import Json


def get_my_user(context: DiscordRequestContext) -> RouteResponse:
    return 200, user_json(context.state.bot) | {
        "mfa_enabled": False,
        "locale": "en-US",
        "verified": True,
        "email": None,
    }


def get_my_application(context: DiscordRequestContext) -> RouteResponse:
    owner = user_json(context.emulator.owner)
    application: Json = {
        "id": str(context.state.application_id),
        "name": context.state.bot.name,
        "icon": None,
        "description": "",
        "type": None,
        "bot": user_json(context.state.bot),
        "bot_public": True,
        "bot_require_code_grant": False,
        "verify_key": "0" * 64,
        "flags": context.emulator.application_flags,
        "owner": owner,
        "team": None,
        "summary": "",
        "redirect_uris": [],
        "interactions_endpoint_url": None,
        "role_connections_verification_url": None,
        "approximate_guild_count": len(context.emulator.list_bot_guilds()),
        "approximate_user_install_count": 0,
        "integration_types_config": {"0": {}, "1": {}},
        "explicit_content_filter": 0,
        "approximate_user_authorization_count": 0,
        "eligible_oauth2_scopes": ["bot", "applications.commands"],
        "flags_new": str(context.emulator.application_flags),
    }
    return 200, application


def get_gateway(context: DiscordRequestContext) -> RouteResponse:
    return 200, {"url": context.emulator.gateway_url}


def get_bot_gateway(context: DiscordRequestContext) -> RouteResponse:
    limit = {"total": 1000, "remaining": 1000 - context.emulator.gateway.identify_count, "reset_after": 86_400_000}
    return 200, {
        "url": context.emulator.gateway_url,
        "shards": context.emulator.recommended_shards,
        "session_start_limit": limit | {"max_concurrency": 1},
    }


ROUTES = {
    "get_my_user": get_my_user,
    "get_my_application": get_my_application,
    "get_application": get_my_application,
    "get_my_oauth2_application": get_my_application,
    "get_gateway": get_gateway,
    "get_bot_gateway": get_bot_gateway,
}
