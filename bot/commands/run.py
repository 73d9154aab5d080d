"""/run: runs any model with the inputs of its published schema, after a question with the bound of the cost."""

from collections.abc import Mapping, Sequence

from bot.catalogue.running import MAX_FILES
from bot.core.backend import InputValue
from bot.core.errors import BadOption, RequestRefused, UserError
from bot.core.file_types import ANY_MEDIA
from bot.core.invocations import Attachment, Invocation, Link
from bot.core.limits import MAX_RUN_INPUT_CHARACTERS
from bot.core.models import Model
from bot.core.replies import Reply
from bot.dispatch.declaration import MAX_CHOICES, Choice, Command, OptionValue, Services, command, option
from bot.dispatch.run_forms import dump_inputs, find_missing
from bot.dispatch.run_questions import RunRequest, ask_before_run, estimate_request, read_request
from bot.dispatch.run_requests import RunRequests, bound_run
from bot.jobs.acceptance import check_agreed_price
from bot.moderation.moderation import WorkspaceSettings

_REPEATS = ("again", "retry")


def suggest_runnable(services: Services, typed: str, _given: Mapping[str, OptionValue]) -> Sequence[Choice]:
    """Return the models on offer, then those that a search of the backend found for the typed words."""
    wanted = typed.strip().lower()
    models = [
        model
        for model in services.catalogue.list_all()
        if wanted in model.key or wanted in model.title.lower() or wanted in model.ref.lower()
    ]
    refs = {model.ref for model in models}
    found = [listing for listing in services.runs.list_found(typed) if listing.ref not in refs]
    return [
        *(Choice(model.title, model.key) for model in models),
        *(Choice(f"{listing.ref} · {listing.run_count:,} runs", listing.ref) for listing in found),
    ][:MAX_CHOICES]


@command("run")
class Run(Command):
    """Run any model with its own inputs. I show the form and the price first."""

    model: str = option(
        "Which model? A name of /models, or owner/name.",
        default="",
        max_length=200,
        autocomplete=suggest_runnable,
        searches=True,
    )
    inputs: str = option(
        'Its inputs, such as prompt="a fox" steps=20.', default="", max_length=MAX_RUN_INPUT_CHARACTERS, words=True
    )
    files: tuple[Attachment | Link, ...] = option(
        "A file for it?", default=(), name="file", max_files=MAX_FILES, media=ANY_MEDIA
    )

    async def answer(self, invocation: Invocation, services: Services) -> Reply | None:
        user = invocation.user
        settings = await services.moderation.get_settings(user.platform, user.workspace)
        if settings.run == "off":
            raise RequestRefused("/run is off in this workspace. A moderator can turn it on with /settings run.")
        name, text = self._split_words()
        target = await services.runs.find(services.catalogue, name)
        names = [name for name in self.declaration.options[2].file_names if _is_given(invocation, name)]
        given = {f"@{name}": file for name, file in zip(names, self.files, strict=True)}
        request = await read_request(services, target, text, given)
        try:
            return await self._run(invocation, services, settings, request)
        except UserError:
            services.media.release(request.files.values())
            raise

    def _split_words(self) -> tuple[str, str]:
        """Return the model's name and the inputs: typed as text, the first word is the name."""
        if self.model:
            return self.model, self.inputs
        name, _, text = self.inputs.partition(" ")
        if not name or "=" in name or name.startswith("{"):
            raise BadOption("Which model? Give a name of /models, or owner/name.", option="model")
        return name, text

    async def _run(
        self, invocation: Invocation, services: Services, settings: WorkspaceSettings, request: RunRequest
    ) -> Reply | None:
        """Run a confirmed request, ask for an approval, or raise the question."""
        target = request.target
        note = "" if target.is_approved else "Nobody approved this model here yet."
        if find_missing(target.fields, request.values):
            raise ask_before_run(services, invocation, request, note)
        estimate = estimate_request(services, request)
        check_agreed_price(target.model, estimate, services.credits.formatter)
        bound_micros = estimate.max_micros
        below_micros = services.credits.formatter.to_micros(settings.run_below_credits)
        is_cheap = settings.run == "anything" and bound_micros <= below_micros and not target.model.price.objection
        if is_cheap:
            note = ""
        is_confirmed = invocation.is_confirmed and bound_micros <= invocation.confirmed_micros
        if not is_confirmed and not (invocation.action in _REPEATS and target.is_approved):
            rose = "The price rose since you were asked." if invocation.is_confirmed else note
            raise ask_before_run(services, invocation, request, rose)
        if target.is_approved:
            await self._start(invocation, services, target.model, request)
        elif is_cheap:
            place = (invocation.user.platform, invocation.user.workspace)
            added = await services.runs.added.add(target.build_addition(place, below_micros), invocation.user)
            await self._start(invocation, services, added.model, request)
        else:
            most = max(bound_micros, bound_run(services.catalogue, target, request.values))
            reply = await RunRequests(services).ask(invocation, target, dump_inputs(request.values), most)
            services.media.release(request.files.values())
            return reply
        return None

    async def _start(self, invocation: Invocation, services: Services, model: Model, request: RunRequest) -> None:
        files = {mark.removeprefix("@"): file for mark, file in request.files.items()}
        stored: dict[str, InputValue] = {"model": model.key, "inputs": dump_inputs(request.values), **files}
        if isinstance(prompt := request.values.get("prompt"), str):
            stored["prompt"] = prompt  # the words that messages quote
        await services.jobs.start(invocation, model, request.build_options(), stored_options=stored)


def _is_given(invocation: Invocation, name: str) -> bool:
    return name in invocation.attachments or bool(str(invocation.options.get(name) or "").strip())
