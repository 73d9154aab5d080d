"""oauth and blocks.validate."""

from tests.emulators.slack.journal import Refused
from tests.emulators.slack.messages import Json
from tests.emulators.slack.methods.chat import checked_blocks
from tests.emulators.slack.methods.registry import Asked, method


@method("oauth.v2.access")
async def access(asked: Asked) -> Json:
    told = [str(asked.args.get(name) or "") for name in ("client_id", "client_secret", "code", "redirect_uri")]
    team, person = asked.slack.oauth.exchange(*told)
    return {
        "access_token": team.bot_token, "token_type": "bot", "scope": ",".join(sorted(team.scopes)),
        "bot_user_id": team.bot_user, "app_id": asked.slack.app_id, "team": {"id": team.id, "name": team.name},
        "enterprise": None, "is_enterprise_install": False, "authed_user": {"id": person.id},
    }  # fmt: skip


@method("blocks.validate")
async def validate(asked: Asked) -> Json:
    if len(asked.args.keys() & {"blocks", "message", "view"}) != 1:
        raise Refused("invalid_arguments")
    checked_blocks(asked)
    return {}
