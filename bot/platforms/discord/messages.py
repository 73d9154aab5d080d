"""Links in a model's words: Discord hides an address behind any words, so they are taken apart and both are seen."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from bot.core.replies import Button, Picture, Progress, Reply, Stage, Tone

# What Discord shows as it is written: a closed fence, and a run of backticks closed by an equal one.
_CODE = re.compile(r"```.+?```|(?<!`)(`{1,2})(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
# "](" before an address; the closing bracket may follow nested ones.
_MASKED = re.compile(r"\](?=\(\s*<?\s*[A-Za-z][A-Za-z0-9+.-]*:)")


def unmask_links(text: str) -> str:
    """The text with every `[words](address)` outside code as `[words] (address)`, one character longer each."""
    if "](" not in text:
        return text
    parts, at = [], 0
    for code in _CODE.finditer(text):
        parts += [_MASKED.sub("] ", text[at : code.start()]), code[0]]
        at = code.end()
    return "".join([*parts, _MASKED.sub("] ", text[at:])])


# MERGED Buttons of Discord: what one does is written into its custom id, so that it works after any restart.

BUTTON_PREFIX = "easel"
FORM_PREFIX = "easel-form"
ASK_PREFIX = "easel-ask"
LONGEST_LABEL = 80
_PRIMARY, _SECONDARY, _DANGER = 1, 2, 4
_STYLES = {"again": _PRIMARY, "continue": _PRIMARY, "confirm": _PRIMARY, "show": _PRIMARY, "cancel": _DANGER}
_ROW, _BUTTON = 1, 2
_OF_A_ROW = 5
_MOST_ROWS = 5


@dataclass(frozen=True, slots=True)
class CustomId:
    """What a custom id says: the action, the job it acts on, and which picture (0 for none)."""

    action: str
    job: str
    n: int


def build_custom_id(action: str, job: str, n: int = 0, *, prefix: str = BUTTON_PREFIX) -> str:
    """At most 100 characters, as Discord wants it."""
    return f"{prefix}:{action}:{job}:{n}"


def parse_custom_id(custom: str, *, prefix: str = BUTTON_PREFIX) -> CustomId | None:
    """What a custom id of ours says; None for any other."""
    match custom.split(":"):
        case [first, action, job, n] if first == prefix and action and n.isdecimal():
            return CustomId(action, job, int(n))
    return None


def render_button_rows(buttons: tuple[Button, ...]) -> list[dict[str, object]]:
    """Rows of at most five: below the pictures what each of several offers, a row for each kind, and then the rest."""
    numbered = [button for button in buttons if button.n]
    actions = list(dict.fromkeys(button.action for button in numbered))
    many = {action for action in actions if sum(button.action == action for button in numbered) > 1}
    groups = [[button for button in numbered if button.action == action] for action in actions if action in many]
    groups.append([button for button in buttons if button.action not in many])
    made = [_render_row(group[n : n + _OF_A_ROW]) for group in groups for n in range(0, len(group), _OF_A_ROW)]
    return made[:_MOST_ROWS]


def _render_row(buttons: list[Button]) -> dict[str, object]:
    return {"type": _ROW, "components": [_render_button(button) for button in buttons]}


def _render_button(button: Button) -> dict[str, object]:
    label = button.label if len(button.label) <= LONGEST_LABEL else f"{button.label[: LONGEST_LABEL - 1]}…"
    style = _STYLES.get(button.action, _SECONDARY)
    return {
        "type": _BUTTON,
        "style": style,
        "label": label,
        "custom_id": build_custom_id(button.action, button.job, button.n),
    }


# MERGED A trunk reply as Discord's message: plain words for talk, and a layout of components where pictures are to
# MERGED come.
# MERGED A message of components (V2) can never become a plain one again, so it is one from the placeholder on.

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
