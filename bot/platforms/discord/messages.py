"""A trunk reply as Discord's message: plain words for talk, and a layout of components where pictures are to come.

A message of components (V2) can never become a plain one again, so it is one from the placeholder on.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bot.core.replies import Button, Picture, Progress, Reply, Stage, Tone
from bot.platforms.discord.buttons import render_button_rows
from bot.platforms.discord.links import unmask_links

Payload = dict[str, Any]

LONGEST_TEXT = 2000
"""Of a plain message. A layout holds 4,000, but its words are an error or a caption at most."""

SUPPRESS_EMBEDS, EPHEMERAL, IS_LAYOUT = 1 << 2, 1 << 6, 1 << 15
NO_MENTIONS: Payload = {"parse": []}
"""Whom a message may notify, whatever its words say."""

_TEXT, _GALLERY = 10, 12
_LONGEST_ALT = 1024
_ASKED = 300
"""How much of what was asked stands above a picture; its alt text has more."""
_BARS = 10
_STAGES = {
    Stage.QUEUED: "Waiting in line",
    Stage.STARTING: "Waking the model up",
    Stage.RUNNING: "Working on it",
}


def is_layout(reply: Reply) -> bool:
    """Whether this is shown as a layout of components."""
    return reply.is_visual or bool(reply.pictures)


def render_payload(reply: Reply, *, names: Sequence[str] = (), remark: str = "") -> Payload:
    """What to send. `names` are the uploaded files of the reply's pictures, in order; `remark` joins the line of facts.

    Edits and creates are the same: absent is nothing, and nobody is ever notified.
    """
    note = " · ".join(part for part in (reply.note, remark) if part)
    if is_layout(reply):
        return {
            "flags": IS_LAYOUT,
            "components": _render_layout(reply, names, note),
            "allowed_mentions": NO_MENTIONS,
        }
    return {
        "content": _format_text(reply, note),
        "flags": SUPPRESS_EMBEDS,
        "components": render_button_rows(reply.buttons),
        "allowed_mentions": NO_MENTIONS,
    }


def render_private_payload(text: str) -> Payload:
    """A sentence for one person, as the first answer to what they did."""
    return {**render_payload(Reply(text, tone=Tone.ERROR)), "flags": SUPPRESS_EMBEDS | EPHEMERAL}


def _render_layout(reply: Reply, names: Sequence[str], note: str) -> list[Payload]:
    head = unmask_links(reply.text) or (_format_progress(reply.progress) if reply.progress else "")
    shown = [(picture, name) for picture, name in zip(reply.pictures, names, strict=False) if name]
    gallery = (
        [{"type": _GALLERY, "items": [_render_gallery_item(picture, name) for picture, name in shown]}] if shown else []
    )
    asked = unmask_links(reply.request_summary)
    return [
        *([_render_text(f"-# {asked if len(asked) <= _ASKED else asked[: _ASKED - 1] + '…'}")] if asked else []),
        *([_render_text(head[:LONGEST_TEXT])] if head.strip() else []),
        *gallery,
        *([_render_text(f"-# {note}")] if note else []),
        *render_button_rows(reply.buttons),
    ]


def _render_text(words: str) -> Payload:
    return {"type": _TEXT, "content": words}


def _render_gallery_item(picture: Picture, name: str) -> Payload:
    alt = picture.alt[:_LONGEST_ALT]
    return {
        "media": {"url": f"attachment://{name}"},
        "spoiler": picture.is_flagged,
        **({"description": alt} if alt else {}),
    }


def _format_text(reply: Reply, note: str) -> str:
    """The text and the facts under it. The text is never cut for the facts' sake."""
    text = unmask_links(reply.text).strip() or (_format_progress(reply.progress) if reply.progress else "")
    whole = "\n".join(part for part in (text, f"-# {note}" if note else "") if part) or "…"
    return whole if len(whole) <= LONGEST_TEXT else text[:LONGEST_TEXT]


def _format_progress(progress: Progress) -> str:
    """Where a job is, in one line: the stage, the place in line, a bar, and the time it took and usually takes."""
    facts = [_format_queue_position(progress)]
    if progress.percent is not None:
        full = round(progress.percent * _BARS / 100)
        facts.append(f"{'▰' * full}{'▱' * (_BARS - full)} {progress.percent} %")
    if progress.stage is not Stage.QUEUED:
        usual = f" of usually {progress.usual_seconds} s" if progress.usual_seconds else ""
        facts.append(f"{progress.elapsed_seconds} s{usual}")
    return f"⏳ {' · '.join(facts)}"


def _format_queue_position(progress: Progress) -> str:
    if progress.stage is not Stage.QUEUED or progress.queue_position is None:
        return _STAGES[progress.stage]
    return "You are next" if progress.queue_position == 1 else f"Number {progress.queue_position} in line"


def add_show_button(reply: Reply, job: str) -> Reply:
    """A message that soon cannot be changed any more: it says so, and its button brings the job back."""
    text = "This takes longer than Discord lets me change this message. Press Show to go on watching."
    return Reply(
        text=text,
        note=reply.note,
        buttons=(Button("show", "Show", job), *reply.buttons),
        tone=reply.tone,
        is_private=reply.is_private,
        is_visual=reply.is_visual,
    )


def add_ask_button(reply: Reply) -> Reply:
    """Where nobody hears the next words, an answer goes on by a button that asks for them."""
    answer = next((button for button in reply.buttons if button.action == "regenerate"), None)
    if answer is None:
        return reply
    return replace(reply, buttons=(Button("ask", "Ask more", answer.job), *reply.buttons))
