"""Turns an invocation into JSON and back, for a row that waits: a question, or a link to the painter of masks."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bot.core.errors import JobNotFound
from bot.core.invocations import Attachment, EarlierMessage, Invocation, TurnRole, format_left_out_pictures
from bot.core.json import JSON
from bot.core.people import Channel, User
from bot.core.replies import MessageRef
from bot.media.media import Media


def store_invocation(invocation: Invocation, files: Mapping[str, str]) -> dict[str, JSON]:
    """Return the JSON of an invocation without the user and the placeholder. `files` are SHA-256s of kept files.

    A placeholder on Discord holds a secret token, and the answer to the waiting row brings another placeholder.
    """
    channel = invocation.channel
    earlier: list[JSON] = [
        {"role": message.role.value, "user": message.user, "text": message.text, "message_id": message.message_id}
        for message in invocation.earlier_messages
    ]
    # The platform's files are not kept for the wait: the answer says that their pictures are missing.
    pictures = sum(len(message.pictures) for message in invocation.earlier_messages)
    remark = " · ".join(part for part in (invocation.remark, format_left_out_pictures(pictures)) if part)
    return {
        "command": invocation.command,
        "channel": {
            "platform": channel.platform,
            "workspace": channel.workspace,
            "id": channel.id,
            "thread": channel.thread,
            "is_age_restricted": channel.is_age_restricted,
            "is_reply_chain": channel.is_reply_chain,
        },
        # A new conversation begins with the answer; now the answer to the press is the first.
        "begins_conversation": channel.begins_with(invocation.request_key),
        # A fetched file replaces its link: the price is for these bytes, and a link may serve other bytes later.
        "options": {name: value for name, value in invocation.options.items() if name not in files},
        "files": {name: {"sha256": sha256} for name, sha256 in files.items()},
        "press_key": invocation.press_key,
        "parent_job": invocation.parent_job,
        "action": invocation.action,
        "is_private": invocation.is_private,
        "earlier": earlier,
        "drawing_prompt": invocation.drawing_prompt,
        "remark": remark,
        "voice_question": invocation.voice_question,
    }


def restore_invocation(
    facts: Mapping[str, Any], user: User, request_key: str, media: Media, placeholder: MessageRef | None = None
) -> Invocation:
    """Return the stored invocation as a request of `user`. Raise `JobNotFound` if a file is not kept any more."""
    channel = Channel(**facts["channel"])
    if facts.get("begins_conversation"):
        channel = replace(channel, thread=request_key)
    return Invocation(
        user=user,
        channel=channel,
        command=facts["command"],
        request_key=request_key,
        placeholder=placeholder,
        options=facts["options"],
        attachments={name: _load_attachment(media, str(file["sha256"])) for name, file in facts["files"].items()},
        press_key=facts["press_key"],
        parent_job=facts["parent_job"],
        action=facts["action"],
        is_private=facts["is_private"],
        earlier_messages=tuple(
            EarlierMessage(**message | {"role": TurnRole(message["role"])}) for message in facts["earlier"]
        ),
        drawing_prompt=str(facts.get("drawing_prompt", "")),
        remark=str(facts.get("remark", "")),
        voice_question=facts.get("voice_question"),
    )


def _load_attachment(media: Media, sha256: str) -> Attachment:
    attachment = media.load_attachment(sha256)
    if attachment is None:
        raise JobNotFound("The picture you gave is not kept any more. Please ask again.")
    return attachment
