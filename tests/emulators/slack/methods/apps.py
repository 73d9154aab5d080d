"""oauth and blocks.validate."""

from tests.emulators.slack.journal import SlackErrorResponse
from tests.emulators.slack.messages import Json
from tests.emulators.slack.methods.chat import parse_blocks
from tests.emulators.slack.methods.registry import SlackRequestContext, method


@method("oauth.v2.access")
async def exchange_code(context: SlackRequestContext) -> Json:
    told = [str(context.args.get(name) or "") for name in ("client_id", "client_secret", "code", "redirect_uri")]
    team, person = context.slack.oauth.exchange(*told)
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
