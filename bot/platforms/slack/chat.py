"""Handles messages to the bot: mentions, direct messages, and further messages in the bot's threads."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bot.core.caches import RecentItems
from bot.core.errors import UserError
from bot.core.invocations import PICTURE_ALONE, EarlierMessage, Invocation, TurnRole
from bot.core.jobs import Job
from bot.core.people import Channel, User, format_author
from bot.core.replies import MessageRef
from bot.dispatch.parsing import is_request
from bot.dispatch.plain_text import DEFAULT_COMMAND, invocation_from_text, may_continue_conversation
from bot.platforms.slack.agent_view import OpenPlace, Prompt, choose_prompts, format_title, read_open_place
from bot.platforms.slack.buttons import SlackButtons
from bot.platforms.slack.ephemeral import ReplyTarget
from bot.platforms.slack.errors import ignore_refusal
from bot.platforms.slack.incoming import SlackMessageReader
from bot.platforms.slack.installations import NAME, SlackTeam, SlackTeams
from bot.platforms.slack.mrkdwn import find_mentions, remove_mention, replace_mentions, unescape
from bot.platforms.slack.replies import SlackReplies, create_channel
from bot.platforms.slack.users import SlackUsers
from bot.platforms.slack.web_api import SlackWebApi

Event = Mapping[str, Any]

_MAX_MESSAGES = 20_000
_USER_SUBTYPES = (None, "", "file_share", "thread_broadcast")
_STOP_WORDS = frozenset({"stop", "cancel", "halt", "stopp", "arrête", "para"})


class SlackChat:
    """Answers messages to the bot. Messages of other apps and messages to other users get no answer."""

    def __init__(
        self,
        replies: SlackReplies,
        buttons: SlackButtons,
        web_api: SlackWebApi,
        teams: SlackTeams,
        users: SlackUsers,
        reader: SlackMessageReader,
    ) -> None:
        self._replies = replies
        self._buttons = buttons
        self._web_api = web_api
        self._teams = teams
        self._users = users
        self._reader = reader
        self._handled: RecentItems[tuple[str, str, str], None] = RecentItems(_MAX_MESSAGES)
        self._prompts: RecentItems[tuple[str, str], list[Prompt]] = RecentItems(_MAX_MESSAGES)
        """The last prompts by the direct messages that show them."""

    async def handle_message(self, event: Event, team: str, *, is_mention: bool) -> None:
        """Handle an event `message` or `app_mention`. An edit that adds a mention of the bot counts as a mention."""
        installed = await self._teams.get(team)
        if installed is None:
            return
        if event.get("subtype") == "message_changed":
            if not _adds_mention(event, installed):
                return
            event, is_mention = {**event["message"], "channel": event["channel"]}, True
        if not _is_from_user(event, installed):
            return
        channel, ts = str(event["channel"]), str(event["ts"])
        is_direct = event.get("channel_type") == "im" or channel.startswith("D")
        mentions = find_mentions(str(event.get("text") or ""))
        # Slack sends a mention in a channel as `app_mention` and as `message`: the latter is left out.
        if not is_mention and installed.bot_user in mentions and not is_direct:
            return
        place = create_channel(team, channel, str(event.get("thread_ts") or ts))
        if is_mention or is_direct:
            if self._handled.add_if_new((team, channel, ts), None):
                await self._answer(event, installed, place, is_direct=is_direct)
        elif event.get("thread_ts") and not mentions:
            await self._continue_conversation(event, installed, place)

    async def handle_home_opened(self, event: Event, team: str) -> None:
        """Suggest prompts to a user who opened the bot's messages."""
        if event.get("tab") == "messages":
            await self._suggest_prompts(event, team, str(event["channel"]))

    async def handle_context_changed(self, event: Event, team: str) -> None:
        """Suggest other prompts to a user who opened another place beside the bot's messages."""
        # Slack's types name the channel and the user; the example in Slack's reference names neither
        # (docs.slack.dev/reference/events/app_context_changed).
        channel = str(event.get("channel") or "")
        prompts = choose_prompts(read_open_place(event.get("context"), team))
        # People walk through many channels: most changes lead to the same prompts.
        if channel and self._prompts.get((team, channel)) != prompts:
            await self._suggest_prompts(event, team, channel)

    async def _suggest_prompts(self, event: Event, team: str, channel: str) -> None:
        # Noted before the call: another change may come before the response.
        prompts = self._prompts[team, channel] = choose_prompts(read_open_place(event.get("context"), team))
        call = self._web_api.call(team, "assistant.threads.setSuggestedPrompts", channel_id=channel, prompts=prompts)
        if await ignore_refusal(call) is None:
            self._prompts.pop((team, channel), None)

    async def handle_stop(self, event: Event, team: str) -> None:
        """Handle a press of Slack's own Stop button: an event `agent_session_stopped`."""
        channel, thread = str(event["channel"]), str(event.get("thread_ts") or "")
        request_id = str(event.get("event_ts") or thread)
        await self._buttons.cancel_thread_jobs(team, channel, thread, str(event["user"]), request_id)

    async def _continue_conversation(self, event: Event, installed: SlackTeam, place: Channel) -> None:
        """Answer a message without a mention in a thread with a conversation, if the author may take part.

        Under a result of the bot, words that ask for a change of the picture are answered.
        """
        services = self._replies.dispatcher.services
        conversation = await services.conversations.get_current(place)
        if conversation is None:
            is_wish = is_request(str(event.get("text") or "")) and await self._find_root_job(place) is not None
            if is_wish and self._handled.add_if_new((installed.id, place.id, str(event["ts"])), None):
                await self._answer(event, installed, place, is_direct=False)
            return
        user = await self._get_user(event, installed.id)
        settings = await services.moderation.get_settings(NAME, installed.id)
        if not may_continue_conversation(conversation, user, settings.join):
            return
        # A message without an answer may become a mention by an edit, and is answered then.
        if self._handled.add_if_new((installed.id, place.id, str(event["ts"])), None):
            await self._answer(event, installed, place, is_direct=False)

    async def _answer(self, event: Event, installed: SlackTeam, place: Channel, *, is_direct: bool) -> None:
        services = self._replies.dispatcher.services
        if not is_direct and (await services.moderation.get_settings(NAME, installed.id)).mention == "off":
            return
        user = await self._get_user(event, installed.id)
        text = remove_mention(str(event.get("text") or ""), installed.bot_user)
        target = ReplyTarget(installed.id, place.id, user.id, place.thread)
        # A stop word is an ordinary message where nothing runs.
        is_stop = bool(event.get("thread_ts")) and text.lower().strip(".! ") in _STOP_WORDS
        if is_stop and await self._buttons.cancel_thread_jobs(
            installed.id, place.id, place.thread, user.id, str(event["ts"]), target
        ):
            return
        open_place = _find_named_place(event, installed, text) if is_direct else OpenPlace()
        try:
            names = await self._users.get_names(installed.id, text)
            invocation = await invocation_from_text(
                services,
                user,
                place,
                unescape(text),
                f"slack:{installed.id}:{place.id}:{event['ts']}",
                files=[
                    *self._reader.list_files(installed.id, event),
                    *self._reader.list_canvases(installed.id, open_place.canvas),
                ],
                quoted_words=await self._reader.read_quoted_words(installed.id, event),
                quoted_files=self._reader.list_quoted_files(installed.id, event),
                name_mentions=lambda words: replace_mentions(words, names),
                find_file=lambda kinds: self._reader.find_last_file(
                    installed.id, place.id, kinds, str(event.get("thread_ts") or ""), before=str(event["ts"])
                ),
                read_replied=lambda: self._read_replied_words(event, installed, place),
                find_replied_job=lambda: self._find_thread_job(user, place),
            )
            if invocation.command == DEFAULT_COMMAND:
                invocation = await self._add_earlier_messages(invocation, event, installed, place, open_place)
        except UserError as error:
            await self._replies.send_error(error, target)
            return
        if is_direct and invocation.command == DEFAULT_COMMAND and not event.get("thread_ts"):
            thread = MessageRef(NAME, installed.id, place.id, place.thread, "")
            self._replies.platform.statuses.set_title(thread, format_title(replace_mentions(unescape(text), names)))
        await self._replies.answer(invocation, target)

    async def _add_earlier_messages(
        self, invocation: Invocation, event: Event, installed: SlackTeam, place: Channel, open_place: OpenPlace
    ) -> Invocation:
        """Return a chat with the messages before it: of the thread, or of the open place that its words name."""
        if event.get("thread_ts") or not open_place.channel:
            earlier = await self._read_earlier_messages(event, installed, place)
            return replace(invocation, earlier_messages=earlier)
        messages = await self._reader.list_open_place(
            installed.id, open_place.channel, open_place.thread, before=str(event["ts"])
        )
        found = [await self._create_earlier_message(message, installed) for message in messages]
        earlier = tuple(message for message in found if message is not None)
        if not earlier:
            remark = "the open channel has no words that I may read: invite me there"
            return replace(invocation, remark=" · ".join(filter(None, (invocation.remark, remark))))
        name = (await self._users.get_names(installed.id, f"<#{open_place.channel}>"))[open_place.channel]
        heading = EarlierMessage(TurnRole.USER, "", f"(The latest messages of #{name}:)", earlier[0].message_id)
        return replace(invocation, earlier_messages=(heading, *earlier))

    async def _find_root_job(self, place: Channel) -> Job | None:
        """Return the job whose message is the root of a thread."""
        return await self._replies.dispatcher.services.jobs.find_by_message(replace(place, thread=""), place.thread)

    async def _find_thread_job(self, user: User, place: Channel) -> str:
        """Return the id of the last job with a picture in a thread, the root included; empty without such a job."""
        last = await self._replies.dispatcher.services.jobs.find_last_picture(user, place)
        job = last or await self._find_root_job(place)
        return job.id if job is not None else ""

    async def _read_replied_words(self, event: Event, installed: SlackTeam, place: Channel) -> str:
        """Return the words of the message before this one in a thread; empty outside of threads."""
        if not event.get("thread_ts"):
            return ""
        earlier = await self._reader.list_earlier(installed.id, place.id, place.thread, before=str(event["ts"]))
        if not earlier:
            return ""
        last = earlier[-1]
        return await self._reader.read_words(installed.id, last, is_own=last.get("bot_id") == installed.bot_id)

    async def _read_earlier_messages(
        self, event: Event, installed: SlackTeam, place: Channel
    ) -> tuple[EarlierMessage, ...]:
        """Return a thread's messages before the bot's first answer there; empty if a conversation is stored."""
        services = self._replies.dispatcher.services
        if not event.get("thread_ts") or await services.conversations.get_current(place) is not None:
            return ()
        messages = await self._reader.list_earlier(installed.id, place.id, place.thread, before=str(event["ts"]))
        earlier = [await self._create_earlier_message(message, installed) for message in messages]
        return tuple(message for message in earlier if message is not None)

    async def _create_earlier_message(self, message: Event, installed: SlackTeam) -> EarlierMessage | None:
        """Return a message with the author's name before the words; None without words and pictures."""
        is_own = message.get("bot_id") == installed.bot_id
        pictures = tuple(self._reader.list_pictures(installed.id, message))
        words = await self._reader.read_words(installed.id, message, is_own=is_own)
        words = words or (PICTURE_ALONE if pictures else "")
        if not words:
            return None
        if is_own:
            return EarlierMessage(TurnRole.ASSISTANT, "", words, str(message["ts"]), pictures)
        content = f"{await self._reader.get_author_name(installed.id, message)}: {words}"
        author = str(message.get("user") or message.get("bot_id") or "")
        return EarlierMessage(TurnRole.USER, format_author(NAME, author), content, str(message["ts"]), pictures)

    async def _get_user(self, event: Event, team: str) -> User:
        return await self._users.get_user(team, str(event["user"]), home=str(event.get("user_team") or ""))


def _find_named_place(event: Event, installed: SlackTeam, text: str) -> OpenPlace:
    """Return the place that the author has open, if the words name the place; the bot's own messages are none."""
    place = read_open_place(event.get("app_context"), installed.id).narrow_to(text)
    return place if place.channel != event["channel"] else OpenPlace(canvas=place.canvas)


def _adds_mention(event: Event, installed: SlackTeam) -> bool:
    """Return whether an edit in a channel makes a message mention the bot. In direct messages all are answered."""
    before, after = event.get("previous_message") or {}, event.get("message") or {}
    was_mention, is_mention = (
        installed.bot_user in find_mentions(str(message.get("text") or "")) for message in (before, after)
    )
    return is_mention and not was_mention and not str(event["channel"]).startswith("D")


def _is_from_user(event: Event, installed: SlackTeam) -> bool:
    is_bot = bool(event.get("bot_id")) or event.get("user") in (None, installed.bot_user, "USLACKBOT")
    return event.get("subtype") in _USER_SUBTYPES and not is_bot and not event.get("hidden")
