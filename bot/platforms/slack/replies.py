"""Passes invocations to the dispatcher and shows the replies; a chat outside of threads gets a new thread."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bot.core.background_tasks import BackgroundTasks
from bot.core.caches import RecentItems
from bot.core.errors import UserError, new_reference
from bot.core.file_types import find_kind
from bot.core.invocations import Invocation
from bot.core.models import Task
from bot.core.people import Channel, User
from bot.core.platform import Destination, MessageLost
from bot.core.replies import Button, MadeFile, MessageRef, Picture, Reply, Tone
from bot.dispatch.confirmation import CONFIRM
from bot.dispatch.dispatcher import Dispatcher, format_apology, format_error
from bot.dispatch.forms import fill_form
from bot.dispatch.parsing import find_command
from bot.platforms.slack.ephemeral import ReplyTarget
from bot.platforms.slack.errors import UNREACHABLE_CODES, CallRefused, CallUnclear, ignore_refusal
from bot.platforms.slack.installations import NAME
from bot.platforms.slack.messages import Block, is_shown_inline, render_footer
from bot.platforms.slack.mrkdwn import escape, truncate
from bot.platforms.slack.platform import SlackPlatform
from bot.platforms.slack.web_api import SlackWebApi

log = logging.getLogger(__name__)

_MAX_QUESTION = 2_800
_MAX_ROOT_TEXT = 1_000
_MAX_ROOTS = 5_000
_STOP = Reply(buttons=(Button("cancel", "Stop", ""),))


class ThreadRoots:
    """Posted questions at the heads of threads, with a Stop button until the answer in the thread is complete."""

    def __init__(self, web_api: SlackWebApi, tasks: BackgroundTasks) -> None:
        self._web_api = web_api
        self._tasks = tasks
        self._blocks: RecentItems[tuple[str, str, str], list[Block]] = RecentItems(_MAX_ROOTS)

    def remember(self, root: MessageRef, blocks: list[Block]) -> None:
        """Keep the blocks of a root without the button."""
        self._blocks[root.workspace, root.channel, root.id] = blocks

    def forget(self, workspace: str, channel: str, root: str) -> None:
        self._blocks.pop((workspace, channel, root), None)

    async def finish(self, answer: MessageRef) -> None:
        """Remove the button from the root of a complete answer."""
        blocks = self._blocks.pop((answer.workspace, answer.channel, answer.thread), None)
        if blocks is not None:
            self.remove_button(answer.workspace, answer.channel, answer.thread, blocks)

    def remove_button(self, workspace: str, channel: str, root: str, blocks: list[Block]) -> None:
        """Update a root to `blocks` in the background."""
        self._tasks.spawn(self._update(workspace, channel, root, blocks), "root")

    async def _update(self, workspace: str, channel: str, root: str, blocks: list[Block]) -> None:
        text = truncate(str(blocks[0]["text"]["text"]), _MAX_ROOT_TEXT)
        await ignore_refusal(
            self._web_api.call(workspace, "chat.update", channel=channel, ts=root, text=text, blocks=blocks)
        )


class SlackReplies:
    """Handles invocations, and shows the replies to a single user or to the channel."""

    def __init__(
        self, dispatcher: Dispatcher, platform: SlackPlatform, web_api: SlackWebApi, roots: ThreadRoots
    ) -> None:
        self.dispatcher = dispatcher
        self.platform = platform
        self._web_api = web_api
        self._roots = roots

    async def answer(self, invocation: Invocation, target: ReplyTarget) -> None:
        """Handle an invocation and show the reply."""
        channel, root = invocation.channel, ""
        if not channel.thread and await self._needs_thread(invocation):
            try:
                root = await self._post_root(invocation)
            except (CallRefused, CallUnclear) as error:
                await self._explain_failure(error, channel, target)
                return
            invocation = replace(invocation, channel=replace(channel, thread=root))
        # Before handling: an answer in the background may need the target for an error.
        self.platform.ephemeral_replies.remember(invocation.request_key, target)
        reply = await self.dispatcher.handle(invocation)
        if reply is None:
            return
        # A question of confirmation keeps the root: the answer comes into its thread later.
        if root and not any(button.action == CONFIRM for button in reply.buttons):
            await self._delete_root(channel, root)
        if self._is_private(invocation.command):
            reply = replace(reply, is_private=True)
        await self.show(reply, target, invocation.user, channel, invocation.request_key)

    async def show(
        self, reply: Reply | None, target: ReplyTarget, user: User, channel: Channel, request_key: str
    ) -> None:
        """Show a reply to the requesting user or to the channel."""
        if reply is None:
            return
        if not (reply.is_private or reply.tone is Tone.ERROR):
            try:
                await self._post(reply, user, channel, request_key)
                return
            except MessageLost as error:
                reply = Reply(text=str(error), tone=Tone.ERROR, is_private=True)
            except (CallRefused, CallUnclear) as error:
                await self._explain_failure(error, channel, target)
                return
        inline_files = await self._upload_inline(target.team, reply)
        await self.platform.ephemeral_replies.send(target, reply, inline_files)
        # An ephemeral message takes pictures as image blocks only, and no other file.
        left = [file for file in reply.made_files if not (file.is_flagged or is_shown_inline(file))]
        if reply.files or left:
            await self._send_to_direct_messages(reply, left, user, target)

    async def send_error(self, error: UserError, target: ReplyTarget) -> None:
        """Show an error to the requesting user."""
        await self.platform.ephemeral_replies.send(target, format_error(error))

    async def report_nothing_running(self, target: ReplyTarget, message: Mapping[str, Any]) -> None:
        """Remove the Stop button of a dead process from a root, and tell the pressing user."""
        blocks = [block for block in message.get("blocks") or () if block.get("type") != "actions"]
        if blocks:
            self._roots.remove_button(target.team, target.channel, str(message.get("ts") or ""), blocks)
        text = "Nothing is running in this thread any more."
        await self.platform.ephemeral_replies.send(target, Reply(text=text, is_private=True))

    async def _post(self, reply: Reply, user: User, channel: Channel, request_key: str) -> None:
        transformed = self.platform.ephemeral_replies.transform(reply)
        ref = await self.platform.post(
            Destination(user, channel, request_key, nonce=f"{request_key}:reply"), transformed
        )
        # Slack takes files on an edit, not on a new message.
        if reply.made_files:
            await self.platform.edit(ref, reply)

    async def _explain_failure(self, error: CallRefused | CallUnclear, channel: Channel, target: ReplyTarget) -> None:
        """Tell the requesting user why the reply could not be posted."""
        if isinstance(error, CallRefused) and error.code in UNREACHABLE_CODES:
            text = await self.platform.errors.explain(channel.workspace, error.code, channel.id)
        elif isinstance(error, CallRefused):
            reference = new_reference()
            log.warning("slack.post_refused", extra={"reference": reference, "reason": str(error)})
            await self.platform.ephemeral_replies.send(target, format_apology(reference))
            return
        else:
            text = "Slack is not answering just now. Please ask again in a moment; you were not charged."
        await self.platform.ephemeral_replies.send(target, Reply(text=text, tone=Tone.ERROR, is_private=True))

    async def _send_to_direct_messages(
        self, reply: Reply, made: Sequence[MadeFile], user: User, target: ReplyTarget
    ) -> None:
        """Send files to the user's direct messages: elsewhere other users would see the files."""
        direct = await self.platform.find_direct_channel(target.team, user.id)
        is_sent = direct is not None
        if direct is not None and reply.files:
            call = self.platform.uploads.post_text_files(target.team, direct.id, reply.files)
            is_sent = bool(await ignore_refusal(call))
        if direct is not None and made:
            place, blocks = MessageRef(NAME, target.team, direct.id, "", ""), render_footer(Reply(note=reply.note))
            is_sent &= bool(await ignore_refusal(self.platform.uploads.post_files(place, made, blocks)))
        noun = find_kind(made[0].mime).noun if made else "file"
        noun, verb = (f"{noun}s", "are") if len(made) > 1 else (noun, "is")
        if not is_sent:
            text = f"The {noun} could not be sent to our direct messages. Open them once, and ask again."
            await self.platform.ephemeral_replies.send(target, Reply(text=text, tone=Tone.ERROR, is_private=True))
        elif direct and direct.id != target.channel:
            text = f"The {noun} {verb} in our direct messages."
            await self.platform.ephemeral_replies.send(target, Reply(text=text, is_private=True))

    def _is_private(self, command: str) -> bool:
        menu = self.dispatcher.services.menu
        return any(form.declaration.is_private for form in menu if form.declaration.name == command)

    async def _upload_inline(self, team: str, reply: Reply) -> tuple[str, ...]:
        """Return a file id for each picture of the reply, empty for a picture unfit for image blocks."""
        files = [await self._upload_if_inline(team, picture) for picture in reply.pictures]
        await self.platform.uploads.wait_until_ready(team, [file for file in files if file])
        return tuple(files)

    async def _upload_if_inline(self, team: str, picture: Picture) -> str:
        if not is_shown_inline(picture):
            return ""
        return await ignore_refusal(self.platform.uploads.upload(team, picture)) or ""

    async def _needs_thread(self, invocation: Invocation) -> bool:
        """Return whether the invocation is a chat and will probably be accepted: a refused chat posts no root."""
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
        """Post the question for all to see, as the root of the answer's thread; return the root's ts."""
        channel = invocation.channel
        blocks = _render_question(invocation)
        text = f"{invocation.user.name} asked: {invocation.options.get('message', '')}"
        posted, _ = await self.platform.post_or_find(
            MessageRef(NAME, channel.workspace, channel.id, "", ""),
            f"{invocation.request_key}:root",
            text=escape(truncate(text, _MAX_QUESTION)),
            blocks=[*blocks, *render_footer(_STOP)],
        )
        self._roots.remember(posted, blocks)
        return posted.id

    async def _delete_root(self, channel: Channel, root: str) -> None:
        self._roots.forget(channel.workspace, channel.id, root)
        await ignore_refusal(self._web_api.call(channel.workspace, "chat.delete", channel=channel.id, ts=root))


def create_channel(team: str, channel: str, thread: str = "") -> Channel:
    return Channel(NAME, team, channel, thread)


def find_thread(message: Mapping[str, object]) -> str:
    """Return the thread of a message; empty for a message at the top of a channel, also if the message has replies."""
    thread = str(message.get("thread_ts") or "")
    return "" if thread == message.get("ts") else thread


def _render_question(invocation: Invocation) -> list[Block]:
    question = truncate(str(invocation.options.get("message", "")), _MAX_QUESTION)
    quoted = "\n".join(f">{line}" for line in escape(question).splitlines())
    text = f"*{escape(invocation.user.name)}* asked:\n{truncate(quoted, _MAX_QUESTION)}"
    return [{"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}]
