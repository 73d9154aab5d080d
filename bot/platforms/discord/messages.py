"""Renders replies as Discord's messages: plain text for chats and players, components (V2) for pictures, button rows.

Discord cannot turn a components message back into a plain message, so a message of pictures has components from its
placeholder on. Components and embeds: discord.com/developers/docs/components/reference
"""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bot.core.replies import STAGE_TEXTS, Button, Picture, Progress, Reply, Stage, Tone
from bot.media.recordings import Voice
from bot.platforms.discord.discord_py_internals import Payload

# The length of a plain message. Components hold 4,000, but the text there is an error or a caption at most.
LONGEST_TEXT = 2000

SUPPRESS_EMBEDS, EPHEMERAL, LOADING, HAS_COMPONENTS_V2 = 1 << 2, 1 << 6, 1 << 7, 1 << 15
IS_VOICE_MESSAGE = 1 << 13
# Model output may contain "@everyone": no message notifies anyone, whatever the text.
NO_MENTIONS: Payload = {"parse": []}

_TEXT, _GALLERY = 10, 12
_LONGEST_ALT = 1024
_LONGEST_SUMMARY = 300  # the alt text of a picture holds more of the request
_BARS = 10


def has_components(reply: Reply) -> bool:
    # Components show no player of a sound: a message with sounds, videos or downloads has plain attachments.
    return not reply.result_files and (reply.is_visual or bool(reply.pictures))


def render_payload(reply: Reply, *, names: Sequence[str] = (), remark: str = "") -> Payload:
    """Return the JSON of a message, equal for creates and edits: an absent part removes the part.

    `names` are the uploads of the reply's pictures, in order; `remark` joins the note.
    """
    note = " · ".join(part for part in (reply.note, remark) if part)
    if has_components(reply):
        return {
            "flags": HAS_COMPONENTS_V2,
            "components": _render_components(reply, names, note),
            "allowed_mentions": NO_MENTIONS,
        }
    return {
        "content": _format_text(reply, note),
        "flags": SUPPRESS_EMBEDS,
        "components": render_button_rows(reply.buttons),
        "allowed_mentions": NO_MENTIONS,
    }


def render_voice_payload(name: str, voice: Voice) -> Payload:
    """Return the JSON of a voice message, which has one sound and nothing else.

    The rules: docs.discord.com/developers/resources/message, "Voice Messages".
    """
    waveform = base64.b64encode(voice.loudness).decode()
    facts = {"id": 0, "filename": name, "duration_secs": voice.duration_seconds, "waveform": waveform}
    return {"flags": IS_VOICE_MESSAGE, "attachments": [facts], "allowed_mentions": NO_MENTIONS}


def render_private_payload(text: str) -> Payload:
    """Return the JSON of an ephemeral error message."""
    return {**render_payload(Reply(text, tone=Tone.ERROR)), "flags": SUPPRESS_EMBEDS | EPHEMERAL}


def _render_components(reply: Reply, names: Sequence[str], note: str) -> list[Payload]:
    head = unmask_links(reply.text) or (_format_progress(reply.progress) if reply.progress else "")
    shown = [(picture, name) for picture, name in zip(reply.pictures, names, strict=False) if name]
    items = [_render_gallery_item(picture, name) for picture, name in shown]
    if reply.preview is not None:
        items = [{"media": {"url": f"attachment://{name}"}, "description": "Unfinished picture"} for name in names]
    summary = _cut(unmask_links(reply.request_summary), _LONGEST_SUMMARY)
    return [
        *([_render_text(f"-# {summary}")] if summary else []),
        *([_render_text(head[:LONGEST_TEXT])] if head.strip() else []),
        *([{"type": _GALLERY, "items": items}] if items else []),
        *([_render_text(f"-# {note}")] if note else []),
        *render_button_rows(reply.buttons),
    ]


def _render_text(text: str) -> Payload:
    return {"type": _TEXT, "content": text}


def _render_gallery_item(picture: Picture, name: str) -> Payload:
    alt = picture.alt[:_LONGEST_ALT]
    return {
        "media": {"url": f"attachment://{name}"},
        "spoiler": picture.is_flagged,
        **({"description": alt} if alt else {}),
    }


def _format_text(reply: Reply, note: str) -> str:
    """Return the text with the note below. A long text drops the note rather than lose a character."""
    text = _keep_indentation(unmask_links(reply.text)) or (_format_progress(reply.progress) if reply.progress else "")
    # Discord refuses an empty message.
    whole = "\n".join(part for part in (text, f"-# {note}" if note else "") if part) or "…"
    return whole if len(whole) <= LONGEST_TEXT else text[:LONGEST_TEXT]


# A nested item at the head of a message. Models often begin with a single space, which means nothing.
_INDENTED_ITEM = re.compile(r"\s*^ {2,}(?:[-*+]|\d{1,9}[.)]) ", re.MULTILINE)


def _keep_indentation(text: str) -> str:
    """Return the text without white space around. Discord cuts off the indentation of a first line, but not below."""
    return f"\u200b\n{text.strip(chr(10)).rstrip()}" if _INDENTED_ITEM.match(text) else text.strip()


def _format_progress(progress: Progress) -> str:
    """Return one line: stage or queue position, progress bar, elapsed and usual time."""
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
        return STAGE_TEXTS[progress.stage]
    return "You are next" if progress.queue_position == 1 else f"Number {progress.queue_position} in line"


