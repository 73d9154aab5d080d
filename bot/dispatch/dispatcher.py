"""Every invocation and every press comes in here; ranks and policies are checked here and nowhere else."""

import logging
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from bot.core.errors import EaselError, Fault, NeedsConsent, NotAllowed, UserError, new_reference
from bot.core.invocations import Attachment, Invocation
from bot.core.people import User
from bot.core.replies import MessageRef, Reply, Tone
from bot.dispatch import consent
from bot.dispatch.consent import Consent
from bot.dispatch.drafts import Draft, Value
from bot.dispatch.forms import fill
from bot.dispatch.notices import Notices
from bot.dispatch.parser import find
from bot.dispatch.presses import Press, Presses
from bot.dispatch.ranks import Ranks
from bot.dispatch.services import Services

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Dispatcher:
    """Finds the command, checks who asks, fills in the form, lets it answer, and turns errors into sentences."""

    services: Services
    ranks: Ranks
    notices: Notices
    consent: Consent

    async def handle(self, invocation: Invocation) -> Reply | None:
        """Answer one call. A reply is to be shown now; None means that a job was started and shows itself."""
        return await self._in_sentences(self._answer(invocation), invocation.user, f"/{invocation.command}")

    async def press(self, press: Press) -> Reply | None:
        """Answer one press of a button, as `handle` does for a call."""
        return await self._in_sentences(self._pressed(press), press.user, f"button {press.action}")

    async def draft(self, press: Press) -> Draft | Reply:
        """The form that a button of `presses.FORM_ACTIONS` opens, or why it opens none."""
        return await self._in_sentences(self._drafted(press), press.user, f"button {press.action}")

    async def submit(
        self, press: Press, options: Mapping[str, Value], attachments: Mapping[str, Attachment] | None = None
    ) -> Reply | None:
        """Answer a form that a button opened, filled in; `press` is as it was, with the request key of the sending."""
        work = self._submitted(press, options, attachments or {})
        return await self._in_sentences(work, press.user, f"form {press.action}")

    async def _answer(self, invocation: Invocation) -> Reply | None:
        form = find(self.services.menu, invocation.command)
        declaration = form.declaration
        if not declaration.works_anywhere:
            await self.services.moderation.admit(invocation.user)
        rank = await self.ranks.require(invocation.user, declaration.rank, f"/{declaration.name}")
        await self.services.jobs.see(invocation.user)  # whoever asked anything can be named, here and in the audit
        await self.services.moderation.meet(invocation.named)
        invocation = replace(invocation, rank=rank)
        try:
            return await fill(form, invocation).answer(invocation, self.services)
        except NeedsConsent as asked:
            return await self.consent.ask(invocation, asked)

    async def _pressed(self, press: Press) -> Reply | None:
        if press.action in consent.ACTIONS:
            return await self._answered(press)
        await self.services.moderation.admit(press.user)
        invocation = await self._presses.read(press)
        return await self._answer(invocation) if isinstance(invocation, Invocation) else invocation

    async def _answered(self, press: Press) -> Reply | None:
        """A question that was put is answered: with what was asked for, or with nothing."""
        question, call = await self.consent.take(press.job, press.user, press.answering)
        await self._close_question(press, question)
        if press.action == consent.DECLINE:
            return Reply(text="All right: nothing was done, and nothing was charged.", is_private=True)
        is_private = call.is_private or press.is_private
        return await self._answer(replace(call, request_key=press.request_key, is_private=is_private))

    async def _close_question(self, press: Press, question: str) -> None:
        """Take the buttons off, unless the platform turns the question itself into what comes of it."""
        where = press.channel
        if press.message and (press.answering is None or press.answering.id != press.message):
            ref = MessageRef(where.platform, where.workspace, where.id, where.thread, press.message)
            await self.notices.replace(ref, Reply(text=question, is_private=True))

    async def _drafted(self, press: Press) -> Draft:
        await self.services.moderation.admit(press.user)
        return await self._presses.draft(press)

    async def _submitted(
        self, press: Press, options: Mapping[str, Value], attachments: Mapping[str, Attachment]
    ) -> Reply | None:
        await self.services.moderation.admit(press.user)
        return await self._answer(await self._presses.submitted(press, options, attachments))

    @property
    def _presses(self) -> Presses:
        return Presses(self.services, self.ranks, self.notices)

    async def _in_sentences(self, work: Awaitable[T], user: User, what: str) -> T | Reply:
        facts = {"what": what, "platform": user.platform, "workspace": user.workspace, "user": user.id}
        try:
            return await work
        except UserError as error:
            log.info("dispatch.refused", extra={**facts, "error": type(error).__name__})
            if isinstance(error, NotAllowed):
                # A payload may name any action: traces are of commands, and of buttons as such.
                traced = what if what.startswith("/") else what.partition(" ")[0]
                await self.services.moderation.note_refusal(user, traced)
            return sentence(error)
        except Exception as error:
            fault = error if isinstance(error, Fault) else None
            reference = fault.reference if fault else new_reference()
            log.exception("dispatch.failed", extra={**facts, "reference": reference})
            return apology(reference)


def sentence(error: EaselError) -> Reply:
    """What a person reads when they can act on it."""
    return Reply(text=str(error), tone=Tone.ERROR, is_private=True)


def apology(reference: str) -> Reply:
    """What a person reads when we must act on it."""
    text = f"Something broke on our side. Nothing was charged. Tell the owner this reference: {reference}"
    return Reply(text=text, tone=Tone.ERROR, is_private=True)
