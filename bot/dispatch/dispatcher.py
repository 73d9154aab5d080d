"""The entry for invocations, button presses and forms of all platforms; ranks and policies are checked only here."""

import logging
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from bot.core.errors import (
    BadOption,
    ConfirmationRequired,
    EaselError,
    InternalError,
    NotAllowed,
    UserError,
    new_reference,
)
from bot.core.invocations import Attachment, Invocation
from bot.core.people import Rank, User
from bot.core.replies import MessageRef, Reply, Tone
from bot.dispatch import confirmation
from bot.dispatch.button_actions import ButtonActions, ButtonPress
from bot.dispatch.confirmation import Confirmations
from bot.dispatch.declaration import Declaration, OptionValue, Services
from bot.dispatch.forms import FormDraft, fill_form
from bot.dispatch.notices import Notices
from bot.dispatch.parsing import find_command
from bot.dispatch.plain_text import read_given_files
from bot.dispatch.run_questions import draft_run_form, read_run_form
from bot.dispatch.run_requests import REQUEST_ACTIONS, RunRequests
from bot.dispatch.thread_pictures import TRAINING_CONSENT_ACTIONS, TrainingConsents
from bot.moderation.moderation import Authorizer

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Dispatcher:
    """Finds the command, checks the user's rank, fills the form, runs the command, and words errors as replies."""

    services: Services
    authorizer: Authorizer
    notices: Notices

    async def handle(self, invocation: Invocation) -> Reply | None:
        """Run an invocation. Return a reply to show now, or None after the start of a job."""
        return await self._with_error_replies(self._answer(invocation), invocation.user, f"/{invocation.command}")

    async def handle_press(self, press: ButtonPress) -> Reply | None:
        """Run a button press, as `handle` runs an invocation."""
        return await self._with_error_replies(self._handle_press(press), press.user, f"button {press.action}")

    async def open_form(self, press: ButtonPress) -> FormDraft | Reply:
        """Return the form of a button in `button_actions.FORM_ACTIONS`, or a reply with the reason for a refusal."""
        return await self._with_error_replies(self._open_form(press), press.user, f"button {press.action}")

    async def submit_form(
        self,
        press: ButtonPress,
        options: Mapping[str, OptionValue],
        attachments: Mapping[str, Attachment] | None = None,
    ) -> Reply | None:
        """Run a submitted form. `press` is the press of its button, with the request key of the submission."""
        work = self._submit_form(press, options, attachments or {})
        return await self._with_error_replies(work, press.user, f"form {press.action}")

    async def check_form(self, press: ButtonPress, options: Mapping[str, OptionValue]) -> dict[str, str]:
        """Return the errors of the fields in the form of a question, for platforms whose forms show errors."""
        try:
            known = await self.confirmations.peek(press.job_id, press.user)
            await read_run_form(self.services.for_user(press.user), known, options, {})
        except BadOption as error:
            return {error.option: str(error)}
        except UserError:
            return {}  # `submit_form` says why
        return {}

    async def _answer(self, invocation: Invocation) -> Reply | None:
        form = find_command(self.services.menu, invocation.command)
        declaration = form.declaration
        await self.services.runs.added.refresh()
        # /setup and /privacy also work in workspaces without permission.
        if not declaration.works_anywhere:
            await self.services.moderation.admit(invocation.user)
        rank = await self.authorizer.require(invocation.user, declaration.rank, f"/{declaration.name}")
        # A confirmed question was counted when it was asked.
        if declaration.task is not None and not invocation.is_confirmed:
            await self.services.credits.count_ask(invocation.user, invocation.request_key)
        # Recorded after the checks and before the command: moderators and the audit name people by these rows.
        await self.services.jobs.record_user(invocation.user)
        await self.services.moderation.record_users(invocation.mentioned_users)
        services = self.services.for_user(invocation.user)
        invocation = await self._add_last_file(declaration, replace(invocation, rank=rank))
        # Before the answer: a question that waits for a confirmation keeps the words of its files.
        invocation = await read_given_files(services, declaration, invocation)
        try:
            return await fill_form(form, invocation).answer(invocation, services)
        except ConfirmationRequired as confirmation_required:
            return await self.confirmations.ask(invocation, confirmation_required)

    async def _add_last_file(self, declaration: Declaration, invocation: Invocation) -> Invocation:
        """Fill a required file that was left out with the last such file of the channel or thread, if there is one."""
        option = declaration.file_option
        if option is None or not option.is_required or option.name in invocation.attachments:
            return invocation
        if str(invocation.options.get(option.name) or "").strip():
            return invocation
        if invocation.find_file is not None:
            file = await invocation.find_file(option.media)
        else:
            file = await self.services.jobs.find_last_file(invocation.user, invocation.channel, option.media)
        if file is None:
            return invocation
        return replace(invocation, attachments={**invocation.attachments, option.name: file})

    async def _handle_press(self, press: ButtonPress) -> Reply | None:
        if press.action in confirmation.CONFIRMATION_ACTIONS:
            return await self._answer_confirmation(press)
        await self.services.moderation.admit(press.user)
        await self.services.runs.added.refresh()
        if press.action in REQUEST_ACTIONS:
            rank = await self.authorizer.get_rank(press.user)
            return await RunRequests(self.services.for_user(press.user)).decide(press, rank)
        if press.action in TRAINING_CONSENT_ACTIONS:
            return await TrainingConsents(self.services).decide(press)
        invocation = await self._actions.resolve(press)
        return await self._answer(invocation) if isinstance(invocation, Invocation) else invocation

    async def _answer_confirmation(self, press: ButtonPress) -> Reply | None:
        question, invocation = await self.confirmations.take(
            press.job_id, press.user, press.request_key, press.placeholder, press.n
        )
        await self._close_question(press, question)
        if press.action == confirmation.DECLINE:
            return Reply(text="All right: nothing was done, and nothing was charged.", is_private=True)
        # A question shown to its user alone has a result for the user alone.
        is_private = invocation.is_private or press.is_private
        # Through all checks again: rank, balance or settings may have changed since the question.
        return await self._answer(replace(invocation, is_private=is_private))

    async def _close_question(self, press: ButtonPress, question: str) -> None:
        """Remove the question's buttons, unless the platform edits the question itself into the result."""
        channel = press.channel
        if press.message_id and (press.placeholder is None or press.placeholder.id != press.message_id):
            ref = MessageRef(channel.platform, channel.workspace, channel.id, channel.thread, press.message_id)
            await self.notices.replace_message(ref, Reply(text=question, is_private=True))

    async def _open_form(self, press: ButtonPress) -> FormDraft:
        await self.services.moderation.admit(press.user)
        await self.services.runs.added.refresh()
        if press.action == confirmation.FILL:
            options = await self.confirmations.peek(press.job_id, press.user)
            return await draft_run_form(self.services.for_user(press.user), press.user, options, press.n)
        return await self._actions.open_form(press)

    async def _submit_form(
        self, press: ButtonPress, options: Mapping[str, OptionValue], attachments: Mapping[str, Attachment]
    ) -> Reply | None:
        await self.services.moderation.admit(press.user)
        if press.action == confirmation.FILL:
            return await self._answer(await self._fill_question(press, options, attachments))
        return await self._answer(await self._actions.invocation_from_form(press, options, attachments))

    async def _fill_question(
        self, press: ButtonPress, options: Mapping[str, OptionValue], attachments: Mapping[str, Attachment]
    ) -> Invocation:
        """Return the invocation of a question with the form filled: the command asks a new question."""
        # Read first: a mistake in the form leaves the question open.
        known = await self.confirmations.peek(press.job_id, press.user)
        services = self.services.for_user(press.user)
        changes = await read_run_form(services, known, options, attachments)
        question, invocation = await self.confirmations.take(
            press.job_id, press.user, press.request_key, press.placeholder
        )
        await self._close_question(press, question)
        files = {**invocation.attachments, **changes.attachments}
        files = {name: file for name, file in files.items() if name in changes.kept}
        # The question stays private with its form; the result is as private as the command was.
        changed = replace(invocation, attachments=files, options=changes.options)
        return replace(changed, is_confirmed=False, confirmed_micros=0)

    @property
    def confirmations(self) -> Confirmations:
        """The open questions."""
        return self.services.confirmations

    @property
    def _actions(self) -> ButtonActions:
        return ButtonActions(self.services, self.authorizer, self.notices)

    async def _with_error_replies(self, work: Awaitable[T], user: User, action: str) -> T | Reply:
        facts = {"what": action, "platform": user.platform, "workspace": user.workspace, "user": user.id}
        try:
            return await work
        except UserError as error:
            log.info("dispatch.refused", extra={**facts, "error": type(error).__name__})
            if isinstance(error, NotAllowed):
                # A forged payload may name any action: record "button" alone, to keep the audit short.
                recorded = action if action.startswith("/") else action.partition(" ")[0]
                await self.services.moderation.record_refusal(user, recorded)
            if error.moderator_text and await self.authorizer.get_rank(user) >= Rank.MODERATOR:
                return format_error(UserError(error.moderator_text))
            return format_error(error)
        except Exception as error:  # the only place that words unexpected errors: a platform shows each reply
            reference = error.reference if isinstance(error, InternalError) else new_reference()
            log.exception("dispatch.failed", extra={**facts, "reference": reference})
            return format_apology(reference)


def format_error(error: EaselError) -> Reply:
    """Return the reply to an error of the user."""
    return Reply(text=str(error), tone=Tone.ERROR, is_private=True)


def format_apology(reference: str) -> Reply:
    """Return the reply to an internal error, with the reference for the owner's search in the log."""
    text = f"Something broke on our side. Nothing was charged. Tell the owner this reference: {reference}"
    return Reply(text=text, tone=Tone.ERROR, is_private=True)
