"""assistant.threads and agents.sessions: what the app is doing, what it suggests, and what a thread is called."""

from tests.emulators.slack.journal import Refused
from tests.emulators.slack.messages import Json
from tests.emulators.slack.methods.registry import Asked, method
from tests.emulators.slack.workspace import Channel

MOST_PROMPTS = 4
MOST_LOADING_MESSAGES = 10
SESSION_STATUSES = {"active", "processing", "suspended", "closed"}


@method("assistant.threads.setStatus")
async def set_status(asked: Asked) -> Json:
    channel, ts = _thread(asked)
    if len(asked.args.get("loading_messages") or ()) > MOST_LOADING_MESSAGES:
        raise Refused("invalid_arguments")
    asked.team.set_status(channel.id, ts, asked.args["status"])
    return {}


@method("assistant.threads.setSuggestedPrompts")
async def set_suggested_prompts(asked: Asked) -> Json:
    channel = asked.channel("channel_id")
    if asked.args.get("thread_ts"):
        _thread(asked)
    elif channel.type != "im":
        raise Refused("invalid_thread_ts")  # without a thread only in an agent's DM
    prompts = asked.args["prompts"]
    if not 0 < len(prompts) <= MOST_PROMPTS or any(prompt.keys() != {"title", "message"} for prompt in prompts):
        raise Refused("invalid_arguments")
    asked.team.prompts = prompts
    return {}


@method("assistant.threads.setTitle")
async def set_title(asked: Asked) -> Json:
    channel, ts = _thread(asked)
    asked.team.session(channel.id, ts)["title"] = asked.args["title"]
    return {}


@method("agents.sessions.setStatus")
async def set_session_status(asked: Asked) -> Json:
    channel, ts = _session(asked)
    if asked.args["status"] not in SESSION_STATUSES:
        raise Refused("invalid_arguments")
    session = asked.team.session(channel.id, ts)
    session |= {name: asked.args[name] for name in ("status", "title") if name in asked.args}
    if "agent_session_stopped" not in asked.slack.options.events:
        return {"warning": "missing_agent_session_stopped_event_subscription"}
    return {}


@method("agents.sessions.rename")
async def rename_session(asked: Asked) -> Json:
    channel, ts = _session(asked)
    if (channel.id, ts) not in asked.team.sessions:
        raise Refused("session_not_found")
    asked.team.sessions[channel.id, ts]["title"] = asked.args["title"]
    return {}


def _thread(asked: Asked) -> tuple[Channel, str]:
    """Raises Refused."""
    channel, ts = asked.channel("channel_id"), str(asked.args.get("thread_ts", ""))
    if not channel.has_bot or channel.root(ts) is None:
        raise Refused("invalid_thread_ts")
    return channel, ts


def _session(asked: Asked) -> tuple[Channel, str]:
    return _thread(asked) if asked.args.get("thread_ts") else (asked.channel("channel_id"), "")
