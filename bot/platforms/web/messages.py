"""Converts messages to JSON for the page, and computes the difference between two versions of a message."""

from collections.abc import Mapping
from urllib.parse import quote
from zlib import crc32

from bot.core.file_types import RECORDINGS
from bot.core.json import JSON
from bot.core.limits import MAX_PIXELS
from bot.core.replies import Button, LivePreview, Picture, Progress, ResultFile, TextFile
from bot.storage.web_page import PageMessage

MessageJson = Mapping[str, JSON]

# The page edits a prompt in a form of its own, and shows a conversation to a single person: no reader could report.
_HIDDEN_ACTIONS = frozenset({"edit", "report"})


def message_to_json(message: PageMessage) -> dict[str, JSON]:
    """Return a message for the page. Times are ISO 8601 in UTC, durations in seconds."""
    reply = message.reply
    return {
        "id": message.id,
        "who": "bot" if message.is_from_bot else "you",
        "job": message.job,
        "text": reply.text,
        "pictures": [_picture_to_json(message.id, picture) for picture in reply.pictures],
        "media": [_media_to_json(file) for file in reply.result_files if file.kind in RECORDINGS],
        "preview": _preview_to_json(message.id, reply.preview),
        "progress": _progress_to_json(reply.progress),
        "note": reply.note,
        "buttons": [_button_to_json(button) for button in reply.buttons if button.action not in _HIDDEN_ACTIONS],
        "tone": reply.tone.value,
        "files": [
            *(_file_to_json(message.id, n, file) for n, file in enumerate(reply.files)),
            *(_download_to_json(file) for file in reply.result_files if file.kind not in RECORDINGS),
        ],
        "created": message.created_at.isoformat(),
    }


def compute_difference(before: MessageJson, after: MessageJson) -> dict[str, JSON]:
    """Return the changed fields and `id`. A text with new words at the end becomes `append` and the position `from`.

    `from` counts UTF-16 units, the unit of JavaScript's strings: a page with a gap notices the mismatch.
    """
    changed = {key: value for key, value in after.items() if key == "id" or before.get(key) != value}
    old, new = before.get("text"), changed.get("text")
    if isinstance(old, str) and isinstance(new, str) and new.startswith(old):
        del changed["text"]
        changed["from"] = _utf16_length(old)
        changed["append"] = new[len(old) :]
    return changed


def _utf16_length(text: str) -> int:
    # A text may hold a lone surrogate, half of an emoji.
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _media_to_json(file: ResultFile) -> JSON:
    return {
        "kind": str(file.kind),
        "src": f"/media/{file.sha256}",
        "download": _format_download(file.sha256, file.name),
        "name": file.name,
        "alt": file.alt,
        "width": file.width,
        "height": file.height,
        "flagged": file.is_flagged,
    }


def _download_to_json(file: ResultFile) -> JSON:
    # Types that a browser could run, such as SVG, are links to downloads only.
    return {"href": _format_download(file.sha256, file.name), "download": file.name}


def _format_download(sha256: str, name: str) -> str:
    return f"/media/{sha256}?name={quote(name, safe='')}"


def _picture_to_json(message: str, picture: Picture) -> JSON:
    address = f"/media/{picture.sha256}"
    download = _format_download(picture.sha256, picture.name)
    is_large = picture.width * picture.height > MAX_PIXELS
    return {
        "url": f"{address}?preview=1" if is_large else address,
        # The message knows the recipe, the kept picture does not.
        "download": f"{download}&message={quote(message, safe='')}" if picture.recipe else download,
        "name": picture.name,
        "alt": picture.alt,
        "width": picture.width,
        "height": picture.height,
        "flagged": picture.is_flagged,
        "n": picture.n,
    }


def _file_to_json(message: str, n: int, file: TextFile) -> JSON:
    # The attributes of a link.
    return {"href": f"/api/files/{quote(message, safe='')}/{n}", "download": file.name}


def _preview_to_json(message: str, preview: LivePreview | None) -> JSON:
    if preview is None:
        return None
    # The number makes the page load each picture anew: the address is that of the message.
    address = f"/api/previews/{quote(message, safe='')}?{crc32(preview.data)}"
    return {"src": address, "width": preview.width, "height": preview.height}


def _progress_to_json(progress: Progress | None) -> JSON:
    if progress is None:
        return None
    return {
        "stage": progress.stage.value,
        "percent": progress.percent,
        "elapsed": progress.elapsed_seconds,
        "usual": progress.usual_seconds,
        "place": progress.queue_position,
    }


def _button_to_json(button: Button) -> JSON:
    return {"action": button.action, "label": button.label, "job": button.job, "n": button.n}
