"""Actions of buttons: each turns the press and the button's job into a new invocation or a reply.

Most actions build an invocation from the job, so the dispatcher checks ranks, prices and limits as for a typed command.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

from bot.core.errors import BadOption, JobNotFound, NotAllowed
from bot.core.invocations import Attachment, Invocation
from bot.core.jobs import VOTE_ACTIONS, VOTE_LABELS, Job, is_file
from bot.core.models import Task
from bot.core.people import Channel, Rank, User
from bot.core.replies import Button, MessageRef, Reply
from bot.dispatch.confirmation import FILL
from bot.dispatch.declaration import OptionValue, Services
from bot.dispatch.forms import FormDraft
from bot.dispatch.notices import Notices
from bot.dispatch.parsing import find_command
from bot.moderation.moderation import Authorizer

VARY_STRENGTH = 0.6
"""The `strength` of a variation: 0 repeats the picture, 1 ignores the picture."""


@dataclass(frozen=True, slots=True)
class ButtonPress:
    """One press of a button. `n` is the number of the picture, from 1, or 0; `request_key` is unique to the press."""

    user: User
    channel: Channel
    action: str
    job_id: str
    n: int
    request_key: str
    message_id: str
    """The id of the message with the button."""
    placeholder: MessageRef | None = None
    """The message to edit into the reply, as `Invocation.placeholder`."""
    is_private: bool = False
    """Whether the reply is for the presser alone."""


@dataclass(frozen=True, slots=True)
class ButtonActions:
    """Resolves presses and submitted forms into invocations or replies."""

    services: Services
    authorizer: Authorizer
    notices: Notices

    async def resolve(self, press: ButtonPress) -> Invocation | Reply | None:
        """Return an invocation to run, a reply to show, or None if nothing is left to show.

        Raise `JobNotFound` or `NotAllowed` with the reason if the button does nothing.
        """
        job = await self._get_job(press)
        # Messages outlive updates of the bot: an old button may name an action without a function.
        action = _ACTIONS.get(press.action)
        if action is None:
            raise JobNotFound("That button belongs to an older version of the bot. Please ask again.")
        return await action(self, press, job)

    async def open_form(self, press: ButtonPress) -> FormDraft:
        """Return the form of a button. Raise as `resolve` does."""
        # One read of the database: Discord takes a form only within three seconds of the press.
        job = await self._get_job(press)
        form = _FORMS.get(press.action)
        if form is None:
            raise JobNotFound("That button belongs to an older version of the bot. Please ask again.")
        declaration = find_command(self.services.menu, form.command or job.command).declaration
        values = _drop_files(job.options) if press.action == "edit" else {}
        return FormDraft(declaration, values, form.title, form.option_names)

    async def invocation_from_form(
        self, press: ButtonPress, options: Mapping[str, OptionValue], attachments: Mapping[str, Attachment]
    ) -> Invocation:
        """Return the invocation of a submitted form: the options of the job with the person's changes.

        Raise `BadOption` for an unknown form, and as `resolve` does.
        """
        job = await self._get_job(press)
        if press.action == "edit":
            kept = {name: value for name, value in job.options.items() if name not in options or is_file(value)}
            invocation = await self._build_invocation(press, job, job.command, {**kept, **_drop_empty(options)})
        elif press.action == "remix":
            invocation = await self._with_picture(press, job, "imagine", _drop_empty(options))
        elif press.action == "change":
            invocation = await self._with_picture(press, job, "edit", _drop_empty(options))
        elif press.action == "reason":
            given = {"job": job.id, **_drop_empty(options)}
            invocation = await self._build_invocation(press, job, _FORMS["reason"].command, given)
        elif press.action == "ask":
            invocation = await self._build_invocation(press, job, Task.CHAT, _drop_empty(options))
        else:
            raise BadOption("That form belongs to an older version of the bot. Please ask again.")
        # The request key of a submission is unique; with a press key too, a second edit of a picture would be dropped.
        return replace(invocation, press_key="", attachments={**invocation.attachments, **attachments})

    async def _get_job(self, press: ButtonPress) -> Job:
        job = await self.services.jobs.get(press.job_id)
        if job is None or not (await self._is_visible(press, job) or await self._may_moderate(press, job)):
            raise JobNotFound("That job is not here any more, so its buttons do nothing.")
        return job

    async def _is_visible(self, press: ButtonPress, job: Job) -> bool:
        # A thread on the pressed message is as public as the message, also if the thread was never opened.
        is_on_message = press.message_id != "" and job.channel.thread == press.message_id
        channel = replace(press.channel, thread=press.message_id) if is_on_message else press.channel
        return await self.services.jobs.is_visible(job, press.user, channel)

    async def cancel(self, press: ButtonPress, job: Job) -> Reply | None:
        """Stop a running job, for the job's user, the conversation's starter, and moderators."""
        if not await self._is_starter(press.user, job):
            await self._check_may_change(press, job, "stop")
        if not await self.services.jobs.cancel(job, press.user):
            raise JobNotFound("That is over already: there is nothing left to stop.")
        # Without a reply: the message of the job shows the stop.
        return None

    async def delete(self, press: ButtonPress, job: Job) -> Reply | None:
        """Delete the result and stop a running job, for the job's user and moderators."""
        await self._check_may_change(press, job, "delete")
        channel = press.channel
        message = MessageRef(channel.platform, channel.workspace, channel.id, channel.thread, press.message_id)
        await self.services.jobs.delete(job, press.user, message)
        return None

    async def show(self, press: ButtonPress, job: Job) -> Reply:
        """Return the job's present message, for the presser alone."""
        return replace(await self.services.jobs.render(job), is_private=True)

    async def report(self, press: ButtonPress, job: Job) -> Reply:
        """Notify the moderators, with buttons for showing and for deleting the result."""
        thanks = Reply(text="Thank you. The moderators have been told.", is_private=True)
        if not await self.services.moderation.record_report(press.user, job.id):
            return thanks  # reported before: the moderators have the notice
        text = f"{press.user.name} reported what /{job.command} made for {job.user.name}: “{job.request_text[:300]}”"
        buttons = (Button("show", "Show", job.id), Button("delete", "Take down", job.id))
        channel = job.channel
        if await self.notices.notify_moderators(channel.platform, channel.workspace, Reply(text=text, buttons=buttons)):
            return thanks
        return Reply(text="It is noted, but I could reach no moderator. Please tell one yourself.", is_private=True)

    async def _is_starter(self, user: User, job: Job) -> bool:
        if not job.conversation:
            return False
        conversation = await self.services.conversations.get(job.conversation)
        return conversation is not None and conversation.starter == user.author

    async def _check_may_change(self, press: ButtonPress, job: Job, verb: str) -> None:
        is_asker = (job.user.platform, job.user.id) == (press.user.platform, press.user.id)
        if not is_asker and not await self._outranks(press.user, job):
            raise NotAllowed(f"Only the person who asked, or a moderator, can {verb} this.")

    async def _may_moderate(self, press: ButtonPress, job: Job) -> bool:
        """Return whether the presser, as a moderator of the job's workspace or an owner, may press this button."""
        if press.action == "show" and job.is_private:
            # Moderators may stop and delete a private job without reading the request.
            return await self.authorizer.get_rank(press.user) is Rank.OWNER
        return press.action in ("cancel", "delete", "show") and await self._outranks(press.user, job)

    async def _outranks(self, user: User, job: Job) -> bool:
        # A moderator counts in the own workspace only: a server that anyone can create must give no power elsewhere.
        is_here = (job.user.platform, job.user.workspace) == (user.platform, user.workspace)
        return await self.authorizer.get_rank(user) >= (Rank.MODERATOR if is_here else Rank.OWNER)

    async def repeat(self, press: ButtonPress, job: Job) -> Invocation:
        """Run the same request with another seed."""
        return await self._build_invocation(
            press, job, job.command, {k: v for k, v in job.options.items() if k != "seed"}
        )

    async def undo(self, press: ButtonPress, job: Job) -> Invocation:
        """Go back to the picture before the last change."""
        return await self._build_invocation(press, job, "undo", {"job": job.id})

    async def retry(self, press: ButtonPress, job: Job) -> Invocation:
        """Run the identical request again."""
        return await self._build_invocation(press, job, job.command, job.options)

    async def vary(self, press: ButtonPress, job: Job) -> Invocation:
        """Draw from a picture, on the same model if possible."""
        model = self.services.catalogue.choose_for_variation(job.model)
        if model is None:
            raise JobNotFound("No model that starts from a picture is on offer any more.")
        # The prompt alone: other options may not suit the model of the variation.
        options = {"prompt": job.options.get("prompt") or "", "model": model.key, "strength": VARY_STRENGTH}
        return await self._with_picture(press, job, "imagine", options)

    async def finish(self, press: ButtonPress, job: Job) -> Invocation:
        """Draw a draft on the finer model: the same words, seed, number and shape."""
        outputs = await self.services.jobs.list_outputs(job)
        request = self.services.catalogue.plan_finish(job, outputs[0]) if outputs else None
        if request is None:
            raise JobNotFound("No finer model can draw this picture any more. Please ask again.")
        return await self._build_invocation(press, job, Task.IMAGINE, {**request.options, "model": request.model.key})

    async def animate(self, press: ButtonPress, job: Job) -> Invocation:
        """Make a video that begins with a picture, on the model and at the price of the button."""
        animation = self.services.catalogue.plan_animation()
        if animation is None:
            raise JobNotFound("No model that makes a video from a picture is on offer any more.")
        options = {"prompt": job.request_text, "model": animation.model.key, **animation.options}
        return await self._with_picture(press, job, Task.VIDEO, options)

    async def upscale(self, press: ButtonPress, job: Job) -> Invocation:
        """Double the width and the height of a picture."""
        return await self._with_picture(press, job, "upscale", {"scale": 2})

    async def caption(self, press: ButtonPress, job: Job) -> Invocation:
        """Describe a picture."""
        return await self._with_picture(press, job, "caption", {})

    async def draw(self, press: ButtonPress, job: Job) -> Invocation:
        """Draw a chat message that may have been meant for /imagine."""
        return await self._build_invocation(
            press, job, Task.IMAGINE, {"prompt": str(job.options.get("drawing_prompt") or "")}
        )

    async def vote(self, press: ButtonPress, job: Job) -> Reply:
        """Record the presser's vote on an answer, and offer to say why."""
        # Moderators read the person's name in the list of votes.
        await self.services.jobs.record_user(press.user)
        is_private = await self.services.jobs.is_secret(job)
        vote = VOTE_ACTIONS[press.action]
        await self.services.moderation.feedback.record(press.user, job, vote, None, is_private=is_private)
        readers = "Nobody but you reads it, as this chat is private." if is_private else "Moderators can read it."
        text = f"{VOTE_LABELS[vote]} Thank you: it is noted. {readers}"
        return Reply(text=text, buttons=(Button("reason", "Say why", job.id),), is_private=True)

    async def continue_chat(self, press: ButtonPress, job: Job) -> Invocation:
        """Write a chat answer anew, or continue an incomplete answer."""
        return await self._build_invocation(press, job, Task.CHAT, job.options)

    async def _build_invocation(
        self, press: ButtonPress, job: Job, command: str, options: Mapping[str, object]
    ) -> Invocation:
        # Retention and /privacy delete empty the inputs of a job.
        if not job.inputs:
            raise JobNotFound("What was asked there is not kept any more. Please ask again.")
        files = {name: str(value["sha256"]) for name, value in options.items() if is_file(value)}
        attachments = {name: await self._get_attachment(sha256) for name, sha256 in files.items()}
        return Invocation(
            user=press.user,
            channel=press.channel,
            command=command,
            request_key=press.request_key,
            options=_drop_files(options),
            attachments=attachments,
            # Unique while the job is open: a double click starts a single job.
            press_key=f"{press.message_id}:{press.action}{press.n or ''}:{press.user.id}",
            parent_job=job.id,
            action=press.action,
            voice_question=_get_voice_question(job) if command == job.command else None,
            placeholder=press.placeholder,
            is_private=press.is_private,
        )

    async def _with_picture(
        self, press: ButtonPress, job: Job, command: str, options: Mapping[str, object]
    ) -> Invocation:
        # `n` is 0 on the button of a single picture.
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


