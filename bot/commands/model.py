"""/models lists the models on offer, with prices; /model finds, shows, adds, updates and withdraws published models.

/train makes a model of this workspace from pictures; `dispatch.trained_models` offers the model at the end.
"""

import re
from collections.abc import Mapping, Sequence

from bot.catalogue.drafting import DRAFTED_TASKS
from bot.catalogue.running import describe_changes, is_needed
from bot.core.backend import InputValue
from bot.core.errors import BadOption, ConfirmationRequired, NotAllowed, RequestRefused
from bot.core.file_types import MediaKind
from bot.core.invocations import Attachment, Invocation, Link
from bot.core.models import AddedModel, Metric, Model, SchemaField, Task
from bot.core.people import Rank
from bot.core.replies import Reply
from bot.credits.pricing import CreditFormatter, estimate_cost, format_price
from bot.dispatch.declaration import MAX_CHOICES, Choice, Command, OptionValue, Services, command, models_for, option
from bot.dispatch.model_runs import RunTarget, draft_for_task
from bot.dispatch.run_forms import declare_option
from bot.dispatch.run_requests import RunRequests, bound_run
from bot.dispatch.thread_pictures import ThreadPictures, TrainingConsents

_MORE = (
    "`/models {task}` lists the models of one command with their prices. To choose a model, give its key as the option "
    "model, such as `--model {key}`."
)

_MAX_FOUND = 10
_MAX_VERSIONS = 15
_MAX_SHOWN_FIELDS = 25
_MAX_CREDITS = 1_000_000


def _suggest_added(services: Services, typed: str, _given: Mapping[str, OptionValue]) -> Sequence[Choice]:
    wanted = typed.strip().lower()
    models = [model for model in services.catalogue.list_all() if model.key in services.catalogue.added]
    return [Choice(f"{model.title} · {model.ref}", model.key) for model in models if wanted in model.key][:MAX_CHOICES]


@command("models", private=True)
class Models(Command):
    """List the models with their prices."""

    task: str | None = option("For which command?", default=None, choices=tuple(Task))

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        tasks = [Task(self.task)] if self.task else list(Task)
        user, catalogue = invocation.user, services.catalogue
        settings = await services.moderation.get_settings(user.platform, user.workspace)
        offers = {task: models for task in tasks if (models := catalogue.list_for_task(task))}
        defaults = {task: catalogue.choose(task, preferred_key=settings.get_default_model(task)) for task in offers}
        form = services.credits.formatter
        if not offers:
            text = f"No model for /{self.task} is on offer here. Ask my owner to add one."
        elif self.task:
            text = _format_list(services, offers[tasks[0]], form, defaults[tasks[0]])
        else:
            lines = [_format_summary(services, defaults[task], len(models)) for task, models in offers.items()]
            task, models = next(iter(offers.items()))
            text = "\n".join([*lines, "", _MORE.format(task=task, key=models[:2][-1].key)])
        return Reply(text=text, is_private=True)


def _format_summary(services: Services, default: Model, count: int) -> str:
    """Return the line of a command: the default, the usual price of a request, and the number of other models."""
    form, others = services.credits.formatter, f"{count - 1} more" if count > 1 else "no other"
    expected = estimate_cost(default, services.catalogue.build_inputs(default, {})).expected_micros
    # The length of a text or of a recording decides the price of some models: an empty request costs nothing there.
    price = f"usually {form.format_amount(expected)}" if expected else format_model_price(default, form)
    return f"- **/{default.task}** {default.title} (`{default.key}`), {price}; {others}"


def _format_list(services: Services, models: Sequence[Model], form: CreditFormatter, default: Model) -> str:
    lines = [
        f"- `{model.key}` {model.title}: {model.description} {format_model_price(model, form)}"
        f"{' (default)' if model is default else ''}{' (away right now)' if services.jobs.is_away(model) else ''}"
        for model in models
    ]
    return "\n".join([f"**/{default.task}**", *lines])


def format_model_price(model: Model, form: CreditFormatter) -> str:
    """Return a model's price in credits per billed unit."""
    if Metric.PREDICT_TIME in model.price.metrics:
        estimate = estimate_cost(model, {})
        expected, most = form.format(estimate.expected_micros), form.format(estimate.max_micros)
        return f"about {expected} credits a run, at most {most}"
    return format_price(model.price, form.format_amount)


