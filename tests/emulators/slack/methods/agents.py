"""assistant.threads and agents.sessions: status, suggested prompts, and titles of threads."""

from tests.emulators.slack.messages import Json
from tests.emulators.slack.request_context import SlackRequestContext, method
from tests.emulators.slack.request_log import SlackErrorResponse
from tests.emulators.slack.state import SlackChannelState

MAX_PROMPTS = 4
MAX_LOADING_MESSAGES = 10
SESSION_STATUSES = {"active", "processing", "suspended", "closed"}


@method("assistant.threads.setStatus")
async def set_status(context: SlackRequestContext) -> Json:
    channel, ts = _get_thread(context)
    if len(context.args.get("loading_messages") or ()) > MAX_LOADING_MESSAGES:
        raise SlackErrorResponse("invalid_arguments")
    context.team.set_status(channel.id, ts, context.args["status"])
    return {}


@method("assistant.threads.setSuggestedPrompts")
async def set_suggested_prompts(context: SlackRequestContext) -> Json:
    channel = context.get_channel("channel_id")
    if context.args.get("thread_ts"):
        _get_thread(context)
    elif channel.type != "im":
        raise SlackErrorResponse("invalid_thread_ts")  # only the DM of an agent app takes prompts without a thread
    prompts = context.args["prompts"]
    if not 0 < len(prompts) <= MAX_PROMPTS or any(prompt.keys() != {"title", "message"} for prompt in prompts):
        raise SlackErrorResponse("invalid_arguments")
    context.team.suggested_prompts = prompts
    return {}


@method("assistant.threads.setTitle")
async def set_title(context: SlackRequestContext) -> Json:
    channel, ts = _get_thread(context)
    context.team.get_session(channel.id, ts)["title"] = context.args["title"]
    return {}


@method("agents.sessions.setStatus")
async def set_session_status(context: SlackRequestContext) -> Json:
    channel, ts = _get_session(context)
    if context.args["status"] not in SESSION_STATUSES:
        raise SlackErrorResponse("invalid_arguments")
    session = context.team.get_session(channel.id, ts)
    session |= {name: context.args[name] for name in ("status", "title") if name in context.args}
    if "agent_session_stopped" not in context.slack.options.events:
        return {"warning": "missing_agent_session_stopped_event_subscription"}
    return {}


@method("agents.sessions.rename")
async def rename_session(context: SlackRequestContext) -> Json:
    channel, ts = _get_session(context)
    if (channel.id, ts) not in context.team.sessions:
        raise SlackErrorResponse("session_not_found")
    context.team.sessions[channel.id, ts]["title"] = context.args["title"]
    return {}


def _get_thread(context: SlackRequestContext) -> tuple[SlackChannelState, str]:
    """Return the thread of the arguments. Raise `SlackErrorResponse` if missing."""
    channel, ts = context.get_channel("channel_id"), str(context.args.get("thread_ts", ""))
    if not channel.has_bot or channel.find_root(ts) is None:
        raise SlackErrorResponse("invalid_thread_ts")
    return channel, ts


def _get_session(context: SlackRequestContext) -> tuple[SlackChannelState, str]:
    return _get_thread(context) if context.args.get("thread_ts") else (context.get_channel("channel_id"), "")
