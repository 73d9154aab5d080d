"""An ask from Slack to the dispatcher, and what comes of it to whoever asked."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bot.core.errors import UserError, new_reference
from bot.core.invocations import Invocation
from bot.core.models import Task
from bot.core.people import Channel, User
from bot.core.platform import Destination, MessageLost
from bot.core.replies import Button, MessageRef, Picture, Reply, Tone
from bot.dispatch.confirmation import CONFIRM
from bot.dispatch.dispatcher import Dispatcher, format_apology, format_error
from bot.dispatch.forms import fill_form
from bot.dispatch.parsing import find_command
from bot.platforms.slack.ephemeral import ReplyTarget
from bot.platforms.slack.errors import UNREACHABLE_CODES
from bot.platforms.slack.installations import NAME
from bot.platforms.slack.messages import Block, is_shown_inline, render_footer
from bot.platforms.slack.mrkdwn import escape, truncate
from bot.platforms.slack.platform import SlackPlatform
from bot.platforms.slack.roots import Roots
from bot.platforms.slack.web_api import CallRefused, CallUnclear, SlackWebApi, ignore_refusal

log = logging.getLogger(__name__)

_QUESTION = 2_800
_STOP = Reply(buttons=(Button("cancel", "Stop", ""),))


class SlackReplies:
    """Hands invocations over and shows the replies. A chat asked outside of a thread gets one of its own."""

    def __init__(self, dispatcher: Dispatcher, platform: SlackPlatform, calls: SlackWebApi, roots: Roots) -> None:
        self.dispatcher = dispatcher
        self.platform = platform
        self._calls = calls
        self._roots = roots

    async def answer(self, invocation: Invocation, aside: ReplyTarget) -> None:
        """Have it answered."""
        channel, root = invocation.channel, ""
        if not channel.thread and await self._deserves_thread(invocation):
            try:
                root = await self._post_root(invocation)
            except (CallRefused, CallUnclear) as error:
                await self._tell_why(error, channel, aside)
                return
            invocation = replace(invocation, channel=replace(channel, thread=root))
        self.platform.ephemeral_replies.remember(invocation.request_key, aside)
        reply = await self.dispatcher.handle(invocation)
        if reply is None:
            return
        if root and not any(button.action == CONFIRM for button in reply.buttons):
            await self._take_root_away(channel, root)  # else it waits for the answer
        if self._is_private(invocation.command):
            reply = replace(reply, is_private=True)
        await self.show(reply, aside, invocation.user, channel, invocation.request_key)

    async def show(self, reply: Reply | None, aside: ReplyTarget, user: User, channel: Channel, key: str) -> None:
        """A reply that is ready: to one person, or to everyone there."""
        if reply is None:
            return
        if not (reply.is_private or reply.tone is Tone.ERROR):
            try:
                ref = await self.platform.post(
                    Destination(user, channel, key, nonce=f"{key}:reply"),
                    self.platform.ephemeral_replies.transform(reply),
                )
                if reply.pictures:
                    await self.platform.edit(ref, reply)
            except MessageLost as error:
                reply = Reply(text=str(error), tone=Tone.ERROR, is_private=True)
            except (CallRefused, CallUnclear) as error:
                await self._tell_why(error, channel, aside)
                return
            else:
                return
        await self.platform.ephemeral_replies.send(aside, reply, await self._inline(aside.team, reply))
        # An image block takes no webp, and what one person alone reads takes no other picture.
        left = [one for one in reply.pictures if not one.is_flagged and not is_shown_inline(one)]
        if reply.files or left:
            await self._hand_over(reply, left, user, aside)

    async def _tell_why(self, error: CallRefused | CallUnclear, channel: Channel, aside: ReplyTarget) -> None:
        """Why something could not be posted, to whoever asked for it."""
        if isinstance(error, CallRefused) and error.code in UNREACHABLE_CODES:
            text = await self.platform.errors.explain(channel.workspace, error.code, channel.id)
        elif isinstance(error, CallRefused):
            reference = new_reference()
            log.warning("slack.post_refused", extra={"reference": reference, "reason": str(error)})
            await self.platform.ephemeral_replies.send(aside, format_apology(reference))
            return
        else:
            text = "Slack is not answering just now. Please ask again in a moment; you were not charged."
        await self.platform.ephemeral_replies.send(aside, Reply(text=text, tone=Tone.ERROR, is_private=True))

    async def _hand_over(self, reply: Reply, pictures: Sequence[Picture], user: User, aside: ReplyTarget) -> None:
        """Files for one person: only their direct messages take files that nobody else sees."""
        direct = await self.platform.find_direct_channel(aside.team, user.id)
        is_sent = direct is not None
        if direct is not None and reply.files:
            is_sent = bool(
                await ignore_refusal(self.platform.uploads.post_text_files(aside.team, direct.id, reply.files))
            )
        if direct is not None and pictures:
            place, blocks = MessageRef(NAME, aside.team, direct.id, "", ""), render_footer(Reply(note=reply.note))
            is_sent &= bool(await ignore_refusal(self.platform.uploads.post_pictures(place, pictures, blocks)))
        what, verb = ("picture", "is") if len(pictures) == 1 else ("pictures", "are") if pictures else ("file", "is")
        if not is_sent:
            text = f"The {what} could not be sent to our direct messages. Open them once, and ask again."
            await self.platform.ephemeral_replies.send(aside, Reply(text=text, tone=Tone.ERROR, is_private=True))
        elif direct and direct.id != aside.channel:
            text = f"The {what} {verb} in our direct messages."
            await self.platform.ephemeral_replies.send(aside, Reply(text=text, is_private=True))

    def _is_private(self, command: str) -> bool:
        menu = self.dispatcher.services.menu
        return any(form.declaration.is_private for form in menu if form.declaration.name == command)

    async def send_error(self, error: UserError, aside: ReplyTarget) -> None:
        """Why nothing comes of it."""
        await self.platform.ephemeral_replies.send(aside, format_error(error))

    async def _inline(self, team: str, reply: Reply) -> tuple[str, ...]:
        """Files for the pictures of a reply to one person, which can only be drawn inside it."""
        files = [await self._upload(team, reply, n) for n in range(len(reply.pictures))]
        await self.platform.uploads.wait_until_ready(team, [file for file in files if file])
        return tuple(files)

    async def _upload(self, team: str, reply: Reply, n: int) -> str:
        picture = reply.pictures[n]
        if not is_shown_inline(picture):
            return ""
        return await ignore_refusal(self.platform.uploads.upload(team, picture)) or ""

    async def _deserves_thread(self, invocation: Invocation) -> bool:
        """Whether it is a chat that will be answered, as far as can be told: a refused one leaves no trace."""
        services = self.dispatcher.services
        try:
            form = find_command(services.menu, invocation.command)
            if form.declaration.task is not Task.CHAT:
                return False
            await services.moderation.admit(invocation.user)
            fill_form(form, invocation)
        except UserError:
            return False
        return True

    async def _post_root(self, invocation: Invocation) -> str:
        """What was asked, for all to see, as the head of the thread that answers it."""
        channel = invocation.channel
        blocks = _asked(invocation)
        text = f"{invocation.user.name} asked: {invocation.options.get('message', '')}"
        place = MessageRef(NAME, channel.workspace, channel.id, "", "")
        shown = {"text": escape(truncate(text, _QUESTION)), "blocks": [*blocks, *render_footer(_STOP)]}
        posted, _ = await self.platform.post_or_find(place, f"{invocation.request_key}:root", **shown)
        self._roots.remember(posted, blocks)
        return posted.id

    async def _take_root_away(self, channel: Channel, root: str) -> None:
        self._roots.forget(channel.workspace, channel.id, root)
        await ignore_refusal(self._calls.call(channel.workspace, "chat.delete", channel=channel.id, ts=root))

    async def report_nothing_running(self, aside: ReplyTarget, message: Mapping[str, Any]) -> None:
        """A Stop was pressed that a bot which is gone left behind: it says so, and goes."""
        blocks = [block for block in message.get("blocks") or () if block.get("type") != "actions"]
        if blocks:
            self._roots.remove_button(aside.team, aside.channel, str(message.get("ts") or ""), blocks)
        text = "Nothing is running in this thread any more."
        await self.platform.ephemeral_replies.send(aside, Reply(text=text, is_private=True))


def create_channel(team: str, channel: str, thread: str = "") -> Channel:
    return Channel(NAME, team, channel, thread)


def find_thread(message: Mapping[str, object]) -> str:
    """The thread a message is in; empty at the top of a channel, also for a message that others answered."""
    thread = str(message.get("thread_ts") or "")
    return "" if thread == message.get("ts") else thread


def _asked(invocation: Invocation) -> list[Block]:
    words = truncate(str(invocation.options.get("message", "")), _QUESTION)
    quoted = "\n".join(f">{line}" for line in escape(words).splitlines())
    text = f"*{escape(invocation.user.name)}* asked:\n{truncate(quoted, _QUESTION)}"
    return [{"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}]
