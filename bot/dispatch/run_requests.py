"""Requests for a model that nobody approved yet: asks moderators or the owner, and takes the decision once.

A request waits in a row of the table `pending`. An approval holds for the version and the price that the request named:
a newer version, or a higher price, needs a new request.
"""

import hashlib
from dataclasses import dataclass
from datetime import timedelta

from bot.catalogue.added_models import parse_table
from bot.catalogue.catalogue import Catalogue
from bot.core.errors import JobNotFound, NotAllowed, RequestRefused
from bot.core.invocations import Invocation, PendingAction
from bot.core.json import JSON, as_object, get_text
from bot.core.limits import MAX_RUN_REQUESTS
from bot.core.models import Model
from bot.core.people import Channel, Rank, User
from bot.core.replies import Button, MessageRef, Reply
from bot.credits.pricing import estimate_cost
from bot.dispatch.button_actions import ButtonPress
from bot.dispatch.declaration import Services
from bot.dispatch.model_runs import RunTarget
from bot.dispatch.run_forms import read_inputs

PENDING_KIND = "run_request"
REQUEST_TIMEOUT = timedelta(days=7)
APPROVE, APPROVE_HERE, REFUSE = "approve", "approve_here", "refuse"
REQUEST_ACTIONS = frozenset({APPROVE, APPROVE_HERE, REFUSE})

_OVER = "That request was decided already, or is more than a week old. It can be made again with /run."


def bound_run(catalogue: Catalogue, target: RunTarget, inputs: dict[str, JSON]) -> int:
    """Return the most that one run costs with these inputs, or with the most pictures if that is more."""
    counted = {**inputs, **_find_most(target)}
    return max(_bound(catalogue, target.model, inputs), _bound(catalogue, target.model, counted))


def _find_most(target: RunTarget) -> dict[str, JSON]:
    """Return the largest value of the field that counts outputs."""
    name = target.model.price_fields.get("count", "")
    field = next((field for field in target.fields if field.name == name), None)
    if field is None:
        return {}
    if field.choices:
        return {name: max(field.choices, key=lambda choice: float(str(choice)) if str(choice).isdecimal() else 0)}
    return {} if field.maximum is None else {name: int(field.maximum)}


def _bound(catalogue: Catalogue, model: Model, inputs: dict[str, JSON]) -> int:
    options = {name: value for name, value in inputs.items() if name in model.inputs and not model.inputs[name].is_file}
    return estimate_cost(model, catalogue.build_inputs(model, options)).max_micros


