"""Buttons: what each action does to the job it stands on. A button is data; this is its meaning.

Most actions are a new call of a command, made from the job: so ranks, prices and limits hold for them as for any call.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

from bot.core.errors import BadOption, NoSuchJob, NotAllowed
from bot.core.invocations import Attachment, Invocation
from bot.core.jobs import Job
from bot.core.models import Task
from bot.core.people import Channel, Rank, User
from bot.core.replies import Button, MessageRef, Reply
from bot.dispatch.drafts import Draft, Value
from bot.dispatch.notices import Notices
from bot.dispatch.parser import find
from bot.dispatch.ranks import Ranks
from bot.dispatch.services import Services

VARY_STRENGTH = 0.6
"""How far a variation may go from its picture."""


@dataclass(frozen=True, slots=True)
class Press:
    """One press of a button: who, where, what it says, and the platform's own id of the press."""

    user: User
    channel: Channel
    action: str
    job: str
    n: int
    request_key: str
    message: str
    """The message the button stands on."""
    answering: MessageRef | None = None
    """A message that waits for what comes of it, as `Invocation.answering`."""
    is_private: bool = False
    """Whether what comes of it is for the presser alone."""


@dataclass(frozen=True, slots=True)
class Presses:
    """Reads presses: into a new invocation to be answered, or into a reply to be shown at once."""

    services: Services
    ranks: Ranks
    notices: Notices

    async def read(self, press: Press) -> Invocation | Reply | None:
        """Raises `NoSuchJob` or `NotAllowed` in words that say why the button does nothing."""
        job = await self._job(press)
        meaning = _MEANINGS.get(press.action)
        if meaning is None:
            raise NoSuchJob("That button belongs to an older version of the bot. Please ask again.")
        return await meaning(self, press, job)

    async def draft(self, press: Press) -> Draft:
        """The form that a button opens, with one read. Raises as `read` does."""
        job = await self._job(press)
        form = _FORMS.get(press.action)
        if form is None:
            raise NoSuchJob("That button belongs to an older version of the bot. Please ask again.")
        declaration = find(self.services.menu, form.command or job.command).declaration
        known = _plain(job.options) if press.action == "edit" else {}
        return Draft(declaration, known, form.title, form.asks_for)

    async def submitted(
        self, press: Press, options: Mapping[str, Value], attachments: Mapping[str, Attachment]
    ) -> Invocation:
        """The call that a filled-in form makes: what was asked before, with what the person changed laid over it."""
        job = await self._job(press)
        if press.action == "edit":
            kept = {name: value for name, value in job.options.items() if name not in options or _is_file(value)}
            call = await self._call(press, job, job.command, {**kept, **_given(options)})
        elif press.action == "remix":
            call = await self._with_picture(press, job, "imagine", _given(options))
        elif press.action == "ask":
            call = await self._call(press, job, Task.CHAT, _given(options))
        else:
            raise BadOption("That form belongs to an older version of the bot. Please ask again.")
        # Each sending of a form has its own id; two different edits of one picture are two asks.
        return replace(call, press_key="", attachments={**call.attachments, **attachments})

    async def _job(self, press: Press) -> Job:
        job = await self.services.jobs.get(press.job)
        if job is None or not (is_visible(job, press.user, press.channel) or await self._moderates(press, job)):
            raise NoSuchJob("That job is not here any more, so its buttons do nothing.")
        return job

    async def cancel(self, press: Press, job: Job) -> Reply | None:
        """Stop a running job: for the asker, who began the conversation, and moderators."""
        if not await self._began_conversation(press.user, job):
            await self._require_asker(press, job, "stop")
        if not await self.services.jobs.cancel(job, press.user):
            raise NoSuchJob("That is over already: there is nothing left to stop.")
        return None

    async def delete(self, press: Press, job: Job) -> Reply | None:
        """Take the result away for everyone, and stop it where it runs: for the asker and moderators."""
        await self._require_asker(press, job, "delete")
        where = press.channel
        pressed = MessageRef(where.platform, where.workspace, where.id, where.thread, press.message)
        await self.services.jobs.delete(job, press.user, pressed)
        return None

    async def show(self, press: Press, job: Job) -> Reply:
        """The job as it is now, for the presser alone."""
        return replace(await self.services.jobs.show(job), is_private=True)

    async def report(self, press: Press, job: Job) -> Reply:
        """Tell the moderators, who can take it down from where they are told."""
        thanks = Reply(text="Thank you. The moderators have been told.", is_private=True)
        if not await self.services.moderation.note_report(press.user, job.id):
            return thanks
        words = str(job.options.get("prompt") or job.options.get("message") or job.options.get("question") or "")
        told = f"{press.user.name} reported what /{job.command} made for {job.user.name}: “{words[:300]}”"
        buttons = (Button("show", "Show", job.id), Button("delete", "Take down", job.id))
        where = (job.channel.platform, job.channel.workspace)
        if await self.notices.to_moderators(*where, Reply(text=told, buttons=buttons)):
            return thanks
        return Reply(text="It is noted, but I could reach no moderator. Please tell one yourself.", is_private=True)

    async def _began_conversation(self, user: User, job: Job) -> bool:
        if not job.conversation:
            return False
        conversation = await self.services.conversations.get(job.conversation)
        return conversation is not None and conversation.starter == f"{user.platform}:{user.id}"

    async def _require_asker(self, press: Press, job: Job, verb: str) -> None:
        is_asker = (job.user.platform, job.user.id) == (press.user.platform, press.user.id)
        if not is_asker and not await self._outranks(press.user, job):
            raise NotAllowed(f"Only the person who asked, or a moderator, can {verb} this.")

    async def _moderates(self, press: Press, job: Job) -> bool:
        """Moderators end, look at and remove what others cannot see: in their own workspace, and owners anywhere.

        What was asked in private they may end and remove, but not read.
        """
        if press.action == "show" and job.is_private:
            return await self.ranks.of(press.user) is Rank.OWNER
        return press.action in ("cancel", "delete", "show") and await self._outranks(press.user, job)

    async def _outranks(self, user: User, job: Job) -> bool:
        is_here = (job.user.platform, job.user.workspace) == (user.platform, user.workspace)
        return await self.ranks.of(user) >= (Rank.MODERATOR if is_here else Rank.OWNER)

    async def again(self, press: Press, job: Job) -> Invocation:
        """The same once more, with another seed."""
        return await self._call(press, job, job.command, {k: v for k, v in job.options.items() if k != "seed"})

    async def retry(self, press: Press, job: Job) -> Invocation:
        """The very same once more."""
        return await self._call(press, job, job.command, job.options)

    async def vary(self, press: Press, job: Job) -> Invocation:
        """One picture as the start of others, on the same model if it takes a picture."""
        model = self.services.catalogue.for_variation(job.model)
        if model is None:
            raise NoSuchJob("No model that starts from a picture is on offer any more.")
        options = {"prompt": job.options.get("prompt") or "", "model": model.key, "strength": VARY_STRENGTH}
        return await self._with_picture(press, job, "imagine", options)

    async def upscale(self, press: Press, job: Job) -> Invocation:
        """One picture, twice as large each way."""
        return await self._with_picture(press, job, "upscale", {"scale": 2})

    async def caption(self, press: Press, job: Job) -> Invocation:
        """One picture in words."""
        return await self._with_picture(press, job, "caption", {})

    async def go_on(self, press: Press, job: Job) -> Invocation:
        """A chat answer made again (a sibling), or continued where it stopped."""
        return await self._call(press, job, Task.CHAT, job.options)

    async def _call(self, press: Press, job: Job, command: str, options: Mapping[str, object]) -> Invocation:
        if not job.inputs:
            raise NoSuchJob("What was asked there is not kept any more. Please ask again.")
        files = {name: str(value["sha256"]) for name, value in options.items() if isinstance(value, dict)}
        attachments = {name: await self._kept(sha256) for name, sha256 in files.items()}
        return Invocation(
            user=press.user,
            channel=press.channel,
            command=command,
            request_key=press.request_key,
            options=_plain(options),
            attachments=attachments,
            press_key=f"{press.message}:{press.action}{press.n or ''}:{press.user.id}",
            parent_job=job.id,
            action=press.action,
            answering=press.answering,
            is_private=press.is_private,
        )

    async def _with_picture(self, press: Press, job: Job, command: str, options: Mapping[str, object]) -> Invocation:
        outputs = await self.services.jobs.outputs(job)
        picture = next((output for output in outputs if output.n == max(press.n, 1) and output.sha256), None)
        if picture is None:
            raise NoSuchJob("That picture is not kept any more. Draw it again to work on it.")
        invocation = await self._call(press, job, command, options)
        return replace(invocation, attachments={"image": await self._kept(picture.sha256)})

    async def _kept(self, sha256: str) -> Attachment:
        attachment = self.services.media.attachment(sha256)
        if attachment is None:
            raise NoSuchJob("That picture is not kept any more. Draw it again to work on it.")
        return attachment


