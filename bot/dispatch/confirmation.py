"""Confirmation of an expensive or irreversible command: a question with two buttons, answered once.

A command raises `ConfirmationRequired` before any effect; no credits are held meanwhile. The invocation waits in a row
of the table `pending`, with the files in the media store, and runs again when the same user presses Go ahead. An
irreversible command reads `Invocation.is_confirmed`:

    if not invocation.is_confirmed:
        raise ConfirmationRequired("This deletes all your requests. Are you sure?", button_label="Delete everything")
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from bot.core.clock import Clock
from bot.core.errors import ConfirmationRequired, JobNotFound, NotAllowed
from bot.core.ids import new_id
from bot.core.invocations import Attachment, EarlierMessage, Invocation, PendingAction, TurnRole
from bot.core.json import JSON
from bot.core.people import Channel, User
from bot.core.replies import Button, MessageRef, Reply
from bot.media.media import Media
from bot.storage.database import Database

# Rows of the table hold this word: another word would orphan the open questions at an update.
PENDING_KIND = "consent"
CONFIRMATION_TIMEOUT = timedelta(hours=1)
CONFIRM, DECLINE = "confirm", "decline"
CONFIRMATION_ACTIONS = frozenset({CONFIRM, DECLINE})

_OVER = "That question was answered already, or is more than an hour old. Please ask again."


@dataclass(frozen=True, slots=True)
class Confirmations:
    """Stores questions and takes answers."""

    database: Database
    clock: Clock
    media: Media

    async def ask(self, invocation: Invocation, confirmation: ConfirmationRequired) -> Reply:
        """Store the invocation and return the question with both buttons."""
        now = self.clock.now()
        user, channel = invocation.user, invocation.channel
        facts = _store_invocation(invocation, confirmation)
        key = (user.platform, user.workspace, channel.id, user.id)
        pending = PendingAction(new_id(), PENDING_KIND, *key, facts, now, now + CONFIRMATION_TIMEOUT)
        async with self.database.accept() as tx:
            await tx.pending.put(pending)
        buttons = (Button(CONFIRM, confirmation.button_label, pending.id), Button(DECLINE, "No", pending.id))
        return Reply(text=str(confirmation), buttons=buttons, is_private=True)

    async def take(
        self, pending_id: str, user: User, request_key: str, placeholder: MessageRef | None = None
    ) -> tuple[str, Invocation]:
        """Return the question and its invocation, and delete the row.

        The invocation gets the press's `request_key` and `placeholder`. Raise `NotAllowed` for another user, and
        `JobNotFound` for an answered or expired question.
        """
        async with self.database.accept() as tx:
            key = (user.platform, user.workspace, user.id)
            # One statement reads and deletes: of two presses at once, the first gets the invocation.
            pending = await tx.pending.take(pending_id, PENDING_KIND, *key, self.clock.now())
            other = None if pending else await tx.pending.get(pending_id)
        if pending is None:
            if other is not None and other.kind == PENDING_KIND and other.user != user.id:
                raise NotAllowed("Only the person who was asked can answer this.")
            raise JobNotFound(_OVER)
        question = str(pending.facts["question"])
        return question, self._restore_invocation(pending.facts, user, request_key, placeholder)

    def _restore_invocation(
        self, facts: Mapping[str, Any], user: User, request_key: str, placeholder: MessageRef | None
    ) -> Invocation:
        # The presser's roles of now count: a role may have been lost since the question.
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
            attachments={name: self._load_attachment(str(file["sha256"])) for name, file in facts["files"].items()},
            press_key=facts["press_key"],
            parent_job=facts["parent_job"],
            action=facts["action"],
            is_private=facts["is_private"],
            earlier_messages=tuple(
                EarlierMessage(**message | {"role": TurnRole(message["role"])}) for message in facts["earlier"]
            ),
            drawing_prompt=str(facts.get("drawing_prompt", "")),
            confirmed_micros=facts["micros"],
            is_confirmed=True,
        )

    def _load_attachment(self, sha256: str) -> Attachment:
        attachment = self.media.load_attachment(sha256)
        if attachment is None:
            raise JobNotFound("The picture you gave is not kept any more. Please ask again.")
        return attachment


def _store_invocation(invocation: Invocation, confirmation: ConfirmationRequired) -> dict[str, JSON]:
    """Return the JSON of an invocation without the user and the placeholder.

    A placeholder on Discord holds a secret token, and the press brings another placeholder.
    """
    channel = invocation.channel
    earlier: list[JSON] = [
        {"role": message.role.value, "user": message.user, "text": message.text, "message_id": message.message_id}
        for message in invocation.earlier_messages
    ]
    return {
        "question": str(confirmation),
        "micros": confirmation.price_micros,
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
        "options": {name: value for name, value in invocation.options.items() if name not in confirmation.files},
        "files": {name: {"sha256": sha256} for name, sha256 in confirmation.files.items()},
        "press_key": invocation.press_key,
        "parent_job": invocation.parent_job,
        "action": invocation.action,
        "is_private": invocation.is_private,
        "earlier": earlier,
        "drawing_prompt": invocation.drawing_prompt,
    }
