"""/deployments: the owner's models on hardware of their own, with the price per hour; the CLI has the same verbs."""

from collections.abc import Mapping, Sequence

from bot.catalogue.added_models import ModelAddition, parse_table
from bot.catalogue.drafting import derive_key
from bot.core.backend import (
    HARDWARE_READ_ON,
    HARDWARE_USD_PER_SECOND,
    MAX_INSTANCES,
    MAX_MIN_INSTANCES,
    Deployment,
)
from bot.core.errors import BadOption, ConfirmationRequired
from bot.core.invocations import Invocation
from bot.core.json import JSON
from bot.core.models import Metric, Task
from bot.core.people import Rank
from bot.core.replies import Reply
from bot.credits.pricing import format_price
from bot.dispatch.declaration import MAX_CHOICES, Choice, Command, OptionValue, Services, command, option
from bot.dispatch.deployments import format_deployment, format_scale, tell_unclear_changes
from bot.dispatch.model_runs import RunTarget, draft_for_task

_MAX_NAME = 100


def _suggest_hardware(_: Services, typed: str, _given: Mapping[str, OptionValue]) -> Sequence[Choice]:
    return [
        Choice(f"{sku} · ${usd * 3_600:.2f} an hour", sku)
        for sku, usd in HARDWARE_USD_PER_SECOND.items()
        if typed.strip().lower() in sku
    ][:MAX_CHOICES]


@command("deployments list", rank=Rank.OWNER, private=True)
class DeploymentsList(Command):
    """List my deployments with their prices per hour."""

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        lines = [f"- {format_deployment(one)}" async for one in services.runs.deployments.list()]
        text = "\n".join(lines) if lines else "There are no deployments. /deployments create makes one."
        return Reply(text=text, is_private=True)


@command("deployments create", rank=Rank.OWNER, private=True)
class DeploymentsCreate(Command):
    """Run a model on hardware of your choice. I say the price per hour first."""

    name: str = option("What should it be called?", max_length=_MAX_NAME)
    model: str = option("Which model? A name of /models, or owner/name, with :version for another.", max_length=200)
    hardware: str = option("On which hardware?", max_length=40, autocomplete=_suggest_hardware)
    least: int = option("How many should always run?", default=0, minimum=0, maximum=MAX_MIN_INSTANCES, name="min")
    most: int = option("How many may run at most?", default=1, minimum=1, maximum=MAX_INSTANCES, name="max")

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        _check_scale(self.least, self.most)
        deployments = services.runs.deployments
        await deployments.check_hardware(self.hardware)
        ref, version = await self._find_version(services)
        if not invocation.is_confirmed:
            scale = format_scale(self.hardware, self.least, self.most)
            raise ConfirmationRequired(
                f"Create `{self.name}`: {ref} at version {version[:12]}… on {self.hardware}? It {scale}. Replicate "
                "bills you; my budgets count the runs alone.",
                button_label="Create",
                # The very version: a newer one that appears before the press is another question.
                options={**invocation.options, "model": f"{ref}:{version}"},
            )
        async with tell_unclear_changes():
            made = await deployments.create(
                self.name,
                model=ref,
                version=version,
                hardware=self.hardware,
                min_instances=self.least,
                max_instances=self.most,
            )
        tail = made.name.partition("/")[2]
        return Reply(text=f"{format_deployment(made)} `/deployments use {tail}` offers it here.", is_private=True)

    async def _find_version(self, services: Services) -> tuple[str, str]:
        """Return the model's name and version. Raise `BadOption` for a model that cannot be deployed."""
        known = services.catalogue.find(self.model)
        name, _, version = (known.ref if known is not None else self.model).partition(":")
        published = await services.runs.read_schema(name, version or (known.version if known is not None else ""))
        if not published.version:
            raise BadOption(f"{name} has no version to deploy.", option="model")
        return published.ref, published.version


