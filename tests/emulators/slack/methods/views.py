"""views: open, push and update modals, and publish the Home tab."""

from tests.emulators.slack.messages import Json
from tests.emulators.slack.request_context import SlackRequestContext, method
from tests.emulators.slack.request_log import SlackErrorResponse


@method("views.open")
async def open_view(context: SlackRequestContext) -> Json:
    person = context.slack.triggers.exchange(str(context.args.get("trigger_id", "")), context.team)
    return {"view": context.slack.views.open(person, context.args["view"]).to_json()}


@method("views.push")
async def push_view(context: SlackRequestContext) -> Json:
    person = context.slack.triggers.exchange(str(context.args.get("trigger_id", "")), context.team)
    return {"view": context.slack.views.push(person, context.args["view"]).to_json()}


@method("views.update")
async def update_view(context: SlackRequestContext) -> Json:
    view = context.slack.views.find(context.args.get("view_id", ""), context.args.get("external_id", ""))
    if view.person.team is not context.team:
        raise SlackErrorResponse("not_found")
    return {"view": context.slack.views.update(view, context.args["view"], context.args.get("hash")).to_json()}


@method("views.publish")
async def publish_view(context: SlackRequestContext) -> Json:
    person = context.get_person("user_id")
    return {"view": context.slack.views.publish(person, context.args["view"], context.args.get("hash")).to_json()}
