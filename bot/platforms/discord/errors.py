"""Translates Discord's refusals: errors that are final become `MessageLost` with a sentence for the user.

The codes: discord.com/developers/docs/topics/opcodes-and-status-codes
"""

import aiohttp
import discord

from bot.core.platform import MessageLost
from bot.platforms.discord.channels import explain_missing_permissions

UNKNOWN_CHANNEL, UNKNOWN_GUILD, UNKNOWN_MESSAGE, UNKNOWN_WEBHOOK = 10003, 10004, 10008, 10015
UNKNOWN_INTERACTION, ALREADY_ACKNOWLEDGED = 10062, 40060
REQUEST_TOO_LARGE = 40005
MISSING_ACCESS, CANNOT_MESSAGE_USER, MISSING_PERMISSIONS, TOKEN_EXPIRED = 50001, 50007, 50013, 50027
THREAD_ARCHIVED, CANNOT_SEND_VOICE = 50083, 50173
CANNOT_READ_HISTORY, THREAD_EXISTS = 160002, 160004

_FINAL_ERRORS = {
    UNKNOWN_CHANNEL: "That channel is gone.",
    UNKNOWN_GUILD: "I am not in that server any more.",
    UNKNOWN_MESSAGE: "That message was deleted.",
    UNKNOWN_WEBHOOK: "That message cannot be changed any more.",
    TOKEN_EXPIRED: "That message is too old to be changed.",
    CANNOT_MESSAGE_USER: "They do not take messages from me.",
    THREAD_ARCHIVED: "That thread is locked.",
    CANNOT_SEND_VOICE: "I may not send voice messages there.",
}
_PERMISSION_ERRORS = (MISSING_ACCESS, MISSING_PERMISSIONS, CANNOT_READ_HISTORY)

REFUSED_TOKEN = "Discord does not take DISCORD_TOKEN. Make a new one on the Bot page of your application and copy it."  # noqa: S105 - a sentence about a token
CLOSE_REASONS = {
    4004: REFUSED_TOKEN,
    4010: "DISCORD_SHARD_IDS names a shard that DISCORD_SHARD_COUNT does not have.",
    4011: "The bot is in too many servers for so few shards: raise DISCORD_SHARD_COUNT, or leave it empty.",
    4012: "Discord no longer speaks the version of its gateway that discord.py uses: update the bot.",
    4013: "Discord does not know the intents that were asked for.",
    4014: "Discord took an intent back. Switch on Message Content on the Bot page of your application, and restart.",
}

REQUEST_ERRORS = (discord.HTTPException, aiohttp.ClientError, OSError)
"""A request may raise these: Discord refused, or the network failed. Timeouts are `OSError`s."""
DELIVERY_ERRORS = (MessageLost, *REQUEST_ERRORS)


class DiscordServerError(Exception):
    """Discord answered with a 5xx status, and the request was given up without waiting for discord.py's retries."""


def translate_error(error: discord.HTTPException, client: discord.Client, channel: int) -> MessageLost | None:
    """Return `MessageLost` for a final error of a request to a channel; None for an error that may pass."""
    if error.code in _FINAL_ERRORS:
        return MessageLost(_FINAL_ERRORS[error.code])
    if error.code in _PERMISSION_ERRORS:
        return MessageLost(explain_missing_permissions(client, channel))
    return None


def get_error_code(error: MessageLost) -> int:
    """Return Discord's error code behind a `MessageLost`; 0 if the loss was found without a request."""
    cause = error.__cause__
    return cause.code if isinstance(cause, discord.HTTPException) else 0
