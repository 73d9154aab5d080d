"""users, usergroups and reactions."""

from tests.emulators.slack.journal import Refused
from tests.emulators.slack.messages import Json
from tests.emulators.slack.methods.registry import Asked, method


@method("users.info")
async def info(asked: Asked) -> Json:
    if asked.args["user"] == asked.team.bot_user:
        return {"user": {"id": asked.team.bot_user, "name": "easel", "real_name": "Easel", "is_bot": True}}
    person = asked.person("user")
    locale = {"locale": person.locale} if asked.args.get("include_locale") else {}
    return {"user": person.as_json() | locale}


@method("usergroups.list")
async def list_groups(asked: Asked) -> Json:
    told = [
        {"id": group.id, "team_id": asked.team.id, "handle": group.handle, "name": group.handle, "is_usergroup": True}
        | ({"users": group.members} if asked.args.get("include_users") else {})
        for group in asked.team.groups
    ]
    return {"usergroups": told}


@method("usergroups.users.list")
async def group_members(asked: Asked) -> Json:
    for group in asked.team.groups:
        if group.id == asked.args["usergroup"]:
            return {"users": group.members}
    raise Refused("no_such_subteam")


@method("reactions.add")
async def react(asked: Asked) -> Json:
    channel = asked.channel_to_write()
    message = asked.message(channel, "timestamp")
    name = asked.args["name"]
    if ":" in name or not name:
        raise Refused("invalid_name")
    if name in message.reactions:
        raise Refused("already_reacted")
    message.reactions.append(name)
    return {}


@method("reactions.remove")
async def unreact(asked: Asked) -> Json:
    channel = asked.channel()
    message = asked.message(channel, "timestamp")
    if asked.args["name"] not in message.reactions:
        raise Refused("no_reaction")
    message.reactions.remove(asked.args["name"])
    return {}