def _get_voice_question(job: Job) -> str | None:
    question = job.options.get("voice_question")
    return question if isinstance(question, str) else None


def _drop_files(options: Mapping[str, object]) -> dict[str, OptionValue]:
    return {name: value for name, value in options.items() if isinstance(value, (str, int, float, bool))}


def _drop_empty(options: Mapping[str, OptionValue]) -> dict[str, OptionValue]:
    """Return the filled fields: an emptied field sets the option back to the default."""
    return {name: value for name, value in options.items() if value != ""}


ButtonAction = Callable[[ButtonActions, ButtonPress, Job], Awaitable[Invocation | Reply | None]]
_ACTIONS: Mapping[str, ButtonAction] = {
    "cancel": ButtonActions.cancel,
    "delete": ButtonActions.delete,
    "again": ButtonActions.repeat,
    "undo": ButtonActions.undo,
    "retry": ButtonActions.retry,
    "finish": ButtonActions.finish,
    "vary": ButtonActions.vary,
    "animate": ButtonActions.animate,
    "upscale": ButtonActions.upscale,
    "caption": ButtonActions.caption,
    "draw": ButtonActions.draw,
    "vote_up": ButtonActions.vote,
    "vote_down": ButtonActions.vote,
    "regenerate": ButtonActions.continue_chat,
    "continue": ButtonActions.continue_chat,
    "show": ButtonActions.show,
    "report": ButtonActions.report,
}


@dataclass(frozen=True, slots=True)
class _ButtonForm:
    """The form of a button. An empty `command` stands for the command of the job."""

    title: str
    command: str = ""
    option_names: tuple[str, ...] = ()


_FORMS: Mapping[str, _ButtonForm] = {
    "edit": _ButtonForm("Edit prompt"),
    "remix": _ButtonForm("Remix", "imagine", ("prompt", "strength", "model", "count", "seed")),
    "change": _ButtonForm("Edit picture", "edit", ("prompt", "model", "outpaint", "aspect", "paint", "seed")),
    "ask": _ButtonForm("Ask more", "chat", ("message",)),
    "reason": _ButtonForm("Say why", "feedback give", ("reason",)),
}


def get_form_option_names(command: str) -> tuple[str, ...]:
    """Return the options in the form of a picture's command, most important first; empty for all options."""
    return next((form.option_names for form in _FORMS.values() if form.command == command), ())


FORM_ACTIONS = frozenset({*_FORMS, FILL})
"""Actions whose button opens a form: see `Dispatcher.open_form` and `Dispatcher.submit_form`."""