def _plain(options: Mapping[str, object]) -> dict[str, Value]:
    """Options that are no files."""
    return {name: value for name, value in options.items() if isinstance(value, (str, int, float, bool))}


def _given(options: Mapping[str, Value]) -> dict[str, Value]:
    """What was filled in; an emptied field takes its option back."""
    return {name: value for name, value in options.items() if value != ""}


def _is_file(value: object) -> bool:
    return isinstance(value, dict)


def is_visible(job: Job, user: User, channel: Channel) -> bool:
    """A job is seen by its asker, and in the channel it was asked in unless it is private."""
    if (job.user.platform, job.user.workspace) != (user.platform, user.workspace):
        return False
    return job.user.id == user.id or (not job.is_private and job.channel.id == channel.id)


Meaning = Callable[[Presses, Press, Job], Awaitable[Invocation | Reply | None]]
_MEANINGS: Mapping[str, Meaning] = {
    "cancel": Presses.cancel,
    "delete": Presses.delete,
    "again": Presses.again,
    "retry": Presses.retry,
    "vary": Presses.vary,
    "upscale": Presses.upscale,
    "caption": Presses.caption,
    "regenerate": Presses.go_on,
    "continue": Presses.go_on,
    "show": Presses.show,
    "report": Presses.report,
}


@dataclass(frozen=True, slots=True)
class _Form:
    """What a button asks before it does anything. An empty command is the job's own."""

    title: str
    command: str = ""
    asks_for: tuple[str, ...] = ()


_FORMS: Mapping[str, _Form] = {
    "edit": _Form("Edit prompt"),
    "remix": _Form("Remix", "imagine", ("prompt", "strength", "model", "count", "seed")),
    "ask": _Form("Ask more", "chat", ("message",)),
}


def asks_for(action: str) -> tuple[str, ...]:
    """The options that a form of this name is about, most important first; empty for all of its command."""
    form = _FORMS.get(action)
    return form.asks_for if form else ()


FORM_ACTIONS = frozenset(_FORMS)
"""Buttons that open a form: `Dispatcher.draft` gives it, `Dispatcher.submit` takes it."""
