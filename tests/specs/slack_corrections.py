"""Facts about Slack that the crawl of the documentation lacks, each with a source.

SDK is slack_sdk 3.47 (`web/async_client.py`), whose arguments are newer than the crawl; DOC is a page of
docs.slack.dev; ISSUE is a report of observed behaviour.
"""

from typing import Any

Arguments = dict[str, dict[str, Any]]

OPTIONAL_ARGUMENTS: dict[str, set[str]] = {
    "chat.startStream": {"thread_ts"},  # DOC: "Omit it to stream a top-level message", in channels only
    "chat.appendStream": {"markdown_text"},  # SDK: chunks instead
    "assistant.threads.setSuggestedPrompts": {"thread_ts"},  # SDK 3.43: prompts of an agent's DM have no thread
}

EXTRA_ARGUMENTS: dict[str, Arguments] = {
    "chat.postMessage": {"container_id": {"type": "string"}},  # SDK
    "chat.update": {"username": {}, "icon_emoji": {}, "icon_url": {}},  # SDK: authorship arguments, 3.42
    "chat.stopStream": {"session_status": {"type": "string"}},  # SDK 3.44, DOC ai/agent-sessions
    "views.open": {"view": {"required": True}},
}

EXTRA_METHODS: dict[str, dict[str, Any]] = {
    # SDK 3.44, DOC ai/agent-sessions: "Agent apps only", Tier 3
    "agents.sessions.setStatus": {
        "args": {
            "channel_id": {"required": True, "type": "string"},
            "status": {"required": True, "type": "string"},
            "thread_ts": {"type": "string"},
            "title": {"type": "string"},
            "initiator_user_id": {"type": "string"},
            "icon_emoji": {"type": "string"},
            "icon_url": {"type": "string"},
            "username": {"type": "string"},
        },
        "errors": ["channel_not_found", "invalid_thread_ts", "user_not_found"],
        "scopes": ["assistant:write", "chat:write"],
        "tier": 3,
    },
    "agents.sessions.rename": {
        "args": {
            "channel_id": {"required": True, "type": "string"},
            "title": {"required": True, "type": "string"},
            "thread_ts": {"type": "string"},
        },
        "errors": ["channel_not_found", "invalid_thread_ts", "session_not_found"],
        "scopes": ["assistant:write", "chat:write"],
        "tier": 3,
    },
    # DOC reference/methods/canvases.getContent; the page names no tier
    "canvases.getContent": {
        "args": {
            "canvas_id": {"required": True, "type": "string"},
            "content_type": {"type": "string"},
        },
        "errors": ["canvas_not_found"],
        "scopes": ["canvases:read"],
        "tier": 3,
    },
    # SDK 3.44: exactly one of the three
    "blocks.validate": {
        "args": {"blocks": {}, "message": {}, "view": {}},
        "errors": ["invalid_blocks"],
        "scopes": [],
        "tier": 4,
    },
    # DOC reference/methods/usergroups.list and usergroups.users.list, Tier 2
    "usergroups.list": {
        "args": {
            "include_count": {"type": "boolean"},
            "include_disabled": {"type": "boolean"},
            "include_users": {"type": "boolean"},
            "team_id": {"type": "string"},
        },
        "errors": [],
        "scopes": ["usergroups:read"],
        "tier": 2,
    },
    "usergroups.users.list": {
        "args": {
            "usergroup": {"required": True, "type": "string"},
            "include_disabled": {"type": "boolean"},
            "team_id": {"type": "string"},
        },
        "errors": ["no_such_subteam"],
        "scopes": ["usergroups:read"],
        "tier": 2,
    },
}

STREAM_ERRORS = {
    "channel_not_found",
    "cannot_provide_both_markdown_text_and_chunks",  # ISSUE hermes-agent#87743
    "streaming_mode_mismatch",  # ISSUE hermes-agent#104173
    "msg_too_long",  # ISSUE CopilotKit#6063
    "message_not_in_streaming_state",  # ISSUE python-slack-sdk#1859
    "stopped_by_user",
    "invalid_blocks",
    "thread_not_found",
}

EXTRA_ERRORS: dict[str, set[str]] = {
    "chat.startStream": STREAM_ERRORS,
    "chat.appendStream": STREAM_ERRORS,
    "chat.stopStream": STREAM_ERRORS,
    "chat.postMessage": {"msg_too_long", "thread_not_found"},
    "chat.postEphemeral": {"msg_blocks_too_long", "thread_not_found"},
    "chat.update": {"msg_blocks_too_long"},  # ISSUE bolt-js#2509
    "conversations.replies": {"not_in_channel"},
    "conversations.info": set(),
    "files.completeUploadExternal": {"is_archived", "thread_not_found"},
    "files.info": set(),
    "views.publish": {"user_not_found"},
    "reactions.add": {"not_in_channel"},
}
"""Observed errors, or errors that the page names outside its table."""

COMMON_ERRORS = {"unknown_method", "ratelimited"}
COMMON_ARGUMENTS: Arguments = {"team_id": {"type": "string"}}
"""slack_bolt adds the team to every call."""
