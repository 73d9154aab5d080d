"""Renders replies as Slack messages: fallback text and Block Kit blocks. No other file of the bot builds messages.

Limits of Block Kit: docs.slack.dev/reference/block-kit/blocks.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bot.core.file_types import find_kind
from bot.core.jobs import VOTE_ACTIONS
from bot.core.platform import MessageLimits
from bot.core.replies import STAGE_TEXTS, Button, MadeFile, Picture, Progress, Reply, Stage
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

Block = dict[str, Any]
ReplyTransform = Callable[[Reply], Reply]

# A streamed message takes some 10,600 bytes, which is documented nowhere (measured in openclaw#143882): stop before.
MESSAGE_BYTES = 9_000
# chat.update refuses more text (`msg_too_long`, github.com/seratch/ChatGPT-in-Slack/issues/102).
UPDATE_BYTES = 3_500

_FEEDBACK = "feedback_buttons"
_MAX_BUTTONS = 25
_MAX_LABEL = 75
_MAX_ALT = 1000
_MAX_NOTE = 2000
_MAX_REQUEST_SUMMARY = 200
_WITHHELD = (
    "⚠ {which} flagged as sensitive by the model. Slack cannot hide a {noun} until somebody opens it, so it is not "
    "shown here. Other words, or another seed, may give one that can be."
)
# Image blocks take no webp (docs.slack.dev/reference/block-kit/blocks/image-block).
_INLINE_MIMES = ("image/png", "image/jpeg", "image/gif")
_EPHEMERAL_LIMITS = MessageLimits(max_length=MESSAGE_BYTES, is_length_in_bytes=True)


def render_blocks(reply: Reply, files: Sequence[str] = (), *, is_for_one: bool = False) -> list[Block]:
    """Return the blocks of a message.

    `files` are the file ids of pictures inside the message, in the order of the reply's pictures. An ephemeral message
    (`is_for_one`) notifies no other user, so links to users, groups and channels stay.
    """
    text = neutralize_broadcasts(reply.text) if is_for_one else neutralize_mentions(reply.text)
    blocks: list[Block] = []
    if reply.request_summary:
        blocks.append(_render_context(truncate(reply.request_summary, _MAX_REQUEST_SUMMARY)))
    if text.strip():
        blocks.append({"type": "markdown", "text": text})
    blocks += [render_picture(picture, file) for picture, file in zip(reply.pictures, files, strict=False) if file]
    if any(file.is_flagged for file in reply.made_files):
        blocks.append({"type": "section", "text": render_plain_text(_format_withheld(reply.made_files))})
    if reply.progress is not None and not text.strip():
        blocks.append({"type": "section", "text": render_plain_text(format_progress(reply.progress))})
    return [*blocks, *render_footer(reply)]


def render_footer(reply: Reply) -> list[Block]:
    """Return the blocks under the text: the note and the buttons."""
    blocks: list[Block] = [_render_context(truncate(reply.note, _MAX_NOTE))] if reply.note else []
    votes = [button for button in reply.buttons if button.action in VOTE_ACTIONS]
    rows = _group_buttons(replace(reply, buttons=tuple(button for button in reply.buttons if button not in votes)))
    blocks += [_render_votes(votes)] if votes else []
    return blocks + [{"type": "actions", "elements": [render_button(button) for button in row]} for row in rows]


def _render_votes(votes: Sequence[Button]) -> Block:
    """Return Slack's own buttons for feedback (docs.slack.dev/reference/block-kit/block-elements)."""
    up, down = ({"text": render_plain_text(button.label), "value": f"{button.action}:{button.job}"} for button in votes)
    element = {"type": _FEEDBACK, "action_id": "vote:0", "positive_button": up, "negative_button": down}
    return {"type": "context_actions", "elements": [element]}


def render_picture(picture: Picture, file: str) -> Block:
    return {"type": "image", "slack_file": {"id": file}, "alt_text": render_alt_text(picture)}


def render_alt_text(picture: Picture) -> str:
    return truncate(picture.alt or picture.name, _MAX_ALT)


def is_shown_inline(file: MadeFile) -> bool:
    """Return whether an image block may show the file."""
    return file.mime in _INLINE_MIMES and not file.is_flagged


def render_plain_text(text: str) -> Block:
    return {"type": "plain_text", "text": text, "emoji": True}


def render_button(button: Button) -> Block:
    """Return a button element with its action, picture and job, for a press in any process at any time."""
    element: Block = {
        "type": "button",
        "action_id": f"{button.action}:{button.n}",
        "text": render_plain_text(truncate(button.label, _MAX_LABEL)),
        "value": button.job or "-",
    }
    return {**element, "style": "danger"} if button.action in ("delete", "decline") else element


