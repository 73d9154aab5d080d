"""What people say to the bot: a mention, a direct message, the next words in a thread it is in."""

from collections.abc import Mapping
from typing import Any

from bot.core.errors import UserError
from bot.core.invocations import EarlierMessage, TurnRole
from bot.core.people import Channel, User
from bot.dispatch.plain_text import DEFAULT_COMMAND, invocation_from_text, may_continue_conversation, parse_plain_text
from bot.platforms.slack.buttons import SlackButtons
from bot.platforms.slack.ephemeral import ReplyTarget
from bot.platforms.slack.installations import NAME, SlackTeam, SlackTeams
from bot.platforms.slack.mrkdwn import find_mentions, remove_mention, replace_mentions, unescape
from bot.platforms.slack.recent_ids import RecentIds
from bot.platforms.slack.replies import SlackReplies, create_channel
from bot.platforms.slack.uploads import SlackFiles
from bot.platforms.slack.users import SlackUsers
from bot.platforms.slack.web_api import SlackWebApi, ignore_refusal

Event = Mapping[str, Any]

MAX_EARLIER_MESSAGES = 40
PAGE_SIZE = 200
_MOST_PAGES = 10
_HEARD = (None, "", "file_share", "thread_broadcast")
_STOP_WORDS = frozenset({"stop", "cancel", "halt", "stopp", "arrête", "para"})
SUGGESTED_PROMPTS = (
    {"title": "Draw something", "message": "imagine a watercolour fox in the snow"},
    {"title": "Explain something", "message": "Explain in three sentences how a rainbow forms."},
    {"title": "What can you do?", "message": "help"},
    {"title": "What do I have left?", "message": "usage"},
)


