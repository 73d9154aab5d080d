"""Offers the new version of an ended training as a model of the workspace, and asks for a test picture.

Both happen before the training counts as delivered. After a kill in between, the next process finds the model by its
version and the test picture by its request key, and begins neither twice.
"""

import logging
from dataclasses import dataclass, replace

from bot.catalogue.added_models import ModelAddition
from bot.catalogue.drafting import copy_price_table
from bot.catalogue.loading import CatalogueError
from bot.core.errors import BackendError, UserError
from bot.core.invocations import Invocation
from bot.core.jobs import Job, JobState
from bot.core.json import JSON
from bot.core.models import AddedModel, Task
from bot.core.people import User
from bot.core.replies import Reply
from bot.dispatch.dispatcher import Dispatcher
from bot.dispatch.model_runs import draft_for_task

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TrainedModels:
    """Offers trained models."""

    dispatcher: Dispatcher

    async def follow(self, job: Job) -> bool:
        """Begin what follows on an ended training; return False if another attempt must come later."""
        if job.command != Task.TRAIN or job.state is not JobState.FINISHED:
            return True
        services = self.dispatcher.services
        if not services.jobs.is_accepting:
            return False
        made = "".join(output.text for output in await services.jobs.list_outputs(job))
        try:
            added = await self._find(made) or await self._add(job, made)
        except BackendError as error:
            log.warning("training.not_offered", extra={"job": job.id, "reason": str(error)})
            return False
        except (UserError, CatalogueError) as error:
            text = f"The trained model {made} cannot be offered: {error} Tell my owner."
            await self._post(job, Reply(text=text), "refused")
            return True
        name = str(job.options.get("name"))
        if added.model.key != name:
            text = f"`{name}` was taken meanwhile: the model is `{added.model.key}`."
            await self._post(job, Reply(text=text), "renamed")
        await self._draw(job, added)
        return True

    async def _find(self, made: str) -> AddedModel | None:
        """Return the model of a version that was added before a kill."""
        added = self.dispatcher.services.runs.added
        await added.reload()
        models = self.dispatcher.services.catalogue.added.values()
        return next((one for one in models if f"{one.model.ref}:{one.model.version}" == made), None)

    async def _add(self, job: Job, made: str) -> AddedModel:
        """Offer a version in the job's workspace, at the price of its base. Raise a `UserError` or `BackendError`."""
        services = self.dispatcher.services
        ref, _, version = made.partition(":")
        target = services.runs.make_target(await services.runs.read_schema(ref, version))
        training = services.catalogue.get(job.model)
        base = next((one for one in services.catalogue.list_for_task(Task.IMAGINE) if one.ref == training.ref), None)
        if base is not None:
            table: dict[str, JSON] = {**(target.table or {}), "price": copy_price_table(base.price)}
            target = replace(target, table=table, model=replace(target.model, max_seconds=base.max_seconds))
        drafted = draft_for_task(target, Task.IMAGINE)
        name, trigger = str(job.options.get("name")), str(job.options.get("trigger"))
        entry: dict[str, JSON] = {
            **(drafted.table or {}),
            "title": name,
            "description": f"Trained here by {job.user.name}: say {trigger} in the prompt.",
        }
        place = (job.user.platform, job.user.workspace)
        return await services.runs.added.add(ModelAddition(name, entry, drafted.fields, place, 0), job.user)

    async def _draw(self, job: Job, added: AddedModel) -> None:
        """Ask for the test picture in the name of the person; a refusal is told below the training."""
        invocation = Invocation(
            user=_restore_user(job),
            channel=job.channel,
            command=Task.IMAGINE,
            request_key=f"{job.request_key}:test",
            options={"prompt": f"a picture of {job.options.get('trigger')}", "model": added.model.key},
            parent_job=job.id,
        )
        if (reply := await self.dispatcher.handle(invocation)) is not None:
            await self._post(job, reply, "test")

    async def _post(self, job: Job, reply: Reply, about: str) -> None:
        public, key = replace(reply, is_private=False), f"{job.request_key}:{about}"
        await self.dispatcher.notices.post_for(job.user, job.channel, public, key)


def _restore_user(job: Job) -> User:
    # The row of a job holds no roles.
    return replace(job.user, roles=frozenset(str(job.options.get("roles") or "").split()))
