"""Buttons: what each action does to the job it stands on. A button is data; this is its meaning.

Most actions are a new call of a command, made from the job: so ranks, prices and limits hold for them as for any call.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

from bot.core.errors import BadOption, JobNotFound, NotAllowed
from bot.core.invocations import Attachment, Invocation
from bot.core.jobs import Job
from bot.core.models import Task
from bot.core.people import Channel, Rank, User
from bot.core.replies import Button, MessageRef, Reply
from bot.dispatch.declaration import OptionValue, Services
from bot.dispatch.forms import FormDraft
from bot.dispatch.notices import Notices
from bot.dispatch.parsing import find_command
from bot.dispatch.roles import Authorizer

VARY_STRENGTH = 0.6
"""How far a variation may go from its picture."""


@dataclass(frozen=True, slots=True)
class ButtonPress:
    """One press of a button: who, where, what it says, and the platform's own id of the press."""

    user: User
    channel: Channel
    action: str
    job_id: str
    n: int
    request_key: str
    message_id: str
    """The message the button stands on."""
    answering: MessageRef | None = None
    """A message that waits for what comes of it, as `Invocation.answering`."""
    is_private: bool = False
    """Whether what comes of it is for the presser alone."""


@dataclass(frozen=True, slots=True)
class ButtonActions:
    """Reads presses: into a new invocation to be answered, or into a reply to be shown at once."""

    services: Services
    authorizer: Authorizer
    notices: Notices

    async def resolve(self, press: ButtonPress) -> Invocation | Reply | None:
        """Raises `NoSuchJob` or `NotAllowed` in words that say why the button does nothing."""
        job = await self._get_job(press)
        meaning = _ACTIONS.get(press.action)
        if meaning is None:
            raise JobNotFound("That button belongs to an older version of the bot. Please ask again.")
        return await meaning(self, press, job)

    async def open_form(self, press: ButtonPress) -> FormDraft:
        """The form that a button opens, with one read. Raises as `read` does."""
        job = await self._get_job(press)
        form = _FORMS.get(press.action)
        if form is None:
            raise JobNotFound("That button belongs to an older version of the bot. Please ask again.")
        declaration = find_command(self.services.menu, form.command or job.command).declaration
        known = _drop_files(job.options) if press.action == "edit" else {}
        return FormDraft(declaration, known, form.title, form.option_names)

    async def invocation_from_form(
        self, press: ButtonPress, options: Mapping[str, OptionValue], attachments: Mapping[str, Attachment]
    ) -> Invocation:
        """The call that a filled-in form makes: what was asked before, with what the person changed laid over it."""
        job = await self._get_job(press)
        if press.action == "edit":
            kept = {name: value for name, value in job.options.items() if name not in options or _is_file(value)}
            call = await self._build_invocation(press, job, job.command, {**kept, **_drop_empty(options)})
        elif press.action == "remix":
            call = await self._with_picture(press, job, "imagine", _drop_empty(options))
        elif press.action == "ask":
            call = await self._build_invocation(press, job, Task.CHAT, _drop_empty(options))
        else:
            raise BadOption("That form belongs to an older version of the bot. Please ask again.")
        # Each sending of a form has its own id; two different edits of one picture are two asks.
        return replace(call, press_key="", attachments={**call.attachments, **attachments})

    async def _get_job(self, press: ButtonPress) -> Job:
        job = await self.services.jobs.get(press.job_id)
        if job is None or not (is_job_visible(job, press.user, press.channel) or await self._may_moderate(press, job)):
            raise JobNotFound("That job is not here any more, so its buttons do nothing.")
        return job

    async def cancel(self, press: ButtonPress, job: Job) -> Reply | None:
        """Stop a running job: for the asker, who began the conversation, and moderators."""
        if not await self._began_conversation(press.user, job):
            await self._require_asker(press, job, "stop")
        if not await self.services.jobs.cancel(job, press.user):
            raise JobNotFound("That is over already: there is nothing left to stop.")
        return None

    async def delete(self, press: ButtonPress, job: Job) -> Reply | None:
        """Take the result away for everyone, and stop it where it runs: for the asker and moderators."""
        await self._require_asker(press, job, "delete")
        where = press.channel
        pressed = MessageRef(where.platform, where.workspace, where.id, where.thread, press.message_id)
        await self.services.jobs.delete(job, press.user, pressed)
        return None

    async def show(self, press: ButtonPress, job: Job) -> Reply:
        """The job as it is now, for the presser alone."""
        return replace(await self.services.jobs.render(job), is_private=True)

    async def report(self, press: ButtonPress, job: Job) -> Reply:
        """Tell the moderators, who can take it down from where they are told."""
        thanks = Reply(text="Thank you. The moderators have been told.", is_private=True)
        if not await self.services.moderation.record_report(press.user, job.id):
            return thanks
        told = f"{press.user.name} reported what /{job.command} made for {job.user.name}: “{job.request_text[:300]}”"
        buttons = (Button("show", "Show", job.id), Button("delete", "Take down", job.id))
        where = (job.channel.platform, job.channel.workspace)
        if await self.notices.notify_moderators(*where, Reply(text=told, buttons=buttons)):
            return thanks
        return Reply(text="It is noted, but I could reach no moderator. Please tell one yourself.", is_private=True)

    async def _began_conversation(self, user: User, job: Job) -> bool:
        if not job.conversation:
            return False
        conversation = await self.services.conversations.get(job.conversation)
        return conversation is not None and conversation.starter == f"{user.platform}:{user.id}"

    async def _require_asker(self, press: ButtonPress, job: Job, verb: str) -> None:
        is_asker = (job.user.platform, job.user.id) == (press.user.platform, press.user.id)
        if not is_asker and not await self._outranks(press.user, job):
            raise NotAllowed(f"Only the person who asked, or a moderator, can {verb} this.")

    async def _may_moderate(self, press: ButtonPress, job: Job) -> bool:
        """Moderators end, look at and remove what others cannot see: in their own workspace, and owners anywhere.

        What was asked in private they may end and remove, but not read.
        """
        if press.action == "show" and job.is_private:
            return await self.authorizer.get_rank(press.user) is Rank.OWNER
        return press.action in ("cancel", "delete", "show") and await self._outranks(press.user, job)

    async def _outranks(self, user: User, job: Job) -> bool:
        is_here = (job.user.platform, job.user.workspace) == (user.platform, user.workspace)
        return await self.authorizer.get_rank(user) >= (Rank.MODERATOR if is_here else Rank.OWNER)

    async def repeat(self, press: ButtonPress, job: Job) -> Invocation:
        """The same once more, with another seed."""
        return await self._build_invocation(
            press, job, job.command, {k: v for k, v in job.options.items() if k != "seed"}
        )

    async def retry(self, press: ButtonPress, job: Job) -> Invocation:
        """The very same once more."""
        return await self._build_invocation(press, job, job.command, job.options)

    async def vary(self, press: ButtonPress, job: Job) -> Invocation:
        """One picture as the start of others, on the same model if it takes a picture."""
        model = self.services.catalogue.choose_for_variation(job.model)
        if model is None:
            raise JobNotFound("No model that starts from a picture is on offer any more.")
        options = {"prompt": job.options.get("prompt") or "", "model": model.key, "strength": VARY_STRENGTH}
        return await self._with_picture(press, job, "imagine", options)

    async def upscale(self, press: ButtonPress, job: Job) -> Invocation:
        """One picture, twice as large each way."""
        return await self._with_picture(press, job, "upscale", {"scale": 2})

    async def caption(self, press: ButtonPress, job: Job) -> Invocation:
        """One picture in words."""
        return await self._with_picture(press, job, "caption", {})

    async def continue_chat(self, press: ButtonPress, job: Job) -> Invocation:
        """A chat answer made again (a sibling), or continued where it stopped."""
        return await self._build_invocation(press, job, Task.CHAT, job.options)

    async def _build_invocation(
        self, press: ButtonPress, job: Job, command: str, options: Mapping[str, object]
    ) -> Invocation:
        if not job.inputs:
            raise JobNotFound("What was asked there is not kept any more. Please ask again.")
        files = {name: str(value["sha256"]) for name, value in options.items() if isinstance(value, dict)}
        attachments = {name: await self._get_attachment(sha256) for name, sha256 in files.items()}
        return Invocation(
            user=press.user,
            channel=press.channel,
            command=command,
            request_key=press.request_key,
            options=_drop_files(options),
            attachments=attachments,
            press_key=f"{press.message_id}:{press.action}{press.n or ''}:{press.user.id}",
            parent_job=job.id,
            action=press.action,
            placeholder=press.answering,
            is_private=press.is_private,
        )

    async def _with_picture(
        self, press: ButtonPress, job: Job, command: str, options: Mapping[str, object]
    ) -> Invocation:
        outputs = await self.services.jobs.list_outputs(job)
        picture = next((output for output in outputs if output.n == max(press.n, 1) and output.sha256), None)
        if picture is None:
            raise JobNotFound("That picture is not kept any more. Draw it again to work on it.")
        invocation = await self._build_invocation(press, job, command, options)
        return replace(invocation, attachments={"image": await self._get_attachment(picture.sha256)})

    async def _get_attachment(self, sha256: str) -> Attachment:
        attachment = self.services.media.load_attachment(sha256)
        if attachment is None:
            raise JobNotFound("That picture is not kept any more. Draw it again to work on it.")
        return attachment


