"""The pictures of a channel or thread for a training: those of the person, and of makers who agreed.

Each maker's answer waits in a row of the table `pending`, for the thread and the person who asked. It holds for a week.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from bot.core.errors import BadFile, JobNotFound
from bot.core.invocations import Attachment, Invocation, PendingAction
from bot.core.limits import MAX_TRAINING_PICTURES
from bot.core.people import Channel, User
from bot.core.replies import Button, Reply
from bot.dispatch.button_actions import ButtonPress
from bot.dispatch.declaration import Services

PENDING_KIND = "training_consent"
CONSENT_TIMEOUT = timedelta(days=7)
ALLOW, DENY = "allow_training", "deny_training"
TRAINING_CONSENT_ACTIONS = frozenset({ALLOW, DENY})


@dataclass(frozen=True, slots=True)
class ThreadPictures:
    """Pictures to train on. `missing` names the makers whose pictures are left out."""

    files: tuple[Attachment, ...]
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TrainingConsents:
    """Asks makers once, and takes their answers."""

    services: Services

    async def gather(self, invocation: Invocation, name: str) -> ThreadPictures | Reply:
        """Return the pictures of the thread, or the reply after a question to makers who were not asked yet."""
        user, channel = invocation.user, invocation.channel
        made = await self.services.jobs.list_pictures_by_maker(user, channel)
        group = _make_group(user, channel)
        others = [maker for maker in made if maker.id != user.id]
        answers = {maker: await self._read_answer(group, maker) for maker in others}
        unasked = [maker for maker, answer in answers.items() if answer is None]
        if unasked:
            return await self._ask(invocation, name, unasked)
        allowed = [maker for maker in made if maker.id == user.id or answers[maker] == ALLOW]
        loaded = [self.services.media.load_attachment(sha256) for maker in allowed for sha256 in made[maker]]
        files = tuple(file for file in loaded if file is not None)[:MAX_TRAINING_PICTURES]
        missing = tuple(maker.name for maker in others if answers[maker] != ALLOW)
        if not files:
            raise BadFile("There are no pictures here to train on. Attach pictures, or a zip of pictures.")
        return ThreadPictures(files, missing)

    async def _read_answer(self, group: str, maker: User) -> str | None:
        """Return the answer of a maker, empty before the answer; None for a maker who was not asked."""
        async with self.services.runs.database.read() as tx:
            row = await tx.pending.get(_make_id(group, maker))
        is_open = row is not None and row.expires_at > self.services.runs.clock.now()
        return str(row.facts.get("answer", "")) if row is not None and is_open else None

    async def _ask(self, invocation: Invocation, name: str, makers: Sequence[User]) -> Reply:
        """Store a question for each maker and post one message below the pictures."""
        user, channel, now = invocation.user, invocation.channel, self.services.runs.clock.now()
        group = _make_group(user, channel)
        async with self.services.runs.database.accept() as tx:
            for maker in makers:
                row = PendingAction(
                    _make_id(group, maker),
                    PENDING_KIND,
                    channel.platform,
                    channel.workspace,
                    channel.id,
                    maker.id,
                    {"answer": ""},
                    now,
                    now + CONSENT_TIMEOUT,
                )
                await tx.pending.put(row)
        names = " and ".join(maker.name for maker in makers)
        question = Reply(
            text=f"{user.name} wants to train the model `{name}` on the pictures made here. {names}: may your pictures "
            f"be used? Your answer holds here for a week, and for {user.name} alone.",
            buttons=(Button(ALLOW, "Use mine", group), Button(DENY, "Not mine", group)),
        )
        key = f"{invocation.request_key}:consent"
        if not await self.services.notices.post_for(user, channel, question, key):
            return Reply(text="I cannot post here, so nobody can be asked. Attach the pictures.", is_private=True)
        text = f"I asked {names}. Type the command again after the answers: pictures without a yes are left out."
        return Reply(text=text, is_private=True)

    async def decide(self, press: ButtonPress) -> Reply:
        """Store the answer of a maker. Raise `JobNotFound` for a person who was not asked, or too late."""
        async with self.services.runs.database.accept() as tx:
            row = await tx.pending.get(_make_id(press.job_id, press.user))
            if row is None or row.expires_at <= self.services.runs.clock.now():
                raise JobNotFound("That question is for the makers of the pictures here, and holds for a week.")
            await tx.pending.put(replace(row, facts={"answer": press.action}))
        verb = "may be used" if press.action == ALLOW else "stay out"
        return Reply(text=f"Noted: your pictures here {verb}.", is_private=True)


def _make_group(user: User, channel: Channel) -> str:
    """Return the id of a person's questions in a thread, short enough for the id of a button."""
    facts = f"{channel.platform}\n{channel.workspace}\n{channel.id}\n{channel.thread}\n{user.id}"
    return hashlib.sha256(facts.encode()).hexdigest()[:32]


def _make_id(group: str, maker: User) -> str:
    return hashlib.sha256(f"{group}\n{maker.id}".encode()).hexdigest()[:32]
