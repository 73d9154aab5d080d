"""Offers the new version of an ended training as a model of the workspace, and asks for a test picture.

Both happen before the training counts as delivered. After a kill in between, the next process finds the model by its
version and the test picture by its request key, and begins neither twice.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

from bot.catalogue.added_models import ModelAddition
from bot.catalogue.drafting import copy_price_table
from bot.catalogue.loading import CatalogueError
from bot.core.errors import BackendError, UserError
from bot.core.jobs import Job, JobState
from bot.core.json import JSON
from bot.core.models import AddedModel, Task
from bot.core.replies import Reply
from bot.dispatch.model_runs import draft_for_task
from bot.dispatch.tool_calls import JobChain

log = logging.getLogger(__name__)


class TrainedModels(JobChain):
    """Offers trained models."""

    async def plan(self, job: Job) -> Callable[[], Awaitable[bool]] | None:
        """Return how the model of an ended training is offered."""
        # Also after Stop, if the training was done before: the person paid for the model.
        return partial(self._offer, job) if job.command == Task.TRAIN and job.state is JobState.FINISHED else None

    async def _offer(self, job: Job) -> bool:
        """Offer the model and ask for the picture; return False if another attempt must come later."""
        made = "".join(output.text for output in await self.dispatcher.services.jobs.list_outputs(job))
        try:
            added = await self._find(made) or await self._add(job, made)
        except BackendError as error:
            log.warning("training.not_offered", extra={"job": job.id, "reason": str(error)})
            return False
        except (UserError, CatalogueError) as error:
            text = f"The trained model {made} cannot be offered: {error} Tell my owner."
            await self.post(job.user, job.channel, Reply(text=text), f"{job.request_key}:refused")
            return True
        name = str(job.options.get("name"))
        if added.model.key != name:
            text = f"`{name}` was taken meanwhile: the model is `{added.model.key}`."
            await self.post(job.user, job.channel, Reply(text=text), f"{job.request_key}:renamed")
        words = {"prompt": f"a picture of {job.options.get('trigger')}", "model": added.model.key}
        return await self.begin(await self.build_request(job, Task.IMAGINE, f"{job.request_key}:test", words, ""))

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
