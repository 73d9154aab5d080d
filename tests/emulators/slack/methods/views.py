"""views: modals opened, pushed and updated, and the Home tab."""

from tests.emulators.slack.journal import Refused
from tests.emulators.slack.messages import Json
from tests.emulators.slack.methods.registry import Asked, method


@method("views.open")
async def open_view(asked: Asked) -> Json:
    person = asked.slack.triggers.exchange(str(asked.args.get("trigger_id", "")), asked.team)
    return {"view": asked.slack.views.open(person, asked.args["view"]).as_json()}


@method("views.push")
async def push(asked: Asked) -> Json:
    person = asked.slack.triggers.exchange(str(asked.args.get("trigger_id", "")), asked.team)
    return {"view": asked.slack.views.push(person, asked.args["view"]).as_json()}


@method("views.update")
async def update(asked: Asked) -> Json:
    view = asked.slack.views.find(asked.args.get("view_id", ""), asked.args.get("external_id", ""))
    if view.person.team is not asked.team:
        raise Refused("not_found")
    return {"view": asked.slack.views.update(view, asked.args["view"], asked.args.get("hash")).as_json()}


@method("views.publish")
async def publish(asked: Asked) -> Json:
    person = asked.person("user_id")
    return {"view": asked.slack.views.publish(person, asked.args["view"], asked.args.get("hash")).as_json()}
