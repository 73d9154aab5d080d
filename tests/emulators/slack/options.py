"""Options of the emulator: lifetimes, latency, and the app's scopes, events and commands."""

from dataclasses import dataclass, field

ALL_SCOPES = frozenset(
    {
        "app_mentions:read", "assistant:write", "canvases:read", "channels:history", "channels:join", "channels:read",
        "chat:write", "chat:write.public", "commands", "files:read", "files:write", "groups:history",
        "groups:read", "im:history", "im:read", "im:write", "mpim:history", "mpim:read", "reactions:write",
        "usergroups:read", "users:read",
    }
)  # fmt: skip
ALL_EVENTS = frozenset(
    {
        "agent_session_stopped", "app_context_changed", "app_home_opened", "app_mention", "app_uninstalled",
        "message.channels", "message.groups", "message.im", "message.mpim", "tokens_revoked",
    }
)  # fmt: skip


@dataclass(frozen=True)
class SlackLifetimes:
    """Durations, by Slack's clock.

    A stream's lifetime is undocumented and measured: github.com/slackapi/python-slack-sdk/issues/1859.
    """

    acknowledgement_seconds: float = 3.0
    trigger_seconds: float = 3.0
    stream_seconds: float = 300.0
    response_url_seconds: float = 30 * 60.0
    max_response_url_uses: int = 5
    status_seconds: float = 120.0
    ticket_seconds: float = 30.0
    processing_seconds: float = 0.05
    """Seconds in which a new file has neither type nor shares."""
    retry_delays_seconds: tuple[float, ...] = (0.0, 60.0, 300.0)
    """Seconds before each retry of an event."""


@dataclass(frozen=True)
class SlackOptions:
    """`round_trip_seconds` are added to each call and delivery. With `echoes_own_messages`, the app receives events for
    its own messages, as from Slack. A reply to a deleted thread becomes a message of the channel, as measured in
    github.com/slack-go/slack/issues/1571; with `rejects_orphan_replies`, an error.
    """

    round_trip_seconds: float = 0.0
    enforces_rate_limits: bool = True
    echoes_own_messages: bool = True
    rejects_orphan_replies: bool = False
    max_sockets: int = 10
    lifetimes: SlackLifetimes = field(default_factory=SlackLifetimes)
    scopes: frozenset[str] = ALL_SCOPES
    events: frozenset[str] = ALL_EVENTS
    commands: frozenset[str] | None = None
    """Registered commands with the slash; None allows all. The same applies to callback ids of shortcuts."""
    shortcuts: frozenset[str] | None = None

    def has_command(self, command: str) -> bool:
        return self.commands is None or command in self.commands

    def has_shortcut(self, callback_id: str) -> bool:
        return self.shortcuts is None or callback_id in self.shortcuts
