"""Accepts requests: checks and prices a request, and commits the job together with a hold on the user's credits.

A committed job is owed: from then on the runner and recovery bring the job to an end, also after a crash.

Where the workspace's setting `reuse` allows, the kept result of an identical finished request answers a request.
Requests are identical when model, version and inputs are the same and the user gave the seed: another run would make
the same picture. A reusing job holds, costs and runs nothing.
"""

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, isqrt

from bot.catalogue.catalogue import check_required
from bot.conversations.conversations import Question
from bot.core.backend import InputFile, Inputs, list_input_files
from bot.core.errors import (
    AlreadyRunning,
    BackendDown,
    BadOption,
    ConfirmationRequired,
    DuplicatePress,
    DuplicateRequest,
    InsufficientFunds,
    JobNotFound,
    RequestRefused,
    UserError,
)
from bot.core.ids import new_id
from bot.core.invocations import TOOL, Invocation, name_file
from bot.core.jobs import Job, JobState, PostedMessage
from bot.core.json import JSON, fingerprint
from bot.core.limits import MAX_OUTPUT_PIXELS, MAX_SIDE_PIXELS
from bot.core.models import InputRule, Model, Task
from bot.core.money import Estimate
from bot.core.replies import MessageRef
from bot.credits.pricing import CreditFormatter, count_pixels, estimate_cost
from bot.jobs.routing import choose_offer, list_offers
from bot.jobs.submitting import encode_inputs
from bot.jobs.work import JobServices
from bot.moderation.moderation import Moderation
from bot.storage.database import Transaction

UNRELATED_WORKSPACES = frozenset({"", "user-installs"})
"""Direct messages and user installs: the people there have no workspace in common."""


MAX_SEED = 2**31 - 1

Options = Inputs


