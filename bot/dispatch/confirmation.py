"""Asking before something that costs much or cannot be undone: a question with two buttons, answered once.

A command asks by raising `NeedsConsent` before it does anything; nothing is held meanwhile. The whole call waits in a
`pending` row, with the files it took kept, and is made again when its own person presses Go ahead. A command that
cannot be undone reads `Invocation.is_confirmed`:

    if not invocation.is_confirmed:
        raise NeedsConsent("This forgets everything you asked. Are you sure?", go="Delete it all")
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

PENDING_KIND = "consent"
CONFIRMATION_TIMEOUT = timedelta(hours=1)
CONFIRM, DECLINE = "confirm", "decline"
CONFIRMATION_ACTIONS = frozenset({CONFIRM, DECLINE})

_OVER = "That question was answered already, or is more than an hour old. Please ask again."


@dataclass(frozen=True, slots=True)
class Confirmations:
    """Asks, and takes answers. Every answer is taken by one statement: of two presses at once, one goes ahead."""

    database: Database
    clock: Clock
    media: Media

    async def ask(self, invocation: Invocation, confirmation: ConfirmationRequired) -> Reply:
        """Keep the call, and put its question."""
        now = self.clock.now()
        user, channel = invocation.user, invocation.channel
        where = (user.platform, user.workspace, channel.id, user.id)
        facts = _store_invocation(invocation, confirmation)
        pending = PendingAction(new_id(), PENDING_KIND, *where, facts, now, now + CONFIRMATION_TIMEOUT)
        async with self.database.write() as tx:
            await tx.pending.put(pending)
        buttons = (Button(CONFIRM, confirmation.button_label, pending.id), Button(DECLINE, "No", pending.id))
        return Reply(text=str(confirmation), buttons=buttons, is_private=True)

    async def take(self, pending_id: str, user: User, answering: MessageRef | None = None) -> tuple[str, Invocation]:
        """The question and the call that waited for its answer, once; `answering` waits for what comes of it now.

        Raises `NoSuchJob` or `NotAllowed`.
        """
        async with self.database.write() as tx:
            who = (user.platform, user.workspace, user.id)
            taken = await tx.pending.take(pending_id, PENDING_KIND, *who, self.clock.now())
            left = None if taken else await tx.pending.get(pending_id)
        if taken is None:
            if left is not None and left.kind == PENDING_KIND and left.user != user.id:
                raise NotAllowed("Only the person who was asked can answer this.")
            raise JobNotFound(_OVER)
        return str(taken.facts["question"]), self._restore_invocation(taken.facts, user, answering)

    def _restore_invocation(self, facts: Mapping[str, Any], user: User, answering: MessageRef | None) -> Invocation:
        """The call as it was made, by the person as they are now."""
        channel = Channel(**facts["channel"])
        if answering is not None and facts.get("begins_thread"):
            channel = replace(channel, thread=answering.id)
        return Invocation(
            user=user,
            channel=channel,
            command=facts["command"],
            request_key="",
            placeholder=answering,
            options=facts["options"],
            attachments={name: self._kept(str(file["sha256"])) for name, file in facts["files"].items()},
            press_key=facts["press_key"],
            parent_job=facts["parent_job"],
            action=facts["action"],
            is_private=facts["is_private"],
            earlier_messages=tuple(
                EarlierMessage(**said | {"role": TurnRole(said["role"])}) for said in facts["earlier"]
            ),
            confirmed_micros=facts["micros"],
            is_confirmed=True,
        )

    def _kept(self, sha256: str) -> Attachment:
        attachment = self.media.load_attachment(sha256)
        if attachment is None:
            raise JobNotFound("The picture you gave is not kept any more. Please ask again.")
        return attachment


def _store_invocation(invocation: Invocation, confirmation: ConfirmationRequired) -> dict[str, JSON]:
    """All of a call but who makes it, and but `answering`: its token is a secret, and the press brings another."""
    channel = invocation.channel
    earlier: list[JSON] = [
        {"role": said.role.value, "user": said.user, "text": said.text, "message_id": said.message_id}
        for said in invocation.earlier_messages
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
        # A conversation that was to go on in a thread on its first answer goes on below the one it gets now.
        "begins_thread": (
            invocation.placeholder is not None
            and channel.thread == invocation.placeholder.id
            and not channel.is_reply_chain
        ),
        # A file that was taken stands in place of the link it came from.
        "options": {name: value for name, value in invocation.options.items() if name not in confirmation.files},
        "files": {name: {"sha256": sha256} for name, sha256 in confirmation.files.items()},
        "press_key": invocation.press_key,
        "parent_job": invocation.parent_job,
        "action": invocation.action,
        "is_private": invocation.is_private,
        "earlier": earlier,
    }