def parse_button(action: Mapping[str, Any]) -> Button | None:
    """Return the button of an action payload, or None for an element of another kind."""
    if action.get("type") == _FEEDBACK:
        vote, _, job = str(action.get("value", "")).partition(":")
        return Button(vote, "", job) if vote in VOTE_ACTIONS else None
    match = re.fullmatch(r"([a-z_]+):(\d{1,4})", str(action.get("action_id", "")))
    if match is None:
        return None
    job = str(action.get("value", ""))
    return Button(match[1], "", "" if job == "-" else job, int(match[2]))


def render_fallback_text(reply: Reply, *, is_for_one: bool = False) -> str:
    """Return the mrkdwn text for notifications and screen readers, which read no blocks."""
    alt = reply.made_files[0].alt if reply.made_files else ""
    text = reply.text.strip() or (format_progress(reply.progress) if reply.progress else "") or alt or reply.note
    escaped = escape(truncate_bytes(text.replace("**", "*"), 3_000))
    return truncate_bytes(restore_links(escaped) if is_for_one else escaped, UPDATE_BYTES) or "…"


def format_progress(progress: Progress) -> str:
    """Return a line with the stage, queue position, percent, and seconds of a job."""
    stage = STAGE_TEXTS[progress.stage]
    if progress.stage is Stage.QUEUED:
        return f"⏳ {stage} · {progress.queue_position} before you" if progress.queue_position else f"⏳ {stage} …"
    facts = [stage]
    if progress.percent is not None:
        facts.append(f"{_render_bar(progress.percent)} {progress.percent} %")
    usual = f" of usually {progress.usual_seconds} s" if progress.usual_seconds else ""
    if progress.elapsed_seconds or usual:
        facts.append(f"{progress.elapsed_seconds} s{usual}")
    return "⏳ " + " · ".join(facts)


def format_status(progress: Progress) -> str:
    """Return the status of a thread. Slack shows the status after the bot's name: "Easel is thinking…"."""
    statuses = {Stage.QUEUED: "is waiting in line…", Stage.STARTING: "is waking the model up…"}
    return statuses.get(progress.stage, "is thinking…")


def split_reply(reply: Reply) -> list[Reply]:
    """Split a long reply for a single user into several messages; buttons and pictures stay on the last message."""
    parts = [part.render(reply.text) for part in split_text(reply.text, _EPHEMERAL_LIMITS)]
    texts = [text for text in parts if text.strip()] or [""]
    text_only = [Reply(text=text, is_private=reply.is_private) for text in texts[:-1]]
    return [*text_only, replace(reply, text=texts[-1])]


def create_prefixer(prefix: str, menu: Menu) -> ReplyTransform:
    """Return a function that adds the app's command prefix to each command name in a reply: `/easel-imagine`.

    Slash command names are unique in a workspace: of two apps with the same name, the app installed last wins.
    """
    if not prefix:
        return lambda reply: reply
    names = {form.declaration.name_parts[0] for form in menu}
    command = re.compile(rf"(?<![\w/.:<-])/(?=(?:{'|'.join(map(re.escape, sorted(names)))})(?![\w/-]))")

    def add_prefix(reply: Reply) -> Reply:
        return replace(reply, text=command.sub(f"/{prefix}", reply.text), note=command.sub(f"/{prefix}", reply.note))

    return add_prefix


def _format_withheld(made: Sequence[MadeFile]) -> str:
    count, total, noun = sum(file.is_flagged for file in made), len(made), find_kind(made[0].mime).noun
    which = f"This {noun}" if total == 1 else f"{count} of {total} {noun}s"
    return _WITHHELD.format(which=f"{which} {'was' if count == 1 else 'were'}", noun=noun)


def _render_context(text: str) -> Block:
    return {"type": "context", "elements": [render_plain_text(text)]}


def _group_buttons(reply: Reply) -> list[list[Button]]:
    """Return rows of buttons: of several pictures a row for each, then a row for the buttons of all pictures."""
    hidden = {file.n for file in reply.made_files if file.is_flagged}
    shown = [button for button in reply.buttons if button.n not in hidden][:_MAX_BUTTONS]
    if len(reply.pictures) < 2:
        return [shown] if shown else []
    # A picture's number counts the job's other files too.
    rows = [[button for button in shown if button.n == picture.n] for picture in reply.pictures]
    if all(len(row) < 2 for row in rows):  # a gallery of many pictures has one button for each
        rows = [[button for row in rows for button in row]]
    rows.append([button for button in shown if button.n == 0])
    return [row for row in rows if row]


def _render_bar(percent: int) -> str:
    full = max(0, min(10, percent // 10))
    return "█" * full + "░" * (10 - full)
