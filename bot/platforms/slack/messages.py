"""Commands as they are called in a workspace where each of their names has a prefix: /easel-imagine."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bot.core.platform import MessageLimits
from bot.core.replies import Button, Picture, Progress, Reply, Stage
from bot.dispatch.parsing import Menu
from bot.platforms.slack.mrkdwn import (
    escape,
    neutralize_broadcasts,
    neutralize_mentions,
    restore_links,
    truncate,
    truncate_bytes,
)
from bot.streaming.splitter import split_text

ReplyTransform = Callable[[Reply], Reply]


def keep_reply(reply: Reply) -> Reply:
    """Without a prefix."""
    return reply


def create_prefixer(prefix: str, menu: Menu) -> ReplyTransform:
    """What puts the prefix before the name of each command that a reply speaks of."""
    if not prefix:
        return keep_reply
    words = {form.declaration.name_parts[0] for form in menu}
    named = re.compile(rf"(?<![\w/.:<-])/(?=(?:{'|'.join(map(re.escape, sorted(words)))})(?![\w/-]))")

    def worded(reply: Reply) -> Reply:
        return replace(reply, text=named.sub(f"/{prefix}", reply.text), note=named.sub(f"/{prefix}", reply.note))

    return worded


# MERGED A trunk message as Slack shows it: text and blocks. Nowhere else in the bot knows Block Kit.

Block = dict[str, Any]

MESSAGE_BYTES = 9_000
"""A message that is streamed takes some 10,600 bytes in all, which is documented nowhere; we stop before."""
UPDATE_BYTES = 3_500
"""The text of an edit: chat.update refuses more than about 4,000."""

_MOST_BUTTONS = 25
_LABEL = 75
_ALT = 1000
_NOTE = 2000
_ASKED = 200
_STAGES = {
    Stage.QUEUED: "Waiting in line",
    Stage.STARTING: "Waking the model up",
    Stage.RUNNING: "Working on it",
}
_WITHHELD = (
    "⚠ {which} flagged as sensitive by the model. Slack cannot hide a picture until somebody opens it, so it is not "
    "shown here. Other words, or another seed, may draw one that can be."
)
_SHOWN_INLINE = ("image/png", "image/jpeg", "image/gif")
_EPHEMERAL_LIMITS = MessageLimits(max_length=MESSAGE_BYTES, is_length_in_bytes=True)


def render_blocks(reply: Reply, files: Sequence[str] = (), *, is_for_one: bool = False) -> list[Block]:
    """The blocks of a message; `files` are ids of pictures to be drawn inside it, in the order of the reply's.

    What one person alone reads calls nobody, so there people, groups and channels are shown by their links.
    """
    text = neutralize_broadcasts(reply.text) if is_for_one else neutralize_mentions(reply.text)
    blocks: list[Block] = [_context(truncate(reply.request_summary, _ASKED))] if reply.request_summary else []
    blocks += [{"type": "markdown", "text": text}] if text.strip() else []
    blocks += [render_picture(picture, file) for picture, file in zip(reply.pictures, files, strict=False) if file]
    if withheld := sum(picture.is_flagged for picture in reply.pictures):
        blocks.append({"type": "section", "text": render_plain_text(_withheld(withheld, len(reply.pictures)))})
    if reply.progress is not None and not text.strip():
        blocks.append({"type": "section", "text": render_plain_text(format_progress(reply.progress))})
    return [*blocks, *render_footer(reply)]


def render_footer(reply: Reply) -> list[Block]:
    """What stands under the text: the line of facts and the buttons."""
    blocks: list[Block] = []
    if reply.note:
        blocks.append(_context(truncate(reply.note, _NOTE)))
    return blocks + [{"type": "actions", "elements": [render_button(one) for one in row]} for row in _rows(reply)]


def _withheld(count: int, of: int) -> str:
    which = "This picture" if of == 1 else f"{count} of {of} pictures"
    return _WITHHELD.format(which=f"{which} {'was' if count == 1 else 'were'}")


def _context(text: str) -> Block:
    return {"type": "context", "elements": [render_plain_text(text)]}


def _rows(reply: Reply) -> list[list[Button]]:
    """The buttons: of several pictures a row for each, and what is for all of them in the last."""
    hidden = {n for n, picture in enumerate(reply.pictures, 1) if picture.is_flagged}
    shown = [one for one in reply.buttons if one.n not in hidden][:_MOST_BUTTONS]
    if len(reply.pictures) < 2:
        return [shown] if shown else []
    rows = [[one for one in shown if one.n == n] for n in (*range(1, len(reply.pictures) + 1), 0)]
    return [row for row in rows if row]


def render_fallback_text(reply: Reply, *, is_for_one: bool = False) -> str:
    """What notifications and screen readers say, as mrkdwn."""
    words = (
        reply.text.strip()
        or (format_progress(reply.progress) if reply.progress else "")
        or _pictures(reply)
        or reply.note
    )
    text = escape(truncate_bytes(words.replace("**", "*"), 3_000))
    return truncate_bytes(restore_links(text) if is_for_one else text, UPDATE_BYTES) or "…"


def format_progress(progress: Progress) -> str:
    """Where a job is, in a line: stage, place, percent and time."""
    facts = [_STAGES[progress.stage]]
    if progress.stage is Stage.QUEUED:
        return (
            f"⏳ {facts[0]} · {progress.queue_position} before you" if progress.queue_position else f"⏳ {facts[0]} …"
        )
    if progress.percent is not None:
        facts.append(f"{_bar(progress.percent)} {progress.percent} %")
    usual = f" of usually {progress.usual_seconds} s" if progress.usual_seconds else ""
    if progress.elapsed_seconds or usual:
        facts.append(f"{progress.elapsed_seconds} s{usual}")
    return "⏳ " + " · ".join(facts)


def format_status(progress: Progress) -> str:
    """The same as Slack shows it beside the bot's name: "Easel is thinking…"."""
    words = {Stage.QUEUED: "is waiting in line…", Stage.STARTING: "is waking the model up…"}
    return words.get(progress.stage, "is thinking…")