def _drop_files(options: Mapping[str, object]) -> dict[str, OptionValue]:
    """Options that are no files."""
    return {name: value for name, value in options.items() if isinstance(value, (str, int, float, bool))}


def _drop_empty(options: Mapping[str, OptionValue]) -> dict[str, OptionValue]:
    """What was filled in; an emptied field takes its option back."""
    return {name: value for name, value in options.items() if value != ""}


def _is_file(value: object) -> bool:
    return isinstance(value, dict)


def is_job_visible(job: Job, user: User, channel: Channel) -> bool:
    """A job is seen by its asker, and in the channel it was asked in unless it is private."""
    if (job.user.platform, job.user.workspace) != (user.platform, user.workspace):
        return False
    return job.user.id == user.id or (not job.is_private and job.channel.id == channel.id)


ButtonAction = Callable[[ButtonActions, ButtonPress, Job], Awaitable[Invocation | Reply | None]]
_ACTIONS: Mapping[str, ButtonAction] = {
    "cancel": ButtonActions.cancel,
    "delete": ButtonActions.delete,
    "again": ButtonActions.repeat,
    "retry": ButtonActions.retry,
    "vary": ButtonActions.vary,
    "upscale": ButtonActions.upscale,
    "caption": ButtonActions.caption,
    "regenerate": ButtonActions.continue_chat,
    "continue": ButtonActions.continue_chat,
    "show": ButtonActions.show,
    "report": ButtonActions.report,
}


@dataclass(frozen=True, slots=True)
class _ButtonForm:
    """What a button asks before it does anything. An empty command is the job's own."""

    title: str
    command: str = ""
    option_names: tuple[str, ...] = ()


_FORMS: Mapping[str, _ButtonForm] = {
    "edit": _ButtonForm("Edit prompt"),
    "remix": _ButtonForm("Remix", "imagine", ("prompt", "strength", "model", "count", "seed")),
    "ask": _ButtonForm("Ask more", "chat", ("message",)),
}


def get_form_option_names(action: str) -> tuple[str, ...]:
    """The options that a form of this name is about, most important first; empty for all of its command."""
    form = _FORMS.get(action)
    return form.option_names if form else ()


FORM_ACTIONS = frozenset(_FORMS)
"""Buttons that open a form: `Dispatcher.draft` gives it, `Dispatcher.submit` takes it."""
