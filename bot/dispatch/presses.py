"""Buttons: what each action does to the job it stands on. A button is data; this is its meaning.

Most actions are a new call of a command, made from the job: so ranks, prices and limits hold for them as for any call.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

from bot.core.errors import NoSuchJob, NotAllowed
from bot.core.invocations import Attachment, Invocation
from bot.core.jobs import Job
from bot.core.models import Task
from bot.core.people import Channel, Rank, User
from bot.core.replies import MessageRef, Reply
from bot.dispatch.ranks import Ranks
from bot.dispatch.services import Services

VARY_STRENGTH = 0.6
"""How far a variation may go from its picture (DESIGN §4)."""


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


@dataclass(frozen=True, slots=True)
class Presses:
    """Reads presses: into a new invocation to be answered, or into a reply to be shown at once."""

    services: Services
    ranks: Ranks

    async def read(self, press: Press) -> Invocation | Reply | None:
        """Raises `NoSuchJob` or `NotAllowed` in words that say why the button does nothing."""
        job = await self.services.jobs.get(press.job)
        if job is None or not (is_visible(job, press.user, press.channel) or self._moderates(press, job)):
            raise NoSuchJob("That job is not here any more, so its buttons do nothing.")
        meaning = _MEANINGS.get(press.action)
        if meaning is None:
            raise NoSuchJob("That button belongs to an older version of the bot. Please ask again.")
        return await meaning(self, press, job)

    async def cancel(self, press: Press, job: Job) -> Reply | None:
        """Stop a running job: for the asker and moderators."""
        self._require_asker(press, job, "stop")
        if not await self.services.jobs.cancel(job, press.user):
            raise NoSuchJob("That is over already: there is nothing left to stop.")
        return None

    async def delete(self, press: Press, job: Job) -> Reply | None:
        """Take the result away for everyone, and stop it where it runs: for the asker and moderators."""
        self._require_asker(press, job, "delete")
        where = press.channel
        pressed = MessageRef(where.platform, where.workspace, where.id, where.thread, press.message)
        await self.services.jobs.delete(job, press.user, pressed)
        return None

    def _require_asker(self, press: Press, job: Job, verb: str) -> None:
        is_asker = (job.user.platform, job.user.id) == (press.user.platform, press.user.id)
        if not is_asker and self.ranks.of(press.user) < Rank.MODERATOR:
            raise NotAllowed(f"Only the person who asked, or a moderator, can {verb} this.")

    def _moderates(self, press: Press, job: Job) -> bool:
        """Moderators end and remove what they cannot see themselves, in their own workspace."""
        is_here = (job.user.platform, job.user.workspace) == (press.user.platform, press.user.workspace)
        return press.action in ("cancel", "delete") and is_here and self.ranks.of(press.user) >= Rank.MODERATOR

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
        plain = {name: value for name, value in options.items() if isinstance(value, (str, int, float, bool))}
        files = {name: str(value["sha256"]) for name, value in options.items() if isinstance(value, dict)}
        attachments = {name: await self._kept(sha256) for name, sha256 in files.items()}
        return Invocation(
            user=press.user,
            channel=press.channel,
            command=command,
            request_key=press.request_key,
            options=plain,
            attachments=attachments,
            press_key=f"{press.message}:{press.action}{press.n or ''}:{press.user.id}",
            parent_job=job.id,
            action=press.action,
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
}