@dataclass(frozen=True, slots=True)
class AcceptedJob:
    """The job of a request. A repeated request (`is_new` false) gets the job of the first."""

    job: Job
    messages: tuple[PostedMessage, ...] = ()
    """Messages posted by the platform already, waiting for this job's reply."""
    is_new: bool = True
    batch_jobs: Sequence[Job] = ()
    """The jobs of a batch."""


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Turns invocations into committed jobs, owned by `worker`, this process."""

    services: JobServices
    moderation: Moderation
    worker: str

    async def accept(
        self,
        invocation: Invocation,
        model: Model,
        options: Options,
        stored_options: Options,
        question: Question | None,
        further_micros: int = 0,
    ) -> AcceptedJob:
        """Return the job of a request. Raise a `UserError`, and then nothing is stored or held; see `Jobs.start`."""
        job, model = await self.prepare(invocation, model, options, stored_options)
        if (existing := await self.check_backend(model, invocation.request_key)) is not None:
            return AcceptedJob(existing, is_new=False)
        if further_micros:
            job = replace(job, max_micros=job.max_micros + further_micros)
        await self._require_confirmation(invocation, job, model, stored_options)
        try:
            return await self._commit_once(job, model, invocation.placeholder, collect_text(stored_options), question)
        except InsufficientFunds as error:
            await suggest_cheaper_model(error, self, job, model, options)
            raise

    async def accept_again(self, invocation: Invocation, source: Job, n: int) -> AcceptedJob:
        """Return a free job that shows the n-th output of a finished job as the newest result. Raise as `accept`."""
        model = self.services.catalogue.get(source.model)
        # One picture is shown, also where the job made several, and in a message of its own after a batch.
        left_out = ("count", "batch_id")
        options = {**{name: value for name, value in source.options.items() if name not in left_out}, "shown": n}
        job = replace(
            self.build_job(invocation, model, options, dict(source.inputs), Estimate(0, 0)),
            command=source.command,
            backend=source.backend,
            model=source.model,
            reuses=source.reuses or source.id,
            prediction=source.prediction,
            # A private picture must not become public.
            is_private=invocation.is_private or source.is_private,
        )
        return await self._commit_once(job, model, invocation.placeholder, "", None)

    async def _commit_once(
        self, job: Job, model: Model, placeholder: MessageRef | None, text: str, question: Question | None
    ) -> AcceptedJob:
        """Commit a job, or return the job of the same request. Raise `InsufficientFunds` and `AlreadyRunning`."""
        messages = (PostedMessage(job.id, 0, placeholder),) if placeholder is not None else ()
        try:
            return AcceptedJob(await self._commit(job, model, text, question, messages), messages)
        except DuplicateRequest:
            return AcceptedJob(await self.get_existing_job(job.request_key), is_new=False)
        except DuplicatePress as error:
            raise AlreadyRunning("I am on it: that button was pressed a moment ago.") from error

    async def prepare(
        self, invocation: Invocation, model: Model, options: Options, stored_options: Options
    ) -> tuple[Job, Model]:
        """Return a request as a job, checked and priced but not stored, and the entry that answers first."""
        model, covered_micros = await self._route(invocation, model, options)
        inputs = _add_seed(model, self.services.catalogue.build_inputs(model, options))
        check_required(model, options)
        check_output_size(model, options, inputs)
        estimate = estimate_cost(model, inputs, await self.services.usual_times.get_seconds(model))
        check_agreed_price(model, estimate, self.services.credits.formatter)
        stored = encode_inputs(name_files(stored_options))
        held = Estimate(estimate.expected_micros, max(estimate.max_micros, covered_micros))
        job = self.build_job(invocation, model, stored, encode_inputs(inputs), held)
        key = reuse_key(job, model, options)
        return (replace(job, reuse_key=key) if key else job), model

    async def _route(self, invocation: Invocation, model: Model, options: Options) -> tuple[Model, int]:
        """Return the entry that answers first, and the amount that covers the entries behind it too."""
        if not model.fallbacks:
            return model, 0
        user = invocation.user
        offers = [
            offer
            for offer in await list_offers(self.services, model, options)
            if await self.services.credits.is_model_allowed(user, invocation.channel, offer.model.key)
        ]
        available_micros = (await self.services.credits.get_statement(user)).max_job_micros
        # Without any offer the first entry's own refusal tells the reason.
        return choose_offer(offers, available_micros) or (model, 0)

    async def may_run(self, job: Job, model: Model) -> bool:
        """Return whether a user may use a model in a channel; `job` names both."""
        try:
            async with self.services.database.read() as tx:
                await self.moderation.check_request(tx, job.user, job.channel, model, None)
        except RequestRefused:
            return False
        return await self.services.credits.is_model_allowed(job.user, job.channel, model.key)

    async def check_backend(self, model: Model, request_key: str) -> Job | None:
        """Raise `BackendDown` while the model's backend is away; return the job of a request accepted before."""
        try:
            self.services.backends[model.backend].admit()
        except BackendDown:
            async with self.services.database.read() as tx:
                existing = await tx.jobs.get_by_request_key(request_key)
            if existing is None:
                raise
            return existing
        return None

    async def _require_confirmation(self, invocation: Invocation, job: Job, model: Model, options: Options) -> None:
        """Raise `ConfirmationRequired` if the maximum cost exceeds the workspace's threshold and was not confirmed."""
        user, credits_ = invocation.user, self.services.credits
        settings = await self.moderation.get_settings(user.platform, user.workspace)
        threshold_micros = credits_.formatter.to_micros(settings.confirm_above_credits)
        if model.task is Task.TRAIN:  # takes minutes and dollars: each person sees the bound first
            threshold_micros = 1
        if not threshold_micros or job.max_micros <= max(threshold_micros, invocation.confirmed_micros):
            return
        # Run moderation and balance checks first, so no user confirms a job only to see a rejection.
        refused_word = await self.moderation.find_refused_word(user, collect_text(options))
        async with self.services.database.read() as tx:
            await self.moderation.check_request(tx, user, invocation.channel, model, refused_word)
            if not await credits_.has_room(tx, job, model):
                return  # the hold raises the error with the missing credits and a cheaper model
        price = credits_.formatter.format_estimate(Estimate(job.estimate_micros, job.max_micros))
        files = {name: value.sha256 for name, value in name_files(options).items() if isinstance(value, InputFile)}
        raise ConfirmationRequired(
            f"This costs {price} with {model.title}. Go ahead?", price_micros=job.max_micros, files=files
        )

    def build_job(
        self,
        invocation: Invocation,
        model: Model,
        options: dict[str, JSON],
        inputs: dict[str, JSON],
        estimate: Estimate,
    ) -> Job:
        """Return the job of a request with stored options and inputs, not stored."""
        now = self.services.clock.now()
        if invocation.action == TOOL:
            options = {**options, "called_by": invocation.parent_job}
        if invocation.voice_question is not None:
            options = {**options, "voice_question": invocation.voice_question}
        return Job(
            id=new_id(),
            request_key=invocation.request_key,
            user=invocation.user,
            channel=invocation.channel,
            command=invocation.command,
            model=model.key,
            backend=model.backend,
            options=options,
            inputs=inputs,
            state=JobState.ACCEPTED,
            owner=self.worker,
            epoch=0,
            created_at=now,
            updated_at=now,
            press_key=invocation.press_key,
            parent_job=invocation.parent_job,
            is_private=invocation.is_private,
            estimate_micros=estimate.expected_micros,
            max_micros=estimate.max_micros,
        )

    async def _commit(
        self, job: Job, model: Model, text: str, question: Question | None, messages: tuple[PostedMessage, ...]
    ) -> Job:
        """Store the job, messages and hold in one transaction: each open job has a hold."""
        settings = await self.moderation.get_settings(job.user.platform, job.channel.workspace)
        refused_word = await self.moderation.find_refused_word(job.user, text)
        async with self.services.database.accept() as tx:
            await self.moderation.check_request(tx, job.user, job.channel, model, refused_word)
            job = await self.store(tx, job, model, question, may_reuse=settings.reuse)
            for message in messages:
                await tx.messages.put(message)
        return job

    async def store(
        self, tx: Transaction, job: Job, model: Model, question: Question | None = None, *, may_reuse: bool
    ) -> Job:
        """Insert a job with a hold on the user's credits; return the job as stored."""
        # Another process may have withdrawn the model a moment ago.
        if model.key in self.services.catalogue.added and not await tx.models.is_active(model.key):
            raise RequestRefused(f"{model.title} was withdrawn a moment ago. /models lists the models on offer.")
        limits = await self.services.credits.policies.get_limits(tx, job.user)
        if job.weight != limits.weight:
            job = replace(job, weight=limits.weight)
        job = await self._insert(tx, job, question, may_reuse=may_reuse)
        await self.services.credits.hold(tx, job, model)
        return job

    async def _insert(self, tx: Transaction, job: Job, question: Question | None, *, may_reuse: bool) -> Job:
        if question is None:
            job = await apply_kept_result(tx, job, self._is_kept) if may_reuse else job
            await tx.jobs.add(job)
            return job
        # Two users may open a conversation at once: the second question joins the conversation of the first.
        conversation = await tx.conversations.get_or_create(question.conversation, is_new=question.is_opening)
        job = replace(job, conversation=conversation.id, options={**job.options, "answers": question.parent_turn})
        await tx.jobs.add(job)
        for turn in question.earlier_turns if conversation.id == question.conversation.id else ():
            await tx.conversations.add_turn(turn)
        if question.turn is not None:
            await tx.conversations.add_turn(replace(question.turn, conversation=conversation.id, job=job.id))
        return job

    def _is_kept(self, sha256: str) -> bool:
        return self.services.media.find_path(sha256) is not None

    async def get_existing_job(self, request_key: str) -> Job:
        """Return the job of a request accepted before."""
        async with self.services.database.read() as tx:
            job = await tx.jobs.get_by_request_key(request_key)
        if job is None:
            raise JobNotFound("That was asked before, and is not kept any more. Please ask again.")
        return job


