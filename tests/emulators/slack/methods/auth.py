"""auth, apps, team and bots: who the app is."""

from tests.emulators.slack.messages import Json
from tests.emulators.slack.methods.registry import Asked, method


@method("api.test")
async def api_test(asked: Asked) -> Json:
    return {"args": asked.args}


@method("auth.test")
async def auth_test(asked: Asked) -> Json:
    team = asked.team
    return {
        "url": f"https://{team.domain}.slack.com/", "team": team.name, "user": "easel", "team_id": team.id,
        "user_id": team.bot_user, "bot_id": team.bot_id, "is_enterprise_install": False,
    }  # fmt: skip


@method("auth.revoke")
async def auth_revoke(asked: Asked) -> Json:
    asked.slack.tokens.refuse(asked.call.token, "token_revoked")
    return {"revoked": True}


@method("apps.connections.open")
async def connections_open(asked: Asked) -> Json:
    return {"url": asked.slack.sockets.ticket_url()}


@method("team.info")
async def team_info(asked: Asked) -> Json:
    return {"team": {"id": asked.team.id, "name": asked.team.name, "domain": asked.team.domain}}


@method("bots.info")
async def bots_info(asked: Asked) -> Json:
    team = asked.team
    return {"bot": {"id": team.bot_id, "name": "easel", "app_id": asked.slack.app_id, "user_id": team.bot_user}}