@command("deployments scale", rank=Rank.OWNER, private=True)
class DeploymentsScale(Command):
    """Change how many instances of a deployment run. I say the price per hour first."""

    name: str = option("Which deployment?", max_length=_MAX_NAME)
    least: int | None = option(
        "How many should always run?", default=None, minimum=0, maximum=MAX_MIN_INSTANCES, name="min"
    )
    most: int | None = option("How many may run at most?", default=None, minimum=1, maximum=MAX_INSTANCES, name="max")

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        if self.least is None and self.most is None:
            raise BadOption("Say min, max or both, such as --min 0 --max 2.")
        deployments = services.runs.deployments
        before = await deployments.find(self.name)
        least = before.min_instances if self.least is None else self.least
        most = before.max_instances if self.most is None else self.most
        _check_scale(least, most)
        if not invocation.is_confirmed:
            scale = format_scale(before.hardware, least, most)
            raise ConfirmationRequired(
                f"Scale `{before.name}` on {before.hardware} from {_format_span(before)}? It then {scale}.",
                button_label="Scale",
                options={"name": before.name, "min": least, "max": most},
            )
        async with tell_unclear_changes():
            changed = await deployments.update(before.name, min_instances=least, max_instances=most)
        return Reply(text=format_deployment(changed), is_private=True)


def _format_span(deployment: Deployment) -> str:
    return f"{deployment.min_instances} to {deployment.max_instances} instances"


@command("deployments delete", rank=Rank.OWNER, private=True)
class DeploymentsDelete(Command):
    """Delete a deployment that nobody used for a quarter of an hour."""

    name: str = option("Which deployment?", max_length=_MAX_NAME)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        deployment = await services.runs.deployments.find(self.name)
        using = [model.key for model in services.catalogue.list_all() if model.deployment == deployment.name]
        if not invocation.is_confirmed:
            users = f" The model {', '.join(using)} runs on it, and fails afterwards." if using else ""
            raise ConfirmationRequired(
                f"Delete the deployment `{deployment.name}`?{users}",
                button_label="Delete",
                options={"name": deployment.name},
            )
        await services.runs.deployments.delete(deployment.name)
        return Reply(text=f"`{deployment.name}` is deleted.", is_private=True)


@command("deployments use", rank=Rank.OWNER, private=True)
class DeploymentsUse(Command):
    """Offer a deployment as a model in all workspaces, at the price of its hardware."""

    name: str = option("Which deployment?", max_length=_MAX_NAME)
    task: str | None = option(
        "For which command? That of the same model in /models, or /run, if you say nothing.",
        default=None,
        choices=tuple(task for task in Task if task is not Task.TRAIN),
    )

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        deployment = await services.runs.deployments.find(self.name)
        target = await self._draft(services, deployment)
        amount = services.credits.formatter
        if not invocation.is_confirmed:
            price = format_price(target.model.price, amount.format_amount)
            raise ConfirmationRequired(
                f"Offer `{deployment.name}` in all workspaces for /{target.model.task}? People pay {price}; Replicate "
                f"bills you starting and idling too. {format_deployment(deployment)}",
                button_label="Offer",
                options={"name": deployment.name, "task": str(target.model.task)},
            )
        addition = ModelAddition(derive_key(deployment.name), target.table or {}, target.fields, ("", ""), 0)
        added = await services.runs.added.add(addition, invocation.user)
        key, task = added.model.key, added.model.task
        text = f"`{deployment.name}` is on offer, as `{key}` for /{task}. `/model remove {key}` withdraws it."
        return Reply(text=text, is_private=True)

    async def _draft(self, services: Services, deployment: Deployment) -> RunTarget:
        """Return the entry of a deployment. Raise `BadOption` for hardware without a known price."""
        usd = HARDWARE_USD_PER_SECOND.get(deployment.hardware)
        if usd is None:
            raise BadOption(f"I do not know the price of {deployment.hardware}: add an entry to the catalogue file.")
        like = next((one for one in services.catalogue.list_all() if one.ref == deployment.model), None)
        seconds = like.max_seconds if like is not None else 0
        published = await services.runs.read_schema(deployment.model, deployment.version)
        target = services.runs.make_target(published, max_seconds=seconds)
        price: dict[str, JSON] = {
            "tiers": [{"per": str(Metric.PREDICT_TIME), "usd": str(usd)}],
            "source": f"replicate.com/pricing ({deployment.hardware})",
            "read_on": str(HARDWARE_READ_ON),
        }
        target = RunTarget(target.model, target.fields, published, {**(target.table or {}), "price": price})
        task = Task(self.task) if self.task else like.task if like is not None else Task.RUN
        if task is not Task.RUN:
            target = draft_for_task(target, task)
        table: dict[str, JSON] = {**(target.table or {}), "deployment": deployment.name}
        return RunTarget(parse_table(target.model.key, table), target.fields, published, table)


def _check_scale(least: int, most: int) -> None:
    if least > most:
        raise BadOption(f"min is {least} and max is {most}: min is at most max.", option="min")
