"""What opens Slack, as the settings have it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SlackConfig:
    """What opens Slack, from the settings; what is not given is empty."""

    api_url: str
    bot_token: str = ""
    app_token: str = ""
    signing_secret: str = ""
    client_id: str = ""
    client_secret: str = ""
    command_prefix: str = ""
    public_url: str = ""