@dataclass(frozen=True, slots=True)
class RunRequests:
    """Stores requests, and decides requests for people with the rank."""

    services: Services

    async def ask(self, invocation: Invocation, target: RunTarget, inputs: str, bound_micros: int) -> Reply:
        """Store a request, tell the moderators, return the reply to the asker. Raise `RequestRefused` for too many."""
        user, now = invocation.user, self.services.runs.clock.now()
        request_id = _make_id(user, target.model, bound_micros)
        async with self.services.runs.database.accept() as tx:
            waiting = [row for row in await tx.pending.list_by_kind(PENDING_KIND) if row.expires_at > now]
            own = [row for row in waiting if (row.platform, row.user) == (user.platform, user.id)]
            if any(row.id == request_id for row in waiting):
                raise RequestRefused(f"The moderators have a request for {target.model.ref} already.")
            if len(own) >= MAX_RUN_REQUESTS:
                raise RequestRefused(
                    f"{len(own)} requests of yours wait already. Ask a moderator to decide them first."
                )
            await tx.pending.put(
                PendingAction(
                    request_id,
                    PENDING_KIND,
                    user.platform,
                    user.workspace,
                    invocation.channel.id,
                    user.id,
                    _store(invocation, target, inputs, bound_micros),
                    now,
                    now + REQUEST_TIMEOUT,
                )
            )
        if await self.services.notices.notify_moderators(
            user.platform, user.workspace, self._render(user, target, bound_micros, request_id)
        ):
            return Reply(text=f"I asked the moderators for {target.model.ref}. The answer comes here.", is_private=True)
        return Reply(text="The request is noted, but I could reach no moderator. Please tell one.", is_private=True)

    def _render(self, user: User, target: RunTarget, bound_micros: int, request_id: str) -> Reply:
        published = target.published
        lines = [
            f"{user.name} asks to run **{target.model.ref}** here.",
            target.model.description,
            *([f"- Runs by everybody: {published.run_count:,}"] if published and published.run_count else []),
            *([f"- License: {published.license_url}"] if published and published.license_url else []),
            *([f"- Version: {target.model.version[:12]}…"] if target.model.version else []),
            f"- A run costs at most {self.services.credits.formatter.format_amount(bound_micros)}"
            f" and takes at most {target.model.max_seconds} s",
        ]
        if target.model.price.objection:
            lines.append(f"- The model {target.model.price.objection}: only my owner can approve it.")
        buttons = (
            Button(APPROVE, "Approve", request_id),
            Button(APPROVE_HERE, "Approve here only", request_id),
            Button(REFUSE, "Refuse", request_id),
        )
        return Reply(text="\n".join(line for line in lines if line), buttons=buttons)

    async def decide(self, press: ButtonPress, rank: Rank) -> Reply:
        """Decide a request by a press; return the reply to the presser.

        Raise `NotAllowed` without the rank, `JobNotFound` for a decided request, `RequestRefused` after a change of
        version or price: then nothing is approved.
        """
        async with self.services.runs.database.read() as tx:
            request = await tx.pending.get(press.job_id)
        if request is None or request.kind != PENDING_KIND or request.expires_at <= self.services.runs.clock.now():
            raise JobNotFound(_OVER)
        self._check_rank(press, rank, request)
        approved = None
        if press.action != REFUSE:
            target = await self._check_unchanged(request)
            bound_micros = int(str(request.facts["bound_micros"]))
            if rank < Rank.OWNER:
                await self.check_budget(press.user, target, bound_micros)
            place = ("", "") if press.action == APPROVE else (request.platform, request.workspace)
            approved = (target, place, bound_micros)
        async with self.services.runs.database.accept() as tx:
            # One statement reads and deletes: of two presses at once, the first decides.
            key = (request.platform, request.workspace, request.user)
            if await tx.pending.take(request.id, PENDING_KIND, *key, self.services.runs.clock.now()) is None:
                raise JobNotFound(_OVER)
        ref = get_text(dict(request.facts), "ref")
        if approved is None:
            return await self._tell(press, request, f"{ref} was refused by {press.user.name}.")
        target, place, bound_micros = approved
        added = await self.services.runs.added.add(target.build_addition(place, bound_micros), press.user)
        where = "everywhere" if place == ("", "") else "here"
        return await self._tell(
            press,
            request,
            f"{ref} is approved {where} by {press.user.name}: everybody can use it with /run {added.model.key}.",
        )

    def _check_rank(self, press: ButtonPress, rank: Rank, request: PendingAction) -> None:
        if rank is Rank.OWNER:
            return
        is_here = (press.user.platform, press.user.workspace) == (request.platform, request.workspace)
        if rank < Rank.MODERATOR or not is_here:
            raise NotAllowed("Only a moderator of that workspace, or my owner, can decide this.")
        if press.action == APPROVE:
            raise NotAllowed("Only my owner can approve a model everywhere. Approve it here only.")

    async def _check_unchanged(self, request: PendingAction) -> RunTarget:
        """Return the target as published now. Raise `RequestRefused` after a new version or a higher price."""
        facts = dict(request.facts)
        ref, version = get_text(facts, "ref"), get_text(facts, "version")
        published = await self.services.runs.read_schema(ref)
        if not published.is_official and published.newest_version != version:
            raise RequestRefused(
                f"{ref} has a newer version since the request. Nothing was approved: ask again with /run."
            )
        target = self.services.runs.make_target(published, max_seconds=int(str(facts["max_seconds"])))
        before = RunTarget(parse_table(target.model.key, as_object(facts["table"])), target.fields)
        inputs = read_inputs(target.fields, get_text(facts, "inputs"), None)
        catalogue = Catalogue([])
        if bound_run(catalogue, target, inputs) > bound_run(catalogue, before, inputs):
            raise RequestRefused(
                f"The price of {ref} rose since the request. Nothing was approved: ask again with /run."
            )
        return target

    async def check_budget(self, user: User, target: RunTarget, bound_micros: int) -> None:
        """Raise `NotAllowed` if a run may cost more than a moderator may spend of the workspace's budget."""
        if target.model.price.objection:
            raise NotAllowed(f"{target.model.ref} {target.model.price.objection}: only my owner can approve it.")
        async with self.services.runs.database.read() as tx:
            limits = await self.services.credits.policies.get_limits(tx, user)
        if limits.workspace_month_micros is not None and bound_micros > limits.workspace_month_micros:
            raise NotAllowed("One run may cost more than this workspace's budget: only my owner can approve it.")

    async def _tell(self, press: ButtonPress, request: PendingAction, text: str) -> Reply:
        """Show the decision in place of the buttons, and to the asker; return the decision."""
        if press.message_id:
            at = press.channel
            ref = MessageRef(at.platform, at.workspace, at.id, at.thread, press.message_id)
            await self.services.notices.replace_message(ref, Reply(text=text))
        channel = Channel(**as_object(request.facts["channel"]))  # type: ignore[arg-type]  # stored by `_store`
        if channel != press.channel:
            await self.services.notices.post_in_channel(channel, Reply(text=text))
        return Reply(text=text)


def _make_id(user: User, model: Model, bound_micros: int) -> str:
    """Return one id for equal requests of a workspace, short enough for the id of a button."""
    facts = f"{user.platform}\n{user.workspace}\n{model.ref}\n{model.version}\n{bound_micros}"
    return hashlib.sha256(facts.encode()).hexdigest()[:32]


def _store(invocation: Invocation, target: RunTarget, inputs: str, bound_micros: int) -> dict[str, JSON]:
    channel = invocation.channel
    return {
        "ref": target.model.ref,
        "version": target.published.version if target.published else target.model.version,
        "table": dict(target.table or {}),
        "inputs": inputs,
        "bound_micros": bound_micros,
        "max_seconds": target.model.max_seconds,
        "channel": {
            "platform": channel.platform,
            "workspace": channel.workspace,
            "id": channel.id,
            "thread": channel.thread,
        },
    }
