"""A Reply as JSON and back: how the web page's messages are kept."""

from dataclasses import asdict
from typing import Any

from bot.core.replies import Button, Picture, Progress, Reply, Stage, TextFile, Tone


def to_json(reply: Reply) -> dict[str, Any]:
    """Plain JSON with the names of the fields; `reply` comes back equal from `from_json`."""
    return asdict(reply)


def from_json(kept: dict[str, Any]) -> Reply:
    """The reply that `to_json` wrote. A field that did not exist yet takes its default."""
    progress = kept.get("progress")
    return Reply(
        **kept
        | {
            "pictures": tuple(Picture(**picture) for picture in kept.get("pictures", ())),
            "progress": Progress(**progress | {"stage": Stage(progress["stage"])}) if progress else None,
            "buttons": tuple(Button(**button) for button in kept.get("buttons", ())),
            "files": tuple(TextFile(**file) for file in kept.get("files", ())),
            "tone": Tone(kept.get("tone", Tone.PLAIN)),
        }
    )
