"""The agent view: the prompts above an empty conversation, the titles of threads, and the place that a person has open.

Slack sends the open place with direct messages to an app that subscribes to `app_context_changed`
(docs.slack.dev/ai/agent-context-management).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.platforms.slack.mrkdwn import truncate

Prompt = Mapping[str, str]

SUGGESTED_PROMPTS: Sequence[Prompt] = (
    {"title": "Draw something", "message": "imagine: a watercolour fox in the snow"},
    {"title": "Explain something", "message": "Explain in three sentences how a rainbow forms."},
    {"title": "What can you do?", "message": "help"},
    {"title": "What do I have left?", "message": "usage"},
)
_CHANNEL_PROMPT: Prompt = {"title": "Sum up this channel", "message": "What was said in this channel lately?"}

_MAX_TITLE = 60
_CHANNEL, _CANVAS, _MESSAGE = (f"slack#/types/{name}" for name in ("channel_id", "canvas_id", "message_context"))
# Reading costs tokens of the person: only words that point at the open place have the place read.
_POINTERS = r"\b(?:this|dies\w*|este|esta|ce|cet|cette|questo|questa|dit|deze)\s+"
_NAMES_CHANNEL = re.compile(rf"{_POINTERS}(?:channel|kanal\w*|canal|canale|kanaal)\b", re.IGNORECASE)
_NAMES_THREAD = re.compile(rf"{_POINTERS}(?:thread|message|nachricht|hilo|fil|mensaje|bericht)\b", re.IGNORECASE)
_NAMES_CANVAS = re.compile(rf"{_POINTERS}(?:canvas|document|dokument|documento)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class OpenPlace:
    """The channel, thread or canvas that a person has open beside the bot's messages; empty where nothing is open."""

    channel: str = ""
    thread: str = ""
    canvas: str = ""

    def narrow_to(self, words: str) -> "OpenPlace":
        """Return the parts of the place that the words name: "this channel", "this thread", "this canvas"."""
        is_thread = bool(self.thread and _NAMES_THREAD.search(words))
        is_channel = is_thread or bool(_NAMES_CHANNEL.search(words))
        return OpenPlace(
            channel=self.channel if is_channel else "",
            thread=self.thread if is_thread else "",
            canvas=self.canvas if _NAMES_CANVAS.search(words) else "",
        )


def read_open_place(context: Any, team: str) -> OpenPlace:
    """Return the place in an event's `app_context`. A place of another workspace, by Slack Connect, is left out."""
    entities = context.get("entities") if isinstance(context, Mapping) else None
    found: dict[str, Any] = {}
    # The most relevant entity of each type comes first.
    for entity in entities or ():
        if isinstance(entity, Mapping) and entity.get("team_id") in (None, "", team):
            found.setdefault(str(entity.get("type")), entity.get("value"))
    message = found.get(_MESSAGE)
    message = message if isinstance(message, Mapping) else {}
    return OpenPlace(
        channel=str(message.get("channel_id") or found.get(_CHANNEL) or ""),
        thread=str(message.get("message_ts") or ""),
        canvas=str(found.get(_CANVAS) or ""),
    )


def choose_prompts(place: OpenPlace) -> list[Prompt]:
    """Return the prompts for a person: at most four, with a question about the open channel, if any."""
    draw, explain, *others = SUGGESTED_PROMPTS
    return [draw, _CHANNEL_PROMPT if place.channel else explain, *others]


def format_title(words: str) -> str:
    """Return the title of a thread that begins with these words."""
    return truncate(" ".join(words.split()), _MAX_TITLE)
