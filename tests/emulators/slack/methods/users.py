"""users, usergroups and reactions."""

from tests.emulators.slack.messages import Json
from tests.emulators.slack.request_context import SlackRequestContext, method
from tests.emulators.slack.request_log import SlackErrorResponse


@method("users.info")
async def get_user(context: SlackRequestContext) -> Json:
    if context.args["user"] == context.team.bot_user_id:
        return {"user": {"id": context.team.bot_user_id, "name": "easel", "real_name": "Easel", "is_bot": True}}
    person = context.get_person("user")
    locale = {"locale": person.locale} if context.args.get("include_locale") else {}
    return {"user": person.to_json() | locale}


@method("usergroups.list")
async def list_user_groups(context: SlackRequestContext) -> Json:
    groups = [
        {"id": group.id, "team_id": context.team.id, "handle": group.handle, "name": group.handle, "is_usergroup": True}
        | ({"users": group.members} if context.args.get("include_users") else {})
        for group in context.team.groups
    ]
    return {"usergroups": groups}


@method("usergroups.users.list")
async def list_user_group_members(context: SlackRequestContext) -> Json:
    for group in context.team.groups:
        if group.id == context.args["usergroup"]:
            return {"users": group.members}
    raise SlackErrorResponse("no_such_subteam")


@method("reactions.add")
async def add_reaction(context: SlackRequestContext) -> Json:
    channel = context.get_writable_channel()
    message = context.get_message(channel, "timestamp")
    name = context.args["name"]
    if ":" in name or not name:
        raise SlackErrorResponse("invalid_name")
    if name in message.reactions:
        raise SlackErrorResponse("already_reacted")
    message.reactions.append(name)
    return {}


@method("reactions.remove")
async def remove_reaction(context: SlackRequestContext) -> Json:
    channel = context.get_channel()
    message = context.get_message(channel, "timestamp")
    if context.args["name"] not in message.reactions:
        raise SlackErrorResponse("no_reaction")
    message.reactions.remove(context.args["name"])
    return {}
