"""auth, apps, team, bots, oauth and blocks.validate: the app's identity and installation."""

from tests.emulators.slack.messages import Json
from tests.emulators.slack.methods.chat import parse_blocks
from tests.emulators.slack.request_context import SlackRequestContext, method
from tests.emulators.slack.request_log import SlackErrorResponse


@method("api.test")
async def echo_arguments(context: SlackRequestContext) -> Json:
    return {"args": context.args}


@method("auth.test")
async def get_identity(context: SlackRequestContext) -> Json:
    team = context.team
    return {
        "url": f"https://{team.domain}.slack.com/", "team": team.name, "user": "easel", "team_id": team.id,
        "user_id": team.bot_user_id, "bot_id": team.bot_id, "is_enterprise_install": False,
    }  # fmt: skip


@method("auth.revoke")
async def revoke_token(context: SlackRequestContext) -> Json:
    context.slack.tokens.revoke(context.call.token, "token_revoked")
    return {"revoked": True}


@method("apps.connections.open")
async def open_connection(context: SlackRequestContext) -> Json:
    return {"url": context.slack.sockets.issue_ticket_url()}


@method("team.info")
async def get_team(context: SlackRequestContext) -> Json:
    return {"team": {"id": context.team.id, "name": context.team.name, "domain": context.team.domain}}


@method("bots.info")
async def get_bot(context: SlackRequestContext) -> Json:
    team = context.team
    return {"bot": {"id": team.bot_id, "name": "easel", "app_id": context.slack.app_id, "user_id": team.bot_user_id}}


@method("oauth.v2.access")
async def exchange_code(context: SlackRequestContext) -> Json:
    credentials = [str(context.args.get(name) or "") for name in ("client_id", "client_secret", "code", "redirect_uri")]
    team, person = context.slack.oauth.exchange(*credentials)
    return {
        "access_token": team.bot_token, "token_type": "bot", "scope": ",".join(sorted(team.scopes)),
        "bot_user_id": team.bot_user_id, "app_id": context.slack.app_id, "team": {"id": team.id, "name": team.name},
        "enterprise": None, "is_enterprise_install": False, "authed_user": {"id": person.id},
    }  # fmt: skip


@method("blocks.validate")
async def validate_block_arguments(context: SlackRequestContext) -> Json:
    if len(context.args.keys() & {"blocks", "message", "view"}) != 1:
        raise SlackErrorResponse("invalid_arguments")
    parse_blocks(context)
    return {}