def render_plain_text(text: str) -> Block:
    return {"type": "plain_text", "text": text, "emoji": True}


def render_button(one: Button) -> Block:
    """The job is the button's value, the action and the picture its id: enough for any process, for ever."""
    drawn: Block = {
        "type": "button",
        "action_id": f"{one.action}:{one.n}",
        "text": render_plain_text(truncate(one.label, _LABEL)),
        "value": one.job or "-",
    }
    return {**drawn, "style": "danger"} if one.action in ("delete", "decline") else drawn


def parse_button(action: Mapping[str, Any]) -> Button | None:
    """The button that was pressed, read back; None for one that is not ours."""
    match = re.fullmatch(r"([a-z_]+):(\d{1,4})", str(action.get("action_id", "")))
    if match is None:
        return None
    job = str(action.get("value", ""))
    return Button(match[1], "", "" if job == "-" else job, int(match[2]))


def render_picture(picture: Picture, file: str) -> Block:
    return {"type": "image", "slack_file": {"id": file}, "alt_text": truncate(picture.alt or picture.name, _ALT)}


def is_shown_inline(picture: Picture) -> bool:
    """Whether an image block takes it: webp is none of Slack's."""
    return picture.mime in _SHOWN_INLINE and not picture.is_flagged


def render_alt_text(picture: Picture) -> str:
    return truncate(picture.alt or picture.name, _ALT)


def split_reply(reply: Reply) -> list[Reply]:
    """A reply for one person, in as many messages as its text needs."""
    parts = [part.render(reply.text) for part in split_text(reply.text, _EPHEMERAL_LIMITS)]
    texts = [text for text in parts if text.strip()] or [""]
    bare = [Reply(text=text, is_private=reply.is_private) for text in texts[:-1]]
    return [*bare, replace(reply, text=texts[-1])]


def _bar(percent: int) -> str:
    full = max(0, min(10, percent // 10))
    return "█" * full + "░" * (10 - full)


def _pictures(reply: Reply) -> str:
    return reply.pictures[0].alt if reply.pictures else ""