@command("model search", private=True)
class ModelSearch(Command):
    """Find models that others have published."""

    words: str = option("What should it do?", max_length=200, words=True)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        found = await services.runs.directory.search_models(self.words, limit=_MAX_FOUND)
        lines = [
            f"- `{one.ref}` · {one.run_count:,} runs{' · official' if one.is_official else ''}: {one.description[:150]}"
            for one in found
        ]
        text = "\n".join([*lines, "", "`/run owner/name` shows a model's form and price."])
        return Reply(text=text if found else f"Nothing fits “{self.words}”. Try other words.", is_private=True)


@command("model show", private=True)
class ModelShow(Command):
    """Show what a model takes and costs."""

    model: str = option("Which model? A name of /models, or owner/name.", max_length=200)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        target = await services.runs.find(services.catalogue, self.model)
        model, published = target.model, target.published
        amount = services.credits.formatter
        price = format_price(model.price, amount.format_amount)
        facts = [
            f"**{model.title}** · {model.ref}{'' if target.is_approved else ' · not approved here'}",
            model.description,
            f"- Price: {price}; a run at most {amount.format(bound_run(services.catalogue, target, {}))} credits",
            *([f"- Version: `{model.version}`"] if model.version else []),
            *([f"- Runs by everybody: {published.run_count:,}"] if published and published.run_count else []),
            *([f"- License: {published.license_url}"] if published and published.license_url else []),
        ]
        fields = [_format_field(field) for field in target.fields[:_MAX_SHOWN_FIELDS]]
        more = len(target.fields) - len(fields)
        lines = [*filter(None, facts), "", *fields, *([f"… {more} more"] if more > 0 else [])]
        return Reply(text="\n".join(lines), is_private=True)


def _format_field(field: SchemaField) -> str:
    choices = f": {', '.join(map(str, field.choices[:8]))}" if field.choices else ""
    return f"- `{field.name}`{' *(needed)*' if is_needed(field) else ''}{choices} {declare_option(field).question}"


@command("model versions", private=True)
class ModelVersions(Command):
    """List the versions of a published model, newest first."""

    model: str = option("Which model? A name of /models, or owner/name.", max_length=200)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        target = await services.runs.find(services.catalogue, self.model)
        ref, pinned = target.model.ref, target.model.version
        versions = await services.runs.directory.list_versions(ref, limit=_MAX_VERSIONS)
        lines = [
            f"- `{one.id}`{f' of {one.created_at:%Y-%m-%d}' if one.created_at else ''}"
            f"{' *(in use)*' if one.id == pinned else ''}"
            for one in versions
        ]
        text = "\n".join([f"**{ref}**", *lines]) if lines else f"{ref} is kept current by its makers, without versions."
        return Reply(text=text, is_private=True)


@command("model add", rank=Rank.MODERATOR, private=True)
class ModelAdd(Command):
    """Offer a published model here, pinned to its version and price."""

    model: str = option("Which model? owner/name, with :version for another than the newest.", max_length=200)
    task: str = option("For which command?", default=str(Task.RUN), choices=DRAFTED_TASKS)
    seconds: int = option("How many seconds may a run take?", default=0, minimum=0, maximum=3_600)
    at_most: float | None = option(
        "How many credits may a run cost at most?", default=None, minimum=0, maximum=_MAX_CREDITS
    )
    everywhere: bool = option("For all workspaces? For my owner alone.", default=False)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        target = await services.runs.find(services.catalogue, self.model, max_seconds=self.seconds)
        if target.table is None:
            raise BadOption(f"{target.model.title} is on offer already, as `{target.model.key}`.", option="model")
        if self.everywhere and invocation.rank < Rank.OWNER:
            raise NotAllowed("Only my owner can add a model for all workspaces.")
        amount = services.credits.formatter
        most = bound_run(services.catalogue, target, {}) if self.at_most is None else amount.to_micros(self.at_most)
        if invocation.rank < Rank.OWNER:
            await RunRequests(services).check_budget(invocation.user, target, most)
        if self.task != Task.RUN:
            target, most = draft_for_task(target, Task(self.task)), 0
        if not invocation.is_confirmed or most > invocation.confirmed_micros:
            # The very version: a newer one that appears before the press is another question.
            model = target.model
            name = f"{model.ref}:{model.version}" if model.version else model.ref
            raise ConfirmationRequired(
                _format_offer(services, target, most, everywhere=self.everywhere),
                price_micros=most,
                options={**invocation.options, "model": name},
            )
        place = ("", "") if self.everywhere else (invocation.user.platform, invocation.user.workspace)
        addition = target.build_addition(place, most)
        added = await services.runs.added.add(addition, invocation.user)
        return Reply(
            text=f"{added.model.title} is on offer {'everywhere' if self.everywhere else 'here'}, as "
            f"`{added.model.key}` for /{added.model.task}.",
            is_private=True,
        )


