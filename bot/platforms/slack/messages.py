"""A trunk message as Slack shows it: text and blocks. Nowhere else in the bot knows Block Kit."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bot.core.platform import MessageLimits
from bot.core.replies import Button, Picture, Progress, Reply, Stage
from bot.platforms.slack.mrkdwn import cut, cut_bytes, defused, escaped, linked
from bot.streaming.splitter import split

Block = dict[str, Any]

MESSAGE_BYTES = 9_000
"""A message that is streamed takes some 10,600 bytes in all, which is documented nowhere; we stop before."""
UPDATE_BYTES = 3_500
"""The text of an edit: chat.update refuses more than about 4,000."""

_MOST_BUTTONS = 25
_LABEL = 75
_ALT = 1000
_NOTE = 2000
_STAGES = {
    Stage.QUEUED: "Waiting in line",
    Stage.STARTING: "Waking the model up",
    Stage.RUNNING: "Working on it",
    Stage.FETCHING: "Bringing the result",
}
_WITHHELD = "⚠ {count} flagged as sensitive by the model, and not shown in Slack."
_SHOWN_INLINE = ("image/png", "image/jpeg", "image/gif")
_ASIDE = MessageLimits(text=MESSAGE_BYTES, text_in_bytes=True)


def blocks_of(reply: Reply, files: Sequence[str] = (), *, is_for_one: bool = False) -> list[Block]:
    """The blocks of a message; `files` are ids of pictures to be drawn inside it, in the order of the reply's.

    What one person alone reads calls nobody, so there people, groups and channels are shown by their links.
    """
    text = linked(reply.text) if is_for_one else defused(reply.text)
    blocks: list[Block] = [{"type": "markdown", "text": text}] if text.strip() else []
    blocks += [picture_block(picture, file) for picture, file in zip(reply.pictures, files, strict=False) if file]
    if withheld := sum(picture.is_flagged for picture in reply.pictures):
        blocks.append({"type": "section", "text": plain(_WITHHELD.format(count=withheld))})
    if reply.progress is not None and not text.strip():
        blocks.append({"type": "section", "text": plain(progress_line(reply.progress))})
    return [*blocks, *footer_of(reply)]


def footer_of(reply: Reply) -> list[Block]:
    """What stands under the text: the line of facts and the buttons."""
    blocks: list[Block] = []
    if reply.note:
        blocks.append({"type": "context", "elements": [plain(cut(reply.note, _NOTE))]})
    if reply.buttons:
        blocks.append({"type": "actions", "elements": [button(one) for one in reply.buttons[:_MOST_BUTTONS]]})
    return blocks


def fallback_text(reply: Reply) -> str:
    """What notifications and screen readers say, as mrkdwn."""
    words = (
        reply.text.strip()
        or (progress_line(reply.progress) if reply.progress else "")
        or _pictures(reply)
        or reply.note
    )
    return cut_bytes(escaped(cut_bytes(words, 3_000)), UPDATE_BYTES) or "…"


def progress_line(progress: Progress) -> str:
    """Where a job is, in a line: stage, place, percent and time."""
    facts = [_STAGES[progress.stage]]
    if progress.stage is Stage.QUEUED:
        return f"⏳ {facts[0]} · {progress.place} before you" if progress.place else f"⏳ {facts[0]} …"
    if progress.percent is not None:
        facts.append(f"{_bar(progress.percent)} {progress.percent} %")
    usual = f" of usually {progress.usual_seconds} s" if progress.usual_seconds else ""
    if progress.elapsed_seconds or usual:
        facts.append(f"{progress.elapsed_seconds} s{usual}")
    return "⏳ " + " · ".join(facts)


def status_line(progress: Progress) -> str:
    """The same as Slack shows it beside the bot's name: "Easel is thinking…"."""
    words = {Stage.QUEUED: "is waiting in line…", Stage.STARTING: "is waking the model up…"}
    return words.get(progress.stage, "is thinking…")


def plain(text: str) -> Block:
    return {"type": "plain_text", "text": text, "emoji": True}


def button(one: Button) -> Block:
    """The job is the button's value, the action and the picture its id: enough for any process, for ever."""
    drawn: Block = {
        "type": "button",
        "action_id": f"{one.action}:{one.n}",
        "text": plain(cut(one.label, _LABEL)),
        "value": one.job or "-",
    }
    return {**drawn, "style": "danger"} if one.action in ("delete", "decline") else drawn


def pressed(action: Mapping[str, Any]) -> Button | None:
    """The button that was pressed, read back; None for one that is not ours."""
    match = re.fullmatch(r"([a-z_]+):(\d{1,4})", str(action.get("action_id", "")))
    if match is None:
        return None
    job = str(action.get("value", ""))
    return Button(match[1], "", "" if job == "-" else job, int(match[2]))


def picture_block(picture: Picture, file: str) -> Block:
    return {"type": "image", "slack_file": {"id": file}, "alt_text": cut(picture.alt or picture.name, _ALT)}


def is_shown_inline(picture: Picture) -> bool:
    """Whether an image block takes it: webp is none of Slack's."""
    return picture.mime in _SHOWN_INLINE and not picture.is_flagged


def alt_of(picture: Picture) -> str:
    return cut(picture.alt or picture.name, _ALT)


def parts_of(reply: Reply) -> list[Reply]:
    """A reply for one person, in as many messages as its text needs."""
    parts = [part.shown(reply.text) for part in split(reply.text, _ASIDE)]
    texts = [text for text in parts if text.strip()] or [""]
    bare = [Reply(text=text, is_private=reply.is_private) for text in texts[:-1]]
    return [*bare, replace(reply, text=texts[-1])]


def _bar(percent: int) -> str:
    full = max(0, min(10, percent // 10))
    return "█" * full + "░" * (10 - full)


def _pictures(reply: Reply) -> str:
    return reply.pictures[0].alt if reply.pictures else ""