def check_agreed_price(model: Model, estimate: Estimate, form: CreditFormatter) -> None:
    """Raise `RequestRefused` if a run may cost more than the approver of a model added at run time agreed to."""
    if model.agreed_micros is not None and estimate.max_micros > model.agreed_micros:
        raise RequestRefused(
            f"This may cost {form.format_amount(estimate.max_micros)}, and {form.format(model.agreed_micros)} were "
            f"agreed to for {model.title}. Ask for less, or ask a moderator to approve more."
        )


async def suggest_cheaper_model(
    error: InsufficientFunds, acceptance: Acceptance, job: Job, model: Model, options: Options
) -> None:
    """Add to the error the most expensive model of the same task within the user's permissions and means."""
    services = acceptance.services
    affordable: list[tuple[int, Model]] = []
    catalogue = services.catalogue.for_workspace(job.user.platform, job.user.workspace)
    for other in catalogue.list_for_task(model.task) if model.task is not Task.RUN else ():
        if other.is_adult or other.key == model.key:
            continue
        price = await _estimate_max_micros(services, other, options)
        if price is not None and price <= error.available_micros and await acceptance.may_run(job, other):
            affordable.append((price, other))
    if affordable:
        price, best = max(affordable, key=lambda offer: offer[0])
        error.suggest(
            f"{best.title} (`{best.key}`) would do: {services.credits.formatter.format_amount(price)} at most."
        )


async def _estimate_max_micros(services: JobServices, model: Model, options: Options) -> int | None:
    """Return the amount held for a job with these options; None if the model does not take the options."""
    try:
        inputs = services.catalogue.build_inputs(model, options)
        check_required(model, options)
        check_output_size(model, options, inputs)
    except UserError:
        return None
    return estimate_cost(model, inputs, await services.usual_times.get_seconds(model)).max_micros


def name_files(options: Options) -> Options:
    """Return options with a name for each file of a tuple, as users give files and buttons read them."""
    named = dict(options)
    for name, value in options.items():
        if isinstance(value, tuple):
            del named[name]
            named |= {name_file(name, n): file for n, file in enumerate(value)}
    return named


def collect_text(options: Options) -> str:
    """Return all text of a user's options for the word check, also system prompts and negative prompts.

    The model's name is left out: the bot itself fills in a default model.
    """
    return "\n".join(value for name, value in options.items() if isinstance(value, str) and name != "model")