def _format_offer(services: Services, target: RunTarget, most_micros: int, *, everywhere: bool) -> str:
    amount = services.credits.formatter
    price = format_price(target.model.price, amount.format_amount)
    bound = f", and a run at most {amount.format_amount(most_micros)}" if most_micros else ""
    version = f" at version {target.model.version[:12]}…" if target.model.version else ""
    warning = f" The model {target.model.price.objection}." if target.model.price.objection else ""
    where = "everywhere" if everywhere else "here"
    return (
        f"Offer {target.model.ref}{version} {where} for /{target.model.task}? It costs {price}{bound}, and may take "
        f"{target.model.max_seconds} s.{warning}"
    )


@command("model remove", rank=Rank.MODERATOR, private=True)
class ModelRemove(Command):
    """Withdraw a model that was added here. Its unfinished jobs go on."""

    model: str = option("Which model?", max_length=200, autocomplete=_suggest_added)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        added = _find_added(services, invocation, self.model)
        if added is None:
            return _list_added(services, self.model)
        if not await services.runs.added.remove(added.model.key, invocation.user):
            raise RequestRefused(f"{added.model.title} was withdrawn already.")
        return Reply(text=f"{added.model.title} is withdrawn. Its unfinished jobs go on.", is_private=True)


@command("model update", rank=Rank.MODERATOR, private=True)
class ModelUpdate(Command):
    """Move an added model to a newer version, after a look at the changes."""

    model: str = option("Which model?", max_length=200, autocomplete=_suggest_added)
    version: str = option("Which version? The newest if you say nothing.", default="", max_length=64)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        added = _find_added(services, invocation, self.model)
        if added is None:
            return _list_added(services, self.model)
        if added.model.task is not Task.RUN:
            raise BadOption("Only models for /run can be updated: remove the model, and add it again.", option="model")
        published = await services.runs.read_schema(added.model.ref, self.version)
        target = services.runs.make_target(published, max_seconds=added.model.max_seconds)
        changes = describe_changes(added.fields, target.fields)
        if target.model.version == added.model.version and not changes and target.model.price == added.model.price:
            raise RequestRefused(f"{added.model.title} is at that version already.")
        most = bound_run(services.catalogue, target, {})
        if invocation.rank < Rank.OWNER:
            await RunRequests(services).check_budget(invocation.user, target, most)
        if not invocation.is_confirmed or most > invocation.confirmed_micros:
            raise _ask_for_update(services, added, target, changes, most)
        place = (added.platform, added.workspace)
        addition = target.build_addition(place, most)
        updated = await services.runs.added.replace(added.model.key, addition, invocation.user)
        if updated is None:
            raise RequestRefused(f"{added.model.title} was withdrawn a moment ago.")
        return Reply(text=f"{updated.model.title} is updated, as `{updated.model.key}`.", is_private=True)


def _ask_for_update(
    services: Services, added: AddedModel, target: RunTarget, changes: Sequence[str], most_micros: int
) -> ConfirmationRequired:
    amount = services.credits.formatter
    before = amount.format(added.model.agreed_micros or 0)
    lines = [
        f"Update {added.model.ref} to {target.model.version[:12] or 'the schema of now'}?",
        *(f"- {change}" for change in changes[:_MAX_SHOWN_FIELDS]),
        *([] if changes else ["- The inputs stay the same."]),
        f"- A run costs at most {amount.format_amount(most_micros)}; {before} were agreed to.",
    ]
    # The very version: a newer one that appears before the press is another question.
    options = {"model": added.model.key, "version": target.model.version}
    return ConfirmationRequired("\n".join(lines), button_label="Update", price_micros=most_micros, options=options)