def add_show_button(reply: Reply, job: str) -> Reply:
    """Replace the text of a message that soon cannot be edited any more: its button shows the job again."""
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
    """Add a button that continues the conversation, for places where the bot does not see messages."""
    answer = next((button for button in reply.buttons if button.action == "regenerate"), None)
    if answer is None:
        return reply
    return replace(reply, buttons=(Button("ask", "Ask more", answer.job), *reply.buttons))


# Links. Discord shows `[words](address)` as the words alone: a model could hide a phishing address behind any words.

# Two backticks at most on one line, or a block at the head of a line; an equal run ends the code.
_CODE = re.compile(r"(?<![`\\])(?:(`{1,2})(?!`)(?P<span>[^`\n]+)\1|^```(?!`)(?P<block>[^`]+)```)(?!`)", re.MULTILINE)
_LANGUAGE = re.compile(r"\A[\w+.#-]*\n")
# Marks that may begin before the code and end inside the code: Discord reads pairs of marks from left to right.
_MARKS = frozenset("*_~|\\<")
# The bracket before an address, also of an address that an entity or an escape hides, or on the next line.
_MASKED = re.compile(r"\](?=\((?:[\s<(]|[^\s()]*[:&\\]))")


def unmask_links(text: str) -> str:
    """Return the text with each `[words](address)` outside code as `[words] (address)`, one character longer.

    Code stays as it is only where no other reading is possible: after a doubtful backtick no later code is certain.
    """
    if "](" not in text:
        return text
    parts, at = [], 0
    for code in _CODE.finditer(text):
        before = text[at : code.start()]
        # An address takes the backtick right after it as a character of its own.
        last_word = re.split(r"\s", before[-LONGEST_TEXT:])[-1]
        if "`" in before or ":" in last_word or "<" in last_word or not _is_certain_code(code):
            break
        parts += [_MASKED.sub("] ", before), code[0]]
        at = code.end()
    return "".join([*parts, _MASKED.sub("] ", text[at:])])


def _is_certain_code(code: re.Match[str]) -> bool:
    """Return whether no mark and no bracket from before the code can end inside the code, which is not empty."""
    content = code["span"] or code["block"]
    # Discord skips a language and line ends at the head of a block; the closing fence of an empty block is its content.
    if not _LANGUAGE.sub("", content, count=1).strip():
        return False
    depth = 0
    for character in content:
        depth += (character == "[") - (character == "]")
        if depth < 0 or character in _MARKS:
            return False
    return depth == 0


# Buttons. A custom id holds all that a press needs, so buttons work after a restart and need no memory.

BUTTON_PREFIX = "easel"
FORM_PREFIX = "easel-form"
ASK_PREFIX = "easel-ask"
_PUBLIC = "public"
_LONGEST_LABEL = 80
_PRIMARY, _SECONDARY, _DANGER = 1, 2, 4
_STYLES = {"again": _PRIMARY, "continue": _PRIMARY, "confirm": _PRIMARY, "show": _PRIMARY, "cancel": _DANGER}
_ROW, _BUTTON = 1, 2
_BUTTONS_PER_ROW = 5
_MOST_ROWS = 5


@dataclass(frozen=True, slots=True)
class CustomId:
    """The decoded custom id of a button or form: action, job, and picture number (0 for none)."""

    action: str
    job: str
    n: int
    is_answer_public: bool = False
    """Whether the answer to the press is public even if the button is on an ephemeral message."""


def build_custom_id(
    action: str, job: str, n: int = 0, *, is_answer_public: bool = False, prefix: str = BUTTON_PREFIX
) -> str:
    """Return a custom id of at most 100 characters, Discord's limit."""
    return f"{prefix}:{action}:{job}:{n}" + (f":{_PUBLIC}" if is_answer_public else "")


def parse_custom_id(custom_id: str, *, prefix: str = BUTTON_PREFIX) -> CustomId | None:
    """Return the decoded custom id; None for custom ids of other bots and other prefixes."""
    match custom_id.split(":"):
        case [first, action, job, n, *rest] if first == prefix and action and n.isdecimal() and rest in ([], [_PUBLIC]):
            return CustomId(action, job, int(n), is_answer_public=bool(rest))
    return None


def render_button_rows(buttons: Sequence[Button]) -> list[Payload]:
    """Return rows of at most five buttons: one row per action that several pictures offer, then the other buttons."""
    numbered = [button for button in buttons if button.n]
    actions = list(dict.fromkeys(button.action for button in numbered))
    repeated = {action for action in actions if sum(button.action == action for button in numbered) > 1}
    groups = [[button for button in numbered if button.action == action] for action in actions if action in repeated]
    groups.append([button for button in buttons if button.action not in repeated])
    rows = [
        _render_row(group[n : n + _BUTTONS_PER_ROW]) for group in groups for n in range(0, len(group), _BUTTONS_PER_ROW)
    ]
    return rows[:_MOST_ROWS]


def _render_row(buttons: list[Button]) -> Payload:
    return {"type": _ROW, "components": [_render_button(button) for button in buttons]}


def _render_button(button: Button) -> Payload:
    return {
        "type": _BUTTON,
        "style": _STYLES.get(button.action, _SECONDARY),
        "label": _cut(button.label, _LONGEST_LABEL),
        "custom_id": build_custom_id(button.action, button.job, button.n, is_answer_public=button.is_answer_public),
    }


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