class SlackChat:
    """Hears messages. Those of other apps, and those that are not for the bot, are left alone."""

    def __init__(
        self,
        asking: SlackReplies,
        presses: SlackButtons,
        calls: SlackWebApi,
        teams: SlackTeams,
        people: SlackUsers,
        files: SlackFiles,
    ) -> None:
        self._asking = asking
        self._presses = presses
        self._calls = calls
        self._teams = teams
        self._people = people
        self._files = files
        self._heard = RecentIds()

    async def handle_message(self, event: Event, team: str, *, is_mention: bool) -> None:
        """A message, or a mention. A mention in a channel comes as both, and is answered as a mention."""
        known = await self._teams.get(team)
        if known is None or not _is_of_a_person(event, known):
            return
        is_direct = event.get("channel_type") == "im" or str(event["channel"]).startswith("D")
        names_bot = known.bot_user in find_mentions(str(event.get("text") or ""))
        if not is_mention and names_bot and not is_direct:
            return
        if not self._heard.is_new(f"{team} {event['channel']} {event['ts']}"):
            return  # it comes as a mention and as a message, and over two sockets
        place = create_channel(team, str(event["channel"]), str(event.get("thread_ts") or event["ts"]))
        if is_mention or is_direct:
            await self._answer(event, known, place, is_direct=is_direct)
        elif event.get("thread_ts") and not find_mentions(str(event.get("text") or "")):
            await self._go_on(event, known, place)

    async def handle_home_opened(self, event: Event, team: str) -> None:
        """Somebody opened the bot's own place: suggest what to say."""
        if event.get("tab") == "messages":
            call = self._calls.call(
                team,
                "assistant.threads.setSuggestedPrompts",
                channel_id=str(event["channel"]),
                prompts=list(SUGGESTED_PROMPTS),
            )
            await ignore_refusal(call)

    async def handle_stop(self, event: Event, team: str) -> None:
        """Slack's own Stop."""
        channel, thread = str(event["channel"]), str(event.get("thread_ts") or "")
        key = str(event.get("event_ts") or thread)
        await self._presses.cancel_thread_jobs(team, channel, thread, str(event["user"]), key)

    async def _go_on(self, event: Event, known: SlackTeam, place: Channel) -> None:
        """The next words of a conversation that is known, by somebody who may go on with it."""
        services = self._asking.dispatcher.services
        conversation = await services.conversations.get_current(place)
        if conversation is None:
            return
        user = await self._user(event, known.id)
        settings = await services.moderation.get_settings(NAME, known.id)
        if may_continue_conversation(conversation, user, settings.join):
            await self._answer(event, known, place, is_direct=False)

    async def _answer(self, event: Event, known: SlackTeam, place: Channel, *, is_direct: bool) -> None:
        services = self._asking.dispatcher.services
        if not is_direct and (await services.moderation.get_settings(NAME, known.id)).mention == "off":
            return
        user = await self._user(event, known.id)
        words = remove_mention(str(event.get("text") or ""), known.bot_user)
        aside = ReplyTarget(known.id, place.id, user.id, place.thread)
        is_stop = bool(event.get("thread_ts")) and words.lower().strip(".! ") in _STOP_WORDS
        if is_stop and await self._presses.cancel_thread_jobs(
            known.id, place.id, place.thread, user.id, str(event["ts"]), aside
        ):
            return
        files = [self._files.create_attachment(known.id, file) for file in event.get("files") or ()]
        try:
            text, is_chat = await self._text(words, known.id)
            earlier = await self._earlier(event, known, place) if is_chat else ()
            key = f"slack:{known.id}:{place.id}:{event['ts']}"
            invocation = await invocation_from_text(services, user, place, text, key, files=files, earlier=earlier)
        except UserError as error:
            await self._asking.send_error(error, aside)
            return
        await self._asking.answer(invocation, aside)

    async def _text(self, words: str, team: str) -> tuple[str, bool]:
        """The words as they are meant, and whether they are a chat: commands get ids, models get names."""
        command = unescape(words)
        if parse_plain_text(command, self._asking.dispatcher.services.menu).command != DEFAULT_COMMAND:
            return command, False
        names = {user: await self._people.get_name(team, user) for user in find_mentions(words)}
        return unescape(replace_mentions(words, names)), True

    async def _earlier(self, event: Event, known: SlackTeam, place: Channel) -> tuple[EarlierMessage, ...]:
        """What was said in a thread before the bot came to it."""
        services = self._asking.dispatcher.services
        if not event.get("thread_ts") or await services.conversations.get_current(place) is not None:
            return ()
        told = await self._last_replies(known.id, place, before=str(event["ts"]))
        return tuple([await self._said(message, known) for message in told])

    async def _last_replies(self, team: str, place: Channel, before: str) -> list[Event]:
        """The last of what was said in a thread. Slack tells it from the beginning on, page by page."""
        said: list[Event] = []
        where: dict[str, Any] = {"channel": place.id, "ts": place.thread, "limit": PAGE_SIZE}
        for _ in range(_MOST_PAGES):
            answer = await ignore_refusal(self._calls.call(team, "conversations.replies", **where)) or {}
            page = [one for one in answer.get("messages") or () if one.get("text")]
            said = [*said, *(one for one in page if float(one["ts"]) < float(before))][-MAX_EARLIER_MESSAGES:]
            where["cursor"] = str((answer.get("response_metadata") or {}).get("next_cursor") or "")
            if not where["cursor"]:
                break
        return said

    async def _said(self, message: Event, known: SlackTeam) -> EarlierMessage:
        user, text = str(message.get("user") or ""), str(message["text"])
        if message.get("bot_id") == known.bot_id:
            return EarlierMessage(TurnRole.ASSISTANT, "", unescape(text), str(message["ts"]))
        names = {
            one: await self._people.get_name(known.id, one) for one in {*find_mentions(text), *([user] if user else [])}
        }
        words = f"{names.get(user, 'somebody')}: {unescape(replace_mentions(text, names))}"
        return EarlierMessage(TurnRole.USER, f"{NAME}:{user}", words, str(message["ts"]))

    async def _user(self, event: Event, team: str) -> User:
        return await self._people.get_user(team, str(event["user"]), home=str(event.get("user_team") or ""))


def _is_of_a_person(event: Event, known: SlackTeam) -> bool:
    is_other_bot = bool(event.get("bot_id")) or event.get("user") in (None, known.bot_user, "USLACKBOT")
    return event.get("subtype") in _HEARD and not is_other_bot and not event.get("hidden")
