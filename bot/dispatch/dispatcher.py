"""Every invocation and every press comes in here; ranks and policies are checked here and nowhere else."""

import logging
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from bot.core.errors import ConfirmationRequired, EaselError, InternalError, NotAllowed, UserError, new_reference
from bot.core.invocations import Attachment, Invocation
from bot.core.people import User
from bot.core.replies import MessageRef, Reply, Tone
from bot.dispatch import confirmation
from bot.dispatch.button_actions import ButtonActions, ButtonPress
from bot.dispatch.confirmation import Confirmations
from bot.dispatch.declaration import OptionValue, Services
from bot.dispatch.forms import FormDraft, fill_form
from bot.dispatch.notices import Notices
from bot.dispatch.parsing import find_command
from bot.dispatch.roles import Authorizer

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Dispatcher:
    """Finds the command, checks who asks, fills in the form, lets it answer, and turns errors into sentences."""

    services: Services
    authorizer: Authorizer
    notices: Notices
    confirmations: Confirmations

    async def handle(self, invocation: Invocation) -> Reply | None:
        """Answer one call. A reply is to be shown now; None means that a job was started and shows itself."""
        return await self._with_error_replies(self._answer(invocation), invocation.user, f"/{invocation.command}")

    async def handle_press(self, press: ButtonPress) -> Reply | None:
        """Answer one press of a button, as `handle` does for a call."""
        return await self._with_error_replies(self._handle_press(press), press.user, f"button {press.action}")

    async def open_form(self, press: ButtonPress) -> FormDraft | Reply:
        """The form that a button of `presses.FORM_ACTIONS` opens, or why it opens none."""
        return await self._with_error_replies(self._open_form(press), press.user, f"button {press.action}")

    async def submit_form(
        self,
        press: ButtonPress,
        options: Mapping[str, OptionValue],
        attachments: Mapping[str, Attachment] | None = None,
    ) -> Reply | None:
        """Answer a form that a button opened, filled in; `press` is as it was, with the request key of the sending."""
        work = self._submit_form(press, options, attachments or {})
        return await self._with_error_replies(work, press.user, f"form {press.action}")

    async def _answer(self, invocation: Invocation) -> Reply | None:
        form = find_command(self.services.menu, invocation.command)
        declaration = form.declaration
        if not declaration.works_anywhere:
            await self.services.moderation.admit(invocation.user)
        rank = await self.authorizer.require(invocation.user, declaration.rank, f"/{declaration.name}")
        await self.services.jobs.record_user(
            invocation.user
        )  # whoever asked anything can be named, here and in the audit
        await self.services.moderation.record_users(invocation.mentioned_users)
        invocation = replace(invocation, rank=rank)
        try:
            return await fill_form(form, invocation).answer(invocation, self.services)
        except ConfirmationRequired as asked:
            return await self.confirmations.ask(invocation, asked)

    async def _handle_press(self, press: ButtonPress) -> Reply | None:
        if press.action in confirmation.CONFIRMATION_ACTIONS:
            return await self._answer_confirmation(press)
        await self.services.moderation.admit(press.user)
        invocation = await self._actions.resolve(press)
        return await self._answer(invocation) if isinstance(invocation, Invocation) else invocation

    async def _answer_confirmation(self, press: ButtonPress) -> Reply | None:
        """A question that was put is answered: with what was asked for, or with nothing."""
        question, call = await self.confirmations.take(press.job_id, press.user, press.answering)
        await self._close_question(press, question)
        if press.action == confirmation.DECLINE:
            return Reply(text="All right: nothing was done, and nothing was charged.", is_private=True)
        is_private = call.is_private or press.is_private
        return await self._answer(replace(call, request_key=press.request_key, is_private=is_private))

    async def _close_question(self, press: ButtonPress, question: str) -> None:
        """Take the buttons off, unless the platform turns the question itself into what comes of it."""
        where = press.channel
        if press.message_id and (press.answering is None or press.answering.id != press.message_id):
            ref = MessageRef(where.platform, where.workspace, where.id, where.thread, press.message_id)
            await self.notices.replace_message(ref, Reply(text=question, is_private=True))

    async def _open_form(self, press: ButtonPress) -> FormDraft:
        await self.services.moderation.admit(press.user)
        return await self._actions.open_form(press)

    async def _submit_form(
        self, press: ButtonPress, options: Mapping[str, OptionValue], attachments: Mapping[str, Attachment]
    ) -> Reply | None:
        await self.services.moderation.admit(press.user)
        return await self._answer(await self._actions.invocation_from_form(press, options, attachments))

    @property
    def _actions(self) -> ButtonActions:
        return ButtonActions(self.services, self.authorizer, self.notices)

    async def _with_error_replies(self, work: Awaitable[T], user: User, what: str) -> T | Reply:
        facts = {"what": what, "platform": user.platform, "workspace": user.workspace, "user": user.id}
        try:
            return await work
        except UserError as error:
            log.info("dispatch.refused", extra={**facts, "error": type(error).__name__})
            if isinstance(error, NotAllowed):
                # A payload may name any action: traces are of commands, and of buttons as such.
                traced = what if what.startswith("/") else what.partition(" ")[0]
                await self.services.moderation.record_refusal(user, traced)
            return format_error(error)
        except Exception as error:
            fault = error if isinstance(error, InternalError) else None
            reference = fault.reference if fault else new_reference()
            log.exception("dispatch.failed", extra={**facts, "reference": reference})
            return format_apology(reference)


def format_error(error: EaselError) -> Reply:
    """What a person reads when they can act on it."""
    return Reply(text=str(error), tone=Tone.ERROR, is_private=True)


def format_apology(reference: str) -> Reply:
    """What a person reads when we must act on it."""
    text = f"Something broke on our side. Nothing was charged. Tell the owner this reference: {reference}"
    return Reply(text=text, tone=Tone.ERROR, is_private=True)
