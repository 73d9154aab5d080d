"""Confirmation of an expensive or irreversible command: a question with two buttons, answered once.

A command raises `ConfirmationRequired` before any effect; no credits are held meanwhile. The invocation waits as JSON
in a row of the table `pending`, with the files in the media store, and runs again when the same user presses Go ahead.
An irreversible command reads `Invocation.is_confirmed`:

    if not invocation.is_confirmed:
        raise ConfirmationRequired("This deletes all your requests. Are you sure?", button_label="Delete everything")
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from bot.core.clock import Clock
from bot.core.errors import ConfirmationRequired, JobNotFound, NotAllowed
from bot.core.ids import derive_id, new_id
from bot.core.invocations import (
    TOOL,
    TOOL_RESULT,
    VOICE,
    Attachment,
    EarlierMessage,
    Invocation,
    PendingAction,
    TurnRole,
    format_left_out_pictures,
)
from bot.core.json import JSON
from bot.core.people import Channel, User
from bot.core.replies import Button, MessageRef, Reply
from bot.media.media import Media
from bot.storage.database import Database

# Rows of the table hold this word: another word would orphan the open questions at an update.
PENDING_KIND = "consent"
CONFIRMATION_TIMEOUT = timedelta(hours=1)
CONFIRM, DECLINE = "confirm", "decline"
FILL = "fill"
"""The form of a question: a submission replaces the question by a new one."""
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
        if confirmation.options is not None:
            invocation = replace(invocation, options=confirmation.options)
        pending = await self._store(
            invocation,
            str(confirmation),
            confirmation.price_micros,
            confirmation.files,
            confirmation.alternative[1] if confirmation.alternative else {},
        )
        # Also from the private answer to a form, a public command has a public result.
        is_public = confirmation.is_answer_public and not invocation.is_private
        labels = [confirmation.button_label] if confirmation.is_complete else []
        labels += [confirmation.alternative[0]] if confirmation.alternative else []
        buttons = (
            *(Button(CONFIRM, label, pending.id, n, is_answer_public=is_public) for n, label in enumerate(labels)),
            *(Button(FILL, label, pending.id, n) for n, label in enumerate(confirmation.form_labels, 1)),
            Button(DECLINE, "No", pending.id),
        )
        return Reply(text=str(confirmation), buttons=buttons, is_private=True)

    async def offer(
        self, invocation: Invocation, text: str, label: str, n: int, *, price_micros: int, files: Mapping[str, str]
    ) -> Button:
        """Store an invocation and return the n-th button of a message, which runs the invocation once.

        `text` is the message, `price_micros` the price on the button; `files` are the stored attachments, SHA-256 by
        option.
        """
        pending = await self._store(invocation, text, price_micros, files, {})
        return Button(CONFIRM, label, pending.id, n, is_answer_public=not invocation.is_private)

    async def _store(
        self,
        invocation: Invocation,
        question: str,
        price_micros: int,
        files: Mapping[str, str],
        alternative: Mapping[str, JSON],
    ) -> PendingAction:
        now, user = self.clock.now(), invocation.user
        facts: dict[str, JSON] = {
            "question": question,
            "micros": price_micros,
            "alternative": dict(alternative),
            **store_invocation(invocation, files),
        }
        key = (user.platform, user.workspace, invocation.channel.id, user.id)
        # A kill may repeat the question of a chain, which no person repeats: equal buttons make one question of both.
        is_of_chain = invocation.action in (TOOL, TOOL_RESULT, VOICE)
        question_id = derive_id(invocation.request_key) if is_of_chain else new_id()
        pending = PendingAction(question_id, PENDING_KIND, *key, facts, now, now + CONFIRMATION_TIMEOUT)
        async with self.database.accept() as tx:
            await tx.pending.put(pending)
        return pending

    async def peek(self, pending_id: str, user: User) -> Mapping[str, JSON]:
        """Return the options of an open question without an answer to it. Raise as `take` does."""
        async with self.database.read() as tx:
            pending = await tx.pending.get(pending_id)
        if pending is None or pending.kind != PENDING_KIND or pending.expires_at <= self.clock.now():
            raise JobNotFound(_OVER)
        if (pending.platform, pending.workspace, pending.user) != (user.platform, user.workspace, user.id):
            raise NotAllowed("Only the person who was asked can answer this.")
        options: Mapping[str, JSON] = pending.facts["options"]  # type: ignore[assignment]  # stored by `ask`
        return options

    async def take(
        self, pending_id: str, user: User, request_key: str, placeholder: MessageRef | None = None, n: int = 0
    ) -> tuple[str, Invocation]:
        """Return the question and its invocation, and delete the row. `n` is 1 for the alternative of the question.

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
        question, alternative = str(pending.facts["question"]), pending.facts.get("alternative")
        # The presser's roles of now count: a role may have been lost since the question.
        invocation = restore_invocation(pending.facts, user, request_key, self.media, placeholder)
        if n == 1 and isinstance(alternative, dict) and alternative:  # another request, with a price of its own
            options = {name: value for name, value in alternative.items() if isinstance(value, (str, int, float))}
            return question, replace(invocation, options={**invocation.options, **options})
        return question, replace(invocation, confirmed_micros=int(str(pending.facts["micros"])), is_confirmed=True)


# The row of a waiting invocation: a question, or a link to the painter of masks.


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