def _list_added(services: Services, name: str) -> Reply:
    keys = [f"`{model.key}`" for model in services.catalogue.list_all() if model.key in services.catalogue.added]
    listed = f"Added are {', '.join(keys)}." if keys else "/model add adds one."
    return Reply(text=f"No model called “{name}” was added here. {listed}", is_private=True)


def _find_added(services: Services, invocation: Invocation, name: str) -> AddedModel | None:
    """Return the added model of a name; None without one. Raise `NotAllowed` where the caller may not change it."""
    found: Model | None = services.catalogue.find(name)
    added = services.catalogue.added.get(found.key) if found is not None else services.catalogue.added.get(name)
    if added is None:
        return None
    if added.is_removed:
        raise RequestRefused(f"{added.model.title} was withdrawn already.")
    here = (invocation.user.platform, invocation.user.workspace)
    if invocation.rank < Rank.OWNER and (added.platform, added.workspace) != here:
        raise NotAllowed("Only my owner can change a model that is on offer everywhere.")
    return added


# Trainings.

MAX_TRAINING_FILES = 10
"""Files of one command: Slack's field takes ten, and a zip holds more pictures."""

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,29}")
_TRIGGER = re.compile(r"\w{2,30}")


@command("train", rank=Rank.MODERATOR)
class Train(Command):
    """Make a model of this workspace from pictures. I say the price first."""

    name: str = option("What should the model be called?", max_length=30)
    files: tuple[Attachment | Link, ...] = option(
        "Pictures, or a zip of pictures? Those made here, if you give none.",
        default=(),
        name="file",
        max_files=MAX_TRAINING_FILES,
        media=(MediaKind.PICTURE, MediaKind.FILE),
    )
    trigger: str = option("Which word stands for it in prompts?", default="TOK", max_length=30)
    steps: int | None = option("How many steps? More take longer.", default=None, minimum=1, maximum=10_000)
    model: str = option("Which training?", default="", autocomplete=models_for(Task.TRAIN))

    async def answer(self, invocation: Invocation, services: Services) -> Reply | None:
        name = self._check_words(services)
        model = await services.choose_model(invocation.user, Task.TRAIN, self.model)
        gathered = ThreadPictures(()) if self.files else await TrainingConsents(services).gather(invocation, name)
        if isinstance(gathered, Reply):
            return gathered
        pictures = await services.media.load_training_set(self.files or gathered.files)
        words = {"name": name, "trigger": self.trigger, "steps": self.steps}
        stored: dict[str, InputValue] = {
            **words,
            "model": model.key,
            "file": pictures.file,
        }
        left_out = f" Left out are those of {' and '.join(gathered.missing)}." if gathered.missing else ""
        try:
            await services.jobs.start(invocation, model, {**words, "images": pictures.file}, stored_options=stored)
        except ConfirmationRequired as question:
            raise ConfirmationRequired(
                f"Train `{name}` on {pictures.picture_count} pictures, with the word {self.trigger}?{left_out} A test "
                f"picture follows, at its own price. {question}",
                button_label="Train",
                price_micros=question.price_micros,
                files=question.files,
                # The zip replaces the given files: the price is for these very pictures.
                options={key: value for key, value in invocation.options.items() if not key.startswith("file")},
            ) from question
        return None

    def _check_words(self, services: Services) -> str:
        """Return the model's name in lower case. Raise `BadOption` for a name that is taken or no name."""
        name = self.name.strip().lower()
        if not _NAME.fullmatch(name):
            raise BadOption("A model's name has 2 to 30 letters, digits and dashes, such as our-style.", option="name")
        # Also the name of a withdrawn model stays taken: jobs name their model by it.
        if name in services.catalogue or services.catalogue.find(name) is not None:
            raise BadOption(f"There is a model called {name} already. Give another name.", option="name")
        if not _TRIGGER.fullmatch(self.trigger):
            raise BadOption(
                "The word for prompts is one word of 2 to 30 letters and digits, such as TOK.", option="trigger"
            )
        return name