def _add_seed(model: Model, inputs: Options) -> Options:
    """Add a random seed if the model takes a seed and the user gave no seed: the picture can then be made again.

    The fields that a rule sends along with a given seed stay out, such as a slower and exact way of drawing.
    """
    rule = model.inputs.get("seed")
    # The form of /run sends what a person gave, and no more.
    if rule is None or not rule.name or rule.name in inputs or model.task is Task.RUN:
        return inputs
    least, most = int(rule.minimum or 0), int(rule.maximum or MAX_SEED)
    return {**inputs, rule.name: least + secrets.randbelow(max(most - least, 1))}


def reuse_key(job: Job, model: Model, options: Mapping[str, object]) -> str:
    """Return the key shared by identical requests of a workspace; empty where a result must not be reused.

    `options` are as the user gave them: a seed chosen by the bot differs each time.
    """
    is_personal = job.is_private or job.channel.workspace in UNRELATED_WORKSPACES or model.task is Task.CHAT
    if is_personal or options.get("seed") is None or "seed" not in model.inputs:
        return ""
    return fingerprint(f"{job.user.workspace}\n{model.key}\n{model.ref}\n{model.version}", job.inputs)


async def apply_kept_result(tx: Transaction, job: Job, is_kept: Callable[[str], bool]) -> Job:
    """Return the job with the run of an identical finished job and a price of 0, or unchanged without a kept result.

    `is_kept` tells whether the file of a SHA-256 exists.
    """
    source = await tx.jobs.find_reusable(job) if job.reuse_key else None
    if source is None or source.is_private:
        return job
    outputs = await tx.outputs.list_outputs(source.prediction)
    if not outputs or not all(is_kept(output.sha256) for output in outputs if output.sha256):
        return job
    return replace(job, estimate_micros=0, max_micros=0, reuses=source.id, prediction=source.prediction)


_MILLION = 1_000_000


def check_output_size(model: Model, options: Options, inputs: Options) -> None:
    """Raise `BadOption` if the requested pictures exceed the size that the bot keeps.

    `options` are the command's options, `inputs` the model's fields made of them. For a model with a scale the text
    names the largest scale that works.
    """
    rule, picture = model.inputs.get("scale"), next(iter(list_input_files(options)), None)
    if rule is not None and picture is not None:
        scale = options.get("scale")
        scale = rule.default if scale is None else scale
        if isinstance(scale, (int, float)):
            _check_scale(rule, picture, scale)
    width, height = _get_sides(inputs)
    if not _is_kept_size(width, height):
        raise BadOption(
            f"A picture of {width * height / _MILLION:,.0f} million pixels is too large to keep: ask for at most "
            f"{MAX_OUTPUT_PIXELS // _MILLION} million."
        )


def _check_scale(rule: InputRule, picture: InputFile, scale: float) -> None:
    if _is_kept_at(picture, scale):
        return
    pixels = picture.width_pixels * picture.height_pixels * scale**2
    largest = next((smaller for smaller in _list_scales(rule) if _is_kept_at(picture, smaller)), 0)
    advice = f"the largest scale that works is {largest:g}" if largest else "give a smaller picture"
    if pixels > MAX_OUTPUT_PIXELS:
        size = (
            f"have {pixels / _MILLION:,.0f} million pixels, and I keep at most {MAX_OUTPUT_PIXELS // _MILLION} million"
        )
    else:
        longest = max(picture.width_pixels, picture.height_pixels) * scale
        size = f"be {longest:,.0f} pixels long, and I keep at most {MAX_SIDE_PIXELS:,} a side"
    raise BadOption(f"Made {scale:g} times larger, this picture would {size}: {advice}.", option="scale")


def _is_kept_at(picture: InputFile, scale: float) -> bool:
    return _is_kept_size(ceil(picture.width_pixels * scale), ceil(picture.height_pixels * scale))


def _is_kept_size(width_pixels: int, height_pixels: int) -> bool:
    return width_pixels * height_pixels <= MAX_OUTPUT_PIXELS and max(width_pixels, height_pixels) <= MAX_SIDE_PIXELS


def _list_scales(rule: InputRule) -> Iterator[float]:
    """Yield the scales of a model, largest first, in steps of a tenth where the model has no fixed choices."""
    if choices := (*rule.choices, *rule.expands):
        yield from sorted({float(choice) for choice in choices if choice.replace(".", "", 1).isdecimal()}, reverse=True)
        return
    for tenths in range(int((rule.maximum or 10) * 10), int((rule.minimum or 1) * 10) - 1, -1):
        yield tenths / 10


def _get_sides(inputs: Options) -> tuple[int, int]:
    """Return width and height of a requested picture, as a square where the inputs name the area alone."""
    width, height, pixels = inputs.get("width"), inputs.get("height"), count_pixels(inputs)
    if isinstance(width, int) and isinstance(height, int):
        return width, height
    return (side := isqrt(pixels or 0), side)
